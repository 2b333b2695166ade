import { afterEach, describe, expect, it } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import { msgpack } from '../../src/codec/msgpack.ts'
import { tinyLfu } from '../../src/local/tiny-lfu/tiny-lfu.ts'
import type { CacheSettings } from '../../src/options/options.ts'
import { type Fault, faultyRemote, type StoreOperation } from '../../src/testing/faulty-remote.ts'
import { type ManualClock, manualClock } from '../../src/testing/manual-clock.ts'
import { memoryBus } from '../../src/testing/memory-bus.ts'
import { type MemoryRemote, memoryRemote } from '../../src/testing/memory-remote.ts'
import { HeldLoader, reactions } from '../support/held-loader.ts'
import { LOAD_PATHS } from '../support/load-paths.ts'

const KEY = 'user:1'
const CODEC = msgpack()
const caches: Cache[] = []

afterEach(() => {
  // A manual clock bounds nothing by itself.
  for (const cache of caches.splice(0)) void cache.close()
})

type Tiers = 'local' | 'remote' | 'both'
const TIERS = ['local', 'remote', 'both'] as const

interface World {
  readonly clock: ManualClock
  readonly cache: Cache
  readonly remote: MemoryRemote
  readonly loader: HeldLoader<string | null>
  readonly asked: StoreOperation[]
  readonly faults: { every?: Fault }
  /** Another cache on the same remote. */
  other(settings?: CacheSettings): Cache
}

/** Values live for a minute, and stale for `settings`. */
function open(tiers: Tiers, settings: CacheSettings): World {
  const clock = manualClock()
  const remote = memoryRemote({ clock })
  remote.open()
  const asked: StoreOperation[] = []
  const faults: World['faults'] = {}
  const store = faultyRemote(remote, {
    script: (operation) => {
      asked.push(operation)
      return faults.every ?? 'none'
    },
  })
  const make = (more: CacheSettings = {}): Cache => {
    const given = { ttl: '1m', jitterRatio: 0, logger: false, clock, ...settings, ...more } as const
    const cache =
      tiers === 'local'
        ? createCache({ ...given, local: tinyLfu({ maxEntries: 100 }) })
        : createCache({
            ...given,
            ...(tiers === 'both' ? { local: tinyLfu({ maxEntries: 100 }) } : {}),
            remote: store,
          })
    caches.push(cache)
    return cache
  }
  return {
    clock,
    remote,
    asked,
    faults,
    cache: make(),
    loader: new HeldLoader<string | null>(),
    other: make,
  }
}

const MINUTE = 60_000

describe.each(TIERS)('staleWhileRevalidate, %s', (tiers) => {
  const settings = { staleWhileRevalidate: '30s' } as const

  it('answers a stale value at once, and loads it anew behind', async () => {
    const { cache, clock, loader } = open(tiers, settings)
    await cache.set(KEY, 'old')
    clock.advance(MINUTE + 1)
    const answer = await cache.once(KEY, loader.load, { meta: true })
    expect(answer).toMatchObject({ value: 'old', status: 'stale', ttlLeft: 29_999 })
    const run = await loader.run(0)
    expect([run.context.reason, run.context.stale]).toEqual(['revalidate', 'old'])
    run.resolve('new')
    await reactions()
    expect(await cache.once(KEY, loader.load, { meta: true })).toMatchObject({
      value: 'new',
      status: 'hit',
      ttlLeft: MINUTE,
    })
    expect(loader.runs).toHaveLength(1)
    expect(cache.stats()).toMatchObject({ staleServed: 1, revalidations: 1, query: 1 })
  })

  it('loads once for all who ask meanwhile, and none of them waits', async () => {
    const { cache, clock, loader } = open(tiers, settings)
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    for (let i = 0; i < 20; i++) expect(await cache.once(KEY, loader.load)).toBe('old')
    expect(loader.runs).toHaveLength(1)
  })

  it('a stale answer gets no fresh life: when the window is over, callers wait for the loader', async () => {
    const { cache, clock, loader } = open(tiers, settings)
    await cache.set(KEY, 'old')
    clock.advance(MINUTE + 29_999)
    expect(await cache.once(KEY, loader.load)).toBe('old')
    ;(await loader.run(0)).reject(new Error('no'))
    await reactions()
    clock.advance(1)
    const call = cache.once(KEY, loader.load)
    const run = await loader.run(1)
    expect([run.context.reason, run.context.stale]).toEqual(['miss', undefined])
    run.resolve('new')
    expect(await call).toBe('new')
  })

  it('is narrowed per call, and never widened', async () => {
    const { cache, clock, loader } = open(tiers, settings)
    await cache.set(KEY, 'old')
    clock.advance(MINUTE + 10_000)
    const none = cache.once(KEY, loader.load, { staleWhileRevalidate: false })
    const less = cache.once(KEY, loader.load, { staleWhileRevalidate: '10s' })
    const some = cache.once(KEY, loader.load, { staleWhileRevalidate: '10001ms' })
    expect(await some).toBe('old')
    ;(await loader.run(0)).resolve('new')
    expect(await Promise.all([none, less])).toEqual(['new', 'new'])
    expect(loader.runs).toHaveLength(1)
    await expect(cache.once(KEY, loader.load, { staleWhileRevalidate: '31s' })).rejects.toThrow(
      'staleWhileRevalidate of a call must be at most what the cache keeps, 30000 ms',
    )
  })

  it('a get answers fresh values alone, and lookup tells of the stale one', async () => {
    const { cache, clock } = open(tiers, settings)
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    expect(await cache.get(KEY)).toBeUndefined()
    expect(await cache.exists(KEY)).toBe(false)
    await expect(cache.getOrThrow(KEY)).rejects.toMatchObject({ code: 'CACHE_MISS' })
    expect(await cache.lookup(KEY)).toEqual({
      status: 'stale',
      value: 'old',
      tier: tiers === 'local' ? 'local' : 'remote',
      ttlLeft: 30_000,
    })
    expect(cache.stats()).toMatchObject({ hit: 0, miss: 4 })
    clock.advance(30_000)
    expect(await cache.lookup(KEY)).toEqual({ status: 'miss' })
  })

  it('a placeholder is not kept stale', async () => {
    const { cache, clock, loader } = open(tiers, { ...settings, notFound: { jitterRatio: 0 } })
    await cache.set(KEY, null)
    clock.advance(MINUTE)
    const call = cache.once(KEY, loader.load)
    ;(await loader.run(0)).resolve('there now')
    expect(await call).toBe('there now')
  })

  it('the loader behind runs outside of the caller’s async context, and its failure is nobody’s', async () => {
    const { AsyncLocalStorage } = await import('node:async_hooks')
    const requests = new AsyncLocalStorage<string>()
    const unhandled: unknown[] = []
    const note = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', note)
    try {
      const { cache, clock } = open(tiers, settings)
      await cache.set(KEY, 'old')
      clock.advance(MINUTE)
      let seen: unknown = 'not run'
      const load = async () => {
        seen = requests.getStore()
        throw new Error('nobody hears it')
      }
      expect(await requests.run('mine', () => cache.once(KEY, load))).toBe('old')
      await reactions()
      await reactions()
      expect([seen, unhandled]).toEqual([undefined, []])
    } finally {
      process.off('unhandledRejection', note)
    }
  })

  it('a delete during the load behind is not undone by it', async () => {
    const { cache, clock, loader } = open(tiers, settings)
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    expect(await cache.once(KEY, loader.load)).toBe('old')
    const run = await loader.run(0)
    await cache.delete(KEY)
    run.resolve('loaded before the delete')
    await reactions()
    expect(await cache.lookup(KEY)).toEqual({ status: 'miss' })
  })

  it('after a failure loading is tried again after 1 s, 2 s, 4 s, not by every call', async () => {
    const { cache, clock, loader } = open(tiers, {
      staleIfError: '10m',
      staleWhileRevalidate: '10m',
    })
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    loader.settleAll((run) => run.reject(new Error('down')))
    const tries = async (ms: number): Promise<number> => {
      const before = loader.runs.length
      for (let step = 0; step < 10; step++) {
        expect(await cache.once(KEY, loader.load)).toBe('old')
        await reactions()
        clock.advance(ms / 10)
      }
      return loader.runs.length - before
    }
    expect([await tries(1000), await tries(2000), await tries(4000)]).toEqual([1, 1, 1])
  })
})

describe.each(TIERS)('staleIfError, %s', (tiers) => {
  const settings = { staleIfError: '10m' } as const

  it('answers the old value when the loader fails, and waits for the loader before', async () => {
    const { cache, clock, loader } = open(tiers, settings)
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    let answer: unknown
    const call = cache.once(KEY, loader.load).then((value) => (answer = value))
    const run = await loader.run(0)
    await reactions()
    expect(answer).toBeUndefined()
    expect(run.context).toMatchObject({ reason: 'revalidate', stale: 'old' })
    run.reject(new Error('down'))
    expect(await call).toBe('old')
    expect(cache.stats()).toMatchObject({ staleServed: 1, queryFail: 1 })
  })

  it('answers it after loadTimeout too', async () => {
    const { cache, clock, loader } = open(tiers, { ...settings, loadTimeout: '5s' })
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    const call = cache.once(KEY, loader.load)
    await loader.run(0)
    await clock.advanceAsync(5000)
    expect(await call).toBe('old')
  })

  it('of callers of one failing load those who take no stale value get the error', async () => {
    const { cache, clock, loader } = open(tiers, settings)
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    const taken = cache.once(KEY, loader.load)
    const refused = cache.once(KEY, loader.load, { staleIfError: false })
    const error = new Error('down')
    ;(await loader.run(0)).reject(error)
    await expect(refused).rejects.toBe(error)
    expect(await taken).toBe('old')
  })

  it('while it pauses after a failure, who takes no stale value is not kept waiting', async () => {
    const { cache, clock, loader } = open(tiers, settings)
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    const first = cache.once(KEY, loader.load)
    ;(await loader.run(0)).reject(new Error('down'))
    expect(await first).toBe('old')
    expect(await cache.once(KEY, loader.load)).toBe('old')
    expect(loader.runs).toHaveLength(1)
    const strict = cache.once(KEY, loader.load, { staleIfError: false })
    ;(await loader.run(1)).resolve('new')
    expect(await strict).toBe('new')
  })

  it('ends with its window', async () => {
    const { cache, clock, loader } = open(tiers, settings)
    await cache.set(KEY, 'old')
    clock.advance(MINUTE + 600_000)
    const call = cache.once(KEY, loader.load)
    const error = new Error('down')
    ;(await loader.run(0)).reject(error)
    await expect(call).rejects.toBe(error)
  })
})

describe('a remote that is gone', () => {
  const settings = { staleIfError: '10m' } as const

  it('leaves the local copy, stale, to answer at once; it is loaded behind, after pauses', async () => {
    const { cache, clock, loader, faults } = open('both', settings)
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    faults.every = 'before'
    expect(await cache.once(KEY, loader.load, { meta: true })).toMatchObject({
      value: 'old',
      status: 'stale',
      tier: 'local',
    })
    ;(await loader.run(0)).reject(new Error('down too'))
    await reactions()
    for (let i = 0; i < 5; i++) expect(await cache.once(KEY, loader.load)).toBe('old')
    expect(loader.runs).toHaveLength(1)
  })

  it('is asked before a stale local copy answers: another process may have loaded it', async () => {
    const { cache, clock, loader, other } = open('both', { staleWhileRevalidate: '10m' })
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    await other().set(KEY, 'new')
    expect(await cache.once(KEY, loader.load)).toBe('new')
    expect(loader.runs).toHaveLength(0)
  })

  it('a key that the remote does not hold any more is not answered from a stale local copy', async () => {
    const { cache, clock, loader, other } = open('both', {
      staleWhileRevalidate: '10m',
      ...settings,
    })
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    await other().delete(KEY)
    expect(await cache.lookup(KEY)).toEqual({ status: 'miss' })
    const call = cache.once(KEY, loader.load)
    const error = new Error('down')
    ;(await loader.run(0)).reject(error)
    await expect(call).rejects.toBe(error)
  })
})

describe('a remote that was asked last', () => {
  const settings = { staleIfError: '10m', staleWhileRevalidate: '10m' } as const

  it('lets lookup tell of the stale local copy while it is gone', async () => {
    const { cache, clock, faults } = open('both', settings)
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    faults.every = 'before'
    expect(await cache.lookup(KEY)).toEqual({
      status: 'stale',
      value: 'old',
      tier: 'local',
      ttlLeft: 600_000,
    })
    clock.advance(600_000)
    expect((await cache.lookup(KEY)).status).toBe('error')
  })

  it.each(['a lookup', 'a load'])(
    'and had nothing, by %s, leaves nothing stale in local either for when it is gone',
    async (by) => {
      const { cache, clock, loader, other, faults } = open('both', settings)
      await cache.set(KEY, 'old')
      clock.advance(MINUTE)
      await other().delete(KEY)
      loader.settleAll((run) => run.reject(new Error('down')))
      if (by === 'a lookup') await cache.lookup(KEY)
      else await cache.once(KEY, loader.load).catch(() => undefined)
      faults.every = 'before'
      await expect(cache.once(KEY, loader.load)).rejects.toThrow('down')
    },
  )

  it('and holds what nobody can read, is not covered up by a stale local copy', async () => {
    const { cache, clock, remote } = open('both', settings)
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    remote.plant(KEY, Uint8Array.of(0xc1), 2 * MINUTE)
    expect((await cache.lookup(KEY)).status).toBe('error')
  })

  it('has its values kept in local for when it is gone: one read fresh, and one read stale', async () => {
    const { cache, clock, loader, other, faults } = open('both', settings)
    await other().set('fresh', 'v')
    await other().set('stale', 'v')
    expect(await cache.get('fresh', { localTtl: '10s' })).toBe('v')
    clock.advance(MINUTE)
    expect((await cache.lookup('stale')).status).toBe('stale')
    faults.every = 'before'
    for (const key of ['fresh', 'stale']) expect(await cache.once(key, loader.load)).toBe('v')
    clock.advance(600_000)
    loader.settleAll((run) => run.reject(new Error('down')))
    for (const key of ['fresh', 'stale']) {
      await expect(cache.once(key, loader.load)).rejects.toThrow('down')
    }
  })
})

describe('when a key is loaded anew', () => {
  const settings = { staleIfError: '10m', staleWhileRevalidate: '10m' } as const

  it.each(TIERS)('pauses begin with a second again once it was loaded, %s', async (tiers) => {
    const { cache, clock, loader } = open(tiers, settings)
    const fail = async () => {
      const before = loader.runs.length
      expect(await cache.once(KEY, loader.load)).toBe('old')
      ;(await loader.run(before)).reject(new Error('down'))
      await reactions()
    }
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    await fail()
    clock.advance(1000)
    await fail()
    clock.advance(2000)
    await cache.once(KEY, loader.load)
    ;(await loader.run(2)).resolve('old')
    await reactions()
    clock.advance(MINUTE)
    await fail()
    clock.advance(1000)
    await fail()
    expect(loader.runs).toHaveLength(5)
  })

  it('no pause outlasts a change by another process of which this one hears', async () => {
    const bus = memoryBus()
    const { cache, clock, loader, other } = open('both', { ...settings, sync: { bus } })
    const two = other()
    await clock.advanceAsync(0)
    await cache.set(KEY, 'old')
    await clock.advanceAsync(MINUTE)
    expect(await cache.once(KEY, loader.load)).toBe('old')
    ;(await loader.run(0)).reject(new Error('down'))
    await reactions()
    await two.set(KEY, 'v2')
    await two.expire(KEY)
    await clock.advanceAsync(0)
    expect(await cache.once(KEY, loader.load)).toBe('v2')
    await reactions()
    expect(loader.runs).toHaveLength(2)
  })

  it('who has its stale answer waits for no other process that loads it', async () => {
    const { cache, clock, loader, other, asked } = open('both', settings)
    const two = other()
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    expect(await cache.once(KEY, loader.load)).toBe('old')
    await loader.run(0)
    const takes = async (ms: number) => {
      asked.length = 0
      for (let step = 0; step < 10; step++) {
        expect(await two.once(KEY, loader.load)).toBe('old')
        await reactions()
        clock.advance(ms / 10)
      }
      return asked.filter((operation) => operation === 'lease.take').length
    }
    expect([await takes(250), await takes(250)]).toEqual([1, 1])
    asked.length = 0
    await clock.advanceAsync(2000)
    expect(asked.filter((operation) => operation !== 'lease.renew')).toEqual([])
    expect(two.stats()).toMatchObject({ leasesWaited: 0, loadsAlone: 0 })
  })

  it('a local copy made while the bus is not heard is not answered stale after its time either', async () => {
    const bus = memoryBus()
    const { cache, clock, loader, faults } = open('both', {
      ...settings,
      sync: { bus, unarmedTtl: '1s' },
    })
    await clock.advanceAsync(0)
    bus.lines[0]?.cut()
    await cache.set(KEY, 'v')
    faults.every = 'before'
    clock.advance(999)
    expect(await cache.once(KEY, loader.load)).toBe('v')
    clock.advance(1)
    loader.settleAll((run) => run.reject(new Error('down')))
    await expect(cache.once(KEY, loader.load)).rejects.toThrow('down')
  })
})

describe('lives with a retained window', () => {
  it('are ttl and retain in the remote, and fresh while more than retain is left', async () => {
    const { cache, remote } = open('both', { staleWhileRevalidate: '10s', staleIfError: '30s' })
    await cache.set(KEY, 'v')
    expect(remote.peek(KEY)?.ttlLeft).toBe(MINUTE + 30_000)
    await cache.set('absent', null)
    expect(remote.peek('absent')?.ttlLeft).toBeLessThanOrEqual(MINUTE)
  })

  it('a value without expiry is fresh while it lives', async () => {
    const { cache, remote, clock, loader } = open('remote', { staleIfError: '30s' })
    remote.plant(KEY, CODEC.encode('foreign'))
    clock.advance(100 * MINUTE)
    expect(await cache.once(KEY, loader.load, { meta: true })).toMatchObject({
      value: 'foreign',
      status: 'hit',
    })
  })

  it('a local copy made of a remote value is stale when that is', async () => {
    const { cache, clock, other, loader } = open('both', { staleWhileRevalidate: '30s' })
    await other().set(KEY, 'v')
    clock.advance(MINUTE - 10)
    expect(await cache.get(KEY)).toBe('v')
    clock.advance(9)
    expect(cache.peek(KEY)).toBe('v')
    clock.advance(1)
    expect(cache.peek(KEY)).toBeUndefined()
    expect(await cache.once(KEY, loader.load, { meta: true })).toMatchObject({ status: 'stale' })
  })
})

describe.each(LOAD_PATHS)('$leases, two processes', ({ settings: path }) => {
  it('that find a value stale load it once between them, or replace exactly what they found', async () => {
    const { cache, clock, loader, other, remote } = open('both', {
      staleWhileRevalidate: '30s',
      ...path,
    })
    const two = other()
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    expect([await cache.once(KEY, loader.load), await two.once(KEY, loader.load)]).toEqual([
      'old',
      'old',
    ])
    await reactions()
    const count = loader.runs.length
    expect(count).toBe(path.lease === false ? 2 : 1)
    for (const [i, run] of loader.runs.entries()) run.resolve(`new ${i}`)
    await reactions()
    const held = remote.peek(KEY)
    expect(held && CODEC.decode(held.bytes)).toBe('new 0')
    expect(held?.ttlLeft).toBe(MINUTE + 30_000)
  })
})
