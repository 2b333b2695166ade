import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { ioredis } from '../../src/ioredis/ioredis.ts'
import { MOST_KEYS } from '../../src/redis-common/scripts.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { remoteStoreConformance } from '../../src/testing/remote-conformance.ts'
import { startRedis } from '../../src/testing/servers/redis.ts'
import { tcpFaultProxy } from '../../src/testing/tcp-fault-proxy.ts'
import {
  answers,
  type Client,
  type ClusterSettings,
  type Options,
  PACKAGES,
  whenReady,
} from '../support/ioredis-clients.ts'
import { until } from '../support/until.ts'
import { redisEar } from './redis-ear.ts'

const ttl = 60_000

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

type Make = (url: string, options: Options) => Client

const CLIENTS: readonly (readonly [name: string, make: Make])[] = PACKAGES.map((one) => [
  one.name,
  (url, options) => one.single(options, url),
])

/** What the store asks for. */
const asked = { maxRetriesPerRequest: 0 }

function connected(make: Make, url: string, options: Options = {}): Promise<Client> {
  return whenReady(make(url, { ...asked, ...options }))
}

for (const [name, make] of CLIENTS) {
  remoteStoreConformance({
    name,
    endlessLives: true,
    leases: true,
    announcements: true,
    shortens: true,
    touches: true,
    create: async () => {
      const client = await connected(make, inject('redisUrl'))
      const ear = redisEar(inject('redisUrl'))
      return {
        store: ioredis(client),
        writeWithoutExpiry: async (key, value) => {
          await client.call('set', key, Buffer.from(value))
        },
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

describe.each(CLIENTS)('%s on a server', (_, make) => {
  let server: Awaited<ReturnType<typeof startRedis>>
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
    server = await startRedis()
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
    expect(store.judge?.(error)).toBe('refused')
    expect(store.judge?.(new Error('Connection is closed.'))).toBeUndefined()
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

  it('has our listeners from the first open to the last close, and none beyond', async () => {
    const client = made()
    client.on('error', () => {})
    const store = ioredis(client)
    const count = () => ['error', 'ready', 'close'].map((event) => client.listenerCount(event))
    expect(count()).toEqual([1, 0, 0])
    store.open()
    store.open()
    expect(count()).toEqual([2, 1, 1])
    await store.close()
    expect(count()).toEqual([2, 1, 1])
    await store.close()
    await store.close()
    expect(count()).toEqual([1, 0, 0])
    for (let times = 0; times < 100; times++) {
      store.open()
      await store.close()
    }
    expect(count()).toEqual([1, 0, 0])
  })

  it('still tells listeners that are added after ours, its only one, has gone', async () => {
    const server = await startRedis()
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
      store.shorten?.(key, ttl),
      store.delete([key]),
      store.ping(),
    ]
    const verdicts = async () => {
      const answers = await Promise.allSettled(attempts())
      return answers.map((answer) => answer.status === 'rejected' && store.judge?.(answer.reason))
    }
    const none = new Array(8).fill('not sent')
    store.open()
    expect(await verdicts()).toEqual(none)
    await expect(store.get(key)).rejects.toThrow('waits for connect()')
    const connecting = client.connect()
    expect(await verdicts()).toEqual(none)
    await connecting
    await store.ping()
    expect(await client.call('get', key)).toBeNull()
    await store.close()
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

describe.each(PACKAGES)('$name, made with options that break a promise', (one) => {
  const own: { disconnect(): void }[] = []

  afterEach(() => {
    for (const client of own.splice(0)) client.disconnect()
  })

  const single = (options: Options) => {
    const client = one.single({ ...asked, ...options, lazyConnect: true })
    own.push(client)
    return client
  }
  const cluster = (options: ClusterSettings) => {
    const client = one.cluster([{ host: '127.0.0.1', port: 1 }], { ...options, lazyConnect: true })
    own.push(client)
    return client
  }
  const sentinels = [{ host: '127.0.0.1', port: 1 }]

  it.each<[string, Options, RegExp]>([
    ['a replica by READONLY', { readOnly: true }, /connected to a replica.*readOnly: true/],
    ['a replica of sentinels', { sentinels, name: 'm', role: 'slave' }, /replica.*role: 'slave'/],
    [
      'sentinels it does not listen to',
      { sentinels, name: 'm' },
      /must have failoverDetector: true/,
    ],
  ])('is refused: %s', (_, options, problem) => {
    expect(() => ioredis(single(options))).toThrow(problem)
    expect(() => ioredis(single(options))).toThrow(TypeError)
  })

  it.each<[string, ClusterSettings, RegExp]>([
    [
      'a Cluster whose nodes send again',
      { clusterNodeRetryStrategy: () => 10 },
      /redisOptions.maxRetriesPerRequest must be 0, but is undefined/,
    ],
    [
      'a Cluster that does not learn its slots',
      { redisOptions: { stringNumbers: true } },
      /must not have redisOptions.stringNumbers/,
    ],
  ])('is refused: %s', (_, options, problem) => {
    expect(() => ioredis(cluster(options))).toThrow(problem)
  })

  it('is refused: a key prefix that is no text, which no lease could be named after', () => {
    const keyPrefix = Buffer.of(0xff)
    for (const client of [single({}), cluster({})]) {
      Object.assign(client.options, { keyPrefix })
      expect(() => ioredis(client)).toThrow(TypeError)
      expect(() => ioredis(client)).toThrow(/keyPrefix must be a string/)
    }
  })

  it('is taken without them', () => {
    expect(() => ioredis(single({ sentinels, name: 'm', failoverDetector: true }))).not.toThrow()
    const redisOptions = { maxRetriesPerRequest: 0 }
    expect(() =>
      ioredis(cluster({ clusterNodeRetryStrategy: () => 10, redisOptions })),
    ).not.toThrow()
    expect(() => ioredis(cluster({}))).not.toThrow()
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
})

describe.each(CLIENTS)('%s when the connection is lost', (_, make) => {
  const own: { stop(): Promise<void> }[] = []
  const clients: Client[] = []

  afterEach(async () => {
    for (const client of clients.splice(0)) client.disconnect()
    for (const server of own.splice(0)) await server.stop()
  })

  async function server(port?: number) {
    const started = await startRedis(port === undefined ? {} : { port })
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
    let reached = 0
    store.watch?.({ reachable: () => reached++, replaced: () => {}, forbidden: () => {} })
    store.open()
    await until('the server has been greeted', () => reached === 1)
    const before = store.connection?.()
    first.freeze()
    const reading = Promise.allSettled([store.get('k')])
    await first.stop()
    expect(await reading).toMatchObject([{ status: 'rejected' }])
    const refused = await store.get('k').catch((error: unknown) => store.judge?.(error))
    expect(refused).toBe('not sent')
    await server(first.port)
    await until('the store tells that it can be reached', () => reached === 2)
    expect(store.connection?.()).not.toBe(before)
    expect(await store.set('k', bytes('x'), { ttl })).toBe(true)
    expect((await store.get('k'))?.bytes).toEqual(bytes('x'))
    expect(lost.listenerCount('error')).toBe(2)
    await store.close()
  })

  it.each([
    ['with its own defaults', {}],
    ['that pipelines by itself', { enableAutoPipelining: true }],
  ])('never sends what it was handed in the turn of the loss, a client %s', async (_, options) => {
    const first = await server()
    // It is told by hand when to connect again, so that nothing is dropped by a vain attempt.
    const lost = await client(first.url, { ...options, retryStrategy: () => 1_000_000 })
    const store = ioredis(lost)
    store.open()
    await store.ping()
    first.freeze()
    const writing = Promise.allSettled([store.set('k', bytes('late'), { ttl })])
    await new Promise((resolve) => setImmediate(resolve))
    const next = Promise.allSettled([store.set('l', bytes('late'), { ttl })])
    lost.stream.destroy()
    const ending = store.set('k', bytes('late'), { ttl })
    expect(await ending.catch((error: unknown) => store.judge?.(error))).toBe('not sent')
    await first.stop()
    await server(first.port)
    await lost.connect()
    await until('the store answers again', () => answers(store))
    expect(await store.getMany(['k', 'l'])).toEqual([undefined, undefined])
    expect([...(await writing), ...(await next)].map(({ status }) => status)).toEqual([
      'rejected',
      'rejected',
    ])
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

  it('takes back all that waits for room, when the store is told to', async () => {
    const stopped = await server()
    const store = ioredis(await client(stopped.url, {}))
    store.open()
    await store.ping()
    stopped.freeze()
    const large = new Uint8Array(1_000_000)
    const filling: Promise<unknown>[] = []
    for (let i = 0; i < 20; i++) filling.push(store.set('large', large, { ttl }))
    const late = [store.set('late', bytes('late'), { ttl }), store.delete(['large'])]
    const verdicts = late.map((writing) => writing.catch((error: unknown) => store.judge?.(error)))
    store.withdraw?.()
    expect(await Promise.all(verdicts)).toEqual(['not sent', 'not sent'])
    stopped.resume()
    await Promise.allSettled(filling)
    const reads = await store.getMany(['late', 'large'])
    expect(reads.map((read) => read?.bytes.length)).toEqual([undefined, large.length])
    await store.close()
  })

  it('takes back what the socket had no room for, and sends the rest in order', async () => {
    const stopped = await server()
    const store = ioredis(await client(stopped.url, {}))
    store.open()
    await store.ping()
    stopped.freeze()
    const large = new Uint8Array(1_000_000)
    const filling: Promise<unknown>[] = []
    for (let i = 0; i < 20; i++) filling.push(store.set('large', large, { ttl }))
    const withdrawal = new AbortController()
    const { signal } = withdrawal
    const given = bytes('kept')
    const kept = [1, 2].map((i) => store.set('kept', Uint8Array.of(i), { ttl }))
    const copied = store.set('copied', given, { ttl })
    given.fill(0)
    const late = [
      store.set('late', bytes('late'), { ttl, signal }),
      store.compareAndSet('late', undefined, bytes('late'), ttl, signal),
      store.compareAndSet('large', large, bytes('late'), ttl, signal),
      store.delete(['kept', 'copied'], { signal }),
    ].map((writing) => writing.catch((error: unknown) => store.judge?.(error)))
    withdrawal.abort()
    expect(await Promise.all(late)).toEqual(late.map(() => 'not sent'))
    stopped.resume()
    const over = store
      .set('late', bytes('late'), { ttl, signal })
      .catch((error) => store.judge?.(error))
    expect(await over).toBe('not sent')
    await Promise.all([...filling, ...kept, copied])
    const reads = await store.getMany(['kept', 'copied', 'late', 'large'])
    const small = reads.slice(0, 3).map((read) => read?.bytes)
    expect(small).toEqual([Uint8Array.of(2), bytes('kept'), undefined])
    expect(reads[3]?.bytes).toHaveLength(large.length)
    await store.close()
  })

  it.each<[string, Options]>([
    ['with its own defaults', {}],
    ['that pipelines by itself', { enableAutoPipelining: true }],
  ])('sends no write again, a client %s', async (_, options) => {
    const running = await server()
    const proxy = await tcpFaultProxy({ target: { port: running.port } })
    own.push({ stop: () => proxy.close() })
    const url = `redis://127.0.0.1:${proxy.port}`
    const lost = await client(url, { ...options, retryStrategy: () => 10 })
    const store = ioredis(lost)
    store.open()
    await store.ping()
    // Nothing comes back, so that each write is under way when the connection ends.
    proxy.hold('toClient')
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`)
    const writes = Promise.allSettled(keys.map((key) => store.set(key, bytes('x'), { ttl })))
    const sets = async () => setsOf(await running.ask('INFO', 'commandstats'))
    await until('the server has them all', async () => (await sets()) === keys.length)
    proxy.cut()
    expect((await writes).every(({ status }) => status === 'rejected')).toBe(true)
    await proxy.heal()
    await until('the store answers again', () => answers(store))
    // What the client had kept would have gone out before this.
    await store.get('k0')
    expect(await sets()).toBe(keys.length)
    await store.close()
  })

  it('sends nothing again that the server refused, though the client connects anew for it', async () => {
    const running = await server()
    const reconnectOnError = (error: Error) => error.message.includes('OOM') && 2
    const lost = await client(running.url, { reconnectOnError, retryStrategy: () => 10 })
    const store = ioredis(lost)
    store.open()
    await store.ping()
    const { stream } = lost
    await running.ask('CONFIG', 'SET', 'maxmemory', '1')
    await expect(store.set('k', bytes('x'), { ttl })).rejects.toThrow()
    await running.ask('CONFIG', 'SET', 'maxmemory', '0')
    await until('another connection answers', () => lost.stream !== stream && answers(store))
    expect(await store.get('k')).toBeUndefined()
    await store.close()
  })

  it('has as many listeners after 100 reconnects as before', async () => {
    const running = await server()
    const lost = await client(running.url, { retryStrategy: () => 0 })
    const store = ioredis(lost)
    store.open()
    await store.ping()
    const events = ['error', 'ready', 'connect', 'close', 'end', 'reconnecting']
    const count = () => events.map((event) => lost.listenerCount(event))
    const before = count()
    for (let times = 0; times < 100; times++) {
      const { stream } = lost
      await running.ask('CLIENT', 'KILL', 'TYPE', 'normal')
      await until(
        'another connection is ready',
        () => lost.stream !== stream && lost.status === 'ready',
      )
    }
    await until('the store answers', () => answers(store))
    expect(count()).toEqual(before)
    await store.close()
  })
})

function setsOf(stats: unknown): number {
  return Number(/cmdstat_set:calls=(\d+)/.exec(String(stats))?.[1] ?? 0)
}
