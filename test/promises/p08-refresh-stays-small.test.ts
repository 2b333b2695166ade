import { AsyncLocalStorage } from 'node:async_hooks'
import { afterEach, describe, expect, it } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import { tinyLfu } from '../../src/local/tiny-lfu/tiny-lfu.ts'
import type { CacheSettings } from '../../src/options/options.ts'
import type { LoaderContext } from '../../src/read/call.ts'
import { type Fault, faultyRemote, type StoreOperation } from '../../src/testing/faulty-remote.ts'
import { type ManualClock, manualClock } from '../../src/testing/manual-clock.ts'
import { type MemoryBus, memoryBus } from '../../src/testing/memory-bus.ts'
import { type MemoryRemote, memoryRemote } from '../../src/testing/memory-remote.ts'
import { HeldLoader, reactions } from '../support/held-loader.ts'
import { LOAD_PATHS } from '../support/load-paths.ts'

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
  /** Keeps the next such operation from being sent, until what is returned is called. */
  hold(operation: StoreOperation): () => void
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
      const held = new Map<StoreOperation, Promise<void>>()
      const store = faultyRemote(remote, {
        script: (operation) => {
          asked.push(operation)
          return faults.get(operation) ?? 'none'
        },
        gate: (operation, _, moment) => {
          const gate = moment === 'before' ? held.get(operation) : undefined
          if (gate !== undefined) held.delete(operation)
          return gate ?? Promise.resolve()
        },
      })
      const hold: Process['hold'] = (operation) => {
        let letGo = () => {}
        held.set(operation, new Promise((resolve) => (letGo = resolve)))
        return () => letGo()
      }
      const cache = createCache({
        local: tinyLfu({ maxEntries: 1000 }),
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
      return { cache, asked, faults, hold }
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

/** Lets time pass until something has happened, to the millisecond. */
async function passUntil(clock: ManualClock, happened: () => boolean): Promise<void> {
  for (let left = 2 * INTERVAL; left > 0 && !happened(); left--) {
    await clock.advanceAsync(1)
    await reactions()
  }
  expect(happened()).toBe(true)
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

describe.each(LOAD_PATHS)('A refresh $leases', ({ settings: path, read, fill }) => {
  it('of what the remote has lost loads nothing, and leaves nothing: no copy, no lease', async () => {
    const { clock, process, remote } = machine()
    const { cache } = process(path)
    const two = process({ ...path, local: undefined } as never)
    const { load, count } = counting()
    await cache.once(KEY, load, { refresh: true })
    await remote.delete([KEY])
    await passUntil(clock, () => cache.taskSize === 0)
    expect([count(), cache.stats().localEntries]).toEqual([1, 0])
    await reactions()
    expect(await two.cache.once(KEY, () => 'at once')).toBe('at once')
    expect(remote.peek(LOCK)).toBeUndefined()
  })

  it('of what the remote has lost does not drop what this process has stored meanwhile', async () => {
    const { clock, process, remote } = machine()
    const { cache, asked, hold } = process(path)
    await cache.once(KEY, () => 'old', { refresh: true })
    await remote.delete([KEY])
    const letGo = hold(read)
    asked.length = 0
    await passUntil(clock, () => asked.includes(read))
    const set = cache.set(KEY, 'new')
    letGo()
    await set
    await reactions()
    expect(cache.peek(KEY)).toBe('new')
  })

  it('loads nothing when the remote cannot be read, and tries again at the next interval', async () => {
    const { clock, process, remote } = machine()
    const { cache, faults, asked } = process({ ttl: '1h', ...path })
    const { load, count } = counting()
    await cache.once(KEY, load, { refresh: true })
    faults.set(read, 'before')
    await passUntil(clock, () => cache.stats().refreshesFailed === 1)
    await reactions()
    expect([count(), remote.peek(LOCK)]).toEqual([1, undefined])
    await pass(clock, 4 * INTERVAL)
    expect(cache.stats().refreshesFailed).toBeGreaterThanOrEqual(4)
    faults.clear()
    asked.length = 0
    await pass(clock, 1.2 * INTERVAL)
    expect(asked).toContain(fill)
  })

  it('finds a load of the key under way, and leaves it to that', async () => {
    const { clock, process } = machine()
    const { cache } = process(path)
    const loader = new HeldLoader<string>()
    const { load, count } = counting()
    await cache.once(KEY, load, { refresh: true })
    const call = cache.refresh(KEY, loader.load)
    const run = await loader.run(0)
    await passUntil(clock, () => cache.stats().refreshesElsewhere === 1)
    await reactions()
    expect([count(), loader.runs.length]).toEqual([1, 1])
    run.resolve('new')
    expect(await call).toBe('new')
  })

  it('that fails is tried at its times, though callers would pause for longer', async () => {
    const { clock, process } = machine()
    const { cache } = process({ refresh: { interval: 250, stopAfterLastAccess: '1h' }, ...path })
    let fails = 0
    await cache.once(KEY, () => 'old', { refresh: true })
    const load = () => {
      fails++
      throw new Error('down')
    }
    await cache.once(KEY, load, { refresh: true })
    await passUntil(clock, () => fails === 1)
    await pass(clock, 300)
    expect(fails).toBe(2)
  })
})

it('a copy that was read anew during a refresh does not outlive it', async () => {
  const { clock, process } = machine()
  const { cache } = process()
  const loader = new HeldLoader<string>()
  await cache.once(KEY, () => 'old', { refresh: true })
  await cache.once(KEY, loader.load, { refresh: true })
  await pass(clock, INTERVAL)
  const run = await loader.run(0)
  cache.deleteLocal(KEY)
  expect(await cache.once(KEY, loader.load)).toBe('old')
  run.resolve('new')
  await reactions()
  expect(await cache.once(KEY, loader.load)).toBe('new')
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

  it('does not begin for who has left already', async () => {
    const { process } = machine()
    const { cache, asked } = process()
    const { load, count } = counting()
    const call = cache.refresh(KEY, load, { signal: AbortSignal.abort('left') })
    await expect(call).rejects.toBe('left')
    await reactions()
    expect([count(), asked]).toEqual([0, []])
  })

  it('takes from the key’s own call what it does not say, but not the signal of that request', async () => {
    const { process, remote } = machine()
    const { cache } = process()
    const request = new AbortController()
    const { load } = counting()
    await cache.once(KEY, load, { refresh: true, ttl: '30s', signal: request.signal })
    request.abort('answered')
    expect(await cache.refresh(KEY)).toBe(2)
    expect(remote.peek(KEY)?.ttlLeft).toBe(30_000)
    expect(await cache.refresh(KEY, undefined, { ttl: '20s' })).toBe(3)
    expect(remote.peek(KEY)?.ttlLeft).toBe(20_000)
    await cache.once('local', load, { refresh: true, skipRemote: true })
    await cache.refresh('local', undefined, { ttl: '20s' })
    expect([cache.peek('local'), remote.peek('local')]).toEqual([5, undefined])
  })

  it('answers a once that comes meanwhile with what is there', async () => {
    const { process } = machine()
    const { cache } = process()
    const loader = new HeldLoader<string>()
    await cache.set(KEY, 'old')
    const refresh = cache.refresh(KEY, loader.load)
    await loader.run(0)
    expect(await cache.once(KEY, loader.load, { skipLocal: true })).toBe('old')
    expect(cache.stats().staleServed).toBe(0)
    ;(await loader.run(0)).resolve('new')
    expect(await refresh).toBe('new')
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

describe('the lock', () => {
  it('ends ten milliseconds before the next refresh is due', async () => {
    const { clock, process, remote } = machine()
    const { cache } = process()
    await cache.once(KEY, () => 'v', { refresh: true })
    await passUntil(clock, () => remote.peek(LOCK) !== undefined)
    expect(remote.peek(LOCK)?.ttlLeft).toBe(INTERVAL - 10)
  })

  it('that nobody knows to be taken is none: nothing is loaded', async () => {
    const { clock, process } = machine()
    const { cache, faults, asked } = process()
    const { load, count } = counting()
    await cache.once(KEY, load, { refresh: true })
    faults.set('set', 'before')
    asked.length = 0
    await passUntil(clock, () => cache.stats().refreshesFailed === 1)
    await reactions()
    expect([count(), asked]).toEqual([1, ['set']])
  })

  it('is none of a key that is refreshed in local alone', async () => {
    const { clock, process, remote } = machine()
    const { cache, asked } = process()
    const { load, count } = counting()
    await cache.once(KEY, load, { refresh: true, skipRemote: true })
    await passUntil(clock, () => count() === 2)
    await reactions()
    expect([cache.peek(KEY), remote.size, asked]).toEqual([2, 0, []])
  })

  it('in vain, without a bus, has the remote’s value copied a fifth of the interval later', async () => {
    const { clock, process, remote } = machine()
    const { cache, asked } = process()
    await cache.once(KEY, () => 'old', { refresh: true })
    await process().cache.set(KEY, 'new')
    remote.plant(LOCK, Buffer.from('1700000000'), 5 * INTERVAL)
    await passUntil(clock, () => cache.stats().refreshesElsewhere === 1)
    asked.length = 0
    await clock.advanceAsync(INTERVAL / 5 - 1)
    expect([asked, cache.peek(KEY)]).toEqual([[], 'old'])
    await clock.advanceAsync(1)
    expect([asked, cache.peek(KEY)]).toEqual([['get'], 'new'])
  })

  it('in vain asks for no copy of what local has dropped, and none where the bus is heard', async () => {
    for (const bus of [false, true]) {
      const { clock, process, remote } = machine({ bus })
      const { cache, asked } = process()
      await clock.advanceAsync(0)
      await cache.once(KEY, () => 'old', { refresh: true })
      remote.plant(LOCK, Buffer.from('1700000000'), 5 * INTERVAL)
      if (!bus) cache.deleteLocal(KEY)
      await passUntil(clock, () => cache.stats().refreshesElsewhere === 1)
      asked.length = 0
      await pass(clock, INTERVAL / 2)
      expect(asked).toEqual([])
    }
  })
})

describe('refreshAheadRatio', () => {
  it.each([{ local: true }, { local: false }])(
    'a load ahead that fails is nobody’s, and not tried by each hit, local alone: $local',
    async (kind) => {
      const unhandled: unknown[] = []
      const note = (reason: unknown) => unhandled.push(reason)
      process.on('unhandledRejection', note)
      try {
        const { clock, process: begin } = machine(kind)
        const { cache } = begin({ refreshAheadRatio: 0.5 })
        await cache.set(KEY, 'old')
        clock.advance(30_000)
        let fails = 0
        const load = async (): Promise<string> => {
          fails++
          throw new Error('down')
        }
        const hits = async (ms: number) => {
          for (let step = 0; step < 10; step++) {
            expect(await cache.once(KEY, load)).toBe('old')
            await reactions()
            clock.advance(ms / 10)
          }
        }
        await hits(1000)
        expect(fails).toBe(1)
        await hits(2000)
        expect([fails, unhandled]).toEqual([2, []])
      } finally {
        process.off('unhandledRejection', note)
      }
    },
  )

  it('a load ahead that stores nothing is not begun by each hit', async () => {
    const { clock, process } = machine()
    const { cache, asked } = process({ refreshAheadRatio: 0.5 })
    await cache.set(KEY, 'old')
    clock.advance(30_000)
    asked.length = 0
    let loads = 0
    const load = ({ skipStore }: LoaderContext) => {
      loads++
      skipStore()
      return 'partial'
    }
    for (let i = 0; i < 10; i++) {
      await cache.once(KEY, load)
      await reactions()
    }
    expect([loads, asked]).toEqual([1, ['lease.read', 'lease.take', 'lease.release']])
  })

  it('goes by the life that a loader or a call has chosen', async () => {
    for (const how of ['a loader', 'a call', 'a function'] as const) {
      const { clock, process } = machine()
      const { cache } = process({ refreshAheadRatio: 0.5 })
      let loads = 0
      const load = ({ setTtl }: LoaderContext) => {
        if (how === 'a loader') setTtl('10s')
        return ++loads
      }
      const ttl = how === 'a call' ? '10s' : () => '10s' as const
      const once = async () => {
        const call = cache.once(KEY, load, how === 'a loader' ? {} : { ttl })
        await call
        await reactions()
        await cache.once(KEY, load, { skipLocal: true, ...(how === 'a loader' ? {} : { ttl }) })
        await reactions()
      }
      await once()
      clock.advance(4999)
      await once()
      expect([how, loads]).toEqual([how, 1])
      clock.advance(1)
      await once()
      expect([how, loads]).toEqual([how, 2])
    }
  })

  it('goes by the ttl of the call where another process has stored the value', async () => {
    const { clock, process } = machine()
    const settings = { refreshAheadRatio: 0.5 } as const
    const [one, two] = [process(settings), process(settings)] as const
    const { load, count } = counting()
    await one.cache.set(KEY, 'v', { ttl: '10s' })
    const hit = async () => {
      await two.cache.once(KEY, load, { ttl: '10s', skipLocal: true })
      await reactions()
    }
    clock.advance(4999)
    await hit()
    expect(count()).toBe(0)
    clock.advance(1)
    await hit()
    expect(count()).toBe(1)
  })

  it('goes by the local ttl where that is all the life there is', async () => {
    const { clock, process } = machine({ local: true })
    const { cache } = process({
      local: tinyLfu({ maxEntries: 10, ttl: '10s' }),
      refresh: undefined,
      refreshAheadRatio: 0.5,
    } as never)
    const { load, count } = counting()
    await cache.once(KEY, load)
    clock.advance(4999)
    await cache.once(KEY, load)
    await reactions()
    expect(count()).toBe(1)
    clock.advance(1)
    await cache.once(KEY, load)
    await reactions()
    expect(count()).toBe(2)
  })

  it.each([{ local: true }, { local: false }])(
    'an absence is not loaded ahead, local alone: $local',
    async (kind) => {
      const { clock, process } = machine(kind)
      const { cache } = process({
        refreshAheadRatio: 0.1,
        notFound: { ttl: '1m', jitterRatio: 0 },
      })
      let loads = 0
      const none = () => {
        loads++
        return null
      }
      await cache.once<string | null>(KEY, none)
      clock.advance(59_999)
      for (const skipLocal of [false, true]) {
        await cache.once<string | null>(KEY, none, kind.local ? {} : { skipLocal })
        await reactions()
      }
      expect(loads).toBe(1)
    },
  )

  it('hits of calls with options, and of onceOrThrow, have it loaded too', async () => {
    const { clock, process } = machine()
    const { cache } = process({ refreshAheadRatio: 0.5 })
    for (const ask of ['options', 'onceOrThrow']) {
      const { load, count } = counting()
      await cache.set(ask, 0)
      clock.advance(30_000)
      if (ask === 'options') await cache.once(ask, load, { ttl: '1m' })
      else await cache.onceOrThrow(ask, load)
      await reactions()
      expect([ask, count(), await cache.get(ask)]).toEqual([ask, 1, 1])
    }
  })

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
    createCache({ local: tinyLfu({ maxEntries: 1 }), ttl: '1m', ...more } as never)

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
