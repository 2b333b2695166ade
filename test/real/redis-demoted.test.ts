import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createCache } from '../../src/cache.ts'
import { ioredis } from '../../src/ioredis/ioredis.ts'
import { lru } from '../../src/lru/lru.ts'
import { nodeRedis } from '../../src/redis/node-redis-store.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { startRedis } from '../../src/testing/servers/redis.ts'
import { until } from '../support/until.ts'

const CLIENTS: Readonly<Record<string, (url: string) => Promise<[RemoteStore, () => void]>>> = {
  'node-redis': async (url) => {
    const client = createClient({ url, socket: { reconnectStrategy: 50 } })
    client.on('error', () => undefined)
    await client.connect()
    return [nodeRedis(client), () => client.destroy()]
  },
  ioredis: async (url) => {
    const client = new Redis(url, { maxRetriesPerRequest: 0, retryStrategy: () => 50 })
    return [ioredis(client), () => client.disconnect()]
  },
}

describe.each(Object.keys(CLIENTS))('A master that becomes a replica under %s', (name) => {
  it('without a word is neither read nor written, and is used again when it is a master', async () => {
    const [server, master] = await Promise.all([startRedis(), startRedis()])
    onTestFinished(async () => void (await Promise.all([server.stop(), master.stop()])))
    const [remote, end] = (await CLIENTS[name]?.(server.url)) ?? []
    if (remote === undefined) throw new Error('no such client')
    const cache = createCache({
      local: lru({ maxEntries: 9 }),
      remote,
      codec: 'json',
      logger: false,
    })
    onTestFinished(async () => {
      await cache.close()
      end?.()
    })
    expect(await cache.ready()).toBe(true)
    await cache.set('k', 'before')
    await cache.set('read', 'before')
    await server.ask('REPLICAOF', '127.0.0.1', String(master.port))
    await expect(cache.set('k', 'lost')).rejects.toThrow('READONLY')
    // One answer is enough: from now on nothing is read there either.
    for (let i = 0; i < 20; i++) {
      expect(await cache.lookup('read', { skipLocal: true })).toMatchObject({ status: 'error' })
    }
    expect(await cache.once('other', async () => 'loaded', { skipLocal: true })).toBe('loaded')
    expect(await master.ask('EXISTS', 'other')).toBe(0)
    await server.ask('REPLICAOF', 'NO', 'ONE')
    await until('it is used again', () =>
      cache.set('k', 'after').then(
        () => true,
        () => false,
      ),
    )
    expect(await server.ask('GET', 'k')).toBe('"after"')
  })
})
