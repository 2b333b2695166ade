import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MOST_KEYS } from '../../src/redis-common/scripts.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { remoteStoreConformance } from '../../src/testing/remote-conformance.ts'
import { until } from '../support/until.ts'
import { callsOf, KINDS, type Subject, type World } from './node-redis-kinds.ts'
import { redisEar } from './redis-ear.ts'

const ttl = 60_000

const yes = () => true
const no = () => false

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Resolves when the store takes writes on each of its connections, however few. */
async function untilWritable(store: RemoteStore): Promise<void> {
  for (let times = 0; times < 6; times++) {
    await until('the store takes writes', async () => {
      await store.ping().catch(() => {})
      return store.set(randomUUID(), bytes('x'), { ttl }).catch(() => false)
    })
  }
}

describe.each(KINDS)('node-redis $name', (kind) => {
  let world: World
  let shared: Subject

  beforeAll(async () => {
    world = await kind.start()
    shared = world.client()
    await shared.connect()
  })

  afterAll(async () => {
    await shared.destroy()
    await world.stop()
  })

  async function opened(options = {}): Promise<Subject> {
    const subject = world.client(options)
    await subject.connect()
    subject.store.open()
    await untilWritable(subject.store)
    return subject
  }

  async function ended(subject: Subject): Promise<void> {
    await subject.store.close()
    await subject.destroy()
  }

  remoteStoreConformance({
    name: `node-redis ${kind.name}`,
    endlessLives: true,
    leases: true,
    announcements: true,
    shortens: true,
    touches: true,
    create: async () => {
      const ear = redisEar(world.masters[0]?.url ?? '')
      return {
        store: shared.newStore(),
        writeWithoutExpiry: async (key, value) => void (await shared.set(key, Buffer.from(value))),
        listen: ear.listen,
        endsOnClose: true,
        dispose: async () => ear.end(),
      }
    },
    describe,
    it,
  })

  it.each([2, 3] as const)('reads and writes every byte over RESP%i', async (RESP) => {
    const subject = await opened({ RESP })
    const { store } = subject
    const key = `bytes${RESP}`
    const all = Uint8Array.from({ length: 256 }, (_, i) => i)
    await store.set(key, all, { ttl })
    expect((await store.get(key))?.bytes).toEqual(all)
    expect(await store.compareAndSet(key, all, bytes('next'), ttl)).toBe(true)
    await ended(subject)
  })

  it.each([
    ['text', 'app:{x'],
    ['bytes of UTF-8', Buffer.from('é:')],
  ])('honours a key prefix that is %s, in commands and scripts', async (_, keyPrefix) => {
    const subject = await opened({ keyPrefix })
    const { store } = subject
    // One slot without the prefix; with it, many.
    const keys = Array.from({ length: 50 }, (_, i) => `${i}}{tag}`)
    for (const key of keys) await store.set(key, bytes(key), { ttl })
    const reads = await store.getMany(keys)
    expect(reads.map((read) => read?.bytes)).toEqual(keys.map(bytes))
    expect(await subject.get('7}{tag}')).toBe('7}{tag}')
    expect(await shared.get(`${keyPrefix}7}{tag}`)).toBe('7}{tag}')
    expect(await store.compareAndDelete('7}{tag}', bytes('7}{tag}'))).toBe(true)
    expect(await store.delete(keys)).toBe(49)
    await ended(subject)
  })

  it('reads and deletes more keys than a script takes, over many slots, in order', async () => {
    const subject = await opened()
    const { store } = subject
    const keys = Array.from({ length: 2 * MOST_KEYS + 1 }, (_, i) => `many${i}`)
    const marked = keys.filter((_, i) => i % 50 === 0)
    await Promise.all(marked.map((key) => store.set(key, bytes(key), { ttl })))
    const reads = await store.getMany(keys)
    expect(reads.flatMap((read) => (read === undefined ? [] : [read.bytes]))).toEqual(
      marked.map(bytes),
    )
    expect(await store.delete(keys)).toBe(marked.length)
    await ended(subject)
  })

  it('rejects at once while it is not connected, and sends nothing of it later', async () => {
    const subject = await opened()
    const { store } = subject
    for (const proxy of world.proxies) {
      proxy.refuse()
      proxy.cut()
    }
    await until('each loss is known', () =>
      store.ping().then(no, ({ message }) => message === 'the Redis client is not connected'),
    )
    const before = await callsOf(world.masters, 'set')
    const attempts: PromiseSettledResult<unknown>[] = []
    void Promise.allSettled([
      store.set('late', bytes('late'), { ttl }),
      store.compareAndSet('late', undefined, bytes('late'), ttl),
      store.compareAndSet('late', bytes('a'), bytes('b'), ttl),
      store.compareAndDelete('late', bytes('a')),
      store.delete(['late']),
      store.get('late'),
      store.ping(),
      store.leases?.read(['late'], 'a.1', ttl),
      store.leases?.take('late', 'a.1', ttl),
      store.leases?.renew('late', 'a.1', ttl),
      store.leases?.release('late', 'a.1'),
      store.leases?.fill('late', 'a.1', { expected: undefined, bytes: bytes('late'), ttl }),
    ]).then((settled) => attempts.push(...settled))
    for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve))
    expect(attempts).toHaveLength(12)
    for (const attempt of attempts) {
      expect(attempt.status === 'rejected' && store.judge?.(attempt.reason)).toBe('not sent')
    }
    let reachable = false
    store.watch?.({
      reachable: () => {
        reachable = true
      },
      replaced: () => {},
      forbidden: () => {},
    })
    for (const proxy of world.proxies) await proxy.heal()
    await until('it tells that it is connected again', () => reachable)
    // Of a cluster one master may be there before another.
    const asks = () => store.get('late').then(Boolean, () => undefined)
    await until('the master of the key is there', async () => (await asks()) !== undefined)
    expect(await store.get('late')).toBeUndefined()
    expect(await callsOf(world.masters, 'set')).toBe(before)
    await ended(subject)
  })

  it('takes nothing before it is connected, and works from then on', async () => {
    const subject = world.client()
    const { store } = subject
    store.open()
    const attempt = store.set('early', bytes('early'), { ttl })
    await expect(attempt.catch((error) => store.judge?.(error))).resolves.toBe('not sent')
    await expect(store.ping()).rejects.toThrow()
    await subject.connect()
    await until('it has joined', () => store.ping().then(yes, no))
    expect(await store.get('early')).toBeUndefined()
    await ended(subject)
  })

  it('withdraws a write by its signal as long as it has not been sent', async () => {
    const subject = await opened()
    const { store } = subject
    for (const master of world.masters) master.freeze()
    // More than sockets take; what follows is left in this process.
    const large = new Uint8Array(8_000_000)
    const writes = [1, 2, 3].map((i) => store.set(`{tag}large${i}`, large, { ttl }))
    const filling = Promise.allSettled(writes)
    await new Promise((resolve) => setImmediate(resolve))
    const withdrawal = new AbortController()
    const { signal } = withdrawal
    const attempts = [
      store.set('{tag}small', bytes('late'), { ttl, signal }),
      store.compareAndSet('{tag}small', undefined, bytes('late'), ttl, signal),
      store.compareAndSet('{tag}small', bytes('a'), bytes('late'), ttl, signal),
      store.delete(['{tag}large1'], { signal }),
      store.compareAndDelete('{tag}large1', large, { signal }),
      store.shorten?.('{tag}large1', 1, { signal }),
      store.leases?.touch?.('{tag}large1', 'a.1', { expected: large, ttl: 1, signal }),
      store.leases?.fill('{tag}small', 'a.1', {
        expected: undefined,
        bytes: bytes('late'),
        ttl,
        signal,
      }),
    ]
    const settled = Promise.allSettled(attempts)
    withdrawal.abort()
    for (const attempt of await settled) {
      expect(attempt.status === 'rejected' && store.judge?.(attempt.reason)).toBe('not sent')
    }
    for (const master of world.masters) master.resume()
    await filling
    expect(await store.get('{tag}small')).toBeUndefined()
    expect(await store.delete(['{tag}large1', '{tag}large2', '{tag}large3'])).toBe(3)
    await ended(subject)
  })

  it.each([
    ['reached', 'toClient', 1],
    ['did not reach', 'toServer', 0],
  ] as const)(
    'never sends a write again that %s the server before its connection was lost',
    async (_, direction, times) => {
      const subject = await opened()
      const { store } = subject
      const before = await callsOf(world.masters, 'set')
      const connection = store.connection?.()
      for (const proxy of world.proxies) proxy.hold(direction)
      const writing = Promise.allSettled([store.set('once', bytes('x'), { ttl })])
      await until('the write has left', async () =>
        direction === 'toServer' ? true : (await callsOf(world.masters, 'set')) > before,
      )
      for (const proxy of world.proxies) proxy.cut()
      const [written] = await writing
      expect(written?.status).toBe('rejected')
      for (const proxy of world.proxies) proxy.release(direction)
      await until('it is connected again', () => store.ping().then(yes, no))
      expect(await callsOf(world.masters, 'set')).toBe(before + times)
      // Where there is one connection, another has followed it.
      expect(store.connection?.() === connection).toBe(connection === undefined)
      await ended(subject)
    },
  )

  it('has the listeners it had before after 100 reconnects and a close', async () => {
    const subject = world.client()
    await subject.connect()
    const { store } = subject
    const before = subject.listeners()
    store.open()
    await untilWritable(store)
    const open = subject.listeners()
    expect(open).toBeGreaterThan(before)
    const counted = (what: 'connections' | 'open') =>
      world.proxies.reduce((sum, proxy) => sum + proxy.counts()[what], 0)
    for (let times = 0; times < 100; times++) {
      const enough = counted('connections') + counted('open')
      for (const proxy of world.proxies) proxy.cut()
      await until('each is connected again', () => counted('connections') >= enough)
    }
    await untilWritable(store)
    expect(subject.listeners()).toBe(open)
    await store.close()
    expect(subject.listeners()).toBe(before)
    await subject.destroy()
  }, 60_000)

  it('is told of a server that began anew before anything goes to it', async () => {
    const subject = await opened()
    const { store } = subject
    const told: string[] = []
    store.watch?.({
      reachable: () => {},
      replaced: () => told.push('replaced'),
      forbidden: () => {},
    })
    await store.set('kept', bytes('x'), { ttl })
    for (const master of world.masters) await master.restart()
    await until('a read is answered', async () => {
      const read = store.get('kept').then(yes, no)
      if (!(await read)) return false
      told.push('answered')
      return true
    })
    expect(told[0]).toBe('replaced')
    await ended(subject)
  })
})
