import type { Clock } from '../model/clock.ts'
import type { Life } from '../model/entry.ts'

/** An entry of the local tier. */
export interface LocalEntry extends Life {
  /**
   * From then on a hit has it loaded anew in the background; `Infinity`: never. Epoch milliseconds of
   * the cache's clock.
   */
  readonly aheadAt: number
  /** The value in the form that `Keeper` gives it, or `NOT_FOUND`; `KeptBytes` where bytes are held. */
  readonly kept: unknown
  /**
   * The resolved promise handed to every caller, once there is one: it saves a hit the making of a
   * promise. Only where all callers may be handed the same value.
   */
  answer: Promise<unknown> | undefined
}

/**
 * Why an entry has left the local tier.
 * - `evicted`: another needed its room.
 * - `expired`: its life was over.
 * - `deleted`: by `delete`, `deleteLocal` or `clearLocal`, or with its cache.
 * - `replaced`: another value has taken its place.
 * - `invalidated`: another process has changed the key, or nobody can tell whether one has.
 */
export type RemovalCause = 'evicted' | 'expired' | 'deleted' | 'replaced' | 'invalidated'

/** When an entry answers, and how, in epoch milliseconds of the cache's clock. */
export type LocalLife = Omit<LocalEntry, 'kept' | 'answer'>

/** A bounded map. It decides who leaves; whether an entry still answers is decided by its reader. */
export interface LocalStore {
  /** Counts as a use of the entry. */
  get(key: string): LocalEntry | undefined
  /** Does not count as a use. */
  peek(key: string): LocalEntry | undefined
  /** What `peek` tells, without the value; for stores in which a value costs something to bring out. */
  life?(key: string): LocalLife | undefined
  /** Never above its bound, not even during the call. It may refuse an entry, and then holds none. */
  set(key: string, entry: LocalEntry): void
  delete(key: string, cause: RemovalCause): boolean
  clear(cause: RemovalCause): void
  /** Entries held, those whose life is over but which nobody has touched since included. */
  readonly size: number
  /** Entries refused so far; a store that refuses none need not count. */
  readonly refused?: number
}

/**
 * Told of each entry that leaves, which may be in the middle of a change: it must not use the store. Not
 * told where an entry with the same `kept` takes its place.
 */
export type Removed = (key: string, entry: LocalEntry, cause: RemovalCause) => void

/** What a store is given by the cache that it belongs to. */
export interface LocalSurroundings {
  readonly clock: Clock
  /** `undefined`: nobody listens. */
  readonly removed: Removed | undefined
  /** Tells whoever runs the cache. */
  readonly warn?: ((message: string) => void) | undefined
}

/**
 * How callers are kept from changing what others get.
 * - `copy`: each caller gets a copy of their own.
 * - `frozen`: all get one deeply frozen value. Dates, Maps, Sets and bytes cannot be frozen: a value
 *   that holds one is copied for each caller, its plain objects and arrays frozen.
 * - `shared`: all get one value, and promise not to change it. Without a remote tier it is the very
 *   value that was stored, class instances included.
 */
export type Isolation = 'copy' | 'frozen' | 'shared'

/**
 * Told of every entry that has left the local tier, soon after.
 *
 * @param value What a caller would get; `null` for a placeholder. With isolation `copy` a copy is made
 * for it.
 */
export type RemovalListener = (key: string, value: unknown, cause: RemovalCause) => void

/** What a function such as `tinyLfu()` returns: each cache makes a store of its own from it. */
export interface LocalEngine {
  /** Names it in errors and counters. */
  readonly name: string
  /** Life of a value in milliseconds; `undefined`: the cache's ttl. */
  readonly ttl: number | undefined
  /**
   * What its store holds: values, or the bytes that the cache's codec makes of them; `kept` is then
   * `KeptBytes`, and isolation is `copy`: each caller has the bytes decoded.
   *
   * @default 'values'
   */
  readonly holds?: 'values' | 'bytes' | undefined
  readonly isolation: Isolation
  /** The user's own copy function; only with isolation `copy`. */
  readonly copy: ((value: unknown) => unknown) | undefined
  readonly onRemoval: RemovalListener | undefined
  /** @param surroundings Default: the machine's clock, and nobody listens. */
  create(surroundings?: LocalSurroundings): LocalStore
}
