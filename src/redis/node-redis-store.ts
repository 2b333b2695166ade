import { optionTypeError, shown } from '../model/errors.ts'
import { RedisStore } from '../redis-common/redis-store.ts'
import type { RemoteStore } from '../remote/remote-store.ts'
import { checkOptions, prefixOf } from './client-options.ts'
import { ClusterRoute } from './cluster.ts'
import type {
  NodeRedisClient,
  NodeRedisCluster,
  NodeRedisPool,
  NodeRedisSentinel,
  NodeRedisSingle,
} from './node-redis-client.ts'
import { NodeRedisConnection, type Route } from './node-redis-connection.ts'
import { PoolRoute } from './pool.ts'
import { SentinelRoute } from './sentinel.ts'
import { SingleRoute } from './single.ts'

/**
 * A remote tier on a client of node-redis 6 (package `redis`, an optional peer), in front of Redis or
 * Valkey: what `createClient()`, `createClientPool()`, `createCluster()` or `createSentinel()` returns.
 *
 * ```ts
 * // Back within 2 s of the server: by default the client waits up to 2.2 s between two attempts.
 * const client = createClient({ url, socket: { reconnectStrategy: 500 } })
 * // A master that died is replaced as soon as the cluster has one: by default after 5 s.
 * const cluster = createCluster({
 *   rootNodes,
 *   defaults: { socket: { reconnectStrategy: 500 } },
 *   topologyRefreshOnReconnectionAttemptStrategy: 500,
 * })
 * const sentinel = createSentinel({
 *   name, sentinelRootNodes,
 *   nodeClientOptions: { socket: { reconnectStrategy: 500 } },
 *   scanInterval: 5000, // in case a message of the sentinels was lost
 * })
 * ```
 *
 * The client is yours: connect it before or after the cache is made, and close it after the cache. A
 * cluster and a sentinel give up if nobody answers their `connect()`: call it again until it resolves.
 * While a cache uses the client, it has an `error` listener, so that a lost connection does not end
 * the process; the listener stays on a client that has no other.
 *
 * Of its options `keyPrefix` (text), `RESP`, `database`, `nodeAddressMap` and those of its sockets are
 * honoured. Not honoured are `commandOptions` (the cache's `remoteTimeout` bounds each operation),
 * `minimizeConnections` (all masters are connected to) and what reads from replicas (only masters are
 * asked). `maxCommandRedirections` and `maxCommandRediscovers` do not apply: commands go to the
 * connections directly, since the client would send them again, to whoever answers next.
 *
 * Nothing waits for a connection: an operation rejects at once while its server is not connected, and
 * one that the client has not sent rejects when the connection is lost or its signal comes. Nothing is
 * sent twice, but to the master that a cluster names instead. A single connection serves the cache
 * best: the reads of one turn travel together on it. A pool gives each command a connection of its
 * own, and waits for one to become free; with a sentinel one connection is used, whatever
 * `masterPoolSize`.
 *
 * A key that holds something other than a string reads as absent; a compare on it rejects with
 * WRONGTYPE, a `set` or `delete` replaces or removes it.
 *
 * @throws TypeError (`code: 'CACHE_OPTION'`) if it is no such client, or its `keyPrefix` is no text.
 * @throws RangeError (`code: 'CACHE_OPTION'`) if it would not come back by itself:
 * `reconnectStrategy: false`, `socketTimeout` without a `reconnectStrategy`, or a cluster's
 * `topologyRefreshOnReconnectionAttemptStrategy` of `false` or 0.
 */
export function nodeRedis(client: NodeRedisClient): RemoteStore {
  const route = routeOf(client)
  checkOptions(client)
  return new RedisStore(new NodeRedisConnection(route, prefixOf(client)), client)
}

/** @throws TypeError (`code: 'CACHE_OPTION'`) if it is none of the clients that are taken. */
export function routeOf(client: NodeRedisClient): Route {
  if (isPool(client)) return new PoolRoute(client)
  if (isCluster(client)) return new ClusterRoute(client)
  if (isSentinel(client)) return new SentinelRoute(client)
  if (isSingle(client)) return new SingleRoute(client)
  throw optionTypeError(
    `nodeRedis: client must be what createClient(), createClientPool(), createCluster() or createSentinel() of the package redis returns, but is ${shown(client)}`,
    'Make one of these with redis 6; for another client use the store of its own.',
  )
}

function isPool(client: NodeRedisClient): client is NodeRedisPool {
  return has(client, 'execute') && has(client, 'idleClients')
}

function isCluster(client: NodeRedisClient): client is NodeRedisCluster {
  return has(client, 'nodeClient') && has(client, 'masters')
}

function isSentinel(client: NodeRedisClient): client is NodeRedisSentinel {
  return has(client, 'getMasterNode') && has(client, '_execute')
}

function isSingle(client: NodeRedisClient): client is NodeRedisSingle {
  return has(client, 'withCommandOptions') && has(client, 'sendCommand') && has(client, 'isReady')
}

function has(client: unknown, name: string): boolean {
  return typeof client === 'object' && client !== null && name in client
}
