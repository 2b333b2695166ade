import { startRedis } from './redis.ts'
import type { RedisProcess } from './server-process.ts'
import { until } from './until.ts'

export interface StartRedisClusterOptions {
  /** From 3, as Redis recommends, for a failover to find a majority; 1 and 2 work. Default 3. */
  readonly masters?: number | undefined
  /** From 0. Default 0. */
  readonly replicasPerMaster?: number | undefined
  /** More arguments for each node, as on the command line. */
  readonly args?: readonly string[] | undefined
}

export interface RedisCluster {
  /** The nodes that began as masters, each followed in `replicas` by its own. */
  readonly masters: readonly RedisProcess[]
  /** The replicas of the first master, then those of the second, and so on. */
  readonly replicas: readonly RedisProcess[]
  /** All nodes. */
  readonly nodes: readonly RedisProcess[]
  stop(): Promise<void>
}

const SLOTS = 16_384

/** A new master waits 2 s by itself before it calls the cluster well. */
const PATIENCE = 30_000

/** Milliseconds of silence after which a node is taken for dead: a failover in some 2 s. */
const NODE_TIMEOUT = 1000

/**
 * Starts a Redis Cluster on 127.0.0.1, the slots in equal, contiguous shares, and waits until each
 * node calls it well and each replica is connected to its master.
 *
 * @throws Error (as a rejection) as `startRedis` does, or if that has not come about within 30 s.
 * @throws RangeError (as a rejection) if `masters` is no whole number from 1, or
 * `replicasPerMaster` none from 0.
 */
export async function startRedisCluster(
  options: StartRedisClusterOptions = {},
): Promise<RedisCluster> {
  const { masters = 3, replicasPerMaster = 0, args = [] } = options
  if (!Number.isInteger(masters) || masters < 1) {
    throw new RangeError(`masters is a whole number from 1, but was ${masters}`)
  }
  if (!Number.isInteger(replicasPerMaster) || replicasPerMaster < 0) {
    throw new RangeError(`replicasPerMaster is a whole number from 0, but was ${replicasPerMaster}`)
  }
  const nodes: RedisProcess[] = []
  const stop = async () => void (await Promise.all(nodes.map((node) => node.stop())))
  try {
    const own = ['--cluster-enabled', 'yes', '--cluster-node-timeout', String(NODE_TIMEOUT)]
    while (nodes.length < masters * (1 + replicasPerMaster)) {
      nodes.push(await startRedis({ args: [...own, ...args] }))
    }
    const cluster = {
      nodes,
      masters: nodes.slice(0, masters),
      replicas: nodes.slice(masters),
      stop,
    }
    await join(cluster, replicasPerMaster)
    return cluster
  } catch (error) {
    await stop()
    throw error
  }
}

async function join(cluster: RedisCluster, replicasPerMaster: number): Promise<void> {
  const { nodes, masters, replicas } = cluster
  const [first] = nodes
  if (first === undefined) return
  // Nodes that meet with equal epochs would first have to settle whose is the newer one.
  for (const [i, node] of nodes.entries()) {
    await node.ask('CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1))
  }
  for (const [i, master] of masters.entries()) {
    await master.ask('CLUSTER', 'ADDSLOTS', ...share(i, masters.length))
  }
  for (const node of nodes) await first.ask('CLUSTER', 'MEET', '127.0.0.1', String(node.port))
  await untilEach(nodes, 'knows all others', async (node) => {
    const known = String(await node.ask('CLUSTER', 'NODES'))
    return known.trim().split('\n').length === nodes.length && !known.includes('handshake')
  })
  for (const [i, replica] of replicas.entries()) {
    const id = await masters[Math.floor(i / replicasPerMaster)]?.ask('CLUSTER', 'MYID')
    await replica.ask('CLUSTER', 'REPLICATE', String(id))
  }
  await untilEach(replicas, 'is connected to its master', async (replica) =>
    String(await replica.ask('INFO', 'replication')).includes('master_link_status:up'),
  )
  await untilEach(nodes, 'calls the cluster well', async (node) =>
    String(await node.ask('CLUSTER', 'INFO')).includes('cluster_state:ok'),
  )
}

/** The slots of one master out of `masters`. */
function share(master: number, masters: number): string[] {
  const from = Math.floor((master * SLOTS) / masters)
  const to = Math.floor(((master + 1) * SLOTS) / masters)
  return Array.from({ length: to - from }, (_, i) => String(from + i))
}

async function untilEach(
  nodes: readonly RedisProcess[],
  state: string,
  holds: (node: RedisProcess) => Promise<boolean>,
): Promise<void> {
  for (const node of nodes) {
    await until(`the node on port ${node.port} ${state}`, () => holds(node), PATIENCE)
  }
}
