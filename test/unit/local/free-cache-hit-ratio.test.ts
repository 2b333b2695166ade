import { expect, it } from 'vitest'
import { bytesEntry, openStore } from '../../support/free-store.ts'
import { hasTraces, readTrace } from '../../support/traces.ts'

/** Longer than any key of a trace: all records are of one size. */
const KEY_LENGTH = 16
const UNITS = 6

/**
 * Hits of FreeCache's rule with the number of the access as its clock, counted by a model of it on entries
 * of one size, and a little less than what ours has: `bench/hit-ratio.js` prints all cells.
 */
type Cell = readonly [
  trace: string,
  capacity: number,
  rule: number,
  floor: number,
  accesses?: number,
]
const CELLS: readonly Cell[] = [
  ['loop-multi3', 149, 2973, 3020],
  ['loop-multi3', 745, 10_635, 10_850],
  ['loop-multi3', 1864, 13_536, 13_540],
  ['fs-sprite', 142, 40_089, 40_120],
  ['fs-sprite', 708, 114_325, 115_300],
  ['fs-sprite', 1769, 124_443, 124_520],
  ['web-shop', 275, 45_471, 46_050],
  ['web-shop', 1376, 64_986, 65_550],
  ['web-shop', 3439, 73_888, 74_300],
  ['block-vm', 212, 203_526, 205_300, 300_000],
  ['app-orm', 1071, 235_318, 235_850, 300_000],
]

// One line tells that they are missing: they are not part of the repository.
if (!hasTraces) console.log('free-cache-hit-ratio: no traces (TRACES), nothing is measured')

for (const [trace, capacity, rule, floor, accesses] of CELLS) {
  it.runIf(hasTraces)(
    `on ${trace} with ${capacity} entries freeCache beats its model`,
    () => {
      const size = { chunks: 1, chunkUnits: capacity * UNITS, buckets: capacity, mostUnits: UNITS }
      const { store } = openStore(size)
      const entry = bytesEntry(new Uint8Array(0))
      let hits = 0
      for (const number of readTrace(trace).slice(0, accesses)) {
        const key = number.padStart(KEY_LENGTH, '0')
        if (store.get(key) === undefined) store.set(key, entry)
        else hits++
      }
      expect(store.size).toBe(capacity)
      expect(hits).toBeGreaterThan(rule)
      expect(hits).toBeGreaterThanOrEqual(floor)
    },
    15_000,
  )
}
