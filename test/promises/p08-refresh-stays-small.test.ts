import { AsyncLocalStorage } from 'node:async_hooks'
import { afterEach, describe, expect, it } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import { lru } from '../../src/lru/lru.ts'
import type { CacheSettings } from '../../src/options/options.ts'
import { type Fault, faultyRemote, type StoreOperation } from '../../src/testing/faulty-remote.ts'
import { type ManualClock, manualClock } from '../../src/testing/manual-clock.ts'
import { type MemoryBus, memoryBus } from '../../src/testing/memory-bus.ts'
import { type MemoryRemote, memoryRemote } from '../../src/testing/memory-remote.ts'
import { HeldLoader, reactions } from '../support/held-loader.ts'

const KEY = 'user:1'
const INTERVAL = 10_000
const LOCK = `${KEY}_#RL#`
const caches: Cache[] = []

afterEach(() => {
  for (const cache of caches.splice(0)) void cache.close()
})

interface Machine {
  readonly clock: ManualClock
  readonly remote: MemoryRemote
  readonly bus: MemoryBus | undefined
  process(settings?: CacheSettings): Process
}

interface Process {
  readonly cache: Cache
  readonly asked: StoreOperation[]
  readonly faults: Map<StoreOperation, Fault>
}

/** Values live for a minute; keys are refreshed every ten seconds. */
function machine({ bus: withBus = false, local = false } = {}): Machine {
  const clock = manualClock()
  const bus = withBus ? memoryBus() : undefined
  const remote = memoryRemote(
    bus === undefined ? { clock } : { clock, announce: bus.announce, origin: bus.origin },
  )
  remote.open()
  return {
    clock,
    remote,
    bus,
    process: (settings = {}) => {
      const asked: StoreOperation[] = []
      const faults: Process['faults'] = new Map()
      const store = faultyRemote(remote, {
        script: (operation) => {
          asked.push(operation)
          return faults.get(operation) ?? 'none'
        },
      })
      const cache = createCache({
        local: lru({ maxEntries: 1000 }),
        ...(local ? {} : { remote: store }),
        ttl: '1m',
        jitterRatio: 0,
        logger: false,
        clock,
        refresh: { interval: INTERVAL, stopAfterLastAccess: '1h' },
        ...(bus === undefined ? {} : { sync: { bus } }),
        ...settings,
      } as never)
      caches.push(cache)
      return { cache, asked, faults }
    },
  }
}

/** Lets what is due happen, in small steps, and what follows from it. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 100) {
    await clock.advanceAsync(Math.min(left, 100))
    await reactions()
  }
}

/** A database whose record changes with each look. */
function counting() {
  let loads = 0
  return { load: async () => ++loads, count: () => loads }
}

describe.each([{ local: true }, { local: false }])('Auto refresh, local alone: $local', (kind) => {
  it('loads at each interval, and callers never wait for it', async () => {
    const { clock, process } = machine(kind)
    const { cache } = process()
    const { load, count } = counting()
    expect(await cache.once(KEY, load, { refresh: true })).toBe(1)
    expect(cache.taskSize).toBe(1)
    await pass(clock, 10 * INTERVAL)
    expect(count()).toBeGreaterThanOrEqual(10)
    expect(count()).toBeLessThanOrEqual(11)
    expect(await cache.once(KEY, load)).toBe(count())
    expect(cache.stats()).toMatchObject({
      refreshes: count() - 1,
      query: count(),
      refreshesFailed: 0,
    })
  })

  it('uses the loader of the latest call', async () => {
    const { clock, process } = machine(kind)
    const { cache } = process()
    await cache.once(KEY, () => 'first', { refresh: true })
    await cache.once(KEY, () => 'latest', { refresh: true })
    await pass(clock, INTERVAL)
    expect(await cache.get(KEY)).toBe('latest')
  })

  it('stops after the last access, and begins again with the next', async () => {
    const { clock, process } = machine(kind)
    const { cache } = process({ refresh: { interval: INTERVAL } })
    const { load, count } = counting()
    await cache.once(KEY, load, { refresh: true })
    await pass(clock, 4 * INTERVAL)
    expect(cache.taskSize).toBe(0)
    const then = count()
    await pass(clock, INTERVAL)
    expect(count()).toBe(then)
    await cache.once(KEY, load, { refresh: true })
    expect(cache.taskSize).toBe(1)
  })

  it('a deleted key leaves the table, and does not come back', async () => {
    const { clock, process } = machine(kind)
    const { cache } = process()
    const { load, count } = counting()
    await cache.once(KEY, load, { refresh: true })
    await cache.delete(KEY)
    expect(cache.taskSize).toBe(0)
    await pass(clock, 2 * INTERVAL)
    expect([count(), await cache.lookup(KEY)]).toEqual([1, { status: 'miss' }])
  })

  it('a delete during a refresh is not undone', async () => {
    const { clock, process } = machine(kind)
    const { cache } = process()
    const loader = new HeldLoader<string>()
    await cache.once(KEY, () => 'old', { refresh: true })
    await cache.once(KEY, loader.load, { refresh: true })
    await pass(clock, INTERVAL)
    const run = await loader.run(0)
    expect(run.context).toMatchObject({ reason: 'refresh', stale: 'old' })
    await cache.delete(KEY)
    run.resolve('loaded before the delete')
    await reactions()
    expect(await cache.lookup(KEY)).toEqual({ status: 'miss' })
  })

  it('callers get what is there while it runs, and the new value after it', async () => {
    const { clock, process } = machine(kind)
    const { cache } = process()
    const loader = new HeldLoader<string>()
    await cache.once(KEY, () => 'old', { refresh: true })
    await cache.once(KEY, loader.load, { refresh: true })
    await pass(clock, INTERVAL)
    const run = await loader.run(0)
    expect(await cache.once(KEY, loader.load)).toBe('old')
    cache.deleteLocal(KEY)
    if (!kind.local) expect(await cache.once(KEY, loader.load, { skipLocal: true })).toBe('old')
    run.resolve('new')
    await reactions()
    if (!kind.local) expect(await cache.once(KEY, loader.load)).toBe('new')
    expect(loader.runs).toHaveLength(1)
  })

  it('an error keeps the old value and is tried again later and later', async () => {
    const { clock, process } = machine(kind)
    const { cache } = process({ ttl: '1h' })
    let fails = 0
    await cache.once(KEY, () => 'old', { refresh: true })
    const load = () => {
      fails++
      throw new Error('down')
    }
    await cache.once(KEY, load, { refresh: true })
    await pass(clock, 8 * INTERVAL)
    // At once, then one, two and four intervals later.
    expect(fails).toBe(4)
    expect(await cache.get(KEY)).toBe('old')
    expect(cache.stats()).toMatchObject({ refreshesFailed: 4, queryFail: 4 })
  })

  it('a not-found answer is remembered as such', async () => {
    const { clock, process } = machine(kind)
    const { cache } = process({ notFound: { ttl: '1h', jitterRatio: 0 } })
    await cache.once(KEY, () => 'old', { refresh: true })
    await cache.once<string | null>(KEY, () => null, { refresh: true })
    await pass(clock, INTERVAL)
    expect((await cache.lookup(KEY)).status).toBe('absent')
  })

  it('a key that has gone meanwhile is not loaded, and leaves the table', async () => {
    const { clock, process, remote } = machine(kind)
    const { cache } = process()
    const { load, count } = counting()
    await cache.once(KEY, load, { refresh: true })
    cache.deleteLocal(KEY)
    await remote.delete([KEY])
    await pass(clock, INTERVAL + 500)
    expect([count(), cache.taskSize]).toEqual([1, 0])
  })

  it('runs outside of the callers’ async context', async () => {
    const requests = new AsyncLocalStorage<string>()
    const { clock, process } = machine(kind)
    const { cache } = process()
    const seen: unknown[] = []
    const load = () => seen.push(requests.getStore())
    await requests.run('mine', () => cache.once(KEY, load, { refresh: true }))
    await pass(clock, INTERVAL)
    expect(seen).toEqual(['mine', undefined])
  })

  it('nothing is refreshed after close, and close waits for what runs', async () => {
    const { clock, process } = machine(kind)
    const { cache } = process()
    const loader = new HeldLoader<string>()
    await cache.once(KEY, () => 'old', { refresh: true })
    await cache.once(KEY, loader.load, { refresh: true })
    await pass(clock, INTERVAL)
    const run = await loader.run(0)
    let closed = false
    const closing = cache.close({ timeout: '30s' }).then(() => {
      closed = true
    })
    await pass(clock, 1000)
    expect(closed).toBe(false)
    run.resolve('new')
    await closing
    await pass(clock, 5 * INTERVAL)
    expect(loader.runs).toHaveLength(1)
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('the table', () => {
  it('holds no more than maxTasks: the key that was asked for longest ago leaves', async () => {
    const { process } = machine()
    const { cache } = process({ refresh: { interval: INTERVAL, maxTasks: 2 } })
    for (const key of ['a', 'b', 'a', 'c']) await cache.once(key, () => key, { refresh: true })
    expect([cache.taskSize, cache.stats().refreshesEvicted]).toEqual([2, 1])
    expect([cache.cancelRefresh('a'), cache.cancelRefresh('b')]).toEqual([true, false])
  })

  it('100 hung loaders do not stop the 101st', async () => {
    const { clock, process } = machine({ local: true })
    const { cache } = process({ ttl: '1h', loadTimeout: '1h', refresh: { interval: '30s' } })
    const hang = () => new Promise<string>(() => {})
    for (let i = 0; i < 100; i++) {
      await cache.set(`hung:${i}`, 'v')
      await cache.once(`hung:${i}`, hang, { refresh: true })
    }
    await cache.set(KEY, 'old')
    await cache.once(KEY, () => 'new', { refresh: true })
    await pass(clock, 60_000)
    expect(await cache.get(KEY)).toBe('new')
  })

  it('a cancelled key is refreshed no more', async () => {
    const { clock, process } = machine()
    const { cache } = process()
    const { load, count } = counting()
    await cache.once(KEY, load, { refresh: true })
    expect([cache.cancelRefresh(KEY), cache.cancelRefresh(KEY)]).toEqual([true, false])
    await pass(clock, 2 * INTERVAL)
    expect(count()).toBe(1)
  })
})

describe('a refresh by hand', () => {
  it('loads now, replaces what is there, and resolves it', async () => {
    const { process, remote } = machine()
    const { cache } = process()
    await cache.set(KEY, 'old')
    expect(await cache.refresh(KEY, () => 'new')).toBe('new')
    expect([cache.peek(KEY), remote.peek(KEY)?.ttlLeft]).toEqual(['new', 60_000])
    expect(await cache.refresh('cold', () => 'loaded')).toBe('loaded')
    expect(await cache.get('cold')).toBe('loaded')
  })

  it('knows the loader of a key that is refreshed, and refuses one that it has none for', async () => {
    const { process } = machine()
    const { cache } = process()
    const { load } = counting()
    await cache.once(KEY, load, { refresh: true })
    expect(await cache.refresh(KEY)).toBe(2)
    await expect(cache.refresh('other')).rejects.toMatchObject({ code: 'CACHE_OPTION' })
  })

  it('rejects with the loader’s error, and leaves what is there', async () => {
    const { process } = machine()
    const { cache } = process({ staleIfError: '10m' })
    await cache.set(KEY, 'old')
    const error = new Error('down')
    await expect(cache.refresh(KEY, () => Promise.reject(error))).rejects.toBe(error)
    expect(await cache.get(KEY)).toBe('old')
  })
})

describe('several processes', () => {
  it('refresh a key once between them, and one that has learned of it does not try', async () => {
    const { clock, process } = machine({ bus: true })
    const processes = [process(), process(), process()]
    await clock.advanceAsync(0)
    const { load, count } = counting()
    for (const { cache } of processes) await cache.once(KEY, load, { refresh: true })
    await pass(clock, 10 * INTERVAL)
    expect(count()).toBeGreaterThanOrEqual(9)
    expect(count()).toBeLessThanOrEqual(11)
    const tries = processes.map(({ cache }) => cache.stats().refreshesElsewhere)
    expect(tries.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(2)
    for (const { cache } of processes) expect(await cache.once(KEY, load)).toBe(count())
  })

  it('without a bus look for what the other has brought', async () => {
    const { clock, process } = machine()
    const [one, two] = [process(), process()] as const
    const { load, count } = counting()
    for (const { cache } of [one, two]) await cache.once(KEY, load, { refresh: true })
    await pass(clock, 10 * INTERVAL)
    expect(count()).toBeLessThanOrEqual(11)
    const newest = Math.max(...[one, two].map(({ cache }) => cache.peek<number>(KEY) ?? 0))
    await pass(clock, INTERVAL / 2)
    for (const { cache } of [one, two]) {
      expect(cache.peek<number>(KEY)).toBeGreaterThanOrEqual(newest - 1)
    }
  })

  it('pace each other by the lock of jetcache-go, which is kept after a success', async () => {
    const { clock, process, remote } = machine()
    const { cache } = process()
    await cache.once(KEY, counting().load, { refresh: true })
    await pass(clock, INTERVAL)
    const lock = remote.peek(LOCK)
    expect(Buffer.from(lock?.bytes ?? []).toString()).toMatch(/^\d+:[\w-]+\.\d+$/)
    expect(lock?.ttlLeft).toBeGreaterThan(0)
    expect(lock?.ttlLeft).toBeLessThanOrEqual(INTERVAL - 10)
  })

  it('respect the lock of a Go peer, and leave it where it is', async () => {
    const { clock, process, remote } = machine()
    const { cache } = process()
    const { load, count } = counting()
    await cache.once(KEY, load, { refresh: true })
    remote.plant(LOCK, Buffer.from('1700000000'), 5 * INTERVAL)
    await pass(clock, 2 * INTERVAL)
    expect(count()).toBe(1)
    expect(remote.peek(LOCK)).toBeDefined()
    expect(cache.stats().refreshesElsewhere).toBeGreaterThan(0)
  })

  it('a lock is given back after a failure, and only if it is still one’s own', async () => {
    const { clock, process, remote } = machine()
    const { cache } = process()
    const loader = new HeldLoader<string>()
    await cache.once(KEY, () => 'old', { refresh: true })
    await cache.once(KEY, loader.load, { refresh: true })
    await pass(clock, INTERVAL)
    ;(await loader.run(0)).reject(new Error('down'))
    await reactions()
    expect(remote.peek(LOCK)).toBeUndefined()
    await pass(clock, 2 * INTERVAL)
    const second = await loader.run(1)
    remote.plant(LOCK, Buffer.from('1700000000'), INTERVAL)
    second.reject(new Error('down'))
    await reactions()
    expect(remote.peek(LOCK)).toBeDefined()
  })

  it('a refresh takes the lease: a delete by another process during it is not undone', async () => {
    const { clock, process, remote } = machine()
    const [one, two] = [process(), process()] as const
    const loader = new HeldLoader<string>()
    await one.cache.once(KEY, () => 'old', { refresh: true })
    await one.cache.once(KEY, loader.load, { refresh: true })
    await pass(clock, INTERVAL)
    const run = await loader.run(0)
    await two.cache.delete(KEY)
    run.resolve('loaded before the delete')
    await reactions()
    expect(remote.peek(KEY)).toBeUndefined()
  })

  it('a key whose remote cannot be asked is not loaded for a refresh', async () => {
    const { clock, process } = machine()
    const { cache, faults } = process({ ttl: '1h' })
    const { load, count } = counting()
    await cache.once(KEY, load, { refresh: true })
    for (const each of ['set', 'get', 'lease.read'] as const) faults.set(each, 'before')
    await pass(clock, 3 * INTERVAL)
    expect(count()).toBe(1)
    expect(cache.stats().refreshesFailed).toBeGreaterThan(0)
    expect(await cache.once(KEY, load)).toBe(1)
  })
})

describe('refreshAheadRatio', () => {
  it.each([{ local: true }, { local: false }])(
    'a hit late in its life loads once behind, local alone: $local',
    async (kind) => {
      const { clock, process } = machine(kind)
      const { cache } = process({ refreshAheadRatio: 0.8 })
      const loader = new HeldLoader<string>()
      await cache.set(KEY, 'old')
      clock.advance(47_999)
      expect(await cache.once(KEY, loader.load)).toBe('old')
      await reactions()
      expect(loader.runs).toHaveLength(0)
      clock.advance(1)
      for (let i = 0; i < 5; i++) expect(await cache.once(KEY, loader.load)).toBe('old')
      const run = await loader.run(0)
      expect(run.context).toMatchObject({ reason: 'refresh', stale: 'old' })
      run.resolve('new')
      await reactions()
      expect(await cache.once(KEY, loader.load)).toBe('new')
      expect(loader.runs).toHaveLength(1)
    },
  )

  it('of several processes one loads', async () => {
    const { clock, process } = machine()
    const settings = { refreshAheadRatio: 0.5 } as const
    const [one, two] = [process(settings), process(settings)] as const
    const loader = new HeldLoader<string>()
    await one.cache.set(KEY, 'old')
    expect(await two.cache.get(KEY)).toBe('old')
    clock.advance(30_000)
    for (const { cache } of [one, two]) expect(await cache.once(KEY, loader.load)).toBe('old')
    await reactions()
    const run = await loader.run(0)
    run.resolve('new')
    await reactions()
    await pass(clock, 1000)
    expect(await two.cache.once(KEY, loader.load)).toBe('old')
    await reactions()
    expect(await two.cache.once(KEY, loader.load)).toBe('new')
    expect(loader.runs).toHaveLength(1)
  })

  it('a remote hit late in its life does so too', async () => {
    const { clock, process } = machine()
    const { cache } = process({ refreshAheadRatio: 0.5 })
    const loader = new HeldLoader<string>()
    await cache.set(KEY, 'old')
    clock.advance(30_000)
    expect(await cache.once(KEY, loader.load, { skipLocal: true })).toBe('old')
    ;(await loader.run(0)).resolve('new')
    await reactions()
    expect(await cache.get(KEY, { skipLocal: true })).toBe('new')
  })
})

describe('options of refresh', () => {
  const options = (more: object) => () =>
    createCache({ local: lru({ maxEntries: 1 }), ttl: '1m', ...more } as never)

  it('an interval that the jittered ttl overtakes is refused', () => {
    expect(options({ refresh: { interval: '54s' }, jitterRatio: 0.1 })).toThrow(
      'refresh.interval must be shorter than a value may live, 54000 ms, but is 54000 ms',
    )
    expect(options({ refresh: { interval: '53.9s' }, jitterRatio: 0.1 })).not.toThrow()
  })

  it('a call whose ttl it overtakes, and one of a cache without refresh, are refused', async () => {
    const cache = options({ refresh: { interval: '30s' } })()
    caches.push(cache)
    const call = cache.once(KEY, () => 1, { refresh: true, ttl: '20s' })
    await expect(call).rejects.toThrow('refresh.interval must be shorter')
    const without = options({})()
    caches.push(without)
    await expect(without.once(KEY, () => 1, { refresh: true })).rejects.toThrow(
      'once cannot refresh: the cache has no refresh',
    )
  })

  it.each([
    [{}, 'refresh needs an interval'],
    [{ interval: '1s', concurrency: 0 }, 'refresh.concurrency must be a whole number from 1'],
    [{ interval: '1s', maxTasks: 1.5 }, 'refresh.maxTasks must be a whole number from 1'],
    [{ interval: '1s', every: 1 }, 'refresh has no option "every"'],
  ])('refuses %j', (refresh, message) => {
    expect(options({ refresh })).toThrow(message)
  })
})
