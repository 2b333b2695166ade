import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import { Redis as Iovalkey, Cluster as IovalkeyCluster } from 'iovalkey'
import { createClient, createClientPool, createCluster, createSentinel } from 'redis'
import { ioredis } from '../../src/ioredis/ioredis.ts'
import type { IoredisClient, IoredisCluster } from '../../src/ioredis/ioredis-client.ts'
import { nodeRedis } from '../../src/redis/node-redis-store.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'

/** A client with the store on it. Nobody but the store listens to its errors. */
export interface ClientUnderTest {
  readonly store: RemoteStore
  /** Listeners on the client, to all its events. */
  listeners(): number
  /** Whether the client would send a command now. */
  isConnected(): boolean
  end(): void
}

/** Where servers listen, and where a client is to reach them, in the same order. */
export interface Addresses {
  readonly servers: readonly number[]
  readonly ways: readonly number[]
  /** Where a client is to reach the sentinels. */
  readonly sentinels: { readonly name: string; readonly ways: readonly number[] }
}

/** Makes a client as the docs advise. @param reconnectEvery Milliseconds. */
export type Connect = (addresses: Addresses, reconnectEvery: number) => ClientUnderTest

const HOST = '127.0.0.1'

const url = (port: number | undefined): string => `redis://${HOST}:${port}`

/** Where a client finds what the servers call by their own addresses. */
function redirected({ servers, ways }: Addresses): Record<string, { host: string; port: number }> {
  const pairs = servers.map((port, i) => [`${HOST}:${port}`, { host: HOST, port: ways[i] ?? 0 }])
  return Object.fromEntries(pairs)
}

interface Emitter {
  eventNames(): unknown[]
  // biome-ignore lint/suspicious/noExplicitAny: the names of events differ by emitter
  listenerCount(event: any): number
}

function listenersOf(emitter: Emitter): number {
  return emitter.eventNames().reduce((sum: number, event) => sum + emitter.listenerCount(event), 0)
}

interface Connecting {
  connect(): Promise<unknown>
}

/**
 * Connects after the store has opened: before that the client has no listener for errors. Again and
 * again, as the docs say: a cluster gives up where nobody answers. Returns what ends that.
 */
function connectSoon(client: Connecting, every: number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  let ended = false
  const connect = () =>
    client.connect().catch(() => {
      if (!ended) timer = setTimeout(connect, every)
    })
  queueMicrotask(connect)
  return () => {
    ended = true
    clearTimeout(timer)
  }
}

export const nodeRedisClient: Connect = ({ ways: [port] }, reconnectEvery) => {
  const client = createClient({ url: url(port), socket: { reconnectStrategy: reconnectEvery } })
  const stop = connectSoon(client, reconnectEvery)
  return {
    store: nodeRedis(client),
    listeners: () => listenersOf(client),
    isConnected: () => client.isReady,
    end: () => {
      stop()
      client.destroy()
    },
  }
}

export const nodeRedisPool: Connect = ({ ways: [port] }, reconnectEvery) => {
  const pool = createClientPool(
    { url: url(port), socket: { reconnectStrategy: reconnectEvery } },
    // So that a few operations at once need no further ones.
    { minimum: 4 },
  )
  const stop = connectSoon(pool, reconnectEvery)
  return {
    store: nodeRedis(pool),
    listeners: () => listenersOf(pool),
    isConnected: () => pool.idleClients > 0,
    end: () => {
      stop()
      pool.destroy()
    },
  }
}

export const nodeRedisCluster: Connect = (addresses, reconnectEvery) => {
  const cluster = createCluster({
    rootNodes: addresses.ways.map((port) => ({ url: url(port) })),
    defaults: { socket: { reconnectStrategy: reconnectEvery } },
    nodeAddressMap: redirected(addresses),
    topologyRefreshOnReconnectionAttemptStrategy: 500,
  })
  const stop = connectSoon(cluster, reconnectEvery)
  return {
    store: nodeRedis(cluster),
    listeners: () => listenersOf(cluster),
    isConnected: () => cluster.isReady,
    end: () => {
      stop()
      cluster.destroy()
    },
  }
}

export const nodeRedisSentinel: Connect = (addresses, reconnectEvery) => {
  const { servers, ways, sentinels } = addresses
  const sentinel = createSentinel({
    name: sentinels.name,
    sentinelRootNodes: sentinels.ways.map((port) => ({ host: HOST, port })),
    nodeClientOptions: { socket: { reconnectStrategy: reconnectEvery } },
    // With a map it takes the master for a new one at each scan: it compares the two addresses.
    ...(servers.every((port, i) => port === ways[i])
      ? { scanInterval: 5000 }
      : { nodeAddressMap: redirected(addresses) }),
  })
  const stop = connectSoon(sentinel, reconnectEvery)
  return {
    store: nodeRedis(sentinel),
    listeners: () => listenersOf(sentinel),
    isConnected: () => sentinel.isReady,
    end: () => {
      stop()
      // It may be waiting for a reply that does not come before the network ends.
      sentinel.destroy().catch(() => undefined)
    },
  }
}

interface Ending extends Emitter {
  disconnect(): void
}

interface RedisSettings {
  readonly host: string
  readonly port: number
  readonly maxRetriesPerRequest: number
  readonly retryStrategy: () => number
}

function onIoredis(make: (options: RedisSettings) => IoredisClient & Ending): Connect {
  return ({ ways: [port = 0] }, reconnectEvery) => {
    const retryStrategy = () => reconnectEvery
    const client = make({ host: HOST, port, maxRetriesPerRequest: 0, retryStrategy })
    return ofIoredis(client)
  }
}

interface SentinelSettings {
  readonly sentinels: { host: string; port: number }[]
  readonly name: string
  readonly natMap: Record<string, { host: string; port: number }>
  readonly failoverDetector: boolean
  readonly maxRetriesPerRequest: number
  readonly retryStrategy: () => number
  readonly sentinelRetryStrategy: () => number
  readonly connectTimeout: number
  readonly disconnectTimeout: number
}

function onIoredisSentinels(make: (options: SentinelSettings) => IoredisClient & Ending): Connect {
  return (addresses, reconnectEvery) => {
    const { name, ways } = addresses.sentinels
    const client = make({
      sentinels: ways.map((port) => ({ host: HOST, port })),
      name,
      natMap: redirected(addresses),
      failoverDetector: true,
      maxRetriesPerRequest: 0,
      retryStrategy: () => reconnectEvery,
      sentinelRetryStrategy: () => reconnectEvery,
      connectTimeout: 1000,
      disconnectTimeout: 500,
    })
    return ofIoredis(client)
  }
}

interface ClusterSettings {
  readonly clusterRetryStrategy: () => number
  readonly natMap: Record<string, { host: string; port: number }>
  readonly redisOptions: { readonly maxRetriesPerRequest: number }
}

type MakeCluster = (
  nodes: { host: string; port: number }[],
  options: ClusterSettings,
) => IoredisCluster & Ending

function onIoredisCluster(make: MakeCluster): Connect {
  return (addresses, reconnectEvery) => {
    const nodes = addresses.ways.map((port) => ({ host: HOST, port }))
    const cluster = make(nodes, {
      clusterRetryStrategy: () => reconnectEvery,
      natMap: redirected(addresses),
      redisOptions: { maxRetriesPerRequest: 0 },
    })
    return ofIoredis(cluster)
  }
}

function ofIoredis(client: (IoredisClient | IoredisCluster) & Ending): ClientUnderTest {
  return {
    store: ioredis(client),
    listeners: () => listenersOf(client),
    isConnected: () => client.status === 'ready',
    end: () => client.disconnect(),
  }
}

export const ioredis6: Connect = onIoredis((options) => new Redis(options))
export const ioredis5: Connect = onIoredis((options) => new Redis5(options))
export const iovalkey: Connect = onIoredis((options) => new Iovalkey(options))

export const ioredis6Sentinel: Connect = onIoredisSentinels((options) => new Redis(options))
export const ioredis5Sentinel: Connect = onIoredisSentinels((options) => new Redis5(options))
export const iovalkeySentinel: Connect = onIoredisSentinels((options) => new Iovalkey(options))

export const ioredis6Cluster: Connect = onIoredisCluster((nodes, o) => new Cluster(nodes, o))
export const ioredis5Cluster: Connect = onIoredisCluster((nodes, o) => new Cluster5(nodes, o))
export const iovalkeyCluster: Connect = onIoredisCluster(
  (nodes, o) => new IovalkeyCluster(nodes, o),
)
