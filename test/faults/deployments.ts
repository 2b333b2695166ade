import {
  type ClientUnderTest,
  type Connect,
  ioredis5,
  ioredis5Cluster,
  ioredis5Sentinel,
  ioredis6,
  ioredis6Cluster,
  ioredis6Sentinel,
  iovalkey,
  iovalkeyCluster,
  iovalkeySentinel,
  nodeRedisClient,
  nodeRedisCluster,
  nodeRedisPool,
  nodeRedisSentinel,
} from './clients.ts'
import { Network } from './network.ts'
import { sentinelTrio, type Trio } from './sentinels.ts'
import { clusterOfThree, oneServer, type Servers } from './servers.ts'

/** Servers that run, and the network between them and the clients under test. */
export interface Remote<S extends Servers = Servers> {
  readonly servers: S
  readonly network: Network
  /** The most commands that clients send for one question whether the servers are there. */
  readonly mostPerProbe: number
  /** Cold calls, one after the other, that may wait for a remote that is not there. */
  readonly mostFirst: number
  /** A client that reaches the servers over the network. @param reconnectEvery Milliseconds. */
  client(reconnectEvery?: number): ClientUnderTest
  /** A client that the network's faults do not concern. */
  clientPastNetwork(): ClientUnderTest
  stop(): Promise<void>
}

type Bounds = Pick<Remote, 'mostPerProbe' | 'mostFirst'>

/** Three failures in a row open the breaker. */
const OF_ONE_SERVER: Bounds = { mostPerProbe: 1, mostFirst: 6 }

/** Where all its connections are in use it opens another one: three commands and the question. */
const OF_A_POOL: Bounds = { ...OF_ONE_SERVER, mostPerProbe: 4 }

/**
 * Each of three masters is asked; meanwhile the client, or the store, asks them who serves what. It
 * takes 15 failures to hold all of them to be down.
 */
const OF_A_CLUSTER: Bounds = { mostPerProbe: 8, mostFirst: 18 }

/** A client, and the servers it is made for: one column of the fault table. */
export interface Deployment<S extends Servers = Servers> {
  readonly name: string
  start(): Promise<Remote<S>>
}

const RECONNECT_EVERY = 200

function deployment<S extends Servers>(
  name: string,
  startServers: () => Promise<S>,
  connect: Connect,
  { mostPerProbe, mostFirst } = OF_ONE_SERVER,
): Deployment<S> {
  const start = async (): Promise<Remote<S>> => {
    const servers = await startServers()
    const { ports, sentinels = { name: '', ports: [] } } = servers
    const network = await Network.to(ports, sentinels.ports)
    const all = [...ports, ...sentinels.ports]
    const by = (ways: readonly number[]) => ({
      servers: all,
      ways,
      sentinels: { name: sentinels.name, ways: ways.slice(ports.length) },
    })
    const [over, past] = [by(network.ports), by(all)]
    return {
      servers,
      network,
      mostPerProbe,
      mostFirst,
      client: (reconnectEvery = RECONNECT_EVERY) => connect(over, reconnectEvery),
      clientPastNetwork: () => connect(past, RECONNECT_EVERY),
      stop: async () => {
        await servers.stop()
        await network.close()
      },
    }
  }
  return { name, start }
}

export const NODE_REDIS: Deployment = deployment('node-redis', oneServer, nodeRedisClient)
export const IOREDIS: Deployment = deployment('ioredis', oneServer, ioredis6)

export const DEPLOYMENTS: readonly Deployment[] = [
  NODE_REDIS,
  IOREDIS,
  deployment('ioredis 5', oneServer, ioredis5),
  deployment('iovalkey', oneServer, iovalkey),
  deployment('node-redis pool', oneServer, nodeRedisPool, OF_A_POOL),
  deployment('node-redis cluster', clusterOfThree, nodeRedisCluster, OF_A_CLUSTER),
  deployment('ioredis cluster', clusterOfThree, ioredis6Cluster, OF_A_CLUSTER),
  deployment('ioredis 5 cluster', clusterOfThree, ioredis5Cluster, OF_A_CLUSTER),
  deployment('iovalkey cluster', clusterOfThree, iovalkeyCluster, OF_A_CLUSTER),
]

export const NODE_REDIS_SENTINEL: Deployment<Trio> = deployment(
  'node-redis sentinel',
  sentinelTrio,
  nodeRedisSentinel,
)

export const IOREDIS_SENTINEL: Deployment<Trio> = deployment(
  'ioredis sentinel',
  sentinelTrio,
  ioredis6Sentinel,
)

export const WITH_SENTINELS: readonly Deployment<Trio>[] = [
  NODE_REDIS_SENTINEL,
  IOREDIS_SENTINEL,
  deployment('ioredis 5 sentinel', sentinelTrio, ioredis5Sentinel),
  deployment('iovalkey sentinel', sentinelTrio, iovalkeySentinel),
]
