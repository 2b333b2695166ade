import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ioredis } from '../../src/ioredis/ioredis.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { remoteStoreConformance } from '../../src/testing/remote-conformance.ts'
import { type RedisCluster, startRedisCluster } from '../../src/testing/servers/redis-cluster.ts'
import { type RedisSentinels, startSentinels } from '../../src/testing/servers/sentinels.ts'
import {
  ADVISED,
  answers,
  type Client,
  type ClusterClient,
  DISTINCT,
  type Package,
  whenReady,
} from '../support/ioredis-clients.ts'
import { tagOfFirstThird, writeThrough } from '../support/ioredis-failover.ts'
import { until } from '../support/until.ts'
import { redisEar } from './redis-ear.ts'

interface Opened {
  readonly name: string
  readonly store: RemoteStore
  /** What the store told: which servers answer is another matter than before. */
  readonly replaced: { count: number }
}

const clients: (Client | ClusterClient)[] = []
const stores: RemoteStore[] = []

async function opened(name: string, client: Client | ClusterClient): Promise<Opened> {
  clients.push(client)
  await whenReady(client)
  const store = ioredis(client)
  stores.push(store)
  const replaced = { count: 0 }
  store.watch?.({
    reachable: () => {},
    replaced: () => {
      replaced.count++
    },
    forbidden: () => {},
  })
  store.open()
  await until('the store answers', () => answers(store))
  return { name, store, replaced }
}

afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
  for (const client of clients.splice(0)) client.disconnect()
})

function sentinelClient(one: Package, trio: RedisSentinels): Client {
  return one.single({
    ...ADVISED,
    sentinels: trio.sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
    name: trio.masterName,
    failoverDetector: true,
    sentinelRetryStrategy: () => 250,
  })
}

describe('a client that asks sentinels', () => {
  let trio: RedisSentinels
  let other: RedisSentinels

  beforeAll(async () => {
    ;[trio, other] = await Promise.all([startSentinels(), startSentinels()])
  })

  afterAll(async () => {
    await Promise.all([trio.stop(), other.stop()])
  })

  for (const one of DISTINCT) {
    remoteStoreConformance({
      name: `${one.name} with sentinels`,
      leases: true,
      announcements: true,
      shortens: true,
      touches: true,
      create: async () => {
        const client = await whenReady(sentinelClient(one, trio))
        const ear = redisEar((await trio.master())?.url ?? '')
        return {
          store: ioredis(client),
          listen: ear.listen,
          endsOnClose: true,
          dispose: async () => {
            ear.end()
            client.disconnect()
          },
        }
      },
      describe,
      it,
    })
  }

  async function throughFailover(
    sentinels: RedisSentinels,
    begin: () => Promise<unknown>,
  ): Promise<void> {
    const all = await Promise.all(
      DISTINCT.map((one) => opened(one.name, sentinelClient(one, sentinels))),
    )
    const before = await sentinels.master()
    const newMaster = async () => {
      const now = await sentinels.master().catch(() => undefined)
      return now === before ? undefined : now
    }
    await begin()
    const accounts = await Promise.all(
      all.map(({ name, store }) => writeThrough(store, name, newMaster)),
    )
    for (const [i, { rejected }] of accounts.entries()) {
      // Only what was under way when the connection was lost is of unknown outcome.
      expect(rejected.get(undefined) ?? 0).toBeLessThanOrEqual(1)
      expect(all[i]?.replaced.count).toBeGreaterThanOrEqual(1)
    }
  }

  it.each(DISTINCT)(
    '$name outlives news of a failover while it asks for the master',
    async (one) => {
      const client = sentinelClient(one, trio)
      const { store } = await opened(one.name, client)
      const { failoverDetector }: { failoverDetector: Detector } = Reflect.get(client, 'connector')
      for (const sentinel of trio.sentinels) sentinel.freeze()
      client.stream.destroy()
      await until('the client asks a sentinel', () => client.status === 'connecting')
      for (const listening of failoverDetector.sentinels) {
        listening.client.emit('message', '+switch-master', '')
      }
      for (const sentinel of trio.sentinels) sentinel.resume()
      await until('the store answers again', () => answers(store))
    },
  )

  it('goes on with the new master after a planned failover', { timeout: 20_000 }, async () => {
    await throughFailover(trio, async () => {
      await trio.sentinels[0]?.ask('SENTINEL', 'FAILOVER', trio.masterName)
    })
  })

  it('goes on with the new master when the old one is killed', { timeout: 20_000 }, async () => {
    await throughFailover(other, async () => (await other.master())?.kill())
  })
})

describe('a Cluster', () => {
  let cluster: RedisCluster
  let killed: Server | undefined
  const tag = tagOfFirstThird()

  beforeAll(async () => {
    cluster = await startRedisCluster({ replicasPerMaster: 1 })
  })

  afterAll(() => cluster.stop())

  async function throughFailover(
    begin: (servers: { master: Server; replica: Server }) => Promise<unknown>,
    unknown = 1,
  ): Promise<void> {
    const [first, second] = [cluster.masters[0], cluster.replicas[0]]
    if (first === undefined || second === undefined) throw new Error('no master')
    const isMaster = async (server: Server) => String(await server.ask('ROLE')).startsWith('master')
    const [master, replica] = (await isMaster(first)) ? [first, second] : [second, first]
    const all = await Promise.all(
      DISTINCT.map((one) => {
        const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
        const { connectTimeout = 0 } = ADVISED
        const options = { clusterRetryStrategy: () => 250, redisOptions: { connectTimeout } }
        return opened(one.name, one.cluster(nodes, options))
      }),
    )
    await begin({ master, replica })
    const newMaster = async () => ((await isMaster(replica)) ? replica : undefined)
    const accounts = await Promise.all(
      all.map(({ name, store }) => writeThrough(store, `${tag}${name}`, newMaster)),
    )
    for (const [i, { rejected }] of accounts.entries()) {
      expect(rejected.get(undefined) ?? 0).toBeLessThanOrEqual(unknown)
      expect(all[i]?.replaced.count).toBeGreaterThanOrEqual(1)
    }
  }

  it('goes on with the new master after a planned failover', { timeout: 20_000 }, async () => {
    await throughFailover(async ({ replica }) => {
      await replica.ask('CLUSTER', 'FAILOVER')
      await until('the replica is the master', async () => {
        return String(await replica.ask('ROLE')).startsWith('master')
      })
    })
  })

  async function untilReplicated(): Promise<void> {
    const pair = [cluster.masters[0], cluster.replicas[0]]
    await until('there is a replica again', async () => {
      const abouts = await Promise.all(pair.map((server) => server?.ask('INFO', 'replication')))
      return abouts.some((about) => String(about).includes('master_link_status:up'))
    })
  }

  it('goes on with the new master when the old one is killed', { timeout: 20_000 }, async () => {
    await untilReplicated()
    await throughFailover(async ({ master }) => {
      killed = master
      await master.kill()
    })
  })

  it('goes on with the new master when the old one freezes', { timeout: 20_000 }, async () => {
    await killed?.restart()
    await untilReplicated()
    await throughFailover(async ({ master }) => master.freeze(), Number.POSITIVE_INFINITY)
  })
})

type Server = RedisCluster['nodes'][number]

/** Of a client with sentinels: what it hears them with. */
interface Detector {
  readonly sentinels: readonly { client: { emit(event: string, ...args: string[]): unknown } }[]
}
