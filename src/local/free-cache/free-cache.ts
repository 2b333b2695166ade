import {
  ALONE,
  checkEngineOptions,
  checkWhole,
  type EngineOptions,
  engineOf,
} from '../engine-options.ts'
import type { LocalEngine } from '../local-store.ts'
import { UNIT } from './chunk.ts'
import { FreeStore } from './free-store.ts'
import { HashIndex } from './hash-index.ts'
import { seededHash } from './key-hash.ts'
import { Ring, type RingSize } from './ring.ts'
import { UseClock } from './use-clock.ts'

const LEAST_BYTES = 2 ** 16
/** Positions in the ring are 31 bits, in units of 8 bytes. */
const MOST_BYTES = 2 ** 34

/** A bucket of the index for so many bytes: half of what small entries take, key and all. */
const BYTES_PER_BUCKET = 128
const BYTES_OF_BUCKET = 4

/** Memory is taken in as many steps at least, and each is at most so large. */
const LEAST_CHUNKS = 15
const LARGEST_CHUNK = 2 ** 24

/** An entry is at most this part of the whole, so that none sweeps out all others, and at most 4 MiB. */
const LARGEST_PART = 64
const LARGEST_ENTRY = 2 ** 22

/** What `freeCache()` takes. */
export interface FreeCacheOptions extends EngineOptions {
  /**
   * The most bytes of memory for entries and their index together: never exceeded, not even for a moment.
   * A whole number from 65,536 (64 KiB) to 17,179,869,184 (16 GiB). It is taken as entries come, in steps
   * of a fifteenth or 16 MiB, whichever is smaller, and given back by `clearLocal()` and `close()`.
   *
   * An entry takes the bytes of its key and of its encoded value, and some 40 more. One that takes more
   * than `maxBytes / 64`, or than 4 MiB, is not kept, and counted by `stats().localRefused`.
   */
  readonly maxBytes: number
}

const NAMES = { maxBytes: true, ttl: true, onRemoval: true } as const
const EXAMPLE = 'freeCache({ maxBytes: 64 * 1024 ** 2 })'

/**
 * A local tier with a strict bound in bytes, for very many entries: they lie, encoded by the cache's
 * codec, in memory outside the JavaScript heap, where the garbage collector never looks at them. A hit
 * costs the decoding of its value; each caller has a value of their own. After FreeCache for Go; near to
 * LRU in what it keeps.
 *
 * At most 255 codecs in one cache: values by further ones, given to single calls, are not kept locally.
 *
 * @throws TypeError (`code: 'CACHE_OPTION'`) for an unknown option or one of the wrong kind.
 * @throws RangeError (`code: 'CACHE_OPTION'`) for `maxBytes` or `ttl` out of range.
 */
export function freeCache(options: FreeCacheOptions): LocalEngine {
  checkEngineOptions('freeCache', options, NAMES, EXAMPLE)
  const { maxBytes } = options
  const remedy = 'Say how many bytes may be taken.'
  checkWhole('freeCache: maxBytes', maxBytes, MOST_BYTES, remedy, LEAST_BYTES)
  const { buckets, mostUnits, ...size } = sharesOf(maxBytes)
  return {
    ...engineOf('freeCache', options),
    holds: 'bytes',
    create: (surroundings = ALONE) => {
      const ring = new Ring(size)
      const index = new HashIndex(ring, buckets)
      const uses = new UseClock()
      return new FreeStore({ ring, index, uses, hash: seededHash(), mostUnits, ...surroundings })
    },
  }
}

/** What each part gets of the whole. */
function sharesOf(maxBytes: number): RingSize & { buckets: number; mostUnits: number } {
  const buckets = Math.floor(maxBytes / BYTES_PER_BUCKET)
  const bytes = maxBytes - buckets * BYTES_OF_BUCKET
  const chunks = Math.max(LEAST_CHUNKS, Math.ceil(bytes / LARGEST_CHUNK))
  const largest = Math.min(maxBytes / LARGEST_PART, LARGEST_ENTRY)
  return {
    chunks,
    chunkUnits: Math.floor(bytes / chunks / UNIT),
    buckets,
    mostUnits: Math.floor(largest / UNIT),
  }
}
