import { startRedis } from './redis.ts'
import { type RedisProcess, startServer } from './server-process.ts'
import { until } from './until.ts'

export interface RedisSentinels {
  /** What to ask the sentinels for. */
  readonly masterName: string
  /** The one that began as the master, then its replica. */
  readonly servers: readonly [RedisProcess, RedisProcess]
  /** The three sentinels. */
  readonly sentinels: readonly RedisProcess[]
  /**
   * The server that every running sentinel names as the master now, or `undefined` while they do
   * not agree.
   *
   * @throws Error (as a rejection) if a running sentinel does not answer within a second.
   */
  master(): Promise<RedisProcess | undefined>
  stop(): Promise<void>
}

const MASTER_NAME = 'primary'

/** A majority of the three. */
const QUORUM = 2

/** Sentinels greet each other every 2 s; a replica is first told of by INFO. */
const PATIENCE = 30_000

/** Milliseconds of silence after which a sentinel takes a server for dead. */
const DOWN_AFTER = 500

/** Milliseconds after which sentinels that elected no leader, at twice this time, try again. */
const FAILOVER_TIMEOUT = 3000

/**
 * Starts a master, its replica and three sentinels on 127.0.0.1, and waits until the sentinels know
 * each other and the replica. They take a server for dead after 500 ms of silence.
 *
 * @throws Error (as a rejection) as `startRedis` does, or if that has not come about within 30 s.
 */
export async function startSentinels(): Promise<RedisSentinels> {
  const started: RedisProcess[] = []
  const stop = async () => void (await Promise.all(started.map((server) => server.stop())))
  const add = async (server: Promise<RedisProcess>) => {
    started.push(await server)
    return await server
  }
  try {
    const master = await add(startRedis())
    const replicaOf = ['--replicaof', '127.0.0.1', String(master.port)]
    const replica = await add(startRedis({ args: replicaOf }))
    await until(
      'the replica is connected to its master',
      async () =>
        String(await replica.ask('INFO', 'replication')).includes('master_link_status:up'),
      PATIENCE,
    )
    const sentinels: RedisProcess[] = []
    for (let i = 0; i < 3; i++) sentinels.push(await add(startSentinel(master.port)))
    for (const sentinel of sentinels) {
      const state = `the sentinel on port ${sentinel.port} knows the others and the replica`
      await until(state, () => knowsAll(sentinel), PATIENCE)
    }
    const servers = [master, replica] as const
    const named = () => masterOf(servers, sentinels)
    return { masterName: MASTER_NAME, servers, sentinels, master: named, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function startSentinel(masterPort: number): Promise<RedisProcess> {
  const config = [
    `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${masterPort} ${QUORUM}`,
    `sentinel down-after-milliseconds ${MASTER_NAME} ${DOWN_AFTER}`,
    `sentinel failover-timeout ${MASTER_NAME} ${FAILOVER_TIMEOUT}`,
  ]
  return startServer({ args: ['--sentinel'], config: `${config.join('\n')}\n` })
}

async function knowsAll(sentinel: RedisProcess): Promise<boolean> {
  const [others, replicas] = [
    await sentinel.ask('SENTINEL', 'SENTINELS', MASTER_NAME),
    await sentinel.ask('SENTINEL', 'REPLICAS', MASTER_NAME),
  ].map(flagsOf)
  return others?.join(' ') === 'sentinel sentinel' && replicas?.join(' ') === 'slave'
}

/** The flags of each server in a sentinel's list, whose rows are field, value, field, value ... */
function flagsOf(list: unknown): string[] {
  if (!Array.isArray(list)) return []
  return list.map((row: readonly string[]) => row[row.indexOf('flags') + 1] ?? '')
}

async function masterOf(
  servers: readonly RedisProcess[],
  sentinels: readonly RedisProcess[],
): Promise<RedisProcess | undefined> {
  const addresses = new Set<string>()
  for (const sentinel of sentinels) {
    if (!sentinel.isRunning) continue
    addresses.add(String(await sentinel.ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER_NAME)))
  }
  const [address] = addresses
  return addresses.size === 1
    ? servers.find(({ port }) => address?.endsWith(`,${port}`))
    : undefined
}
