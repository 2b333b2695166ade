import { randomUUID } from 'node:crypto'
import { createClient, createClientPool, createCluster, createSentinel } from 'redis'
import type { BusListener, BusSession, InvalidationBus } from '../../src/bus/invalidation-bus.ts'
import * as overIoredis from '../../src/ioredis/index.ts'
import * as overNodeRedis from '../../src/redis/index.ts'
import type { RedisPubSubOptions } from '../../src/redis-common/pub-sub-bus.ts'
import type { RedisTrackingOptions } from '../../src/redis-common/tracking-bus.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import type { InvalidationBusTarget } from '../../src/testing/bus-conformance-trial.ts'
import { startRedis } from '../../src/testing/servers/redis.ts'
import { startRedisCluster } from '../../src/testing/servers/redis-cluster.ts'
import { startSentinels } from '../../src/testing/servers/sentinels.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'
import { ADVISED, DISTINCT, type Options, type Package, whenReady } from './ioredis-clients.ts'
import { until } from './until.ts'

/** A connected client, and what is made of it. */
export interface BusClient {
  readonly origin: object
  pubSub(options?: RedisPubSubOptions): InvalidationBus
  tracking(options: RedisTrackingOptions): InvalidationBus
  store(): RemoteStore
  /** By event, the listeners on the client. */
  listeners(): number
  destroy(): void
}

/** Servers of one kind. */
export interface Deployment {
  /** Those that take writes. */
  masters(): Promise<readonly RedisProcess[]>
  readonly nodes: readonly RedisProcess[]
  readonly sentinels: readonly RedisProcess[]
  readonly masterName: string
  stop(): Promise<void>
}

export interface ClientSettings {
  readonly keyPrefix?: string
  readonly database?: number
  /** Of its connections, as the server lists them. */
  readonly name?: string
}

export interface BusKind {
  readonly name: string
  readonly servers: 'single' | 'cluster' | 'sentinels'
  connect(servers: Deployment, settings?: ClientSettings): Promise<BusClient>
}

export async function deploy(servers: BusKind['servers'], replicas = 0): Promise<Deployment> {
  if (servers === 'single') {
    const server = await startRedis()
    const masters = async () => [server]
    return { masters, nodes: [server], sentinels: [], masterName: '', stop: () => server.stop() }
  }
  if (servers === 'cluster') {
    const { nodes, stop } = await startRedisCluster({ replicasPerMaster: replicas })
    const masters = async () => {
      const roles = await Promise.all(
        nodes.map(async (node) =>
          node.isRunning ? String(await node.ask('ROLE').catch(() => '')) : '',
        ),
      )
      return nodes.filter((_, i) => roles[i]?.startsWith('master'))
    }
    return { masters, nodes, sentinels: [], masterName: '', stop }
  }
  const trio = await startSentinels()
  const masters = async () => {
    const master = await trio.master()
    return master === undefined ? [] : [master]
  }
  const { masterName, sentinels, servers: nodes } = trio
  return { masters, nodes, sentinels, masterName, stop: () => trio.stop() }
}

const RECONNECT = { reconnectStrategy: 50 } as const

function endpoints(servers: readonly RedisProcess[]): { host: string; port: number }[] {
  return servers.map(({ port }) => ({ host: '127.0.0.1', port }))
}

interface Emitter {
  eventNames(): unknown[]
  listenerCount(event: 'error'): number
}

function listenersOf(emitter: Emitter): number {
  const events = emitter.eventNames() as 'error'[]
  return events.reduce((sum, event) => sum + emitter.listenerCount(event), 0)
}

type NodeRedis = Parameters<typeof overNodeRedis.nodeRedis>[0] &
  Emitter & {
    on(event: 'error', listener: () => void): unknown
    connect(): Promise<unknown>
    destroy(): unknown
  }

async function ofNodeRedis(client: NodeRedis): Promise<BusClient> {
  client.on('error', () => undefined)
  await client.connect()
  return {
    origin: client,
    pubSub: (options) => overNodeRedis.redisPubSub(client, options),
    tracking: (options) => overNodeRedis.redisTracking(client, options),
    store: () => overNodeRedis.nodeRedis(client),
    listeners: () => listenersOf(client),
    destroy: () => void client.destroy(),
  }
}

type Ioredis = Parameters<typeof overIoredis.ioredis>[0] & { disconnect(): void }

/** The types of the tests name no more of these clients than most tests use. */
async function ofIoredis(made: object): Promise<BusClient> {
  const client = made as Ioredis & Emitter
  await whenReady(client)
  return {
    origin: client,
    pubSub: (options) => overIoredis.redisPubSub(client, options),
    tracking: (options) => overIoredis.redisTracking(client, options),
    store: () => overIoredis.ioredis(client),
    listeners: () => listenersOf(client),
    destroy: () => client.disconnect(),
  }
}

const NODE_REDIS: readonly BusKind[] = [
  {
    name: 'node-redis',
    servers: 'single',
    connect: ({ nodes: [server] }, settings = {}) =>
      ofNodeRedis(createClient({ url: server?.url ?? '', socket: RECONNECT, ...settings })),
  },
  {
    name: 'node-redis, RESP 2',
    servers: 'single',
    connect: ({ nodes: [server] }, settings = {}) =>
      ofNodeRedis(
        createClient({ url: server?.url ?? '', socket: RECONNECT, RESP: 2, ...settings }),
      ),
  },
  {
    name: 'a pool of node-redis',
    servers: 'single',
    connect: ({ nodes: [server] }, settings = {}) =>
      ofNodeRedis(
        createClientPool(
          { url: server?.url ?? '', socket: RECONNECT, ...settings },
          { minimum: 2, maximum: 4 },
        ),
      ),
  },
  {
    name: 'a cluster of node-redis',
    servers: 'cluster',
    connect: ({ nodes }, { keyPrefix = '', name = '' } = {}) =>
      ofNodeRedis(
        createCluster({
          rootNodes: nodes.map(({ url }) => ({ url })),
          defaults: { socket: RECONNECT, name },
          topologyRefreshOnReconnectionAttemptStrategy: 200,
          keyPrefix,
        }),
      ),
  },
  {
    name: 'a sentinel of node-redis',
    servers: 'sentinels',
    connect: ({ sentinels, masterName }, { keyPrefix = '', database = 0, name = '' } = {}) =>
      ofNodeRedis(
        createSentinel({
          name: masterName,
          sentinelRootNodes: endpoints(sentinels),
          scanInterval: 1000,
          nodeClientOptions: { socket: RECONNECT, database, name },
          keyPrefix,
        }),
      ),
  },
]

/** Options that the types of the tests leave out. */
function withMore(options: Options, { database = 0, name = '' }: ClientSettings): Options {
  return { ...options, ...{ db: database, connectionName: name } }
}

function ofPackage({ name, single, cluster }: Package): readonly BusKind[] {
  return [
    {
      name,
      servers: 'single',
      connect: ({ nodes: [server] }, settings = {}) => {
        const { keyPrefix = '' } = settings
        const options = { ...ADVISED, retryStrategy: () => 50, keyPrefix }
        return ofIoredis(single(withMore(options, settings), server?.url))
      },
    },
    {
      name: `a cluster of ${name}`,
      servers: 'cluster',
      connect: ({ nodes }, { keyPrefix = '', name: connectionName = '' } = {}) => {
        const redisOptions = { connectionName, maxRetriesPerRequest: 0 }
        const options = { keyPrefix, clusterRetryStrategy: () => 100, redisOptions }
        return ofIoredis(cluster(endpoints(nodes), options))
      },
    },
    {
      name: `${name} with sentinels`,
      servers: 'sentinels',
      connect: ({ sentinels, masterName }, settings = {}) => {
        const options = {
          ...ADVISED,
          sentinels: endpoints(sentinels),
          name: masterName,
          failoverDetector: true,
          sentinelRetryStrategy: () => 250,
          retryStrategy: () => 50,
          keyPrefix: settings.keyPrefix ?? '',
        }
        return ofIoredis(single(withMore(options, settings)))
      },
    },
  ]
}

/** Each kind of client that a bus can be made of. */
export const BUS_KINDS: readonly BusKind[] = [...NODE_REDIS, ...DISTINCT.flatMap(ofPackage)]

/** For suites that take long: each kind of one package of each family. */
export const MAIN_KINDS: readonly BusKind[] = BUS_KINDS.filter(
  ({ name }) => !/RESP 2|ioredis 5|iovalkey/.test(name),
)

/** What a cache would hear. */
export class Ear implements BusListener {
  readonly messages: string[] = []
  readonly keys: string[] = []
  flushes = 0
  ups = 0
  downs = 0
  isUp = false

  message(text: string): void {
    this.messages.push(text)
  }

  changed(keys: readonly string[] | undefined): void {
    if (keys === undefined) this.flushes++
    else this.keys.push(...keys)
  }

  up(): void {
    this.ups++
    this.isUp = true
  }

  down(): void {
    this.downs++
    this.isUp = false
  }
}

export interface Listening {
  readonly ear: Ear
  readonly session: BusSession
}

/** Opens a session of a cache, and waits until it listens. */
export async function listen(
  bus: InvalidationBus,
  name: string = randomUUID(),
): Promise<Listening> {
  const ear = new Ear()
  const session = bus.open(ear, { name })
  await until('the bus is up', () => ear.isUp)
  return { ear, session }
}

/** What a server has on it, as CLIENT LIST shows it, but for whoever asks. */
export async function connectionsOf(server: RedisProcess): Promise<readonly string[]> {
  const list = String(await server.ask('CLIENT', 'LIST'))
  return list.split('\n').filter((line) => line !== '' && !line.includes('cmd=client|list'))
}

/** Those among them that only listen: subscribed, or told of keys (`t` and `B` among the flags). */
export async function listenersAt(server: RedisProcess): Promise<readonly string[]> {
  const connections = await connectionsOf(server)
  return connections.filter((line) => / flags=\S*[PtB]/.test(line) && !/ name=sentinel-/.test(line))
}

/** Ends the connections that listen for the clients of this name. */
export async function cutListeners(servers: readonly RedisProcess[], name: string): Promise<void> {
  for (const server of servers) {
    const lines = await listenersAt(server)
    for (const line of lines.filter((one) => one.includes(` name=${name} `))) {
      await server.ask('CLIENT', 'KILL', 'ID', /^id=(\d+)/.exec(line)?.[1] ?? '')
    }
  }
}

interface TargetParts {
  readonly kind: BusKind
  readonly servers: Deployment
  readonly busOf: (client: BusClient) => InvalidationBus
  readonly more: Partial<InvalidationBusTarget>
}

/** For the conformance suite: each bus has a client of its own. */
export function targetOf({ kind, servers, busOf, more }: TargetParts): InvalidationBusTarget {
  const clients: BusClient[] = []
  const names = new Map<InvalidationBus, string>()
  return {
    bus: async () => {
      const name = randomUUID()
      const client = await kind.connect(servers, { name })
      clients.push(client)
      const bus = busOf(client)
      names.set(bus, name)
      return bus
    },
    cut: (bus) => cutListeners(servers.nodes, names.get(bus) ?? ''),
    overtakes: kind.servers === 'cluster',
    ...more,
    dispose: async () => {
      for (const client of clients) client.destroy()
    },
  }
}
