import { afterEach, describe, expect, it } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import { json } from '../../src/codec/json.ts'
import type { LocalEngine } from '../../src/local/local-store.ts'
import { tinyLfu } from '../../src/local/tiny-lfu/tiny-lfu.ts'
import type { Duration } from '../../src/model/duration.ts'
import type { CacheOptions, CacheSettings } from '../../src/options/options.ts'
import type { LoaderContext } from '../../src/read/call.ts'
import { type Fault, faultyRemote, type StoreOperation } from '../../src/testing/faulty-remote.ts'
import { type ManualClock, manualClock } from '../../src/testing/manual-clock.ts'
import { type MemoryBus, memoryBus } from '../../src/testing/memory-bus.ts'
import { type MemoryRemote, memoryRemote } from '../../src/testing/memory-remote.ts'
import { HeldLoader, reactions } from '../support/held-loader.ts'

const KEY = 'user:1'
const LOCK = `${KEY}_#RL#`
const MINUTE = 60_000
const REFRESH = { refresh: { interval: '10s', stopAfterLastAccess: '1h' } } as const
const caches: Cache[] = []

afterEach(() => {
  for (const cache of caches.splice(0)) void cache.close()
})

type Settings = CacheSettings & { readonly local?: LocalEngine | undefined; remote?: undefined }

interface World {
  readonly clock: ManualClock
  readonly remote: MemoryRemote
  process(settings?: Settings): Process
}

interface Process {
  readonly cache: Cache
  readonly asked: StoreOperation[]
  readonly faults: Map<StoreOperation, Fault>
  /** Stops the next such operation at that moment, until what is returned is called. */
  hold(what: `${StoreOperation} ${'before' | 'after'}`): () => void
}

/** Processes on one remote, and on one bus if there is one; values live for a minute. */
function open(bus?: MemoryBus): World {
  const clock = manualClock()
  const remote = memoryRemote(
    bus === undefined ? { clock } : { clock, announce: bus.announce, origin: bus.origin },
  )
  remote.open()
  return {
    clock,
    remote,
    process: (settings = {}) => {
      const asked: StoreOperation[] = []
      const faults: Process['faults'] = new Map()
      const held = new Map<string, Promise<void>>()
      const store = faultyRemote(remote, {
        script: (operation) => {
          asked.push(operation)
          return faults.get(operation) ?? 'none'
        },
        gate: (operation, _, moment) => {
          const gate = held.get(`${operation} ${moment}`)
          held.delete(`${operation} ${moment}`)
          return gate ?? Promise.resolve()
        },
      })
      const hold: Process['hold'] = (what) => {
        let letGo = () => {}
        held.set(what, new Promise((resolve) => (letGo = resolve)))
        return () => letGo()
      }
      const cache = createCache({
        local: tinyLfu({ maxEntries: 1000 }),
        remote: store,
        ttl: '1m',
        jitterRatio: 0,
        logger: false,
        clock,
        ...(bus === undefined ? {} : { sync: { bus } }),
        ...settings,
      } as CacheOptions)
      caches.push(cache)
      return { cache, asked, faults, hold }
    },
  }
}

async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await reactions()
}

/** Lets time pass in small steps, and what follows from each happen. */
async function pass(clock: ManualClock, ms: number, step = 100): Promise<void> {
  for (let left = ms; left > 0; left -= step) {
    await clock.advanceAsync(step)
    await turns(2)
  }
}

/** Lets time pass until something has happened; by default a little more than a refresh interval. */
async function passUntil(clock: ManualClock, happened: () => boolean, most = 11_000) {
  const step = most / 100
  for (let left = most; left > 0 && !happened(); left -= step) await pass(clock, step, step)
  expect(happened()).toBe(true)
}

/** Until all processes trust what they hear on the bus. */
async function listening(clock: ManualClock): Promise<void> {
  await turns()
  await clock.advanceAsync(1500)
}

/** What a call has come to without any time passing. */
function outcome(call: Promise<unknown>): Promise<unknown> {
  return Promise.race([
    call.catch((error: Error) => `rejected: ${error.message}`),
    turns(8).then(() => 'pending'),
  ])
}

/** A call whose own answer is not what the test is about. */
function aside(call: Promise<unknown>): void {
  void call.catch(() => {})
}

/** How long a call has waited when it rejects. */
function failsAfter(clock: ManualClock, call: Promise<unknown>): Promise<number | undefined> {
  const start = clock.monotonic()
  return call.then(
    () => undefined,
    () => clock.monotonic() - start,
  )
}

/** Stores `old`, and lets its minute end. */
async function storeStale({ clock }: World, { cache }: Process): Promise<void> {
  await cache.set(KEY, 'old')
  clock.advance(MINUTE + 1)
}

/** A process with `v1` in the remote alone. */
async function remoteOnly({ process }: World): Promise<Process> {
  const it = process()
  await it.cache.set(KEY, 'v1')
  it.cache.clearLocal()
  return it
}

/** A process whose background refresh does not get to read the remote until `go` is called. */
async function refreshThatReads(world: World, load: () => Promise<string> = async () => 'v1') {
  const it = world.process(REFRESH)
  await it.cache.once(KEY, load, { refresh: true })
  it.cache.clearLocal()
  it.asked.length = 0
  const go = it.hold('lease.read before')
  await passUntil(world.clock, () => it.asked.includes('lease.read'))
  return { ...it, go }
}

/** A database whose record changes with each look. */
function counting() {
  let loads = 0
  return { load: async () => ++loads, count: () => loads }
}

const failing = async (): Promise<string> => {
  throw new Error('db')
}

describe('a change during a load', () => {
  it('a deleted value is not answered after the delete, though the second look at it fails', async () => {
    const world = open()
    const it = world.process({ staleIfError: '10m', staleWhileRevalidate: '10m' })
    const loader = new HeldLoader<string>()
    await storeStale(world, it)
    const go = it.hold('lease.read before')
    aside(it.cache.once(KEY, loader.load))
    await turns()
    expect(await it.cache.delete(KEY)).toBe(true)
    it.faults.set('lease.read', 'before')
    go()
    await turns()
    expect(await outcome(it.cache.once(KEY, loader.load))).not.toBe('old')
  })

  it('a caller who asks after a delete does not get the deleted value from a load that waited', async () => {
    const world = open()
    const settings = { staleIfError: '10m' } as const
    const [a, b] = [world.process(settings), world.process(settings)] as const
    const [ofA, ofB] = [new HeldLoader<string>(), new HeldLoader<string>()] as const
    await storeStale(world, a)
    aside(b.cache.once(KEY, ofB.load))
    await ofB.run(0)
    aside(a.cache.once(KEY, ofA.load))
    await turns()
    // From here on A cannot ask for the lease that it waits for.
    a.faults.set('lease.read', 'before').set('lease.take', 'before')
    expect(await a.cache.delete(KEY)).toBe(true)
    await turns()
    await world.clock.advanceAsync(300)
    await turns()
    expect(await outcome(a.cache.once(KEY, ofA.load))).not.toBe('old')
  })

  it('a get under way does not put the old value over what this process has just filled', async () => {
    const { cache, hold } = await remoteOnly(open())
    const go = hold('get after')
    const get = cache.get(KEY)
    await turns()
    expect(await cache.refresh(KEY, async () => 'v2')).toBe('v2')
    expect(cache.peek(KEY)).toBe('v2')
    go()
    await get
    expect(cache.peek(KEY)).toBe('v2')
  })

  it('an older local value is not answered over a newer one of the remote', async () => {
    const { clock, process } = open()
    const settings = { staleWhileRevalidate: '10m' } as const
    const [a, b] = [process(settings), process(settings)] as const
    const loader = new HeldLoader<string>()
    await a.cache.set(KEY, 'v1')
    clock.advance(MINUTE / 2)
    await b.cache.set(KEY, 'v2')
    clock.advance(MINUTE + 1)
    a.faults.set('lease.take', 'before')
    expect(await a.cache.once(KEY, loader.load)).toBe('v2')
    await turns()
    expect(await outcome(a.cache.once(KEY, loader.load))).toBe('v2')
  })

  it('after a delete nothing is loaded for callers who have their stale answer', async () => {
    const world = open()
    const it = world.process({ staleWhileRevalidate: '10m' })
    const { load, count } = counting()
    await storeStale(world, it)
    const go = it.hold('lease.take before')
    expect(await it.cache.once<unknown>(KEY, load)).toBe('old')
    await turns()
    await it.cache.delete(KEY)
    go()
    await turns(10)
    expect([count(), world.remote.peek(KEY)]).toEqual([0, undefined])
  })
})

describe('an answer on an error', () => {
  it('staleIfError does not answer where nothing has failed', async () => {
    const world = open()
    const settings = { staleIfError: '10m', staleWhileRevalidate: '10m' } as const
    const [a, b] = [world.process(settings), world.process(settings)] as const
    const [ofA, ofB] = [new HeldLoader<string>(), new HeldLoader<string>()] as const
    await storeStale(world, a)
    await b.cache.once(KEY, ofB.load)
    await ofB.run(0)
    // B loads in good health; who takes a stale value meanwhile is given it.
    expect(await a.cache.once(KEY, ofA.load)).toBe('old')
    await turns()
    const strict = a.cache.once(KEY, ofA.load, { staleWhileRevalidate: false })
    expect(await outcome(strict)).not.toBe('old')
  })

  it('a value whose change this process has heard of is not answered on an error', async () => {
    let late = false
    const bus: MemoryBus = memoryBus({
      carry: (text, line) =>
        late && line === bus.lines[0] && text.includes(KEY) ? 'hold' : 'deliver',
    })
    const world = open(bus)
    const settings = { staleIfError: '10m' } as const
    const [a, b] = [world.process(settings), world.process(settings)] as const
    const loader = new HeldLoader<string>()
    await listening(world.clock)
    await a.cache.set(KEY, 'old')
    await turns()
    await world.clock.advanceAsync(MINUTE + 1)
    await turns()
    const go = a.hold('lease.take before')
    aside(a.cache.once(KEY, loader.load))
    await turns()
    // B deletes; A's loader begins; A hears of the delete; the loader fails.
    late = true
    expect(await b.cache.delete(KEY)).toBe(true)
    await turns()
    go()
    const run = await loader.run(0)
    expect(bus.lines[0]?.held).toHaveLength(1)
    bus.lines[0]?.release()
    await turns()
    const call = a.cache.once(KEY, loader.load)
    await turns()
    run.reject(new Error('db'))
    expect(await outcome(call)).toBe('rejected: db')
  })

  it('what the remote has not any more is not answered on an error', async () => {
    const world = open()
    const a = world.process({ staleIfError: '10m', local: undefined })
    const b = world.process({ staleIfError: '10m' })
    const [ofA, ofB] = [new HeldLoader<string>(), new HeldLoader<string>()] as const
    await storeStale(world, a)
    aside(b.cache.once(KEY, ofB.load))
    await ofB.run(0)
    aside(a.cache.once(KEY, ofA.load))
    await turns()
    // A waits for B, whose delete ends its lease.
    expect(await b.cache.delete(KEY)).toBe(true)
    await passUntil(world.clock, () => ofA.runs.length > 0, 1000)
    const run = await ofA.run(0)
    const call = a.cache.once(KEY, ofA.load)
    run.reject(new Error('db'))
    expect(await outcome(call)).toBe('rejected: db')
  })

  it('what deleteLocal has dropped is not answered when the load fails', async () => {
    const world = open()
    const it = world.process({ staleIfError: '10m' })
    const loader = new HeldLoader<string>()
    await storeStale(world, it)
    it.faults.set('lease.read', 'before')
    expect(await it.cache.once(KEY, loader.load)).toBe('old')
    it.cache.deleteLocal(KEY)
    expect(await outcome(it.cache.once(KEY, loader.load))).not.toBe('old')
  })

  it('a failure before a change keeps nobody from loading after it', async () => {
    const world = open()
    const it = world.process({ staleIfError: '10m' })
    await storeStale(world, it)
    expect(await it.cache.once(KEY, failing)).toBe('old')
    await it.cache.set(KEY, 'v2')
    await it.cache.expire(KEY)
    const { load, count } = counting()
    expect([await it.cache.once<unknown>(KEY, load), count()]).toEqual([1, 1])
  })

  it('failures are forgotten after a load that has succeeded', async () => {
    const world = open()
    const it = world.process({ staleIfError: '10m', staleWhileRevalidate: '10m' })
    await storeStale(world, it)
    for (const seconds of [1, 2, 4, 8, 16, 32, 0]) {
      await it.cache.once(KEY, failing)
      await turns()
      world.clock.advance(seconds * 1000)
    }
    await it.cache.delete(KEY)
    expect(await it.cache.once(KEY, async () => 'v2', { ttl: '1s' })).toBe('v2')
    world.clock.advance(1001)
    const { load, count } = counting()
    expect(await it.cache.once<unknown>(KEY, load)).toBe('v2')
    await turns()
    expect(count()).toBe(1)
  })
})

describe('a load ahead', () => {
  it.each(['setTtl', 'ttl function'] as const)(
    'is not made at each call for a ttl of the value’s own, %s: each process learns it once',
    async (how) => {
      const { clock, process } = open(memoryBus())
      const settings = { ttl: '1h', refreshAheadRatio: 0.8 } as const
      const processes = [process(settings), process(settings)]
      await listening(clock)
      const { load, count } = counting()
      const own = (context: LoaderContext) => {
        if (how === 'setTtl') context.setTtl('1m')
        return load()
      }
      const options = how === 'setTtl' ? {} : { ttl: (): Duration => '1m' }
      for (let round = 0; round < 20; round++) {
        for (const { cache } of processes) {
          await cache.once(KEY, own, options)
          await turns()
        }
        await clock.advanceAsync(50)
      }
      expect(count()).toBeLessThanOrEqual(processes.length)
    },
  )

  it('is not made at each hit for a ttl of the value’s own without a local tier', async () => {
    const { process } = open()
    const { cache } = process({ local: undefined, ttl: '1h', refreshAheadRatio: 0.8 })
    const { load, count } = counting()
    const own = (context: LoaderContext) => {
      context.setTtl('1m')
      return load()
    }
    for (let i = 0; i < 20; i++) {
      await cache.once(KEY, own)
      await turns()
    }
    expect(count()).toBe(1)
  })

  it('a load ahead is not aborted by a leaver who has joined it', async () => {
    const { process, clock } = open()
    const { cache } = process({ refreshAheadRatio: 0.5 })
    const loader = new HeldLoader<string>()
    await cache.set(KEY, 'old')
    clock.advance(31_000)
    expect(await cache.once(KEY, loader.load)).toBe('old')
    const { signal } = (await loader.run(0)).context
    const leaving = new AbortController()
    const call = cache.refresh(KEY, loader.load, { signal: leaving.signal })
    await turns()
    leaving.abort()
    await expect(call).rejects.toThrow()
    expect(signal.aborted).toBe(false)
  })

  it('is not tried at each hit on a key that the remote has lost', async () => {
    const { process, remote, clock } = open()
    const { cache, asked } = process({ refreshAheadRatio: 0.5 })
    await cache.once(KEY, async () => 'v1')
    clock.advance(31_000)
    await remote.delete([KEY])
    asked.length = 0
    for (let i = 0; i < 50; i++) {
      await cache.once(KEY, async () => 'v2')
      await turns(2)
    }
    expect(asked.length).toBeLessThan(10)
  })

  it.each(['skipStore', 'cacheIf'] as const)(
    'is not repeated by each hit if it stores nothing, %s',
    async (how) => {
      const { process, clock } = open()
      const { cache } = process({ refreshAheadRatio: 0.5 })
      const { load, count } = counting()
      const unstored = (context: LoaderContext) => {
        if (how === 'skipStore') context.skipStore()
        return load()
      }
      await cache.once(KEY, async () => 0)
      clock.advance(31_000)
      const options = how === 'cacheIf' ? { cacheIf: () => false } : {}
      for (let i = 0; i < 50; i++) {
        await cache.once(KEY, unstored, options)
        await turns(3)
      }
      expect(count()).toBeLessThan(10)
    },
  )

  it('goes by the life that the engine gives in a cache of local alone', async () => {
    const { process, clock } = open()
    const local = tinyLfu({ maxEntries: 10, ttl: '10s' })
    const { cache } = process({ remote: undefined, local, ttl: '1h', refreshAheadRatio: 0.5 })
    const { load, count } = counting()
    await cache.once(KEY, load)
    clock.advance(9000)
    await cache.once(KEY, load)
    await turns()
    expect(count()).toBe(2)
  })
})

describe('a refresh by hand', () => {
  it('keeps the codec of the call that named the loader', async () => {
    const { process, remote } = open()
    const { cache } = process({ codecs: { other: json() }, ...REFRESH })
    const stored = () => Buffer.from(remote.peek(KEY)?.bytes ?? []).toString('hex')
    await cache.once(KEY, async () => ({ a: 1 }), { refresh: true, codec: 'other' })
    const before = stored()
    expect(before).not.toBe('')
    await cache.refresh(KEY)
    expect(stored()).toBe(before)
  })

  it('keeps its cacheIf', async () => {
    const { process, remote } = open()
    const { cache } = process(REFRESH)
    await cache.once(KEY, async () => 'secret', { refresh: true, cacheIf: () => false })
    expect(remote.peek(KEY)).toBeUndefined()
    await cache.refresh(KEY)
    expect(remote.peek(KEY)).toBeUndefined()
  })

  it('keeps its localTtl', async () => {
    const { process, clock } = open()
    const { cache } = process(REFRESH)
    await cache.once(KEY, async () => 'v', { refresh: true, localTtl: '1s' })
    await cache.refresh(KEY)
    expect(cache.peek(KEY)).toBe('v')
    clock.advance(1001)
    expect(cache.peek(KEY)).toBeUndefined()
  })

  it('refresh() loads also if a once of the key is under way', async () => {
    const { cache } = await remoteOnly(open())
    const [, refreshed] = await Promise.all([
      cache.once(KEY, async () => 'x'),
      cache.refresh(KEY, async () => 'v2'),
    ])
    expect(refreshed).toBe('v2')
  })

  it('keeps no once waiting that finds a fresh value in the remote', async () => {
    const { cache } = await remoteOnly(open())
    const loader = new HeldLoader<string>()
    aside(cache.refresh(KEY, loader.load))
    const call = cache.once(KEY, loader.load)
    await loader.run(0)
    expect(await outcome(call)).toBe('v1')
  })

  it('fails no once that finds a fresh value in the remote', async () => {
    const { cache } = await remoteOnly(open())
    const refresh = cache.refresh(KEY, failing)
    const call = cache.once(KEY, async () => 'x')
    aside(refresh)
    expect(await outcome(call)).toBe('v1')
    await expect(refresh).rejects.toThrow('db')
  })
})

describe('a background refresh', () => {
  it('is not aborted by a leaver', async () => {
    const { clock, process } = open()
    const { cache } = process(REFRESH)
    const loader = new HeldLoader<string>()
    await cache.once(KEY, async () => 'v1', { refresh: true })
    await cache.once(KEY, loader.load, { refresh: true })
    await passUntil(clock, () => loader.runs.length > 0)
    const run = await loader.run(0)
    const leaving = new AbortController()
    const call = cache.refresh(KEY, async () => 'by hand', { signal: leaving.signal })
    await turns()
    leaving.abort()
    await expect(call).rejects.toThrow()
    expect(run.context.signal.aborted).toBe(false)
    run.resolve('v2')
    await turns()
    expect(await cache.get(KEY)).toBe('v2')
  })

  it('is not aborted by a leaver while it still reads the remote', async () => {
    let loads = 0
    const { cache, go } = await refreshThatReads(open(), async () => `v${++loads}`)
    const leaving = new AbortController()
    const call = cache.once(KEY, async () => 'x', { signal: leaving.signal })
    await turns()
    leaving.abort()
    await expect(call).rejects.toThrow()
    go()
    await turns()
    expect([loads, cache.stats().refreshesFailed]).toEqual([2, 0])
  })

  it.each(['new', 'not modified'] as const)(
    'a refresh that found nothing modified is heard of like any other: locks are not tried in vain, %s',
    async (how) => {
      const { process, clock } = open(memoryBus())
      const processes = Array.from({ length: 6 }, () => process({ ...REFRESH, ttl: '10m' }))
      await listening(clock)
      const { load } = counting()
      const same = (context: LoaderContext) =>
        how === 'new' || context.stale === undefined ? load() : context.notModified()
      for (const { cache } of processes) {
        await cache.once(KEY, same, { refresh: true })
        await turns()
      }
      await pass(clock, 30_000)
      for (const { asked } of processes) asked.length = 0
      await pass(clock, 100_000)
      const tries = processes.flatMap(({ asked }) => asked.filter((each) => each === 'set'))
      // Of ten refreshes.
      expect(tries.length).toBeGreaterThan(0)
      expect(tries.length).toBeLessThan(20)
    },
    60_000,
  )

  it('a refresh whose fill the remote did not take is no success', async () => {
    const { process, clock, remote } = open()
    const { cache, faults } = process(REFRESH)
    const { load, count } = counting()
    await cache.once(KEY, load, { refresh: true })
    faults.set('lease.fill', 'before')
    await passUntil(clock, () => count() === 2)
    await turns()
    expect([cache.stats().refreshesFailed, remote.peek(LOCK)]).toEqual([1, undefined])
  })

  it('a refresh for a call that skips local leaves no older copy in local', async () => {
    const { process, clock } = open()
    const { cache } = process(REFRESH)
    const { load, count } = counting()
    await cache.once(KEY, load)
    await cache.once(KEY, load, { refresh: true, skipLocal: true })
    await pass(clock, 11_000)
    expect(count()).toBeGreaterThan(1)
    expect(await cache.get(KEY)).toBe(count())
  })
})

describe('a caller', () => {
  it('hardTimeout is not begun anew when the load it joined ends without a result', async () => {
    const world = open()
    const { cache, go } = await refreshThatReads(world)
    const loader = new HeldLoader<string>()
    const waited = failsAfter(world.clock, cache.once(KEY, loader.load, { hardTimeout: 100 }))
    await turns()
    await world.process().cache.delete(KEY)
    await world.clock.advanceAsync(90)
    // The refresh finds its key deleted and ends; the caller begins a load of its own.
    go()
    await turns()
    await world.clock.advanceAsync(10)
    expect(await outcome(waited)).toBe(100)
  })

  it('hardTimeout counts while a change is in doubt', async () => {
    const { clock, process } = open(memoryBus())
    const [a, b] = [process(), process()] as const
    const loader = new HeldLoader<string>()
    await listening(clock)
    aside(a.cache.once(KEY, loader.load))
    await loader.run(0)
    // A hears of a delete during its load, and cannot learn whether its lease outlived it.
    a.faults.set('lease.renew', 'hang')
    await b.cache.delete(KEY)
    await turns()
    const waited = failsAfter(clock, a.cache.once(KEY, loader.load, { hardTimeout: 100 }))
    await pass(clock, 1000, 10)
    expect(await outcome(waited)).toBe(100)
  })

  it('who has to ask once more is counted once', async () => {
    const world = open()
    const { cache, go } = await refreshThatReads(world)
    const calls = Array.from({ length: 10 }, () => cache.once(KEY, async () => 'v2'))
    await world.process().cache.delete(KEY)
    go()
    await Promise.all(calls)
    expect(cache.stats().coalesced).toBeLessThanOrEqual(calls.length)
  })

  it('who leaves does not end a load that has outlived the hardTimeout of another', async () => {
    const { clock, process } = open()
    const { cache } = process({ hardTimeout: 100, staleIfError: '10m' })
    const loader = new HeldLoader<string>()
    const first = cache.once(KEY, loader.load)
    const run = await loader.run(0)
    clock.advance(101)
    expect(await outcome(first)).toContain('rejected')
    const leaving = new AbortController()
    const second = cache.once(KEY, loader.load, { signal: leaving.signal })
    leaving.abort()
    await expect(second).rejects.toThrow()
    run.resolve('v')
    await turns()
    expect([run.context.signal.aborted, await cache.get(KEY)]).toEqual([false, 'v'])
  })
})

describe('a loader that says "not found" by an error', () => {
  class Gone extends Error {}
  const notFound = { error: Gone, jitterRatio: 0 }

  it('has its skipStore heeded', async () => {
    const { process, remote } = open()
    const { cache } = process({ notFound })
    const load = async (context: LoaderContext): Promise<string> => {
      context.skipStore()
      throw new Gone()
    }
    expect(await cache.once(KEY, load)).toBe(null)
    expect(remote.peek(KEY)).toBeUndefined()
  })

  it('has its setTtl heeded', async () => {
    const { process, remote } = open()
    const { cache } = process({ notFound })
    const load = async (context: LoaderContext): Promise<string> => {
      context.setTtl('1s')
      throw new Gone()
    }
    await cache.once(KEY, load)
    expect(remote.peek(KEY)?.ttlLeft).toBe(1000)
  })
})

describe('close', () => {
  it('gives back a lock that was taken while it began', async () => {
    const { process, clock, remote } = open()
    const { cache, hold, asked } = process(REFRESH)
    await cache.once(KEY, async () => 1, { refresh: true })
    asked.length = 0
    const go = hold('set after')
    await passUntil(clock, () => asked.includes('set'))
    expect(remote.peek(LOCK)).toBeDefined()
    const closing = cache.close()
    go()
    await turns()
    await closing
    expect(remote.peek(LOCK)).toBeUndefined()
  })

  it('no loader begins in the background after close() was called', async () => {
    const world = open()
    const it = world.process({ staleWhileRevalidate: '10m' })
    const { load, count } = counting()
    await storeStale(world, it)
    const go = it.hold('lease.read after')
    const call = it.cache.once(KEY, load)
    await turns()
    const closing = it.cache.close()
    go()
    await turns()
    await Promise.all([outcome(call), closing])
    expect(count()).toBe(0)
  })

  it('leaves no caller from before it without an answer', async () => {
    const world = open()
    const other = world.process()
    const { cache, go } = await refreshThatReads(world)
    const call = cache.once(KEY, async () => 'v2')
    await other.cache.delete(KEY)
    const closing = cache.close()
    go()
    expect(await outcome(call)).toBe('v2')
    await closing
  })

  it('a cache that lost the lock leaves no timer after close', async () => {
    const { process, clock, remote } = open()
    const { cache } = process(REFRESH)
    await cache.once(KEY, async () => 1, { refresh: true })
    remote.plant(LOCK, Buffer.from('1'), 20_000)
    await passUntil(clock, () => cache.stats().refreshesElsewhere > 0)
    const closing = cache.close()
    await turns()
    await closing
    expect(clock.pendingTimers).toBe(0)
  })
})
