import { describe, expect, it } from 'vitest'
import { CELLS, type Cell, NAMED_CELLS } from './cells.ts'

const TIERS: readonly Cell['tiers'][] = ['local', 'remote', 'both']
const STORES: readonly Cell['store'][] = ['none', 'memory', 'lmdb', 'node-redis', 'ioredis']
const CODECS: readonly Cell['codec'][] = ['msgpack', 'json']
const ISOLATIONS: readonly Cell['isolation'][] = ['copy', 'frozen', 'shared']
const ENGINES: readonly Cell['engine'][] = ['tinyLfu', 'freeCache', 'lru']

/**
 * A store is there exactly if there is a remote tier; isolation is chosen by the local one, and `freeCache`
 * gives everybody a copy.
 */
function canBe(cell: Cell): boolean {
  if ((cell.tiers === 'local') !== (cell.store === 'none')) return false
  if (cell.tiers === 'remote') return cell.isolation === 'copy' && cell.engine === 'tinyLfu'
  return cell.engine !== 'freeCache' || cell.isolation === 'copy'
}

const ALL: readonly Cell[] = TIERS.flatMap((tiers) =>
  STORES.flatMap((store) =>
    CODECS.flatMap((codec) =>
      ISOLATIONS.flatMap((isolation) =>
        ENGINES.map((engine): Cell => ({ tiers, store, codec, isolation, engine })),
      ),
    ),
  ),
).filter(canBe)

function pairsOf(cells: readonly Cell[]): ReadonlySet<string> {
  const pairs = new Set<string>()
  for (const cell of cells) {
    const values = Object.entries(cell).map(([dimension, value]) => `${dimension} ${value}`)
    values.forEach((one, at) => {
      for (const other of values.slice(at + 1)) pairs.add(`${one} + ${other}`)
    })
  }
  return pairs
}

describe('the cells', () => {
  it('hold every pair of values that two dimensions can have together', () => {
    const held = pairsOf(CELLS)
    expect([...pairsOf(ALL)].filter((pair) => !held.has(pair))).toEqual([])
  })

  it('are all such as can be', () => {
    expect(CELLS.filter((cell) => !canBe(cell))).toEqual([])
  })

  it('have a name each, and no two the same', () => {
    expect(new Set(NAMED_CELLS.map(([name]) => name)).size).toBe(CELLS.length)
  })
})
