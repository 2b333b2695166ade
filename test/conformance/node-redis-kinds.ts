import { createClient, createClientPool, createCluster, createSentinel } from 'redis'
import { nodeRedis } from '../../src/redis/node-redis-store.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { startRedis } from '../../src/testing/servers/redis.ts'
import { startRedisCluster } from '../../src/testing/servers/redis-cluster.ts'
import { startSentinels } from '../../src/testing/servers/sentinels.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'
import { type TcpFaultProxy, tcpFaultProxy } from '../../src/testing/tcp-fault-proxy.ts'

export interface ClientOptions {
  readonly keyPrefix?: string | Buffer
  readonly RESP?: 2 | 3
}

/** A client of one kind, with a store on it. */
export interface Subject {
  readonly store: RemoteStore
  newStore(): RemoteStore
  connect(): Promise<unknown>
  /** By the client's own commands, as the rest of an application would. */
  set(key: string, value: Buffer): Promise<unknown>
  get(key: string): Promise<string | null>
  /** Listeners on the client, and on its connections as they are after `connect()`. */
  listeners(): number
  destroy(): unknown
}

/** Servers that run, and the ways to them. */
export interface World {
  /** Those that take writes. */
  readonly masters: readonly RedisProcess[]
  /** One in front of each master. */
  readonly proxies: readonly TcpFaultProxy[]
  /** A client that goes through the proxies, not connected yet. */
  client(options?: ClientOptions): Subject
  stop(): Promise<void>
}

export interface Kind {
  readonly name: string
  start(): Promise<World>
}

interface Emitter {
  eventNames(): unknown[]
  listenerCount(event: 'error'): number
}

const RECONNECT = { reconnectStrategy: 10 } as const

const single: Kind = {
  name: 'client',
  start: async () => {
    const server = await startRedis()
    return worldOf(
      [server],
      () => server.stop(),
      ([port], options) => {
        const url = `redis://127.0.0.1:${port}`
        const client = createClient({ url, socket: RECONNECT, ...options })
        return subjectOf(client, nodeRedis, async () => [])
      },
    )
  },
}

const pool: Kind = {
  name: 'pool',
  start: async () => {
    const server = await startRedis()
    return worldOf(
      [server],
      () => server.stop(),
      ([port], options) => {
        const url = `redis://127.0.0.1:${port}`
        const client = createClientPool(
          { url, socket: RECONNECT, ...options },
          { minimum: 3, maximum: 3 },
        )
        return subjectOf(client, nodeRedis, () =>
          Promise.all([1, 2, 3].map(() => client.execute(async (member) => member))),
        )
      },
    )
  },
}

const cluster: Kind = {
  name: 'cluster',
  start: async () => {
    const started = await startRedisCluster()
    return worldOf(
      started.masters,
      () => started.stop(),
      (ports, options) => {
        const client = createCluster({
          rootNodes: ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })),
          defaults: { socket: RECONNECT },
          nodeAddressMap: addressMap(started.masters, ports),
          ...options,
        })
        return subjectOf(client, nodeRedis, async () =>
          client.masters.flatMap((master) => master.client ?? []),
        )
      },
    )
  },
}

const sentinel: Kind = {
  name: 'sentinel',
  start: async () => {
    const started = await startSentinels()
    const [master] = started.servers
    // Faults are not to end in a failover here.
    for (const one of started.sentinels) {
      await one.ask('SENTINEL', 'SET', started.masterName, 'down-after-milliseconds', '60000')
    }
    return worldOf(
      [master],
      () => started.stop(),
      (ports, options) => {
        const client = createSentinel({
          name: started.masterName,
          sentinelRootNodes: started.sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
          nodeAddressMap: addressMap([master], ports),
          nodeClientOptions: { socket: RECONNECT },
          ...options,
        })
        return subjectOf(client, nodeRedis, async () => [
          await client._execute(false, async (connection) => connection),
        ])
      },
    )
  },
}

export const KINDS: readonly Kind[] = [single, pool, cluster, sentinel]

interface Client extends Emitter {
  connect(): Promise<unknown>
  set(key: string, value: Buffer): Promise<unknown>
  get(key: string): Promise<string | null>
  on(event: 'error', listener: () => void): unknown
  destroy(): unknown
}

function subjectOf<T extends Client>(
  client: T,
  storeOn: (client: T) => RemoteStore,
  connections: () => Promise<Emitter[]>,
): Subject {
  client.on('error', () => {})
  const emitters: Emitter[] = [client]
  return {
    store: storeOn(client),
    newStore: () => storeOn(client),
    connect: async () => {
      await client.connect()
      emitters.push(...(await connections()))
    },
    set: (key, value) => client.set(key, value),
    get: (key) => client.get(key),
    listeners: () => emitters.reduce((sum, emitter) => sum + listenersOf(emitter), 0),
    destroy: () => client.destroy(),
  }
}

function listenersOf(emitter: Emitter): number {
  const events = emitter.eventNames() as 'error'[]
  return events.reduce((sum, event) => sum + emitter.listenerCount(event), 0)
}

async function worldOf(
  masters: readonly RedisProcess[],
  stop: () => Promise<void>,
  client: (ports: readonly number[], options: ClientOptions) => Subject,
): Promise<World> {
  const proxies: TcpFaultProxy[] = []
  for (const { port } of masters) proxies.push(await tcpFaultProxy({ target: { port } }))
  const ports = proxies.map(({ port }) => port)
  return {
    masters,
    proxies,
    client: (options = {}) => client(ports, options),
    stop: async () => {
      for (const proxy of proxies) await proxy.close()
      await stop()
    },
  }
}

/** Where a client finds what the servers call by their own addresses. */
function addressMap(servers: readonly RedisProcess[], ports: readonly number[]) {
  return Object.fromEntries(
    servers.map(({ port }, i) => [`127.0.0.1:${port}`, { host: '127.0.0.1', port: ports[i] ?? 0 }]),
  )
}

/** How often the servers have run a command. */
export async function callsOf(servers: readonly RedisProcess[], command: string): Promise<number> {
  let calls = 0
  for (const server of servers) {
    const stats = String(await server.ask('INFO', 'commandstats'))
    calls += Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0)
  }
  return calls
}
