import type { Codec } from '../codec/codec.ts'

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
}

/** What a loader is told. */
export interface LoaderContext {
  /** The key that is loaded. */
  readonly key: string
  /** Aborts when every caller has left by its own signal, and when `loadTimeout` is over. */
  readonly signal: AbortSignal
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
}
