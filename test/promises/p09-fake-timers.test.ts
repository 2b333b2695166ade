import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'redis'
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import { lmdb } from '../../src/lmdb/lmdb-store.ts'
import { tinyLfu } from '../../src/local/tiny-lfu/tiny-lfu.ts'
import { CacheLoadTimeoutError } from '../../src/model/errors.ts'
import { nodeRedis } from '../../src/redis/node-redis-store.ts'
import { faultyRemote } from '../../src/testing/faulty-remote.ts'
import { memoryRemote } from '../../src/testing/memory-remote.ts'

/*
 * A user's tests install fake timers after the import of the cache, and move them by hand or not at
 * all. Here they are never moved: whatever needs them stands still.
 */

const realNow = performance.now.bind(performance)

/** All that vitest can fake in a worker process: it refuses `nextTick` there. */
function freeze(): void {
  vi.useFakeTimers({
    now: 0,
    toFake: [
      'setTimeout',
      'clearTimeout',
      'setInterval',
      'clearInterval',
      'setImmediate',
      'clearImmediate',
      'queueMicrotask',
      'Date',
      'performance',
      'hrtime',
    ],
  })
}

afterEach(() => {
  vi.useRealTimers()
})

/** A cache is used as in any test: everything once, and nothing hangs. */
async function works(cache: Cache, key: string): Promise<void> {
  expect(await cache.once(key, async () => ({ n: 1 }))).toEqual({ n: 1 })
  expect(await cache.once(key, async () => ({ n: 2 }))).toEqual({ n: 1 })
  expect(await cache.get(key)).toEqual({ n: 1 })
  expect(await cache.set(key, { n: 3 })).toBe(true)
  expect(await cache.get(key)).toEqual({ n: 3 })
  expect(await cache.delete(key)).toBe(true)
  expect(await cache.get(key)).toBeUndefined()
}

describe('Under fake timers that nobody moves', () => {
  it('a cache with a local tier works', async () => {
    const cache = createCache({ local: tinyLfu({ maxEntries: 10 }) })
    freeze()
    await works(cache, 'k')
    await cache.close()
  })

  it('a cache that is made under them works', async () => {
    freeze()
    const cache = createCache({ local: tinyLfu({ maxEntries: 10 }), remote: memoryRemote() })
    await works(cache, 'k')
    await cache.close()
  })

  it('a deadline of ours passes: the remote’s', async () => {
    const store = faultyRemote(memoryRemote(), { script: () => 'hang' })
    const cache = createCache({ remote: store, remoteTimeout: 30 })
    freeze()
    const startedAt = realNow()
    expect(await cache.once('k', async () => 'loaded')).toBe('loaded')
    expect(realNow() - startedAt).toBeGreaterThan(25)
  })

  it('a deadline of ours passes: the loader’s', async () => {
    const cache = createCache({ local: tinyLfu({ maxEntries: 10 }), loadTimeout: 30 })
    freeze()
    const call = cache.once('k', () => new Promise<string>(() => {}))
    await expect(call).rejects.toBeInstanceOf(CacheLoadTimeoutError)
  })

  it('an entry expires by the clock of the machine', async () => {
    const cache = createCache({ local: tinyLfu({ maxEntries: 10 }), ttl: 20, jitterRatio: 0 })
    freeze()
    await cache.set('k', 'short-lived')
    expect(await cache.get('k')).toBe('short-lived')
    const endsAt = realNow() + 10_000
    while ((await cache.get('k')) !== undefined && realNow() < endsAt);
    expect(await cache.get('k')).toBeUndefined()
  })

  it('moving the fake Date far ahead expires nothing', async () => {
    const cache = createCache({ local: tinyLfu({ maxEntries: 10 }), ttl: '1h' })
    await cache.set('k', 'kept')
    freeze()
    vi.setSystemTime(Date.UTC(2100, 0, 1))
    await vi.advanceTimersByTimeAsync(86_400_000)
    expect(await cache.get('k')).toBe('kept')
  })
})

describe('Under fake timers, LMDB', () => {
  let path: string
  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), 'jetcache-'))
  })
  afterEach(() => rm(path, { recursive: true, force: true }))

  it('reads and writes work, and another cache’s write is seen', async () => {
    const remote = lmdb({ path })
    const [one, two] = [createCache({ remote }), createCache({ remote })]
    freeze()
    await works(one, 'k')
    await one.set('k', 'by one')
    expect(await two.get('k')).toBe('by one')
    vi.useRealTimers()
    await Promise.all([one.close(), two.close()])
  })
})

describe('Under fake timers, Redis', () => {
  it('node-redis stands still while setImmediate is faked; once is answered by its load in remoteTimeout', async () => {
    const client = createClient({ url: inject('redisUrl') })
    client.on('error', () => undefined)
    await client.connect()
    const cache = createCache({
      local: tinyLfu({ maxEntries: 10 }),
      remote: nodeRedis(client),
      remoteTimeout: 300,
    })
    const key = `fake timers:${process.pid}:${realNow()}`
    await cache.set(key, 'in Redis')
    cache.clearLocal()
    freeze()
    const startedAt = realNow()
    expect(await cache.once(key, async () => 'loaded')).toBe('loaded')
    expect(realNow() - startedAt).toBeGreaterThanOrEqual(290)
    expect(cache.stats().remoteErrors).toBe(1)
    expect(await cache.get(key)).toBe('loaded')
    // It waits for the fake setImmediate that it has asked for, for ever if that is never run.
    vi.advanceTimersByTime(1)
    vi.useRealTimers()
    cache.clearLocal()
    expect(await cache.get(key)).toBe('in Redis')
    await cache.close()
    client.destroy()
  })

  it('it works while setImmediate is left alone', async () => {
    const client = createClient({ url: inject('redisUrl') })
    client.on('error', () => undefined)
    await client.connect()
    const cache = createCache({ remote: nodeRedis(client), remoteTimeout: '5s' })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'Date'] })
    await works(cache, `fake timers but setImmediate:${process.pid}:${realNow()}`)
    vi.useRealTimers()
    await cache.close()
    client.destroy()
  })
})
