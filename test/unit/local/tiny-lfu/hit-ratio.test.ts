import { expect, it } from 'vitest'
import { generateTrace } from '../../../support/generated-traces.mjs'
import { GENERATED_CELLS, keysOf, lruHitRatio, PUBLIC_CELLS } from '../../../support/hit-ratio.mjs'
import { BELOW_CAFFEINE, BELOW_LRU, tinyLfuHitRatio } from '../../../support/tiny-lfu-hits.ts'
import { hasTraces, readTrace } from '../../../support/traces.ts'

/** How many key hashes a cell is measured with; those of large traces that are left out are in test/long. */
const SEEDS: Readonly<Record<string, number>> = {
  'loop-multi3 149': 3,
  'loop-multi3 745': 3,
  'loop-multi3 1864': 3,
  'fs-sprite 142': 3,
  'fs-sprite 708': 3,
  'fs-sprite 1769': 3,
  'web-shop 275': 3,
  'web-shop 1376': 3,
  'web-shop 3439': 3,
  'app-orm 1071': 1,
  'db-oltp 3738': 1,
  'block-vm 850': 1,
}

/** Of these cells, 0.3 below what was measured. */
const MEAN = 64.03

// One line tells that they are missing: they are not part of the repository.
if (!hasTraces)
  console.log('tiny-lfu/hit-ratio: no traces (TRACES), only generated ones are measured')

const measured: number[] = []
for (const { trace, capacity, lru, caffeine } of PUBLIC_CELLS) {
  const seeds = SEEDS[`${trace} ${capacity}`]
  if (seeds === undefined) continue
  it.runIf(hasTraces)(
    `on ${trace} with ${capacity} entries tinyLfu is near the better of LRU and Caffeine, or above`,
    () => {
      const ratio = tinyLfuHitRatio(capacity, readTrace(trace), seeds)
      measured.push(ratio)
      expect(ratio).toBeGreaterThanOrEqual(lru - BELOW_LRU)
      expect(ratio).toBeGreaterThanOrEqual(caffeine - BELOW_CAFFEINE)
    },
    30_000,
  )
}

it.runIf(hasTraces)('in the mean of these cells it is where it was measured', () => {
  expect(measured).toHaveLength(Object.keys(SEEDS).length)
  const mean = measured.reduce((sum, ratio) => sum + ratio, 0) / measured.length
  expect(mean).toBeGreaterThanOrEqual(MEAN)
})

for (const { kind, capacity, caffeine } of GENERATED_CELLS) {
  if (capacity > 1000 || !/^(loop|scan|drift-(slow|fast))/.test(kind)) continue
  it(`on ${kind} with ${capacity} entries tinyLfu is near the better of LRU and Caffeine, or above`, () => {
    const ids = generateTrace(kind, capacity)
    const ratio = tinyLfuHitRatio(capacity, keysOf(ids), 1)
    expect(ratio).toBeGreaterThanOrEqual(lruHitRatio(ids, capacity) - BELOW_LRU)
    expect(ratio).toBeGreaterThanOrEqual(caffeine - BELOW_CAFFEINE)
  }, 30_000)
}
