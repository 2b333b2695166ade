import { randomUUID } from 'node:crypto'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { ioredis } from '../../src/ioredis/ioredis.ts'
import { nodeRedis } from '../../src/redis/node-redis-store.ts'
import type { RemoteLeases, RemoteStore } from '../../src/remote/remote-store.ts'
import { startRedis } from '../../src/testing/servers/redis.ts'
import { PACKAGES, whenReady } from '../support/ioredis-clients.ts'
import { until } from '../support/until.ts'
import { redisEar } from './redis-ear.ts'

const LIFE = 60_000
const ttl = 60_000

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

let server: Awaited<ReturnType<typeof startRedis>>

beforeAll(async () => {
  server = await startRedis()
})

afterAll(() => server.stop())

async function onNodeRedis(options: Parameters<typeof createClient>[0]) {
  const client = createClient({ url: server.url, ...options })
  client.on('error', () => {})
  await client.connect()
  const store = nodeRedis(client)
  store.open()
  onTestFinished(async () => {
    await store.close()
    client.destroy()
  })
  return store
}

function leasesOf(store: RemoteStore): RemoteLeases {
  if (store.leases === undefined) throw new Error('it has no leases')
  return store.leases
}

describe.each(PACKAGES)('$name and node-redis', (one) => {
  async function onIoredis(keyPrefix: string): Promise<RemoteStore> {
    const client = await whenReady(one.single({ maxRetriesPerRequest: 0, keyPrefix }, server.url))
    const store = ioredis(client)
    store.open()
    onTestFinished(async () => {
      await store.close()
      client.disconnect()
    })
    return store
  }

  it('with the same key prefix have the same lease of a key, under a name without the prefix', async () => {
    const prefix = `app:${randomUUID()}:`
    const theirs = leasesOf(await onNodeRedis({ keyPrefix: prefix }))
    const ours = leasesOf(await onIoredis(prefix))
    for (const key of ['k', '{tag}k', 'a}b', 'x{}{y}']) {
      expect(await theirs.read([key], 'a.1', LIFE)).toEqual([{ kind: 'granted' }])
      expect(await ours.read([key], 'b.1', LIFE)).toMatchObject([{ kind: 'held', by: 'a.1' }])
      expect(await theirs.release(key, 'a.1')).toBe(true)
      expect(await ours.take(key, 'b.1', LIFE)).toBeUndefined()
      expect(await theirs.take(key, 'a.1', LIFE)).toMatchObject({ by: 'b.1' })
    }
    expect(await server.ask('KEYS', `${prefix}*`)).toEqual([])
    expect(await server.ask('GET', `_#JL#{${prefix}k}`)).toBe('b.1*')
  })

  it('without a key prefix have the leases of the keys as they are sent', async () => {
    const prefix = `app:${randomUUID()}:`
    const prefixed = leasesOf(await onIoredis(prefix))
    const bare = leasesOf(await onNodeRedis({}))
    await prefixed.take('k', 'a.1', LIFE)
    expect(await bare.take(`${prefix}k`, 'b.1', LIFE)).toMatchObject({ by: 'a.1' })
    expect(await bare.take('k', 'b.1', LIFE)).toBeUndefined()
  })
})

it('A store names the client that it was made of', () => {
  const client = createClient({ url: server.url })
  expect(nodeRedis(client).origin).toBe(client)
  for (const one of PACKAGES) {
    const other = one.single({ maxRetriesPerRequest: 0, lazyConnect: true }, server.url)
    expect(ioredis(other).origin).toBe(other)
    other.disconnect()
  }
})

it('A store whose user has no right to the names of leases is told that', async () => {
  await server.ask('ACL', 'SETUSER', 'narrow', 'on', '>p', '~app:*', '+@all')
  const store = await onNodeRedis({ username: 'narrow', password: 'p' })
  const told: string[] = []
  const unwatch = store.watch?.({
    reachable: () => {},
    replaced: () => {},
    forbidden: (commands) => told.push(...commands),
  })
  await until('it is told', () => told.length > 0)
  unwatch?.()
  expect(told).toEqual(['keys that begin with _#JL#'])
  await expect(store.set('app:k', bytes('v'), { ttl })).rejects.toThrow(/NOPERM/)
})

describe('A script on a server', () => {
  it('has changed nothing where the memory is full, and the lease stays', async () => {
    const own = await startRedis()
    onTestFinished(() => own.stop())
    const store = await onNodeRedis({ url: own.url })
    const leases = leasesOf(store)
    await leases.take('k', 'a.1', LIFE)
    await own.ask('CONFIG', 'SET', 'maxmemory', '1')
    const fill = { expected: undefined, bytes: bytes('v'), ttl }
    const refused = { message: expect.stringContaining('OOM') }
    await expect(leases.fill('k', 'a.1', fill)).rejects.toMatchObject(refused)
    await expect(store.set('k', bytes('v'), { ttl })).rejects.toMatchObject(refused)
    await expect(leases.read(['l'], 'b.1', LIFE)).rejects.toMatchObject(refused)
    expect(await store.get('k')).toBeUndefined()
    expect(await leases.renew('k', 'a.1', LIFE)).toBe(true)
    expect(await leases.release('k', 'a.1')).toBe(true)
  })

  it('changes lives also where the memory is full', async () => {
    const own = await startRedis()
    onTestFinished(() => own.stop())
    const store = await onNodeRedis({ url: own.url })
    const leases = leasesOf(store)
    await store.set('k', bytes('v'), { ttl })
    await leases.take('k', 'a.1', LIFE)
    await own.ask('CONFIG', 'SET', 'maxmemory', '1')
    const renewal = { expected: bytes('v'), ttl: 2 * ttl }
    expect(await leases.touch?.('k', 'a.1', renewal)).toBe('took')
    expect(await own.ask('PTTL', 'k')).toBeGreaterThan(ttl)
    expect(await store.shorten?.('k', 1000)).toBe(true)
    expect(await own.ask('PTTL', 'k')).toBeLessThanOrEqual(1000)
  })

  it('changes what it is to change where this user may not publish', async () => {
    await server.ask('ACL', 'SETUSER', 'mute', 'on', '>p', '~*', '+@all', 'resetchannels')
    const store = await onNodeRedis({ username: 'mute', password: 'p' })
    const leases = leasesOf(store)
    const key = randomUUID()
    const announce = { channel: key, text: 'text' }
    const heard: string[] = []
    const ear = redisEar(server.url)
    onTestFinished(() => ear.end())
    await ear.listen(key, (text) => heard.push(text))
    await leases.take(key, 'a.1', LIFE)
    await leases.take(key, 'b.1', LIFE)
    const fill = { expected: undefined, bytes: bytes('v'), ttl, announce, wake: announce }
    expect(await leases.fill(key, 'a.1', fill)).toBe('took')
    expect(await store.compareAndDelete(key, bytes('v'), { announce })).toBe(true)
    expect(await store.set(key, bytes('w'), { ttl, announce })).toBe(true)
    await leases.take(key, 'a.1', LIFE)
    await leases.take(key, 'b.1', LIFE)
    const renewal = { expected: bytes('w'), ttl, announce, wake: announce }
    expect(await leases.touch?.(key, 'a.1', renewal)).toBe('took')
    expect(await store.shorten?.(key, ttl, { announce })).toBe(true)
    expect(await store.delete([key], { announce })).toBe(1)
    await server.ask('PUBLISH', key, 'the last')
    await until('the last is heard', () => heard.includes('the last'))
    expect(heard).toEqual(['the last'])
  })

  it('fills no key that holds something other than a string, and ends the lease', async () => {
    const store = await onNodeRedis({})
    const leases = leasesOf(store)
    const key = randomUUID()
    await server.ask('HSET', key, 'field', 'value')
    expect(await leases.read([key], 'a.1', LIFE)).toEqual([{ kind: 'granted' }])
    const fill = { expected: undefined, bytes: bytes('v'), ttl }
    expect(await leases.fill(key, 'a.1', fill)).toBe('refused')
    expect(await leases.renew(key, 'a.1', LIFE)).toBe(false)
  })

  it('touches no key that holds something other than a string, and ends the lease', async () => {
    const leases = leasesOf(await onNodeRedis({}))
    const key = randomUUID()
    await server.ask('HSET', key, 'field', 'value')
    await leases.take(key, 'a.1', LIFE)
    expect(await leases.touch?.(key, 'a.1', { expected: bytes(''), ttl })).toBe('refused')
    expect(await server.ask('PTTL', key)).toBe(-1)
    expect(await leases.renew(key, 'a.1', LIFE)).toBe(false)
  })

  it('deletes what is no string where it was to shorten its life', async () => {
    const store = await onNodeRedis({})
    const key = randomUUID()
    await leasesOf(store).take(key, 'a.1', LIFE)
    await server.ask('HSET', key, 'field', 'value')
    expect(await store.shorten?.(key, ttl)).toBe(true)
    expect(await server.ask('EXISTS', key)).toBe(0)
    expect(await leasesOf(store).renew(key, 'a.1', LIFE)).toBe(false)
  })

  it('deletes a value whose life it was to shorten where it may not look at it', async () => {
    await server.ask('ACL', 'SETUSER', 'blind', 'on', '>p', '~*', '+@all', '-getrange')
    const store = await onNodeRedis({ username: 'blind', password: 'p' })
    const key = randomUUID()
    await store.set(key, bytes('v'), { ttl })
    expect(await store.shorten?.(key, ttl)).toBe(true)
    expect(await server.ask('EXISTS', key)).toBe(0)
    expect(await store.shorten?.(key, ttl)).toBe(false)
  })

  it('tells those who track a key of a life shortened, also if it was to end sooner', async () => {
    const tracker = createClient({ url: server.url, RESP: 3 })
    tracker.on('error', () => {})
    await tracker.connect()
    onTestFinished(() => tracker.destroy())
    const store = await onNodeRedis({})
    const key = randomUUID()
    await store.set(key, bytes('v'), { ttl })
    for (const left of [ttl / 2, ttl, 2 * ttl]) {
      await tracker.watch(key)
      expect(await store.shorten?.(key, left)).toBe(true)
      // What ends a transaction is what is told to those who track the key.
      await expect(tracker.multi().ping().exec()).rejects.toThrow('watched keys')
    }
    expect(await server.ask('PTTL', key)).toBeLessThanOrEqual(ttl / 2)
  })

  it('publishes a set and a delete once, and after that changes nothing', async () => {
    const store = await onNodeRedis({})
    const key = randomUUID()
    const announce = { channel: key, text: 'text' }
    const calls = async () => {
      const stats = String(await server.ask('INFO', 'commandstats'))
      return Number(/cmdstat_publish:calls=(\d+)/.exec(stats)?.[1] ?? 0)
    }
    const before = await calls()
    await store.set(key, bytes('v'), { ttl })
    await store.delete([key])
    expect(await calls()).toBe(before)
    await store.set(key, bytes('v'), { ttl, announce })
    await store.delete([key], { announce })
    expect(await calls()).toBe(before + 2)
  })
})
