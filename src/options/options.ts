import type { InvalidationBus } from '../bus/invalidation-bus.ts'
import type { Codec } from '../codec/codec.ts'
import type { LocalEngine } from '../local/local-store.ts'
import type { Clock } from '../model/clock.ts'
import type { Duration } from '../model/duration.ts'
import type { Logger } from '../model/logger.ts'
import type { LoaderContext } from '../read/call.ts'
import type { RemoteStore } from '../remote/remote-store.ts'

/** Every default, once. Durations in milliseconds. */
export const DEFAULTS = {
  name: 'default',
  codec: 'msgpack',
  ttl: 3_600_000,
  jitterRatio: 0.1,
  notFoundTtl: 60_000,
  remoteTimeout: 250,
  loadTimeout: 30_000,
  readyTimeout: 10_000,
  closeTimeout: 5000,
  replay: 10_000,
  leaseMaxWait: 10_000,
  /** Of refreshing: a task stops so long after its interval without an access. */
  refreshGrace: 1000,
  refreshConcurrency: 4,
  refreshMaxTasks: 10_000,
  foreignWindow: 2000,
  unarmedTtl: 1000,
} as const

/** How "no such record" is recognised and how long it is remembered. */
export interface NotFoundOptions {
  /**
   * What a loader throws when the record does not exist: a class of errors, or a function that
   * recognises one. Without it, a loader says so by returning `null` or `undefined`, which it may
   * always do.
   */
  readonly error?: ErrorClass | ((error: unknown) => boolean) | undefined
  /** Life of the placeholder in both tiers, never longer. @default '60s' */
  readonly ttl?: Duration | undefined
  /** As `jitterRatio`, for placeholders. @default 0.1 */
  readonly jitterRatio?: number | undefined
}

/** What happens after the remote was gone. No effect without a remote tier. */
export interface RecoveryOptions {
  /**
   * After a failover or a restart of the server, the changes that the last one acknowledged in this
   * time before its last reply are made again, as deletions: the new one may not have them. At most
   * 100,000 keys are remembered for it. `false`: none is. @default '10s'
   */
  readonly replay?: Duration | false | undefined
}

/** How processes share the load of a key. No effect on a remote tier without leases. */
export interface LeaseOptions {
  /**
   * How long a load waits while another process loads the same key, from its own arrival; then it
   * loads by itself, and stores nothing. @default '10s'
   */
  readonly maxWait?: Duration | undefined
}

/**
 * Which keys are loaded anew in the background, so that no caller waits for them: those that a call
 * of `once` has asked for with `refresh: true`. Processes that share a remote tier refresh each key once
 * between them, jetcache-go's included.
 */
export interface RefreshOptions {
  /**
   * Between two refreshes of a key, counted from the end of the last. Less than the shortest life of
   * a value: one that expires before would be loaded by its callers.
   */
  readonly interval: Duration
  /** A key that no call with `refresh: true` has asked for so long is refreshed no more. @default interval + 1 s */
  readonly stopAfterLastAccess?: Duration | undefined
  /**
   * Refreshes at a time, a whole number from 1 to 1,000. One that takes longer than a second is not
   * counted any more. @default 4
   */
  readonly concurrency?: number | undefined
  /**
   * Keys refreshed at the most, from 1 to 1,000,000; the one that was asked for longest ago leaves
   * first. @default 10,000
   */
  readonly maxTasks?: number | undefined
}

/** How local tiers of several processes are kept from serving what another one has changed. */
export interface SyncOptions {
  /** What carries the news: `redisPubSub(client)`, `redisTracking(client, ...)`, `lmdbBus(...)` ... */
  readonly bus: InvalidationBus
  /**
   * Begins the name under which this cache publishes; a random part is added, for it must be
   * unique. @default the cache's name
   */
  readonly sourceId?: string | undefined
  /**
   * A change by a writer who knows of no leases (jetcache-go) undoes what this process has filled in
   * this time before it is heard of: the value may have been loaded before the change. @default '2s'
   */
  readonly foreignWindow?: Duration | undefined
  /** Life of what is stored in local while the bus is not heard. @default '1s' */
  readonly unarmedTtl?: Duration | undefined
  /**
   * How long what lay in local before is served while the bus is not heard. @default its own ttl
   */
  readonly unarmedServe?: Duration | undefined
  /**
   * Publish also what a load has stored under a key that held nothing: for jetcache-go peers, whose
   * local copies may outlive the remote's. @default false
   */
  readonly publishFills?: boolean | undefined
}

// biome-ignore lint/suspicious/noExplicitAny: the only type that every constructor is assignable to
export type ErrorClass = abstract new (...args: any[]) => unknown

/** What holds for a whole cache. */
export interface CacheSettings {
  /** Names the cache in counters, events and logs. Not part of any key. @default 'default' */
  readonly name?: string | undefined
  /**
   * How values become bytes: `'msgpack'`, `'json'`, a name in `codecs`, or a codec. Not used by a
   * local tier alone that shares its values or copies them by a function of yours.
   * @default 'msgpack'
   */
  readonly codec?: string | Codec | undefined
  /** Codecs by names of your own. */
  readonly codecs?: Readonly<Record<string, Codec>> | undefined
  /**
   * Life of a value, from 1 ms to 10 years. The local engine may have a shorter one of its own; a
   * value that lies in the remote without expiry gets this one locally. @default '1h'
   */
  readonly ttl?: Duration | undefined
  /**
   * Spread of lives, from 0 to below 1: an entry lives between `(1 - jitterRatio)` of its ttl and
   * the whole, at most 10 s less. @default 0.1
   */
  readonly jitterRatio?: number | undefined
  readonly notFound?: NotFoundOptions | undefined
  /**
   * Time for all remote work of one call together. After it a read goes on without the remote, and
   * a `set` or `delete` rejects. No effect without a remote tier. @default '250ms'
   */
  readonly remoteTimeout?: Duration | undefined
  /** Time for a loader, after which its callers get `CacheLoadTimeoutError`. @default '30s' */
  readonly loadTimeout?: Duration | undefined
  /**
   * Time after which a caller is given the stale value, while the load goes on and fills. Without a
   * stale value it waits on. Shorter than `hardTimeout`. @default none
   */
  readonly softTimeout?: Duration | undefined
  /**
   * Time after which a caller gets `CacheLoadTimeoutError`, while the load goes on and fills until its
   * `loadTimeout`. @default none
   */
  readonly hardTimeout?: Duration | undefined
  /**
   * For so long after its freshness a value is answered at once, and loaded anew behind (RFC 5861). It
   * lives that much longer in the remote than its ttl, so all who share keys must have the same; 0 with
   * jetcache-go's services, whose values would look stale early. @default none
   */
  readonly staleWhileRevalidate?: Duration | undefined
  /**
   * For so long after its freshness a value is answered if its loader fails, or the remote is gone
   * (RFC 5861). Loading is tried again after 1 s, 2 s, 4 s ... 30 s, not by every call. Lives as with
   * `staleWhileRevalidate`; the longer of the two counts. @default none
   */
  readonly staleIfError?: Duration | undefined
  /**
   * The share of a value's life, above 0 and below 1, after which a hit has it loaded anew in the
   * background, by one process. The values of not-found answers expire. @default off
   */
  readonly refreshAheadRatio?: number | undefined
  /** Without it, `refresh: true` is refused. */
  readonly refresh?: RefreshOptions | undefined
  readonly recovery?: RecoveryOptions | undefined
  /** `false`: each process loads for itself, and a load elsewhere may store what a change outdated. */
  readonly lease?: LeaseOptions | false | undefined
  /** Without it, what another process changes is served from local until its ttl ends. */
  readonly sync?: SyncOptions | undefined
  /**
   * Told, in words, what somebody should look at: what the remote forbids, that it was replaced, that
   * changes could not be repaired. `false`: nobody is. @default console
   */
  readonly logger?: Logger | false | undefined
  /** Where time comes from, for tests. @default the machine's clock */
  readonly clock?: Clock | undefined
}

/** Options of `createCache`: at least one of `local` and `remote` is needed. */
export type CacheOptions = CacheSettings &
  (
    | { readonly local: LocalEngine; readonly remote?: RemoteStore | undefined }
    | { readonly local?: LocalEngine | undefined; readonly remote: RemoteStore }
  )

/** Which tiers a read may use, and how long it may keep a local copy. */
export interface GetOptions {
  /** Neither answer from local nor store there. @default false */
  readonly skipLocal?: boolean | undefined
  /** Neither ask the remote nor store there. @default false */
  readonly skipRemote?: boolean | undefined
  /** Life of the local copy, if the remote's does not end sooner. @default the engine's ttl */
  readonly localTtl?: Duration | undefined
  /**
   * The codec of this key, where it is not the cache's; whoever uses the key has to name it. What
   * local holds is answered as it is. @default the cache's codec
   */
  readonly codec?: string | Codec | undefined
}

/** Options of one `once`. Of callers that share a load, the first one's decide what is stored. */
export interface OnceOptions<T> extends GetOptions {
  /** Life of the value, or a function of it. @default the cache's ttl */
  readonly ttl?: Duration | ((value: NonNullable<T>) => Duration) | undefined
  /** Whether the loaded value may be stored at all. @default always */
  readonly cacheIf?: ((value: NonNullable<T>) => boolean) | undefined
  /** Time for this load. @default the cache's loadTimeout */
  readonly loadTimeout?: Duration | undefined
  /**
   * This caller leaves when it aborts, with its reason. The load goes on for the others; with the
   * last one it is abandoned, and its own signal aborts.
   */
  readonly signal?: AbortSignal | undefined
  /** As the cache's, for this caller; `false`: never. @default the cache's */
  readonly softTimeout?: Duration | false | undefined
  /** As the cache's, for this caller; `false`: never. @default the cache's */
  readonly hardTimeout?: Duration | false | undefined
  /**
   * How stale a value this caller takes, not longer than the cache keeps them; `false`: none.
   * @default the cache's
   */
  readonly staleWhileRevalidate?: Duration | false | undefined
  /**
   * The same if loading fails, or the remote is gone. @default the cache's
   */
  readonly staleIfError?: Duration | false | undefined
  /**
   * The key is refreshed in the background from now on, by this loader, until no such call has come
   * for `refresh.stopAfterLastAccess`. Needs the cache's `refresh`. @default false
   */
  readonly refresh?: boolean | undefined
  /** Resolve with `{ value, status, tier, ttlLeft }` instead of the value. @default false */
  readonly meta?: boolean | undefined
}

/** Options of one `refresh` by hand. */
export type RefreshCallOptions<T> = Pick<
  OnceOptions<T>,
  'ttl' | 'localTtl' | 'codec' | 'cacheIf' | 'loadTimeout' | 'signal' | 'hardTimeout'
>

/** Options of one `set`. */
export interface SetOptions {
  /** Life of the value. @default the cache's ttl; of `null`, notFound.ttl, which it never exceeds */
  readonly ttl?: Duration | undefined
  /** Life of the local copy, if the remote's does not end sooner. @default the engine's ttl */
  readonly localTtl?: Duration | undefined
  /** As in `GetOptions`. @default the cache's codec */
  readonly codec?: string | Codec | undefined
  /** Store in remote only; the local copy is dropped. @default false */
  readonly skipLocal?: boolean | undefined
  /** Store in local only; the remote keeps what it has. @default false */
  readonly skipRemote?: boolean | undefined
  /**
   * `absent`: only if the key holds nothing; `present`: only if it holds something. A placeholder is
   * something. Decided by the remote tier where one is written.
   */
  readonly when?: 'absent' | 'present' | undefined
}

/** Loads the value of a key. `null` or `undefined`: there is no such record. */
export type Loader<T> = (context: LoaderContext) => T | PromiseLike<T>
