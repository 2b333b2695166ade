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
}

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

/** Loads the value of a key that no tier holds. `null` or `undefined`: there is no such record. */
export type Loader<T> = (context: LoaderContext) => T | PromiseLike<T>
