import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { createClientPool, createCluster } from 'redis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import { nodeRedis } from '../../src/redis/node-redis-store.ts'
import { slotOf } from '../../src/redis-common/slot.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { startRedis } from '../../src/testing/servers/redis.ts'
import { startRedisCluster } from '../../src/testing/servers/redis-cluster.ts'
import { until } from '../support/until.ts'

const QUICK = { reconnectStrategy: 50 }

async function cacheOn(remote: RemoteStore, end: () => void): Promise<Cache> {
  const cache = createCache({ remote, codec: 'json', logger: false })
  onTestFinished(async () => {
    await cache.close()
    end()
  })
  expect(await cache.ready()).toBe(true)
  return cache
}

/** An address that leads to another server from some moment on; its old connections fall silent. */
async function movableAddress(port: number) {
  let target = port
  const sockets = new Set<Socket>()
  const silent = new Set<Socket>()
  const listener = createServer((client) => {
    const server = connect({ port: target, host: '127.0.0.1' })
    sockets.add(client)
    client.on('data', (chunk) => silent.has(client) || server.write(chunk))
    server.on('data', (chunk) => silent.has(client) || client.write(chunk))
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => undefined)
      one.on('close', () => other.destroy())
    }
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    listener.close()
  })
  return {
    url: `redis://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    moveTo(next: number) {
      for (const socket of sockets) silent.add(socket)
      target = next
    },
  }
}

describe('A pool whose address leads to a promoted replica by now', () => {
  it('is not read there before what the replica has missed is made again', async () => {
    const [master, replica] = await Promise.all([startRedis(), startRedis()])
    onTestFinished(async () => void (await Promise.all([master.stop(), replica.stop()])))
    const address = await movableAddress(master.port)
    const pool = createClientPool({ url: address.url, socket: QUICK }, { minimum: 1, maximum: 20 })
    pool.on('error', () => undefined)
    await pool.connect()
    const cache = await cacheOn(nodeRedis(pool), () => pool.destroy())
    // A read that is under way would be joined, so each asks for a key of its own.
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`)
    for (const key of keys) {
      await cache.set(key, 'old')
      await replica.ask('SET', key, String(await master.ask('GET', key)))
      await cache.set(key, 'new')
    }
    address.moveTo(replica.port)
    const reads: Promise<unknown>[] = []
    for (const key of keys) {
      reads.push(cache.get(key))
      // Each finds the connections before it taken, and has the pool open another.
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(new Set(await Promise.all(reads))).toEqual(new Set([undefined]))
    await until('the new server is met', () => cache.stats().remoteReplaced === 1)
    expect(cache.stats().replayed).toBe(keys.length)
  })
})

describe('A master of a cluster that comes back from an old snapshot, and loads it for a while', () => {
  it('is not read before its changes are made again, while the others go on', async () => {
    const cluster = await startRedisCluster({
      masters: 3,
      args: [
        ...['--cluster-node-timeout', '30000', '--cluster-require-full-coverage', 'no'],
        // Some 2 s for the keys below, in which it answers LOADING.
        ...['--loading-process-events-interval-bytes', '1024', '--key-load-delay', '20000'],
      ],
    })
    onTestFinished(() => cluster.stop())
    const [first] = cluster.masters
    if (first === undefined) throw new Error('there are three')
    const client = createCluster({
      rootNodes: cluster.masters.map(({ url }) => ({ url })),
      defaults: { socket: QUICK },
    })
    client.on('error', () => undefined)
    await client.connect()
    const cache = await cacheOn(nodeRedis(client), () => client.destroy())
    const inFirst: string[] = []
    for (let i = 0; inFirst.length < 80; i++) if (slotOf(`k${i}`) < 5461) inFirst.push(`k${i}`)
    const elsewhere = Array.from({ length: 100 }, (_, i) => `e${i}`).find((k) => slotOf(k) > 11_000)
    const [key = ''] = inFirst
    for (const each of inFirst) await cache.set(each, 'x'.repeat(2000))
    await cache.set(key, 'old')
    await cache.set(elsewhere ?? '', 'there')
    await first.ask('SAVE')
    await cache.set(key, 'new')
    await first.kill()
    const back = first.restart()
    const seen = new Set<unknown>()
    const others = new Set<unknown>()
    await until(
      'the key is read again',
      async () => {
        const found = await cache.lookup(key)
        if (found.status === 'hit') seen.add(found.value)
        others.add(await cache.get(elsewhere ?? ''))
        return found.status === 'hit' || found.status === 'miss'
      },
      30_000,
    )
    await back
    expect([...seen]).toEqual([])
    expect([...others]).toContain('there')
    expect(cache.stats()).toMatchObject({ remoteReplaced: 1 })
  }, 60_000)
})
