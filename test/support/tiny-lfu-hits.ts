import { TinyLfuStore } from '../../src/local/tiny-lfu/tiny-lfu-store.ts'
import { hitRatio, medianOf, randomOf } from './hit-ratio.mjs'
import { alone, entryOf } from './local-store.ts'

/** Points of hit ratio by which a cell may be worse than either: promises are about workloads, not cells. */
export const BELOW_LRU = 1
export const BELOW_CAFFEINE = 1.75

/** The median of so many key hashes, always the same ones. */
export function tinyLfuHitRatio(capacity: number, keys: readonly string[], seeds: number): number {
  const entry = entryOf('x')
  return medianOf(seeds, (seed) => {
    const room = { capacity, weigh: undefined }
    return hitRatio(new TinyLfuStore(room, alone(), randomOf(seed)), keys, entry)
  })
}
