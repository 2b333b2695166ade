import type { Duration } from './model/duration.ts'
import type { Lookup, Tier } from './model/outcome.ts'
import type {
  GetOptions,
  Loader,
  OnceOptions,
  RefreshCallOptions,
  SetOptions,
} from './options/options.ts'
import type { BreakerState } from './remote/breaker.ts'
import type { Counters } from './stats/counters.ts'

/** Which tiers a cache has. */
export type CacheType = 'local' | 'remote' | 'both'

/** What `once` resolves to: a loader's `undefined` has become `null`, "no such record". */
export type OnceResult<T> = undefined extends T ? Exclude<T, void> | null : T

/** What `once` tells of a value with `meta: true`. */
export interface OnceMeta<T> {
  /** `null`: there is no such record. */
  readonly value: T
  /**
   * - `hit`: a tier had it, fresh.
   * - `stale`: a tier had it, past its freshness.
   * - `absent`: a tier knows that there is no such record.
   * - `miss`: it was loaded.
   */
  readonly status: 'hit' | 'stale' | 'absent' | 'miss'
  /** `undefined` of what was loaded. */
  readonly tier: Tier | undefined
  /** Milliseconds: of freshness, or, of a stale value, until it is dropped. `undefined` of what was loaded. */
  readonly ttlLeft: number | undefined
}

/** The counters, and what the cache holds at this moment. */
export interface CacheStats extends Readonly<Counters> {
  readonly name: string
  readonly type: CacheType
  /** Entries in the local tier; some may have expired without being touched since. */
  readonly localEntries: number
  /**
   * Entries that the local tier has not kept since they were too large for it, or written by one codec
   * too many (see `freeCache`). They are loaded, or read from the remote, again and again.
   */
  readonly localRefused: number
  /** Whether the remote is used (`closed`) or held to be down; `undefined` without one. */
  readonly breaker: BreakerState | undefined
  /** Keys whose change the remote did not take and which are not repaired yet. */
  readonly recoveryPending: number
  /** Whether changes of other processes are heard of; `undefined` without `sync`. */
  readonly busArmed: boolean | undefined
}

/**
 * A cache. All methods that take a key reject (the synchronous ones throw) with a `TypeError` or
 * `RangeError` (`code: 'CACHE_OPTION'`) for a key that is no string of 1 to 65,535 bytes of
 * well-formed UTF-8 or ends in a reserved suffix, and with `CacheClosedError` after `close()`.
 *
 * @typeParam Absent `null` if `notFound.error` is configured, so that `once` may resolve it whatever
 * its loader's type says.
 */
export interface Cache<Absent extends null = never> {
  readonly name: string
  readonly type: CacheType
  /** Keys that are refreshed in the background. */
  readonly taskSize: number

  /**
   * Told where the value comes from.
   *
   * @throws as the plain `once`.
   */
  once<T>(
    key: string,
    loader: Loader<T>,
    options: OnceOptions<T> & { readonly meta: true },
  ): Promise<OnceMeta<OnceResult<T> | Absent>>
  /**
   * The read path: the value from local, from remote, or from the loader, which then fills both.
   * Callers who ask for one key at the same time share one load. Resolves `null` where there is no
   * such record, also if somebody else has said so (`set(key, null)`, another process): a loader
   * whose type has no `null` then is a promise that nobody does. The loader runs in the async context
   * of the caller that started the load; it must not wait for `once` of its own key.
   *
   * @throws whatever the loader threw, as it is, for every caller that shared the load.
   * @throws CacheLoadTimeoutError if the loader did not settle within `loadTimeout`.
   * @throws CacheEncodeError if the codec cannot write what the loader returned.
   * @throws the reason of `signal` if this caller left.
   */
  once<T>(key: string, loader: Loader<T>, options?: OnceOptions<T>): Promise<OnceResult<T> | Absent>
  /**
   * As `once`, but where there is no such record it rejects.
   *
   * @throws CacheNotFoundError; `cause` is the loader's error where it said so by one.
   */
  onceOrThrow<T>(key: string, loader: Loader<T>, options?: OnceOptions<T>): Promise<NonNullable<T>>
  /** Only looks: `undefined` where no tier has a fresh value, whatever the reason. `lookup` tells them apart. */
  get<T = unknown>(key: string, options?: GetOptions): Promise<T | undefined>
  /**
   * Only looks.
   *
   * @throws CacheMissError, CacheNotFoundError, CacheRemoteError or CacheDecodeError.
   */
  getOrThrow<T = unknown>(key: string, options?: GetOptions): Promise<T>
  /** Only looks, and says what it saw. */
  lookup<T = unknown>(key: string, options?: GetOptions): Promise<Lookup<T>>
  /** What local holds at this moment, without counting as a use; `undefined` for a placeholder. */
  peek<T = unknown>(key: string): T | undefined
  /** Whether a value is there. A placeholder is none; if the remote cannot be asked, `false`. */
  exists(key: string, options?: GetOptions): Promise<boolean>

  /**
   * Stores a value; `null` stores "no such record". Resolves whether it took: always, unless `when`
   * forbade it.
   *
   * @throws TypeError (`code: 'CACHE_OPTION'`) for `undefined`.
   * @throws CacheEncodeError if the codec cannot write the value.
   * @throws CacheRemoteError if the remote did not take it, or nobody knows; local is left without it.
   */
  set(key: string, value: unknown, options?: SetOptions): Promise<boolean>
  /**
   * Deletes from both tiers. What is being loaded meanwhile is not stored. Resolves whether the
   * remote (without one: local) held something.
   *
   * @throws CacheRemoteError if the remote did not delete it, or nobody knows.
   */
  delete(key: string): Promise<boolean>
  /**
   * Ends the freshness of a key: it is loaded anew by the next `once`, and until then answered where a
   * stale value is permitted. What no stale permission keeps is deleted. What is being loaded meanwhile
   * is not stored. Resolves whether the remote (without one: local) held a value.
   *
   * @throws CacheRemoteError as `delete`.
   */
  expire(key: string): Promise<boolean>
  /**
   * Loads a key now, whatever the tiers hold, and replaces that; joins a load of this process that is
   * under way. Resolves what was loaded, also if the remote did not take it: then the others have what
   * is there until it is loaded anew. A failure leaves what is there.
   *
   * @param loader Default: that of the last `once` with `refresh: true`, while the key is refreshed.
   * @throws TypeError (`code: 'CACHE_OPTION'`) if there is no loader.
   * @throws whatever `once` throws.
   */
  refresh<T = unknown>(
    key: string,
    loader?: Loader<T>,
    options?: RefreshCallOptions<T>,
  ): Promise<OnceResult<T> | Absent>
  /** The key is not refreshed in the background any more. Returns whether it was. */
  cancelRefresh(key: string): boolean
  /** Drops the copy in local alone. Returns whether there was one. */
  deleteLocal(key: string): boolean
  /** Drops all copies in local. */
  clearLocal(): void

  /** The counters since construction: a snapshot. */
  stats(): CacheStats
  /** Whether the remote answers, waiting for it up to `timeout`. @default '10s' */
  ready(options?: { readonly timeout?: Duration | undefined }): Promise<boolean>
  /**
   * Takes no more calls, waits up to `timeout` for what is under way (after that it stores nothing),
   * and closes what the tiers opened themselves. Safe to call again. @default '5s'
   */
  close(options?: { readonly timeout?: Duration | undefined }): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
