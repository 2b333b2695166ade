import { optionRangeError, optionTypeError, shown } from '../model/errors.ts'
import { RedisStore } from '../redis-common/redis-store.ts'
import type { RemoteStore } from '../remote/remote-store.ts'
import { ClusterConnection } from './cluster.ts'
import type { IoredisClient, IoredisCluster } from './ioredis-client.ts'
import type { IoredisConnection } from './ioredis-connection.ts'
import { SingleConnection } from './single.ts'

/**
 * A remote tier on a client of ioredis 5 or 6, or of iovalkey (optional peers), in front of Redis or
 * Valkey: `new Redis()`, also one that finds its master through sentinels, or a `Cluster`.
 *
 * ```ts
 * ioredis(new Redis({
 *   maxRetriesPerRequest: 0,      // must be: nothing is sent again after a lost connection
 *   retryStrategy: () => 250,     // ms; back in use within 2 s of the server's return up to 500
 *   connectTimeout: 1000,         // ms; a try to connect that nobody answers ends
 * }))
 * ioredis(new Redis({
 *   ...                           // the same, and
 *   sentinels,
 *   name: 'primary',
 *   failoverDetector: true,       // must be: leaves the old master as soon as there is another
 *   sentinelRetryStrategy: () => 250,
 *   disconnectTimeout: 500,       // ms; how long a frozen master is waited for then, 2000 by default
 * }))
 * ioredis(new Cluster(nodes, {
 *   clusterRetryStrategy: () => 250,
 *   redisOptions: { connectTimeout: 1000 },
 * }))
 * ```
 *
 * By default these clients keep what a lost connection left unanswered, and send it again to whoever
 * answers next: a write would take effect long after its caller was told that it failed. Hence
 * `maxRetriesPerRequest: 0`; `client.duplicate({ maxRetriesPerRequest: 0 })` makes a client beside one
 * that serves other purposes. A `Cluster` needs it in `redisOptions`, and only if it has a
 * `clusterNodeRetryStrategy`.
 *
 * A connection that carries nothing any more, without being closed, is noticed by TCP alone, after
 * minutes; `socketTimeout` of the client gives it up sooner. A frozen single server is waited for.
 *
 * Of a `Cluster` its nodes and its knowledge of the slots are used, not its queues: `maxRedirections`,
 * the `retryDelayOn...` options, `enableOfflineQueue` and `scaleReads` are without effect here.
 * Everything goes to masters. Who they are is asked again as soon as one is lost, answers nothing for
 * half a second or sends us elsewhere, every 500 ms until each slot has a master.
 *
 * The client is yours: with `lazyConnect` connect it yourself, before or after the cache is made, and
 * close it after the cache. Its other options are honoured, `keyPrefix`, `db`, `stringNumbers` and
 * `natMap` among them, except `enableAutoPipelining`, which keeps commands back; the reads of one
 * turn travel together without it. While a cache uses the client, it has an `error` listener.
 *
 * Nothing waits for a connection: an operation rejects at once unless the client is ready, and one
 * that is under way rejects when the connection is lost. An error of the server or the client rejects
 * as it is.
 *
 * A key that holds something other than a string reads as absent; a compare on it rejects with
 * WRONGTYPE, a `set` or `delete` replaces or removes it.
 *
 * @throws TypeError (`code: 'CACHE_OPTION'`) if it is no such client, or one that reads from replicas
 * (`role: 'slave'`, `readOnly`), or has sentinels without `failoverDetector`, or is a `Cluster` with
 * `stringNumbers`, which does not learn its slots.
 * @throws RangeError (`code: 'CACHE_OPTION'`) if it would send commands again after a lost connection.
 */
export function ioredis(client: IoredisClient | IoredisCluster): RemoteStore {
  return new RedisStore(connectionOn(client), client)
}

/** @throws TypeError or RangeError (`code: 'CACHE_OPTION'`) if it is none of the clients that are taken. */
export function connectionOn(client: IoredisClient | IoredisCluster): IoredisConnection {
  if (typeof client?.createBuiltinCommand !== 'function' || typeof client.status !== 'string') {
    throw optionTypeError(
      `ioredis: client must be what new Redis() or new Cluster() of ioredis or iovalkey makes, but is ${shown(client)}`,
      'Make one with ioredis 5 or 6 or iovalkey; for another client use the store of its own.',
    )
  }
  checkPrefix(client.options.keyPrefix)
  return isCluster(client)
    ? new ClusterConnection(checkedCluster(client))
    : new SingleConnection(checkedSingle(client))
}

export function isCluster(client: IoredisClient | IoredisCluster): client is IoredisCluster {
  return client.isCluster
}

function checkedSingle(client: IoredisClient): IoredisClient {
  const { maxRetriesPerRequest, role, readOnly, sentinels, failoverDetector } = client.options
  if (role === 'slave' || readOnly === true) {
    throw optionTypeError(
      `ioredis: the client must not be connected to a replica, but has ${readOnly ? 'readOnly: true' : "role: 'slave'"}: what it reads is behind, and it takes no writes`,
      'Make one without that option.',
    )
  }
  if (sentinels && failoverDetector !== true) {
    throw optionTypeError(
      'ioredis: a client with sentinels must have failoverDetector: true: else it stays with the old master after a failover, for as long as that answers, and what it writes there is lost',
      'Make it with new Redis({ sentinels, name, failoverDetector: true, maxRetriesPerRequest: 0 }).',
    )
  }
  if (maxRetriesPerRequest !== 0) {
    throw resendError(
      'maxRetriesPerRequest',
      maxRetriesPerRequest,
      'Make it with new Redis({ maxRetriesPerRequest: 0 }), or one beside it with client.duplicate({ maxRetriesPerRequest: 0 }).',
    )
  }
  return client
}

function checkedCluster(cluster: IoredisCluster): IoredisCluster {
  const { clusterNodeRetryStrategy, redisOptions } = cluster.options
  const retries = redisOptions?.maxRetriesPerRequest
  // Without that strategy a node that is lost is given up, with all that it was not answered.
  if (typeof clusterNodeRetryStrategy === 'function' && retries !== 0) {
    throw resendError(
      'redisOptions.maxRetriesPerRequest',
      retries,
      'Make it with new Cluster(nodes, { redisOptions: { maxRetriesPerRequest: 0 } }), or without clusterNodeRetryStrategy.',
    )
  }
  // It compares the borders of slot ranges as text, and finds "5461" to be above "10922".
  if (redisOptions?.stringNumbers === true) {
    throw optionTypeError(
      'ioredis: a Cluster must not have redisOptions.stringNumbers: with it the client does not learn who serves which slots',
      'Make the Cluster without that option.',
    )
  }
  return cluster
}

function checkPrefix(keyPrefix: unknown): void {
  if (keyPrefix === undefined || keyPrefix === null || typeof keyPrefix === 'string') return
  throw optionTypeError(
    `ioredis: the client's keyPrefix must be a string, but is ${shown(keyPrefix)}`,
    'Make the client with a string: the slot of a key, and the name of its lease, depend on it.',
  )
}

function resendError(option: string, value: unknown, remedy: string): RangeError {
  return optionRangeError(
    `ioredis: the client's ${option} must be 0, but is ${shown(value)}: it would send writes again after a lost connection, when their callers have been told that they failed`,
    remedy,
  )
}
