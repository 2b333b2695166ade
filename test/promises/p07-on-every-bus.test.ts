import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { broadcastChannel } from '../../src/broadcast-channel/broadcast-channel.ts'
import { customBus } from '../../src/bus/custom-bus.ts'
import type { InvalidationBus } from '../../src/bus/invalidation-bus.ts'
import { type Cache, createCache } from '../../src/cache.ts'
import * as overIoredis from '../../src/ioredis/index.ts'
import { lmdb, lmdbBus } from '../../src/lmdb/index.ts'
import { tinyLfu } from '../../src/local/tiny-lfu/tiny-lfu.ts'
import * as overNodeRedis from '../../src/redis/index.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { memoryBus } from '../../src/testing/memory-bus.ts'
import { memoryRemote } from '../../src/testing/memory-remote.ts'
import { HeldLoader, reactions } from '../support/held-loader.ts'
import { until } from '../support/until.ts'

/** What one process has of its own. */
interface Parts {
  readonly remote: RemoteStore | undefined
  readonly bus: InvalidationBus
}

interface World {
  process(): Promise<Parts>
  end(): Promise<void>
}

type Buses = { redisPubSub: 'messages'; redisTracking: 'notices' }

function onNodeRedis(bus: keyof Buses): () => Promise<World> {
  return async () => {
    const clients: { destroy(): void }[] = []
    return {
      process: async () => {
        const client = createClient({ url: inject('redisUrl') })
        client.on('error', () => undefined)
        await client.connect()
        clients.push(client)
        const made =
          bus === 'redisPubSub'
            ? overNodeRedis.redisPubSub(client)
            : overNodeRedis.redisTracking(client, { prefixes: ['bus:'] })
        return { remote: overNodeRedis.nodeRedis(client), bus: made }
      },
      end: async () => {
        for (const client of clients) client.destroy()
      },
    }
  }
}

function onIoredis(bus: keyof Buses): () => Promise<World> {
  return async () => {
    const clients: Redis[] = []
    return {
      process: async () => {
        const client = new Redis(inject('redisUrl'), { maxRetriesPerRequest: 0 })
        await once(client, 'ready')
        clients.push(client)
        const made =
          bus === 'redisPubSub'
            ? overIoredis.redisPubSub(client)
            : overIoredis.redisTracking(client, { prefixes: ['bus:'] })
        return { remote: overIoredis.ioredis(client), bus: made }
      },
      end: async () => {
        for (const client of clients) client.disconnect()
      },
    }
  }
}

async function onLmdb(): Promise<World> {
  const path = await mkdtemp(join(tmpdir(), 'jetcache-'))
  return {
    process: async () => ({ remote: lmdb({ path }), bus: lmdbBus({ path }) }),
    end: () => rm(path, { recursive: true, force: true }),
  }
}

/** One remote for all, and a bus that knows nothing of it. */
function beside(make: () => InvalidationBus): () => Promise<World> {
  return async () => {
    const remote = memoryRemote()
    return { process: async () => ({ remote, bus: make() }), end: async () => undefined }
  }
}

async function riding(): Promise<World> {
  const bus = memoryBus()
  const remote = memoryRemote({ announce: bus.announce, origin: bus.origin })
  return { process: async () => ({ remote, bus }), end: async () => undefined }
}

/** As over any transport of a user's own: here, a list of those who listen. */
function custom(): () => InvalidationBus {
  const all: { apply(text: string): void }[] = []
  return () => {
    const bus = customBus({
      onEvent: (text) => {
        for (const each of all) each.apply(text)
      },
    })
    all.push(bus)
    return bus
  }
}

const shared = memoryBus()

const BUSES: readonly (readonly [string, () => Promise<World>])[] = [
  ['memoryBus, messages ride', riding],
  ['memoryBus beside the remote', beside(() => shared)],
  ['customBus', beside(custom())],
  ['broadcastChannel', beside(() => broadcastChannel({ name: `every-bus-${process.pid}` }))],
  ['lmdbBus', onLmdb],
  ['redisPubSub, node-redis', onNodeRedis('redisPubSub')],
  ['redisPubSub, ioredis', onIoredis('redisPubSub')],
  ['redisTracking, node-redis', onNodeRedis('redisTracking')],
  ['redisTracking, ioredis', onIoredis('redisTracking')],
]

describe.each(BUSES)('P7 over %s', (_, openWorld) => {
  let world: World
  const caches: Cache[] = []
  let keys = 0
  const newKey = () => `bus:${process.pid}:${Date.now()}:${keys++}`

  beforeAll(async () => {
    world = await openWorld()
  })
  afterAll(async () => {
    await Promise.all(caches.map((cache) => cache.close()))
    await world.end()
  })

  async function processes(count: number): Promise<Cache[]> {
    const opened = await Promise.all(
      Array.from({ length: count }, async () => {
        const { remote, bus } = await world.process()
        if (remote === undefined) throw new Error('there is a remote')
        return createCache({
          name: 'every-bus',
          local: tinyLfu({ maxEntries: 1000 }),
          remote,
          sync: { bus },
          remoteTimeout: '5s',
          jitterRatio: 0,
        })
      }),
    )
    caches.push(...opened)
    await until('all are armed', () => opened.every((cache) => cache.stats().busArmed === true))
    return opened
  }

  /** Loaded into local, for longer than a copy of which nobody is sure. */
  async function hold(cache: Cache, key: string, value: string): Promise<void> {
    await until(`${value} lies in local`, async () => {
      expect(await cache.once(key, () => value)).toBe(value)
      // The echo of a fill may drop it once.
      return cache.peek(key) === value
    })
  }

  it.each(['delete', 'set', 'set of null'])(
    'a %s drops the copies of other processes',
    async (change) => {
      const [a, b, c] = (await processes(3)) as [Cache, Cache, Cache]
      const key = newKey()
      for (const each of [a, b, c]) await hold(each, key, 'old')
      if (change === 'delete') await a.delete(key)
      else await a.set(key, change === 'set' ? 'new' : null)
      await until('the copies are gone', () => [b, c].every((each) => each.peek(key) !== 'old'))
      for (const each of [a, b, c]) {
        const found = await each.once(key, () => 'loaded anew')
        expect(found).toBe({ delete: 'loaded anew', set: 'new', 'set of null': null }[change])
      }
    },
  )

  it('what was loaded before a change of another process is stored by no tier', async () => {
    const [a, b] = (await processes(2)) as [Cache, Cache]
    const key = newKey()
    const loader = new HeldLoader<string>()
    const call = a.once(key, loader.load)
    const run = await loader.run(0)
    await b.delete(key)
    run.resolve('old')
    expect(await call).toBe('old')
    expect(a.peek(key)).toBeUndefined()
    expect(await b.get(key)).toBeUndefined()
    expect(await a.once(key, () => 'new')).toBe('new')
    expect(await b.once(key, () => 'too many')).toBe('new')
  })

  it('callers in several processes share one load', async () => {
    const crowd = await processes(3)
    const key = newKey()
    const loader = new HeldLoader<string>()
    const calls = crowd.flatMap((cache) =>
      Array.from({ length: 50 }, () => cache.once(key, loader.load)),
    )
    const run = await loader.run(0)
    await reactions()
    run.resolve('once')
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['once']))
    expect(loader.runs).toHaveLength(1)
  })

  it('what is changed while nobody listens is not served after', async () => {
    const [a] = (await processes(1)) as [Cache]
    const key = newKey()
    await a.set(key, 'old')
    const [b] = (await processes(1)) as [Cache]
    await hold(b, key, 'old')
    await a.delete(key)
    await until('the copy is gone', () => b.peek(key) === undefined)
    expect(await b.get(key)).toBeUndefined()
  })

  it('a closed cache hears and says nothing, and the others go on', async () => {
    const [a, b, c] = (await processes(3)) as [Cache, Cache, Cache]
    const key = newKey()
    for (const each of [b, c]) await hold(each, key, 'old')
    await a.close()
    const { busReceived } = a.stats()
    await b.set(key, 'new')
    await until('it is heard', () => c.peek(key) !== 'old')
    expect([a.stats().busReceived, a.stats().busArmed]).toEqual([busReceived, false])
  })
})
