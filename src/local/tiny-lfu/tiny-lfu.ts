import { optionTypeError } from '../../model/errors.ts'
import {
  checkEngineOptions,
  checkOneOf,
  checkWhole,
  type EngineOptions,
  engineOf,
  type IsolationOptions,
  optionalFunction,
} from '../engine-options.ts'
import type { LocalEngine, LocalSurroundings } from '../local-store.ts'
import { type Room, TinyLfuStore } from './tiny-lfu-store.ts'
import { weigher } from './weigher.ts'

/** A JavaScript Map holds no more. */
const MOST_ENTRIES = 2 ** 24

const MOST_BYTES = 2 ** 40

interface BoundInEntries {
  /**
   * The most entries kept, not-found placeholders included. A whole number from 1 to 16,777,216. Room for
   * their bookkeeping is taken as they come, some 45 bytes each beside the entry itself.
   */
  readonly maxEntries: number
  readonly maxBytes?: undefined
  /** Only with `maxBytes`. */
  readonly weigh?: undefined
}

interface BoundInBytes {
  readonly maxEntries?: undefined
  /**
   * The most bytes that entries may weigh together; never exceeded. A whole number from 1 to
   * 1,099,511,627,776 (1 TiB). What an entry weighs is estimated from its value, without writing it down
   * (`weigh`), and its key and bookkeeping are added. An entry that weighs more than the whole is not
   * kept, and counted by `stats().localRefused`.
   */
  readonly maxBytes: number
  /**
   * The bytes of a value, in place of the estimate: any number of 0 or more. Its key and bookkeeping are
   * added. Called once for each value that is stored, not for placeholders; it must not change the value.
   * Where it throws or returns anything else, the value is not kept, a warning is logged, and it counts
   * in `stats().localRefused`.
   *
   * @default an estimate of the heap that the value occupies, mostly within a quarter of it
   */
  readonly weigh?: ((key: string, value: unknown) => number) | undefined
}

/** What `tinyLfu()` takes: one bound, in entries or in bytes. */
export type TinyLfuOptions = (BoundInEntries | BoundInBytes) & EngineOptions & IsolationOptions

const NAMES = {
  maxEntries: true,
  maxBytes: true,
  weigh: true,
  ttl: true,
  isolation: true,
  copy: true,
  onRemoval: true,
} as const

const EXAMPLE = 'tinyLfu({ maxEntries: 10_000 })'

/**
 * A local tier that keeps what is worth most: what is used often, what was used of late, or what is in
 * between, whichever brings more hits just now. The one to choose unless memory must be strictly bound.
 *
 * W-TinyLFU (G. Einziger, O. Eytan, R. Friedman and B. Manes, Adaptive Software Cache Management, 2018)
 * with a memory of who has left and with settings that are tried beside it on a sample of the keys. Every
 * operation costs the same however many entries there are, but for the doubling of its tables.
 *
 * Entries whose life is over leave by themselves, mostly within seconds, at some 50,000 a second at most.
 *
 * @throws TypeError (`code: 'CACHE_OPTION'`) for an unknown option, one of the wrong kind, and for both
 * bounds or none.
 * @throws RangeError (`code: 'CACHE_OPTION'`) for `maxEntries`, `maxBytes` or `ttl` out of range.
 */
export function tinyLfu(options: TinyLfuOptions): LocalEngine {
  checkEngineOptions('tinyLfu', options, NAMES, EXAMPLE)
  const roomFor = roomOf(options)
  return {
    ...engineOf('tinyLfu', options),
    create: (surroundings) => new TinyLfuStore(roomFor(surroundings), surroundings),
  }
}

function roomOf(options: TinyLfuOptions): (surroundings: LocalSurroundings) => Room {
  const { maxEntries, maxBytes, weigh } = options
  checkOneOf('tinyLfu', { maxEntries, maxBytes }, EXAMPLE)
  optionalFunction('tinyLfu: weigh', weigh, '(key, value) => bytes')
  if (maxBytes === undefined) {
    if (weigh !== undefined) {
      throw optionTypeError(
        'tinyLfu: weigh does nothing with maxEntries',
        'Leave out weigh, or give it maxBytes.',
      )
    }
    checkWhole('tinyLfu: maxEntries', maxEntries, MOST_ENTRIES, 'Say how many entries may be kept.')
    return () => ({ capacity: maxEntries as number, weigh: undefined })
  }
  checkWhole('tinyLfu: maxBytes', maxBytes, MOST_BYTES, 'Say how many bytes may be kept.')
  return ({ warn }) => ({ capacity: maxBytes, weigh: weigher(weigh, warn) })
}
