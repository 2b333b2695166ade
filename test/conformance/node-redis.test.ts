import { randomUUID } from 'node:crypto'
import { createClient, createCluster } from 'redis'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { createCache } from '../../src/cache.ts'
import { nodeRedis } from '../../src/redis/node-redis-store.ts'
import { MOST_KEYS } from '../../src/redis-common/scripts.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { remoteStoreConformance } from '../../src/testing/remote-conformance.ts'
import { startRedis } from '../../src/testing/servers/redis.ts'
import { until } from '../support/until.ts'
import { redisEar } from './redis-ear.ts'

const ttl = 60_000

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

async function connected(url: string, options: Parameters<typeof createClient>[0] = {}) {
  const client = createClient({ url, ...options })
  client.on('error', () => {})
  await client.connect()
  return client
}

for (const RESP of [2, 3] as const) {
  remoteStoreConformance({
    name: `node-redis over RESP${RESP}`,
    endlessLives: true,
    leases: true,
    announcements: true,
    shortens: true,
    touches: true,
    create: async () => {
      const client = await connected(inject('redisUrl'), { RESP })
      const ear = redisEar(inject('redisUrl'))
      return {
        store: nodeRedis(client),
        writeWithoutExpiry: async (key, value) => {
          await client.set(key, Buffer.from(value))
        },
        listen: ear.listen,
        endsOnClose: true,
        dispose: async () => {
          ear.end()
          client.destroy()
        },
      }
    },
    describe,
    it,
  })
}

describe('nodeRedis on a shared server', () => {
  const prefix = `node-redis:${randomUUID()}:`
  let client: Awaited<ReturnType<typeof connected>>
  let store: RemoteStore

  beforeAll(async () => {
    client = await connected(inject('redisUrl'))
    store = nodeRedis(client)
    store.open()
  })

  afterAll(async () => {
    await store.close()
    client.destroy()
  })

  it.each([2, 3] as const)('reads and writes every byte over RESP%i', async (RESP) => {
    const other = await connected(inject('redisUrl'), { RESP })
    try {
      const key = `${prefix}bytes${RESP}`
      const all = Uint8Array.from({ length: 256 }, (_, i) => i)
      expect(await nodeRedis(other).set(key, all, { ttl })).toBe(true)
      const read = await nodeRedis(other).get(key)
      expect(read?.bytes).toEqual(all)
      expect(read?.bytes.constructor).toBe(Uint8Array)
      expect(await nodeRedis(other).compareAndSet(key, all, bytes('next'), ttl)).toBe(true)
    } finally {
      other.destroy()
    }
  })

  it('hands out bytes in memory of their own, not in what the socket received', async () => {
    const key = `${prefix}own`
    await store.set(key, bytes('a small value'), { ttl })
    const read = await store.get(key)
    expect(read?.bytes.buffer.byteLength).toBe(read?.bytes.byteLength)
  })

  it('reads a value without expiry with an infinite life', async () => {
    const key = `${prefix}forever`
    await client.set(key, 'x')
    expect(await store.get(key)).toEqual({ bytes: bytes('x'), ttlLeft: Number.POSITIVE_INFINITY })
    await client.del(key)
  })

  it('reads a key that holds no string as absent, alone and among others', async () => {
    await client.hSet(`${prefix}hash`, 'field', 'value')
    await store.set(`${prefix}string`, bytes('x'), { ttl })
    expect(await store.get(`${prefix}hash`)).toBeUndefined()
    const [hash, string] = await store.getMany([`${prefix}hash`, `${prefix}string`])
    expect([hash, string?.bytes]).toEqual([undefined, bytes('x')])
  })

  it('rejects with the error of the server as it is', async () => {
    const key = `${prefix}set`
    await client.sAdd(key, 'member')
    await expect(store.compareAndDelete(key, bytes('x'))).rejects.toThrow(/^WRONGTYPE/)
  })

  it('works on, once, when the server has forgotten the scripts', async () => {
    const key = `${prefix}scripts`
    await store.set(key, bytes('1'), { ttl })
    await client.scriptFlush()
    expect((await store.get(key))?.bytes).toEqual(bytes('1'))
    await client.scriptFlush()
    expect(await store.compareAndSet(key, bytes('1'), bytes('2'), ttl)).toBe(true)
    await client.scriptFlush()
    expect(await store.compareAndDelete(key, bytes('2'))).toBe(true)
    const stats = await client.info('commandstats')
    await store.get(key)
    await store.get(key)
    const evals = (text: string) => /cmdstat_eval:calls=(\d+)/.exec(text)?.[1]
    expect(evals(await client.info('commandstats'))).toBe(String(Number(evals(stats)) + 1))
  })

  it('asks for more keys than a script takes in several scripts, in order', async () => {
    const keys = Array.from({ length: 2 * MOST_KEYS + 1 }, (_, i) => `${prefix}many${i}`)
    const marked = [0, MOST_KEYS - 1, MOST_KEYS, 2 * MOST_KEYS]
    for (const i of marked) await store.set(keys[i] ?? '', bytes(String(i)), { ttl })
    const found = (await store.getMany(keys)).flatMap((read, i) => (read === undefined ? [] : [i]))
    expect(found).toEqual(marked)
    expect(await store.delete(keys)).toBe(marked.length)
  })

  it('sends the reads that a cache makes in one turn as one command for 256 keys', async () => {
    const keys = Array.from({ length: MOST_KEYS + 44 }, (_, i) => `${prefix}turn${i}`)
    const cache = createCache({ remote: store })
    for (const i of [0, 299]) await cache.set(keys[i] ?? '', i)
    const calls = async () => {
      const stats = await client.info('commandstats')
      return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0)
    }
    await store.get(keys[0] ?? '')
    const before = await calls()
    const reads = await Promise.all(keys.map((key) => cache.get(key)))
    expect((await calls()) - before).toBe(2)
    expect(reads.filter((read) => read !== undefined)).toEqual([0, 299])
    await cache.close()
  })

  it('answers all reads of one turn when the server has forgotten the script', async () => {
    const keys = [`${prefix}forgotten1`, `${prefix}forgotten2`]
    for (const key of keys) await store.set(key, bytes(key), { ttl })
    await client.scriptFlush()
    const reads = await Promise.all(keys.map((key) => store.get(key)))
    expect(reads.map((read) => read?.bytes)).toEqual(keys.map(bytes))
  })

  it('honours the key prefix of the client in commands and scripts', async () => {
    const prefixed = await connected(inject('redisUrl'), { keyPrefix: `${prefix}app:` })
    try {
      const inner = nodeRedis(prefixed)
      await inner.set('k', bytes('1'), { ttl })
      expect((await inner.get('k'))?.bytes).toEqual(bytes('1'))
      expect(await inner.compareAndSet('k', bytes('1'), bytes('2'), ttl)).toBe(true)
      expect((await store.get(`${prefix}app:k`))?.bytes).toEqual(bytes('2'))
      expect(await inner.delete(['k'])).toBe(1)
    } finally {
      prefixed.destroy()
    }
  })

  it('handles ten thousand operations at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10_000 }, () => store.get(`${prefix}none`)),
    )
    expect(answers.every((read) => read === undefined)).toBe(true)
  })
})

describe('nodeRedis and the client it is handed', () => {
  it('has one error listener from the first open to the last close, and none of ours beyond', async () => {
    const client = createClient({ url: inject('redisUrl') })
    client.on('error', () => {})
    const store = nodeRedis(client)
    expect(client.listenerCount('error')).toBe(1)
    store.open()
    store.open()
    expect(client.listenerCount('error')).toBe(2)
    await store.close()
    expect(client.listenerCount('error')).toBe(2)
    await store.close()
    await store.close()
    expect(client.listenerCount('error')).toBe(1)
    for (let times = 0; times < 100; times++) {
      store.open()
      await store.close()
    }
    expect(client.listenerCount('error')).toBe(1)
  })

  it('still hears of listeners added after a close where ours was the only one', async () => {
    const server = await startRedis()
    const client = await createClient({ url: server.url }).connect()
    try {
      for (let times = 0; times < 3; times++) {
        const store = nodeRedis(client)
        store.open()
        await store.close()
      }
      expect(client.listenerCount('error')).toBe(1)
      const heard: unknown[] = []
      client.on('error', (error) => heard.push(error))
      await server.stop()
      await until('the client tells of the loss', () => heard.length > 0)
    } finally {
      client.destroy()
      await server.stop()
    }
  })

  it('does not close it', async () => {
    const client = await connected(inject('redisUrl'))
    const store = nodeRedis(client)
    store.open()
    await store.close()
    expect(await client.ping()).toBe('PONG')
    await expect(store.ping()).rejects.toThrow('the store is closed')
    client.destroy()
  })

  it('rejects at once while it is not connected, and leaves nothing in its queue', async () => {
    const client = createClient({ url: inject('redisUrl') })
    const store = nodeRedis(client)
    const key = `node-redis:${randomUUID()}`
    const attempts = [
      store.get(key),
      store.getMany([key]),
      store.set(key, bytes('late'), { ttl }),
      store.compareAndSet(key, bytes('a'), bytes('b'), ttl),
      store.compareAndDelete(key, bytes('a')),
      store.shorten?.(key, ttl),
      store.delete([key]),
      store.ping(),
    ]
    for (const attempt of attempts) {
      await expect(attempt).rejects.toThrow('the Redis client is not connected')
    }
    await client.connect()
    expect(await client.get(key)).toBeNull()
    client.destroy()
  })

  it.each([
    ['a client that stays lost', createClient, { socket: { reconnectStrategy: false } }],
    ['a client that ends at a silence', createClient, { socket: { socketTimeout: 1000 } }],
    [
      'a cluster whose masters stay lost',
      createCluster,
      { rootNodes: [], defaults: { socket: { reconnectStrategy: false } } },
    ],
    [
      'a cluster that does not notice a failover',
      createCluster,
      { rootNodes: [], topologyRefreshOnReconnectionAttemptStrategy: 0 },
    ],
    ['a key prefix that is no text', createClient, { keyPrefix: Buffer.of(0xff) }],
  ])('refuses %s, and says what to do', (_, create, options) => {
    const client = Reflect.apply(create, undefined, [options])
    expect(() => nodeRedis(client)).toThrow(
      expect.objectContaining({
        code: 'CACHE_OPTION',
        message: expect.stringMatching(/(?:Make|Give) the client/),
      }),
    )
  })

  it('takes a client that connects again after a silence', () => {
    const socket = { socketTimeout: 1000, reconnectStrategy: 500 }
    expect(() => nodeRedis(createClient({ socket }))).not.toThrow()
  })

  it.each([
    ['nothing', undefined],
    ['a URL', 'redis://127.0.0.1'],
    ['another client', { isReady: true, get: () => {} }],
  ])('refuses %s', (_, client) => {
    const attempt = () => Reflect.apply(nodeRedis, undefined, [client])
    expect(attempt).toThrow(TypeError)
    expect(attempt).toThrow(/createClient\(\)/)
  })
})

describe('nodeRedis when the connection is lost', () => {
  const own: { url: string; stop(): Promise<void> }[] = []

  afterEach(async () => {
    for (const server of own.splice(0)) await server.stop()
  })

  async function server(port?: number) {
    const started = await startRedis(port === undefined ? {} : { port })
    own.push(started)
    return started
  }

  it('rejects what is under way and works again after the reconnect', async () => {
    const first = await server()
    const client = await connected(first.url, { socket: { reconnectStrategy: 20 } })
    const store = nodeRedis(client)
    store.open()
    process.kill(first.pid, 'SIGSTOP')
    const reading = Promise.allSettled([store.get('k')])
    await first.stop()
    expect(await reading).toMatchObject([{ status: 'rejected' }])
    await expect(store.get('k')).rejects.toThrow('the Redis client is not connected')
    await server(first.port)
    const answers = () =>
      store.ping().then(
        () => true,
        () => false,
      )
    await until('the store can be used again', answers)
    expect(await store.set('k', bytes('x'), { ttl })).toBe(true)
    expect((await store.get('k'))?.bytes).toEqual(bytes('x'))
    expect(client.listenerCount('error')).toBe(2)
    await store.close()
    client.destroy()
  })

  it('never sends a write later that was not sent before the loss', async () => {
    const first = await server()
    const client = await connected(first.url, { socket: { reconnectStrategy: 20 } })
    const store = nodeRedis(client)
    store.open()
    // A server that does not read: what the socket does not take stays in the client's queue.
    process.kill(first.pid, 'SIGSTOP')
    const large = new Uint8Array(2_000_000)
    const writes: Promise<boolean>[] = []
    for (let i = 0; i < 600; i++) {
      writes.push(store.set(`k${i}`, i < 10 ? large : bytes('late'), { ttl }))
    }
    await new Promise((resolve) => setImmediate(resolve))
    for (let i = 600; i < 610; i++) writes.push(store.set(`k${i}`, bytes('late'), { ttl }))
    const settled = Promise.allSettled(writes)
    await first.stop()
    const outcomes = await settled
    expect(outcomes.map((outcome) => outcome.status)).not.toContain('fulfilled')
    await server(first.port)
    await until('the client is connected again', () => client.isReady)
    expect(await client.dbSize()).toBe(0)
    await store.close()
    client.destroy()
  })
})
