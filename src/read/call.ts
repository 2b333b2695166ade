import type { Codec } from '../codec/codec.ts'
import type { Duration } from '../model/duration.ts'

/** What one call of `get` asks for, validated. */
export interface GetCall {
  readonly skipLocal: boolean
  readonly skipRemote: boolean
  /** Milliseconds; `undefined`: the engine's. */
  readonly localTtl: number | undefined
  /** `undefined`: the cache's. */
  readonly codec: Codec | undefined
}

/** What one call of `once` asks for, validated. Of callers that share a load, the first one's counts. */
export interface OnceCall extends GetCall {
  /** Milliseconds, or a function of the loaded value; `undefined`: the cache's. */
  readonly ttl: number | ((value: unknown) => number) | undefined
  readonly cacheIf: ((value: unknown) => boolean) | undefined
  readonly loadTimeout: number | undefined
  readonly signal: AbortSignal | undefined
  /** Milliseconds; `undefined`, here and in the following: the cache's. */
  readonly staleWhileRevalidate: number | undefined
  readonly staleIfError: number | undefined
  readonly softTimeout: number | undefined
  readonly hardTimeout: number | undefined
  /** Whether the key is refreshed in the background from now on. */
  readonly refresh: boolean
}

/**
 * Why a loader runs.
 * - `miss`: no tier holds a value.
 * - `refresh`: to replace a value that may be fresh: at an interval, by hand, or late in its life.
 * - `revalidate`: to replace a stale one.
 */
export type LoadReason = 'miss' | 'refresh' | 'revalidate'

/** What a loader is told, and what it may say besides its result. */
export interface LoaderContext {
  /** The key that is loaded. */
  readonly key: string
  /**
   * Aborts when every caller has left by its own signal, and when `loadTimeout` is over. A load in the
   * background has no callers.
   */
  readonly signal: AbortSignal
  readonly reason: LoadReason
  /** The value that the result replaces, a copy for this loader; `undefined` if there is none. */
  readonly stale: unknown
  /**
   * Life of what this loader returns, instead of any other ttl; the last call counts.
   *
   * @throws TypeError | RangeError (`code: 'CACHE_OPTION'`) for what is no duration.
   */
  setTtl(ttl: Duration): void
  /** The result goes to the callers and is stored nowhere; what is stored stays as it is. */
  skipStore(): void
  /**
   * What a loader returns whose source says that `stale` is still right (HTTP's 304): the value stays,
   * and lives anew. A remote tier that can is sent no bytes for it.
   *
   * @throws TypeError (`code: 'CACHE_OPTION'`) if there is no stale value.
   */
  notModified(): never
}

/** A loader as the read path sees it, whatever its result. */
export type AnyLoader = (context: LoaderContext) => unknown

/** A call without options. */
export const PLAIN_CALL: OnceCall = {
  skipLocal: false,
  skipRemote: false,
  localTtl: undefined,
  codec: undefined,
  ttl: undefined,
  cacheIf: undefined,
  loadTimeout: undefined,
  signal: undefined,
  staleWhileRevalidate: undefined,
  staleIfError: undefined,
  softTimeout: undefined,
  hardTimeout: undefined,
  refresh: false,
}
