import { createSentinel } from 'redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nodeRedis } from '../../src/redis/node-redis-store.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { type RedisSentinels, startSentinels } from '../../src/testing/servers/sentinels.ts'
import { until } from '../support/until.ts'
import { callsOf } from './node-redis-kinds.ts'

const ttl = 60_000

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

describe('nodeRedis behind sentinels', () => {
  let servers: RedisSentinels
  const ended: (() => Promise<void>)[] = []

  beforeAll(async () => {
    servers = await startSentinels()
  })

  afterAll(async () => {
    for (const end of ended) await end()
    await servers.stop()
  })

  async function opened(options = {}) {
    const client = createSentinel({
      name: servers.masterName,
      sentinelRootNodes: servers.sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
      nodeClientOptions: { socket: { reconnectStrategy: 50 } },
      ...options,
    })
    client.on('error', () => {})
    await client.connect()
    const store = nodeRedis(client)
    const replaced = { times: 0 }
    store.watch?.({
      reachable: () => {},
      replaced: () => {
        replaced.times++
      },
      forbidden: () => {},
    })
    store.open()
    ended.push(async () => {
      await store.close()
      await client.destroy()
    })
    await until('it takes writes', () => takes(store))
    return { client, store, replaced }
  }

  async function takes(store: RemoteStore): Promise<boolean> {
    await store.ping().catch(() => {})
    return store.set('key', bytes('x'), { ttl }).catch(() => false)
  }

  it('reads from the master only, even where the client reads from replicas', async () => {
    const { store } = await opened({ replicaPoolSize: 1 })
    const [, replica] = servers.servers
    for (let times = 0; times < 10; times++) await store.get('key')
    expect(await callsOf([replica], 'evalsha')).toBe(0)
  })

  it('keeps to one connection, in order, where the client has several', async () => {
    const { store } = await opened({ masterPoolSize: 3 })
    const writes = Array.from({ length: 100 }, (_, i) =>
      store.set('order', bytes(String(i)), { ttl }),
    )
    await Promise.all(writes)
    expect((await store.get('order'))?.bytes).toEqual(bytes('99'))
    expect(store.connection?.()).toBeDefined()
  })

  it('works with the promoted replica when the master is gone, and sends nothing twice', async () => {
    const { store, replaced } = await opened()
    const master = await servers.master()
    await master?.kill()
    await until('the promoted replica takes writes', () => takes(store))
    expect(replaced.times).toBe(1)
    expect((await servers.master())?.port).not.toBe(master?.port)
    await master?.restart()
  }, 30_000)

  it('follows a failover that an operator asked for', async () => {
    const { store, replaced } = await opened()
    const before = (await servers.master())?.port
    await until(
      'a replica can be promoted',
      async () => {
        const [sentinel] = servers.sentinels
        const asked = sentinel?.ask('SENTINEL', 'FAILOVER', servers.masterName)
        return (
          asked?.then(
            () => true,
            () => false,
          ) ?? false
        )
      },
      20_000,
    )
    await until('the sentinels name another', async () => {
      const now = (await servers.master())?.port
      return now !== undefined && now !== before
    })
    // The old one takes writes, too, until a sentinel has demoted it.
    await until('the other takes writes', async () => (await takes(store)) && replaced.times > 0)
  }, 40_000)
})
