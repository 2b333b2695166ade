import { expect, it } from 'vitest'
import { generateTrace } from '../support/generated-traces.mjs'
import { GENERATED_CELLS, keysOf, lruHitRatio, PUBLIC_CELLS } from '../support/hit-ratio.mjs'
import { BELOW_CAFFEINE, BELOW_LRU, tinyLfuHitRatio } from '../support/tiny-lfu-hits.ts'
import { hasTraces, readTrace } from '../support/traces.ts'

const SEEDS = 5
const MEAN = 65.6

interface Row {
  readonly cell: string
  readonly ratio: number
  readonly lru: number
  readonly caffeine: number
}

function offences(rows: readonly Row[]): string[] {
  return rows
    .filter(
      ({ ratio, lru, caffeine }) => ratio < Math.max(lru - BELOW_LRU, caffeine - BELOW_CAFFEINE),
    )
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
      const ratio = tinyLfuHitRatio(capacity, readTrace(trace), SEEDS)
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
    const ratio = tinyLfuHitRatio(capacity, keysOf(ids), SEEDS)
    return { cell: `${kind} ${capacity}`, ratio, lru: lruHitRatio(ids, capacity), caffeine }
  })
  expect(offences(rows)).toEqual([])
})
