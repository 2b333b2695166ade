export type { CustomBus, CustomBusOptions } from './bus/custom-bus.ts'
export { customBus } from './bus/custom-bus.ts'
export type { BusListener, BusSession, InvalidationBus } from './bus/invalidation-bus.ts'
export { createCache } from './cache.ts'
export type { Codec } from './codec/codec.ts'
export { json } from './codec/json.ts'
export { msgpack } from './codec/msgpack.ts'
export type { Cache, CacheStats, CacheType, OnceMeta, OnceResult } from './face.ts'
export { type FreeCacheOptions, freeCache } from './local/free-cache/free-cache.ts'
export type { KeptBytes } from './local/kept-bytes.ts'
export type {
  Isolation,
  LocalEngine,
  LocalEntry,
  LocalLife,
  LocalStore,
  LocalSurroundings,
  RemovalCause,
  RemovalListener,
  Removed,
} from './local/local-store.ts'
export { type TinyLfuOptions, tinyLfu } from './local/tiny-lfu/tiny-lfu.ts'
export type { Clock, Timer } from './model/clock.ts'
export type { Duration } from './model/duration.ts'
export { parseDuration } from './model/duration.ts'
export type { CacheErrorCode, RemoteOperation, RemoteOutcome } from './model/errors.ts'
export {
  CacheClosedError,
  CacheDecodeError,
  CacheEncodeError,
  CacheError,
  CacheLoadTimeoutError,
  CacheMissError,
  CacheNotFoundError,
  CacheRemoteError,
  isCacheError,
} from './model/errors.ts'
export type { Logger } from './model/logger.ts'
export type { Lookup, Tier } from './model/outcome.ts'
export type {
  CacheOptions,
  CacheSettings,
  GetOptions,
  LeaseOptions,
  Loader,
  NotFoundOptions,
  OnceOptions,
  RecoveryOptions,
  RefreshCallOptions,
  RefreshOptions,
  SetOptions,
  SyncOptions,
} from './options/options.ts'
export type { LoaderContext, LoadReason } from './read/call.ts'
export type { BreakerState } from './remote/breaker.ts'
export type {
  Announcement,
  LeaseFill,
  LeaseHeld,
  LeaseRead,
  LeaseRenewal,
  LeaseWrite,
  RemoteChangeOptions,
  RemoteConnection,
  RemoteLeases,
  RemoteRead,
  RemoteStore,
  RemoteVerdict,
  RemoteWatcher,
  RemoteWriteOptions,
} from './remote/remote-store.ts'
