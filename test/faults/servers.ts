import { slotOf } from '../../src/redis-common/slot.ts'
import { startRedis } from '../../src/testing/servers/redis.ts'
import { startRedisCluster } from '../../src/testing/servers/redis-cluster.ts'
import type { Reply } from '../../src/testing/servers/resp.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'
import { until } from '../support/until.ts'

/** Servers that keep on disk what they have acknowledged, and can be asked past any network. */
export interface Servers {
  readonly ports: readonly number[]
  /** Whether they share the keys by slots. */
  readonly bySlot: boolean
  /** Who tells clients which of them is the master, and by what name. */
  readonly sentinels?: { readonly name: string; readonly ports: readonly number[] }
  /** Asks the server that owns the key. */
  ask(key: string, ...command: string[]): Promise<Reply>
  /** Changes each server by a command. */
  configure(...command: string[]): Promise<void>
  kill(): Promise<void>
  /** Resolves when they serve again what they held. */
  restart(): Promise<void>
  freeze(): void
  /** Resolves when they serve again. */
  resume(): Promise<void>
  stop(): Promise<void>
}

export async function oneServer(): Promise<Servers> {
  const server = await startRedis({ persistent: true })
  return group([server], () => server, { stop: () => server.stop() })
}

/** Three masters; nodes that have not heard of each other for a while serve nobody at first. */
export async function clusterOfThree(): Promise<Servers> {
  const cluster = await startRedisCluster({ args: ['--appendonly', 'yes'] })
  const { masters } = cluster
  const ownerOf = (key: string) => masters[Math.floor((slotOf(key) * masters.length) / 16_384)]
  return group(masters, ownerOf, {
    stop: () => cluster.stop(),
    serves: async (server) => {
      const state = String(await server.ask('CLUSTER', 'INFO'))
      return state.includes('cluster_state:ok')
    },
  })
}

interface GroupOptions {
  stop(): Promise<void>
  serves?(server: RedisProcess): Promise<boolean>
}

function group(
  servers: readonly RedisProcess[],
  ownerOf: (key: string) => RedisProcess | undefined,
  { stop, serves }: GroupOptions,
): Servers {
  const each = async (work: (server: RedisProcess) => Promise<unknown>) => {
    await Promise.all(servers.map(work))
  }
  const serving = () =>
    each(async (server) => {
      if (serves === undefined) return
      const condition = `the server on port ${server.port} serves again`
      await until(condition, () => serves(server).catch(() => false))
    })
  return {
    ports: servers.map(({ port }) => port),
    bySlot: servers.length > 1,
    ask: async (key, ...command) => (await ownerOf(key)?.ask(...command)) ?? null,
    configure: (...command) => each((server) => server.ask(...command)),
    kill: () => each((server) => server.kill()),
    restart: async () => {
      await each((server) => server.restart())
      await serving()
    },
    freeze: () => {
      for (const server of servers) server.freeze()
    },
    resume: () => {
      for (const server of servers) server.resume()
      return serving()
    },
    stop,
  }
}
