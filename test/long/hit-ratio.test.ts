import { expect, it } from 'vitest'
import { generateTrace } from '../support/generated-traces.mjs'
import { GENERATED_CELLS, keysOf, lruHitRatio, PUBLIC_CELLS } from '../support/hit-ratio.mjs'
import { BELOW_CAFFEINE, BELOW_LRU, tinyLfuHitRatio } from '../support/tiny-lfu-hits.ts'
import { hasTraces, readTrace } from '../support/traces.ts'

const PUBLIC_SEEDS = 5
const GENERATED_SEEDS = 3

/** Over the 18 public cells; Caffeine has 63.88, S3-FIFO 64.59. */
const MEAN = 65.6

/**
 * Cells that are worse than that, and by how many points they may be: in a loop of 10,000 through 5,000 the
 * trace is over, after 40 rounds, soon after the shadows have found what suits it.
 */
const EXCEPTIONS: Readonly<Record<string, number>> = { 'loop2 5000': 2.75 }

interface Row {
  readonly cell: string
  readonly ratio: number
  readonly lru: number
  readonly caffeine: number
}

function offences(rows: readonly Row[]): string[] {
  return rows
    .filter(({ cell, ratio, lru, caffeine }) => {
      const belowCaffeine = EXCEPTIONS[cell] ?? BELOW_CAFFEINE
      return ratio < Math.max(lru - BELOW_LRU, caffeine - belowCaffeine)
    })
    .map(
      ({ cell, ratio, lru, caffeine }) =>
        `${cell}: ${ratio.toFixed(2)}, LRU ${lru.toFixed(2)}, Caffeine ${caffeine.toFixed(2)}`,
    )
}

// One line tells that they are missing: they are not part of the repository.
if (!hasTraces) console.log('hit-ratio: no traces (TRACES), only generated ones are measured')

it.runIf(hasTraces)(
  'on public traces tinyLfu has the mean that is promised, and no bad cell',
  () => {
    const rows = PUBLIC_CELLS.map(({ trace, capacity, lru, caffeine }) => {
      const ratio = tinyLfuHitRatio(capacity, readTrace(trace), PUBLIC_SEEDS)
      return { cell: `${trace} ${capacity}`, ratio, lru, caffeine }
    })
    expect(offences(rows)).toEqual([])
    expect(rows.reduce((sum, { ratio }) => sum + ratio, 0) / rows.length).toBeGreaterThanOrEqual(
      MEAN,
    )
  },
)

it('on generated traces tinyLfu has no bad cell', () => {
  const rows = GENERATED_CELLS.map(({ kind, capacity, caffeine }) => {
    const ids = generateTrace(kind, capacity)
    const ratio = tinyLfuHitRatio(capacity, keysOf(ids), GENERATED_SEEDS)
    return { cell: `${kind} ${capacity}`, ratio, lru: lruHitRatio(ids, capacity), caffeine }
  })
  expect(offences(rows)).toEqual([])
})
