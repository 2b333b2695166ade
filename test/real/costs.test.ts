import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { InvalidationBus } from '../../src/bus/invalidation-bus.ts'
import { type Cache, createCache } from '../../src/cache.ts'
import * as overIoredis from '../../src/ioredis/index.ts'
import { lru } from '../../src/lru/lru.ts'
import type { Clock } from '../../src/model/clock.ts'
import * as overNodeRedis from '../../src/redis/index.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { startRedis } from '../../src/testing/servers/redis.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'
import { type TcpFaultProxy, tcpFaultProxy } from '../../src/testing/tcp-fault-proxy.ts'
import { HeldLoader } from '../support/held-loader.ts'
import { ADVISED, whenReady } from '../support/ioredis-clients.ts'
import { until } from '../support/until.ts'

/** What is made of a client whose way to the server is counted. */
interface Connected {
  readonly store: RemoteStore
  readonly pubSub: InvalidationBus
  readonly tracking: InvalidationBus
  end(): void
}

const CLIENTS: Readonly<Record<string, (port: number) => Promise<Connected>>> = {
  'node-redis': async (port) => {
    const client = createClient({ url: `redis://127.0.0.1:${port}` })
    client.on('error', () => undefined)
    await client.connect()
    return {
      store: overNodeRedis.nodeRedis(client),
      pubSub: overNodeRedis.redisPubSub(client),
      tracking: overNodeRedis.redisTracking(client, { prefixes: ['cost:'] }),
      end: () => client.destroy(),
    }
  },
  ioredis: async (port) => {
    const client = await whenReady(new Redis({ ...ADVISED, port }))
    return {
      store: overIoredis.ioredis(client),
      pubSub: overIoredis.redisPubSub(client),
      tracking: overIoredis.redisTracking(client, { prefixes: ['cost:'] }),
      end: () => client.disconnect(),
    }
  },
}

interface Counted {
  readonly cache: Cache
  readonly proxy: TcpFaultProxy
}

interface Costs {
  /** Commands that were sent. */
  readonly requests: number
  readonly roundTrips: number
}

const ONE: Costs = { requests: 1, roundTrips: 1 }
const TWO: Costs = { requests: 2, roundTrips: 2 }

describe.for(Object.entries(CLIENTS))('what is sent to a real Redis by %s', ([, connect]) => {
  let server: RedisProcess
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server?.stop())

  async function open(
    of: 'pubSub' | 'tracking',
    options: { readonly clock?: Clock; readonly name?: string },
  ): Promise<Counted> {
    const proxy = await tcpFaultProxy({ target: server })
    onTestFinished(() => proxy.close())
    const client = await connect(proxy.port)
    onTestFinished(() => client.end())
    const cache = createCache({
      local: lru({ maxEntries: 1000 }),
      remote: client.store,
      sync: { bus: client[of] },
      logger: false,
      ...options,
    })
    onTestFinished(() => cache.close())
    await cache.ready()
    await until('the bus is armed', () => cache.stats().busArmed === true)
    return { cache, proxy }
  }

  /** The time of the cache stands still, so that no beat comes between what is counted. */
  async function openStill(name: string): Promise<Counted> {
    const opened = await open('pubSub', { clock: manualClock(), name })
    const { cache } = opened
    // Once each, so that the server knows the scripts.
    await cache.once('cost:first', () => 1)
    await cache.get('cost:first', { skipLocal: true })
    await cache.delete('cost:first')
    return opened
  }

  async function costOf({ proxy }: Counted, work: () => Promise<unknown>): Promise<Costs> {
    const before = proxy.counts()
    await work()
    const { requests, bursts } = proxy.counts()
    return { requests: requests - before.requests, roundTrips: bursts - before.bursts }
  }

  describe('with leases and redisPubSub', () => {
    it('is nothing for a local hit', async () => {
      const counted = await openStill('local-hit')
      await counted.cache.set('cost:a', 1)
      const work = async () => [
        await counted.cache.once('cost:a', () => 2),
        await counted.cache.get('cost:a'),
      ]
      expect(await costOf(counted, work)).toEqual({ requests: 0, roundTrips: 0 })
    })

    it('is one round trip for a remote hit, by once and by get', async () => {
      const counted = await openStill('remote-hit')
      const { cache } = counted
      await cache.set('cost:hit', 1, { skipLocal: true })
      expect(await costOf(counted, () => cache.once('cost:hit', () => 2))).toEqual(ONE)
      await cache.set('cost:hit', 1, { skipLocal: true })
      expect(await costOf(counted, () => cache.get('cost:hit'))).toEqual(ONE)
      expect(cache.stats()).toMatchObject({ remoteHit: 3, query: 1 })
    })

    it('is one round trip for a get that finds nothing, and no lease', async () => {
      const counted = await openStill('miss')
      expect(await costOf(counted, () => counted.cache.get('cost:none'))).toEqual(ONE)
      expect(await server.ask('KEYS', '_#JL#*')).toEqual([])
    })

    it('is two round trips for a cold once: one reads and takes the lease, one fills', async () => {
      const counted = await openStill('cold')
      const { cache } = counted
      expect(await costOf(counted, () => cache.once('cost:cold', () => 1))).toEqual(TWO)
      expect(cache.stats()).toMatchObject({ leasesGranted: 2, leasesLost: 0, fillsFenced: 0 })
      expect(await server.ask('EXISTS', 'cost:cold', '_#JL#{cost:cold}')).toBe(1)
    })

    it.for(['set', 'delete'] as const)(
      'is one round trip for a %s, which voids the lease and is heard',
      async (verb) => {
        const key = `cost:changed-by-${verb}`
        const [counted, other] = [await openStill('change'), await openStill('change')]
        const held = new HeldLoader<string>()
        const load = other.cache.once(key, held.load)
        const { resolve } = await held.run(0)
        expect(await server.ask('EXISTS', `_#JL#{${key}}`)).toBe(1)
        const heard = other.cache.stats().busReceived
        const work = async () => {
          await (verb === 'set' ? counted.cache.set(key, 1) : counted.cache.delete(key))
          // A message of its own would follow the change.
          await until('it is heard', () => other.cache.stats().busReceived === heard + 1)
        }
        expect(await costOf(counted, work)).toEqual(ONE)
        expect(await server.ask('EXISTS', `_#JL#{${key}}`)).toBe(0)
        resolve('old')
        await load
      },
    )

    it('is two round trips in all for one who waits for the load of another and is woken', async () => {
      const [holder, waiter] = [await openStill('waiter'), await openStill('waiter')]
      const held = new HeldLoader<string>()
      const load = holder.cache.once('cost:waited', held.load)
      const { resolve } = await held.run(0)
      const costs = await costOf(waiter, async () => {
        const answer = waiter.cache.once('cost:waited', () => 'its own')
        await until('it waits', () => waiter.cache.stats().leasesWaited === 1)
        resolve('of the other')
        expect(await answer).toBe('of the other')
      })
      await load
      expect(costs).toEqual(TWO)
    })

    it('is one round trip for all reads of one tick, also for those that take leases', async () => {
      const counted = await openStill('tick')
      const { cache } = counted
      // The script of several keys is another one.
      await Promise.all(['cost:two', 'cost:three'].map((key) => cache.once(key, () => 1)))
      const keys = Array.from({ length: 20 }, (_, i) => `cost:tick:${i}`)
      const readAll = () => Promise.all(keys.map((key) => cache.get(key)))
      expect(await costOf(counted, readAll)).toEqual(ONE)
      const held = new HeldLoader<string>()
      const before = counted.proxy.counts()
      const loads = keys.map((key) => cache.once(key, held.load))
      await held.run(keys.length - 1)
      expect(counted.proxy.counts().requests - before.requests).toBe(1)
      held.settleAll(({ resolve }) => resolve('value'))
      await Promise.all(loads)
      expect(counted.proxy.counts().requests - before.requests).toBe(1 + keys.length)
    })
  })

  it.for(['pubSub', 'tracking'] as const)(
    'is one small command a second, with %s, when nothing happens',
    async (bus) => {
      const { proxy } = await open(bus, { name: `idle-${bus}` })
      const before = proxy.counts()
      const from = performance.now()
      const sent = () => proxy.counts().requests - before.requests
      await until('three beats', () => sent() >= 3)
      const seconds = (performance.now() - from) / 1000
      expect(sent()).toBeLessThanOrEqual(seconds + 1)
      const bytes = proxy.counts().bytesFromClients - before.bytesFromClients
      expect(bytes / sent()).toBeLessThan(200)
      expect(proxy.counts().connections).toBe(before.connections)
    },
  )
})
