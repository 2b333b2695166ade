import { startSentinels } from '../../src/testing/servers/sentinels.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'
import { until } from '../support/until.ts'
import type { Servers } from './servers.ts'

/** A master, and a replica that takes its place as soon as the sentinels hold it to be down. */
export interface Trio extends Servers {
  /** The one that began as the master. */
  readonly master: RedisProcess
  /** The one that began as its replica. */
  readonly successor: RedisProcess
  /** Resolves when all sentinels name the successor, and it takes writes. */
  failedOver(): Promise<void>
  /** From now on the replica has what its master had taken so far, and nothing more. */
  partReplica(): Promise<void>
  /** Lets the old master go on, or starts it anew. Resolves when it follows the successor. */
  oldMasterReturns(): Promise<void>
}

/** Sentinels that elect no leader at first try again after some seconds. */
const FAILOVER = 20_000

/** A sentinel takes a master that has begun anew for a replica after some 10 s. */
const DEMOTION = 40_000

/** They keep nothing on disk: a master that was killed has nothing when it returns. */
export async function sentinelTrio(): Promise<Trio> {
  const trio = await startSentinels()
  const { sentinels, masterName } = trio
  const [master, successor] = trio.servers
  let serving = master
  return {
    ports: [master.port, successor.port],
    bySlot: false,
    sentinels: { name: masterName, ports: sentinels.map(({ port }) => port) },
    master,
    successor,
    ask: (_key, ...command) => serving.ask(...command),
    configure: async (...command) => {
      await Promise.all([master, successor].map((server) => server.ask(...command)))
    },
    // The sentinels first, and last: they are not to choose among those that are there.
    kill: async () => {
      for (const server of [...sentinels, master, successor]) await server.kill()
    },
    restart: async () => {
      await master.restart()
      await successor.restart()
      await follows(successor)
      for (const sentinel of sentinels) await sentinel.restart()
    },
    freeze: () => master.freeze(),
    resume: () => {
      master.resume()
      return serving === master ? Promise.resolve() : follows(master)
    },
    failedOver: async () => {
      const named = () => trio.master().catch(() => undefined)
      await until(
        'the sentinels name the successor',
        async () => (await named()) === successor,
        FAILOVER,
      )
      await until('it takes writes', () => isMaster(successor), FAILOVER)
      serving = successor
    },
    partReplica: async () => {
      await until('the replica has all', async () => (await isBehind(master, successor)) === 0)
      await master.ask('ACL', 'SETUSER', 'default', '-psync', '-sync')
      await master.ask('CLIENT', 'KILL', 'TYPE', 'replica')
    },
    oldMasterReturns: async () => {
      if (master.isRunning) master.resume()
      else await master.restart()
      await follows(master)
    },
    stop: () => trio.stop(),
  }
}

async function isMaster(server: RedisProcess): Promise<boolean> {
  const answer = await server.ask('ROLE').catch(() => '')
  return Array.isArray(answer) && answer[0] === 'master'
}

function follows(server: RedisProcess): Promise<void> {
  const condition = `the server on port ${server.port} follows its master`
  const holds = async () => {
    const about = String(await server.ask('INFO', 'replication').catch(() => ''))
    return about.includes('role:slave') && about.includes('master_link_status:up')
  }
  return until(condition, holds, DEMOTION)
}

/** Bytes of the stream of changes. */
async function isBehind(master: RedisProcess, replica: RedisProcess): Promise<number> {
  const [given, taken] = await Promise.all([master, replica].map(offsetOf))
  return (given ?? Number.NaN) - (taken ?? 0)
}

async function offsetOf(server: RedisProcess): Promise<number> {
  const about = String(await server.ask('INFO', 'replication'))
  return Number(/(?:slave|master)_repl_offset:(\d+)/.exec(about)?.[1])
}
