import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import { Redis as Iovalkey, Cluster as IovalkeyCluster } from 'iovalkey'
import type { IoredisClient, IoredisCluster } from '../../src/ioredis/ioredis-client.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { until } from './until.ts'

/** Options of `Redis` that tests use. */
export interface Options {
  readonly maxRetriesPerRequest?: number | null
  readonly keyPrefix?: string
  readonly lazyConnect?: boolean
  readonly enableAutoPipelining?: boolean
  readonly enableOfflineQueue?: boolean
  readonly stringNumbers?: boolean
  readonly readOnly?: boolean
  readonly role?: 'master' | 'slave'
  readonly sentinels?: { host: string; port: number }[]
  readonly name?: string
  readonly failoverDetector?: boolean
  readonly connectTimeout?: number
  readonly retryStrategy?: () => number
  readonly sentinelRetryStrategy?: () => number
  readonly reconnectOnError?: (error: Error) => 2 | false
}

/** Options of `Cluster` that tests use. */
export interface ClusterSettings {
  readonly keyPrefix?: string
  readonly lazyConnect?: boolean
  readonly scaleReads?: 'slave' | 'all'
  readonly clusterRetryStrategy?: () => number
  readonly clusterNodeRetryStrategy?: () => number
  readonly slotsRefreshTimeout?: number
  readonly natMap?: Record<string, { host: string; port: number }>
  readonly redisOptions?: Pick<
    Options,
    'keyPrefix' | 'maxRetriesPerRequest' | 'stringNumbers' | 'connectTimeout'
  >
}

interface Common {
  call(command: string, ...args: (string | Buffer)[]): Promise<unknown>
  connect(): Promise<unknown>
  disconnect(): void
  listenerCount(event: string): number
}

/** What the tests use beside what the store does; the same in all packages. */
export interface Client extends IoredisClient, Common {
  readonly stream: IoredisClient['stream'] & { destroy(): unknown }
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'ready' | 'close' | 'end', listener: () => void): unknown
}

export interface ClusterClient extends IoredisCluster, Common {
  nodes(role?: 'all' | 'master' | 'slave'): Client[]
  on(event: 'error' | 'ready' | 'close' | 'refresh', listener: () => void): unknown
  on(event: '+node', listener: (node: IoredisClient) => void): unknown
}

type Node = { host: string; port: number }

export interface Package {
  readonly name: string
  single(options: Options, url?: string): Client
  cluster(nodes: Node[], options: ClusterSettings): ClusterClient
}

const sixOver = (protocol: 2 | 3): Package => ({
  name: `ioredis 6 over RESP${protocol}`,
  single: (options, url) =>
    url === undefined
      ? new Redis({ ...options, protocol })
      : new Redis(url, { ...options, protocol }),
  cluster: (nodes, options) =>
    new Cluster(nodes, { ...options, redisOptions: { ...options.redisOptions, protocol } }),
})

export const PACKAGES: readonly Package[] = [
  sixOver(3),
  sixOver(2),
  {
    name: 'ioredis 5',
    single: (options, url) => (url === undefined ? new Redis5(options) : new Redis5(url, options)),
    cluster: (nodes, options) => new Cluster5(nodes, options),
  },
  {
    name: 'iovalkey',
    single: (options, url) =>
      url === undefined ? new Iovalkey(options) : new Iovalkey(url, options),
    cluster: (nodes, options) => new IovalkeyCluster(nodes, options),
  },
]

/** One of each, for what does not depend on the protocol. */
export const DISTINCT: readonly Package[] = PACKAGES.filter(({ name }) => !name.endsWith('RESP2'))

/** What the docs tell users to set. */
export const ADVISED: Options = {
  maxRetriesPerRequest: 0,
  retryStrategy: () => 250,
  connectTimeout: 1000,
}

export function answers(store: RemoteStore): Promise<boolean> {
  return store.ping().then(
    () => true,
    () => false,
  )
}

interface Readying {
  readonly status: string
  on(event: 'error', listener: () => void): unknown
}

export async function whenReady<C extends Readying>(client: C): Promise<C> {
  client.on('error', () => {})
  await until('the client is ready', () => client.status === 'ready')
  return client
}
