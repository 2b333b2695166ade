import { randomUUID } from 'node:crypto'
import { Cluster, Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { Redis as Iovalkey } from 'iovalkey'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { ioredis } from '../../src/ioredis/ioredis.ts'
import type { IoredisClient } from '../../src/ioredis/ioredis-client.ts'
import { MOST_KEYS } from '../../src/redis-common/scripts.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { remoteStoreConformance } from '../../src/testing/remote-conformance.ts'
import { startRedisServer } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

const ttl = 60_000

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

interface Options {
  readonly maxRetriesPerRequest?: number | null
  readonly keyPrefix?: string
  readonly lazyConnect?: boolean
  readonly enableAutoPipelining?: boolean
  readonly enableOfflineQueue?: boolean
  readonly stringNumbers?: boolean
  readonly retryStrategy?: () => number
}

/** What the tests use beside what the store does; the same in all packages. */
interface Client extends IoredisClient {
  call(command: string, ...args: (string | Buffer)[]): Promise<unknown>
  connect(): Promise<void>
  disconnect(): void
  listenerCount(event: string): number
  on(event: 'error', listener: (error: Error) => void): unknown
  once(event: string, listener: () => void): unknown
}

type Make = (url: string, options: Options) => Client

const CLIENTS: readonly (readonly [name: string, make: Make])[] = [
  ['ioredis 6 over RESP3', (url, options) => new Redis(url, { ...options, protocol: 3 })],
  ['ioredis 6 over RESP2', (url, options) => new Redis(url, { ...options, protocol: 2 })],
  ['ioredis 5', (url, options) => new Redis5(url, options)],
  ['iovalkey', (url, options) => new Iovalkey(url, options)],
]

/** What the store asks for. */
const asked = { maxRetriesPerRequest: 0 }

async function connected(make: Make, url: string, options: Options = {}): Promise<Client> {
  const client = make(url, { ...asked, ...options })
  client.on('error', () => {})
  await until('the client is ready', () => client.status === 'ready')
  return client
}

for (const [name, make] of CLIENTS) {
  remoteStoreConformance({
    name,
    endlessLives: true,
    create: async () => {
      const client = await connected(make, inject('redisUrl'))
      return {
        store: ioredis(client),
        writeWithoutExpiry: async (key, value) => {
          await client.call('set', key, Buffer.from(value))
        },
        endsOnClose: true,
        dispose: async () => client.disconnect(),
      }
    },
    describe,
    it,
  })
}

describe.each(CLIENTS)('%s on a server', (_, make) => {
  let server: Awaited<ReturnType<typeof startRedisServer>>
  const prefix = `ioredis:${randomUUID()}:`
  let client: Client
  let store: RemoteStore
  const others: Client[] = []

  async function another(options: Options): Promise<Client> {
    const other = await connected(make, server.url, options)
    others.push(other)
    return other
  }

  beforeAll(async () => {
    // Of its own: others flush the scripts of the shared one, and count what it ran.
    server = await startRedisServer()
    client = await connected(make, server.url)
    store = ioredis(client)
    store.open()
  })

  afterEach(() => {
    for (const other of others.splice(0)) other.disconnect()
  })

  afterAll(async () => {
    await store.close()
    client.disconnect()
    await server.stop()
  })

  it('reads and writes every byte', async () => {
    const key = `${prefix}bytes`
    const all = Uint8Array.from({ length: 256 }, (_, i) => i)
    expect(await store.set(key, all, { ttl })).toBe(true)
    const read = await store.get(key)
    expect(read?.bytes).toEqual(all)
    expect(read?.bytes.constructor).toBe(Uint8Array)
    expect(await store.compareAndSet(key, all, bytes('next'), ttl)).toBe(true)
  })

  it('writes what the bytes are at the call, of a part of a buffer', async () => {
    const key = `${prefix}view`
    const whole = bytes('abcdef')
    const writing = store.set(key, whole.subarray(2, 4), { ttl })
    whole.fill(0)
    await writing
    expect((await store.get(key))?.bytes).toEqual(bytes('cd'))
  })

  it('hands out bytes in memory of their own, not in what the socket received', async () => {
    const key = `${prefix}own`
    await store.set(key, bytes('a small value'), { ttl })
    const read = await store.get(key)
    expect(read?.bytes.buffer.byteLength).toBe(read?.bytes.byteLength)
  })

  it('reads a value without expiry with an infinite life', async () => {
    const key = `${prefix}forever`
    await client.call('set', key, 'x')
    expect(await store.get(key)).toEqual({ bytes: bytes('x'), ttlLeft: Number.POSITIVE_INFINITY })
  })

  it('reads a key that holds no string as absent, alone and among others', async () => {
    await client.call('hset', `${prefix}hash`, 'field', 'value')
    await store.set(`${prefix}string`, bytes('x'), { ttl })
    expect(await store.get(`${prefix}hash`)).toBeUndefined()
    const [hash, string] = await store.getMany([`${prefix}hash`, `${prefix}string`])
    expect([hash, string?.bytes]).toEqual([undefined, bytes('x')])
  })

  it('rejects with the error of the server as it is, and knows it for an answer', async () => {
    const key = `${prefix}set`
    await client.call('sadd', key, 'member')
    const error = await store.compareAndDelete(key, bytes('x')).catch((reason: unknown) => reason)
    expect(String(error)).toMatch(/^ReplyError: WRONGTYPE/)
    expect(store.isAnswer?.(error)).toBe(true)
    expect(store.isAnswer?.(new Error('Connection is closed.'))).toBe(false)
  })

  it('works on, once, when the server has forgotten the scripts', async () => {
    const key = `${prefix}scripts`
    await store.set(key, bytes('1'), { ttl })
    await client.call('script', 'flush')
    expect((await store.get(key))?.bytes).toEqual(bytes('1'))
    await client.call('script', 'flush')
    expect(await store.compareAndSet(key, bytes('1'), bytes('2'), ttl)).toBe(true)
    await client.call('script', 'flush')
    expect(await store.compareAndDelete(key, bytes('2'))).toBe(true)
    const evals = async () =>
      Number(
        /cmdstat_eval:calls=(\d+)/.exec(String(await client.call('info', 'commandstats')))?.[1],
      )
    const before = await evals()
    await store.get(key)
    await store.get(key)
    expect(await evals()).toBe(before + 1)
  })

  it('asks for more keys than a script takes in several scripts, in order', async () => {
    const keys = Array.from({ length: 2 * MOST_KEYS + 1 }, (_, i) => `${prefix}many${i}`)
    const marked = [0, MOST_KEYS - 1, MOST_KEYS, 2 * MOST_KEYS]
    for (const i of marked) await store.set(keys[i] ?? '', bytes(String(i)), { ttl })
    const found = (await store.getMany(keys)).flatMap((read, i) => (read === undefined ? [] : [i]))
    expect(found).toEqual(marked)
    expect(await store.delete(keys)).toBe(marked.length)
  })

  it('honours the key prefix of the client in every command and script', async () => {
    const inner = ioredis(await another({ keyPrefix: `${prefix}app:` }))
    const outer = async (key: string) => (await store.get(`${prefix}app:${key}`))?.bytes
    await client.call('script', 'flush')
    await inner.set('k', bytes('1'), { ttl })
    expect(await outer('k')).toEqual(bytes('1'))
    const reads = [await inner.get('k'), ...(await inner.getMany(['none', 'k']))]
    expect(reads.map((read) => read?.bytes)).toEqual([bytes('1'), undefined, bytes('1')])
    expect(await inner.compareAndSet('k', bytes('1'), bytes('2'), ttl)).toBe(true)
    expect(await outer('k')).toEqual(bytes('2'))
    expect(await inner.compareAndSet('l', undefined, bytes('3'), ttl)).toBe(true)
    expect(await outer('l')).toEqual(bytes('3'))
    expect(await inner.compareAndDelete('k', bytes('2'))).toBe(true)
    expect(await outer('k')).toBeUndefined()
    await inner.set('k', bytes('4'), { ttl })
    expect(await inner.delete(['k', 'l', 'm'])).toBe(2)
    expect([await outer('k'), await outer('l')]).toEqual([undefined, undefined])
  })

  it('understands a client that gives integers as strings', async () => {
    const inner = ioredis(await another({ stringNumbers: true }))
    const key = `${prefix}numbers`
    await inner.set(key, bytes('1'), { ttl })
    const read = await inner.get(key)
    expect(read?.bytes).toEqual(bytes('1'))
    expect(read?.ttlLeft).toBeGreaterThan(ttl / 2)
    expect(await inner.compareAndSet(key, bytes('1'), bytes('2'), ttl)).toBe(true)
    expect(await inner.compareAndDelete(key, bytes('1'))).toBe(false)
    expect(await inner.compareAndDelete(key, bytes('2'))).toBe(true)
    expect(await inner.delete([key])).toBe(0)
  })

  it('handles ten thousand operations at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10_000 }, (_, i) =>
        store.set(`${prefix}${i % 10}`, bytes('x'), { ttl }),
      ),
    )
    expect(answers.every((took) => took)).toBe(true)
    const reads = await Promise.all(
      Array.from({ length: 10_000 }, (_, i) => store.get(`${prefix}${i % 20}`)),
    )
    expect(reads.filter((read) => read !== undefined)).toHaveLength(5000)
  })
})

describe.each(CLIENTS)('%s, handed to ioredis()', (_, make) => {
  const own: Client[] = []

  function made(options: Options = {}): Client {
    const client = make(inject('redisUrl'), { ...asked, lazyConnect: true, ...options })
    own.push(client)
    return client
  }

  afterEach(() => {
    for (const client of own.splice(0)) client.disconnect()
  })

  it('has one error listener from the first open to the last close, and none of ours beyond', async () => {
    const client = made()
    client.on('error', () => {})
    const store = ioredis(client)
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

  it('still tells listeners that are added after ours, its only one, has gone', async () => {
    const server = await startRedisServer()
    const client = make(server.url, { ...asked, lazyConnect: true, retryStrategy: () => 20 })
    own.push(client)
    const store = ioredis(client)
    store.open()
    await client.connect()
    await store.close()
    expect(client.listenerCount('error')).toBe(0)
    const heard: unknown[] = []
    client.on('error', (error) => heard.push(error))
    await server.stop()
    await until('the client tells of the loss', () => heard.length > 0)
  })

  it('is not closed', async () => {
    const client = made()
    await client.connect()
    const store = ioredis(client)
    store.open()
    await store.close()
    expect(await client.call('ping')).toBe('PONG')
    await expect(store.ping()).rejects.toThrow('the store is closed')
    await expect(store.get('k')).rejects.toThrow('the store is closed')
  })

  it('is given nothing before it is ready, not even to keep', async () => {
    const client = made()
    const store = ioredis(client)
    const key = `ioredis:${randomUUID()}`
    const attempts = () => [
      store.get(key),
      store.getMany([key]),
      store.set(key, bytes('late'), { ttl }),
      store.compareAndSet(key, bytes('a'), bytes('b'), ttl),
      store.compareAndDelete(key, bytes('a')),
      store.delete([key]),
      store.ping(),
    ]
    for (const attempt of attempts()) {
      await expect(attempt).rejects.toThrow(
        'the Redis client is not ready, but waits for connect()',
      )
    }
    const connecting = client.connect()
    for (const attempt of attempts()) {
      await expect(attempt).rejects.toThrow('the Redis client is not ready, but connecting')
    }
    await connecting
    expect(await client.call('get', key)).toBeNull()
    await store.ping()
  })

  it.each([undefined, 20, 1, null])('is refused if maxRetriesPerRequest is %s', (retries) => {
    const client = make(inject('redisUrl'), {
      lazyConnect: true,
      ...(retries === undefined ? {} : { maxRetriesPerRequest: retries }),
    })
    own.push(client)
    expect(() => ioredis(client)).toThrow(RangeError)
    expect(() => ioredis(client)).toThrow(
      `maxRetriesPerRequest must be 0, but is ${retries === undefined ? 20 : retries}`,
    )
    expect(() => ioredis(client)).toThrow('client.duplicate({ maxRetriesPerRequest: 0 })')
  })
})

describe('ioredis()', () => {
  it.each([
    ['nothing', undefined],
    ['a URL', 'redis://127.0.0.1'],
    ['another client', { isReady: true, withCommandOptions: () => {} }],
  ])('refuses %s', (_, client) => {
    const attempt = () => Reflect.apply(ioredis, undefined, [client])
    expect(attempt).toThrow(TypeError)
    expect(attempt).toThrow(/new Redis\(\)/)
  })

  it('refuses a Cluster', () => {
    const cluster = new Cluster([], { lazyConnect: true })
    expect(() => Reflect.apply(ioredis, undefined, [cluster])).toThrow(/but is a Cluster/)
  })
})

describe.each(CLIENTS)('%s when the connection is lost', (_, make) => {
  const own: { stop(): Promise<void> }[] = []
  const clients: Client[] = []

  afterEach(async () => {
    for (const client of clients.splice(0)) client.disconnect()
    for (const server of own.splice(0)) await server.stop()
  })

  async function server(port?: number) {
    const started = await startRedisServer(port === undefined ? {} : { port })
    own.push(started)
    return started
  }

  async function client(url: string, options: Options): Promise<Client> {
    const made = await connected(make, url, options)
    clients.push(made)
    return made
  }

  it('rejects what is under way and works again after the reconnect', async () => {
    const first = await server()
    const lost = await client(first.url, { retryStrategy: () => 20 })
    const store = ioredis(lost)
    store.open()
    process.kill(first.pid, 'SIGSTOP')
    const reading = Promise.allSettled([store.get('k')])
    await first.stop()
    expect(await reading).toMatchObject([{ status: 'rejected' }])
    await expect(store.get('k')).rejects.toThrow('the Redis client is not ready')
    await server(first.port)
    await until('the client is ready again', () => lost.status === 'ready')
    expect(await store.set('k', bytes('x'), { ttl })).toBe(true)
    expect((await store.get('k'))?.bytes).toEqual(bytes('x'))
    expect(lost.listenerCount('error')).toBe(2)
    await store.close()
  })

  it.each([
    ['with its own defaults', {}],
    ['that pipelines by itself', { enableAutoPipelining: true }],
    ['that keeps no queue', { enableOfflineQueue: false }],
  ])('never sends a write later, a client %s', async (_, options) => {
    const first = await server()
    // It is told by hand when to connect again, so that nothing is dropped by a vain attempt.
    const lost = await client(first.url, { ...options, retryStrategy: () => 1_000_000 })
    const store = ioredis(lost)
    store.open()
    // A server that does not read: what its socket does not take piles up here.
    process.kill(first.pid, 'SIGSTOP')
    const large = new Uint8Array(2_000_000)
    const writes: Promise<'taken' | 'failed'>[] = []
    const write = (value: Uint8Array) => {
      const writing = store.set(`k${writes.length}`, value, { ttl })
      writes.push(
        writing.then(
          () => 'taken',
          () => 'failed',
        ),
      )
    }
    for (let i = 0; i < 600; i++) write(i < 10 ? large : bytes('late'))
    const gone = first.stop()
    // Also in the turns in which the client learns of the loss.
    while (lost.status === 'ready') {
      write(bytes('late'))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await gone
    await server(first.port)
    await lost.connect()
    await lost.call('ping')
    expect(await lost.call('dbsize')).toBe(0)
    expect(new Set(await Promise.all(writes))).toEqual(new Set(['failed']))
    expect(writes.length).toBeGreaterThan(600)
    await store.close()
  })
})
