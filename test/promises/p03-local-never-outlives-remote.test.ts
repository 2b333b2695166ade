import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import { msgpack } from '../../src/codec/msgpack.ts'
import type { Duration } from '../../src/index.ts'
import { tinyLfu } from '../../src/local/tiny-lfu/tiny-lfu.ts'
import type { Clock } from '../../src/model/clock.ts'
import { SteadyWallClock } from '../../src/model/steady-wall-clock.ts'
import type { CacheSettings } from '../../src/options/options.ts'
import { faultyRemote, type StoreOperation } from '../../src/testing/faulty-remote.ts'
import { type ManualClock, manualClock } from '../../src/testing/manual-clock.ts'
import { type MemoryRemote, memoryRemote } from '../../src/testing/memory-remote.ts'
import { NAMED_CELLS, openWorld, type World } from '../support/cells.ts'
import { LOAD_PATHS } from '../support/load-paths.ts'
import { until } from '../support/until.ts'

const KEY = 'user:1'
const VALUE = { name: 'Ada' }
const BYTES = msgpack().encode(VALUE)
const HOUR = 3_600_000
const DAY = 24 * HOUR

/** Milliseconds that an operation takes until it takes effect, and from then until its answer. */
interface Delay {
  readonly before: number
  readonly after: number
}

interface Parts {
  readonly clock: ManualClock
  readonly remote: MemoryRemote
  readonly cache: Cache
  /** Another cache on the same remote. */
  readonly other: Cache
}

/** Time passes only in the remote's operations and where a test says so. */
function parts(
  options: {
    readonly localTtl?: Duration | undefined
    readonly settings?: CacheSettings
    readonly delay?: (operation: StoreOperation) => Delay | undefined
    /** The cache's clock, made from the one that is moved by hand. */
    readonly clockOf?: (clock: ManualClock) => Clock
  } = {},
): Parts {
  const clock = manualClock()
  const remote = memoryRemote({ clock })
  const slow = faultyRemote(remote, {
    gate: async (operation, _, moment) => clock.advance(options.delay?.(operation)?.[moment] ?? 0),
  })
  const open = () =>
    createCache({
      local: tinyLfu({ maxEntries: 100, ttl: options.localTtl }),
      remote: slow,
      clock: options.clockOf?.(clock) ?? clock,
      jitterRatio: 0,
      notFound: { jitterRatio: 0 },
      remoteTimeout: '1h',
      ...options.settings,
    })
  return { clock, remote, cache: open(), other: open() }
}

const neverCalled = () => Promise.reject(new Error('the loader was called'))

/** The local copy is there until the last millisecond before `life`, and not a moment longer. */
function expectLocalLife(cache: Cache, clock: ManualClock, life: number): void {
  clock.advance(life - 1)
  expect(cache.peek(KEY), `1 ms before ${life} ms are over`).toEqual(VALUE)
  clock.advance(1)
  expect(cache.peek(KEY), `after ${life} ms`).toBeUndefined()
}

describe('the local copy of a value read from the remote', () => {
  it.each([
    ['what the remote has left, where that is less than the local ttl', 1000, '1h', 1000],
    ['the local ttl, where the remote has more left', DAY, '1m', 60_000],
    ['what the remote has left, where the engine has no ttl', DAY, undefined, DAY],
    ['one millisecond, where that is all there is left', 1, '1h', 1],
  ] as const)('lives for %s', async (_, left, localTtl, life) => {
    const { clock, remote, cache } = parts({ localTtl })
    remote.plant(KEY, BYTES, left)
    expect(await cache.once(KEY, neverCalled)).toEqual(VALUE)
    expectLocalLife(cache, clock, life)
  })

  const readers = [
    ['a get', {}, (cache: Cache) => cache.get(KEY)],
    ...LOAD_PATHS.map(
      ({ leases, settings }) =>
        [`a load ${leases}`, settings, (cache: Cache) => cache.once(KEY, neverCalled)] as const,
    ),
  ] as const

  it.each(readers)(
    'by %s has its life counted from the moment the question was sent',
    async (_, settings, read) => {
      const delay = () => ({ before: 100, after: 200 })
      const { clock, remote, cache } = parts({ delay, settings })
      remote.plant(KEY, BYTES, 1000)
      // The remote says 900 after 100 ms; its answer is here after 300. Sent + 900: 600 from now.
      expect(await read(cache)).toEqual(VALUE)
      expectLocalLife(cache, clock, 600)
    },
  )

  it('is not made when the answer took longer than the life it tells of', async () => {
    const { remote, cache } = parts({ delay: () => ({ before: 0, after: 1000 }) })
    remote.plant(KEY, BYTES, 1000)
    expect(await cache.get(KEY)).toEqual(VALUE)
    expect(cache.peek(KEY)).toBeUndefined()
    expect(cache.stats().localEntries).toBe(0)
  })

  it.each(readers)(
    'has its life counted from the question of %s, for one who joined it later',
    async (_, settings, read) => {
      const clock = manualClock()
      const remote = memoryRemote({ clock })
      let answer = () => {}
      const held = new Promise<void>((resolve) => {
        answer = resolve
      })
      const cache = createCache({
        local: tinyLfu({ maxEntries: 10 }),
        remote: faultyRemote(remote, {
          gate: async (_, __, at) => (at === 'after' ? held : undefined),
        }),
        clock,
        remoteTimeout: '1h',
        ...settings,
      })
      remote.plant(KEY, BYTES, 1000)
      const first = read(cache)
      await clock.advanceAsync(400)
      const second = cache.get(KEY)
      answer()
      expect(await Promise.all([first, second])).toEqual([VALUE, VALUE])
      expectLocalLife(cache, clock, 600)
    },
  )

  it('of a value without expiry lives for the local ttl, and that is counted', async () => {
    const { clock, remote, cache } = parts({ localTtl: '1m' })
    remote.plant(KEY, BYTES)
    const found = await cache.lookup(KEY)
    expect(found).toEqual({ status: 'hit', value: VALUE, tier: 'remote', ttlLeft: Infinity })
    expect(cache.stats().remoteWithoutExpiry).toBe(1)
    expectLocalLife(cache, clock, 60_000)
    expect(remote.peek(KEY)?.ttlLeft).toBe(Infinity)
  })

  it("of a value without expiry lives for the cache's ttl where the engine has none", async () => {
    const { clock, remote, cache } = parts({ settings: { ttl: '10m' } })
    remote.plant(KEY, BYTES)
    await cache.get(KEY)
    expectLocalLife(cache, clock, 600_000)
  })

  it('of a placeholder without expiry lives for notFound.ttl', async () => {
    const { clock, remote, cache } = parts({
      settings: { notFound: { ttl: '30s', jitterRatio: 0 } },
    })
    remote.plant(KEY, Buffer.from('*'))
    await cache.get(KEY)
    clock.advance(29_999)
    expect((await cache.lookup(KEY)).status).toBe('absent')
    expect(cache.stats()).toMatchObject({ localHit: 1, remoteHit: 1 })
    clock.advance(1)
    await cache.lookup(KEY)
    expect(cache.stats()).toMatchObject({ localHit: 1, remoteHit: 2 })
  })

  it('is renewed by no hit', async () => {
    const { clock, remote, cache } = parts()
    remote.plant(KEY, BYTES, 1000)
    await cache.get(KEY)
    for (let i = 0; i < 9; i++) {
      clock.advance(100)
      expect(await cache.once(KEY, neverCalled)).toEqual(VALUE)
    }
    clock.advance(100)
    expect(cache.peek(KEY)).toBeUndefined()
    expect(await cache.get(KEY)).toBeUndefined()
  })
})

describe('the local copy of a value that was loaded or set', () => {
  const writers = [
    ['a load', (cache: Cache, ttl: Duration) => cache.once(KEY, () => VALUE, { ttl })],
    ['a set', (cache: Cache, ttl: Duration) => cache.set(KEY, VALUE, { ttl })],
  ] as const

  describe.each(LOAD_PATHS)('$leases', ({ settings, read, fill }) => {
    it.each(writers)(
      'by %s has its life counted from when the write was sent',
      async (_, write) => {
        const delay = (operation: StoreOperation) =>
          operation === read ? undefined : { before: 100, after: 200 }
        const { clock, remote, cache } = parts({ delay, settings })
        await write(cache, 1000)
        expect(remote.peek(KEY)?.ttlLeft).toBe(800)
        expectLocalLife(cache, clock, 700)
        expect(remote.peek(KEY)?.ttlLeft).toBe(100)
      },
    )

    it('lives from when the fill was sent also where nobody knows whether it took', async () => {
      const clock = manualClock()
      const remote = memoryRemote({ clock })
      const lost = faultyRemote(remote, {
        script: (operation) => (operation === fill ? 'after' : 'none'),
        gate: async (operation) => (operation === fill ? clock.advance(150) : undefined),
      })
      const cache = createCache({
        local: tinyLfu({ maxEntries: 10 }),
        remote: lost,
        clock,
        jitterRatio: 0,
        remoteTimeout: '1h',
        ...settings,
      })
      await cache.once(KEY, () => VALUE, { ttl: 1000 })
      expect(cache.stats().remoteErrors).toBe(1)
      expectLocalLife(cache, clock, 700)
    })
  })

  it.each(writers)('by %s lives for the local ttl where that is less', async (_, write) => {
    const { clock, remote, cache } = parts({ localTtl: '10s' })
    await write(cache, '1h')
    expect(remote.peek(KEY)?.ttlLeft).toBe(HOUR)
    expectLocalLife(cache, clock, 10_000)
  })

  it.each(writers)('by %s lives for its ttl where the local ttl is more', async (_, write) => {
    const { clock, cache } = parts({ localTtl: '1h' })
    await write(cache, '10s')
    expectLocalLife(cache, clock, 10_000)
  })

  it('is not delayed in its end by the time its loader took', async () => {
    const { clock, remote, cache } = parts()
    const load = () => {
      clock.advance(500)
      return VALUE
    }
    await cache.once(KEY, load, { ttl: 1000 })
    expect(remote.peek(KEY)?.ttlLeft).toBe(1000)
    expectLocalLife(cache, clock, 1000)
  })
})

describe('localTtl of one call', () => {
  const calls = [
    ['get', (cache: Cache, localTtl: Duration) => cache.get(KEY, { localTtl })],
    ['getOrThrow', (cache: Cache, localTtl: Duration) => cache.getOrThrow(KEY, { localTtl })],
    ['lookup', (cache: Cache, localTtl: Duration) => cache.lookup(KEY, { localTtl })],
    ['exists', (cache: Cache, localTtl: Duration) => cache.exists(KEY, { localTtl })],
    ['once', (cache: Cache, localTtl: Duration) => cache.once(KEY, () => VALUE, { localTtl })],
    ['set', (cache: Cache, localTtl: Duration) => cache.set(KEY, VALUE, { localTtl })],
  ] as const

  it.each(calls)('of %s takes the place of the engine’s, shorter or longer', async (_, call) => {
    for (const localTtl of [2000, 90_000]) {
      const { clock, remote, cache } = parts({ localTtl: '1m' })
      remote.plant(KEY, BYTES, HOUR)
      await call(cache, localTtl)
      expectLocalLife(cache, clock, localTtl)
    }
  })

  it.each(calls)('of %s lengthens no copy beyond the remote', async (_, call) => {
    const { clock, remote, cache } = parts({ settings: { ttl: 5000 } })
    remote.plant(KEY, BYTES, 5000)
    await call(cache, '1d')
    expectLocalLife(cache, clock, 5000)
  })

  it('counts for a load without a remote to store in', async () => {
    const { clock, cache } = parts()
    await cache.once(KEY, () => VALUE, { localTtl: 2000, skipRemote: true })
    expectLocalLife(cache, clock, 2000)
  })
})

describe('a ttl that is a function of the value', () => {
  it('decides the life in both tiers, from the value as callers get it', async () => {
    const { clock, remote, cache } = parts({ settings: { codec: 'json' } })
    const seen: unknown[] = []
    const load = () => ({ validFor: 5000, at: new Date(0) })
    const ttl = (value: { validFor: number }) => {
      seen.push(value)
      return value.validFor
    }
    const value = await cache.once(KEY, load, { ttl })
    expect(seen).toEqual([{ validFor: 5000, at: '1970-01-01T00:00:00.000Z' }])
    expect(value).toEqual(seen[0])
    expect(remote.peek(KEY)?.ttlLeft).toBe(5000)
    clock.advance(4999)
    expect(cache.peek(KEY)).toEqual(value)
    clock.advance(1)
    expect(cache.peek(KEY)).toBeUndefined()
  })

  it('is not asked where there is no value', async () => {
    const { remote, cache } = parts()
    const ttl = () => {
      throw new Error('asked')
    }
    expect(await cache.once(KEY, () => null, { ttl })).toBeNull()
    expect(remote.peek(KEY)?.ttlLeft).toBe(60_000)
  })
})

describe('jitter', () => {
  it('takes at most its ratio and at most 10 s off a life, and adds nothing, in any tier', async () => {
    const ttls = fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 1, max: DAY }))
    const ratios = fc.double({ min: 0, max: 0.99, noNaN: true })
    await fc.assert(
      fc.asyncProperty(ttls, ttls, ratios, async (ttl, localTtl, jitterRatio) => {
        const { remote, cache, other } = parts({ localTtl, settings: { jitterRatio, ttl } })
        const least = (life: number) => Math.max(life * (1 - jitterRatio), life - 10_000, 1) - 0.5
        await cache.once(KEY, () => VALUE)
        const left = remote.peek(KEY)?.ttlLeft ?? 0
        expect(left).toBeLessThanOrEqual(ttl)
        expect(left).toBeGreaterThanOrEqual(least(ttl))
        // One that was written, and one that was promoted.
        await other.get(KEY)
        for (const each of [cache, other]) {
          const found = await each.lookup(KEY)
          if (found.status !== 'hit') throw new Error(found.status)
          expect(found.tier).toBe('local')
          expect(found.ttlLeft).toBeLessThanOrEqual(Math.min(left, localTtl))
          expect(found.ttlLeft).toBeGreaterThanOrEqual(Math.min(left, least(localTtl)))
        }
      }),
      { numRuns: 200 },
    )
  })

  it('spreads the lives of what is written together', async () => {
    const { remote, cache } = parts({ settings: { jitterRatio: 0.1, ttl: 10_000 } })
    const keys = Array.from({ length: 200 }, (_, i) => `k${i}`)
    await Promise.all(keys.map((key) => cache.set(key, VALUE)))
    const lives = remote.entries().map(([, read]) => read.ttlLeft)
    expect(Math.max(...lives)).toBeLessThanOrEqual(10_000)
    expect(Math.min(...lives)).toBeGreaterThanOrEqual(9000)
    expect(Math.max(...lives) - Math.min(...lives)).toBeGreaterThan(500)
  })
})

describe.each(LOAD_PATHS)('whatever is slow, $leases', ({ settings, read, fill }) => {
  it('no local copy is left when the remote’s life is over', async () => {
    const delays = fc.record({ before: fc.nat(500), after: fc.nat(500) })
    const writes = fc.record({
      by: fc.constantFrom('set', 'once'),
      ttl: fc.integer({ min: 1, max: 3000 }),
      readAfter: fc.nat(3000),
    })
    const slow = { get: delays, set: delays, [read]: delays, [fill]: delays }
    const schedules = fc.record({ delay: fc.record(slow), write: writes })
    await fc.assert(
      fc.asyncProperty(schedules, async ({ write, delay }) => {
        const { clock, remote, cache, other } = parts({
          settings,
          delay: (operation) => Reflect.get(delay, operation) as Delay | undefined,
        })
        const { ttl } = write
        if (write.by === 'set') await cache.set(KEY, VALUE, { ttl })
        else await cache.once(KEY, () => VALUE, { ttl })
        clock.advance(write.readAfter)
        await other.get(KEY)
        for (let at = 0; at < 40; at++) {
          const held = remote.peek(KEY) !== undefined
          for (const each of [cache, other]) {
            if (each.peek(KEY) !== undefined) expect(held).toBe(true)
          }
          clock.advance(97)
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('a wall clock that is set', () => {
  /** The system clock's way of reading a wall clock, once a second too, on the clock of the test. */
  function steady(clock: ManualClock): Clock {
    const wall = new SteadyWallClock(
      () => clock.now(),
      () => clock.monotonic(),
    )
    const everySecond = () => {
      wall.compare()
      clock.setTimer(1000, everySecond)
    }
    everySecond()
    return {
      now: () => wall.now(),
      monotonic: () => clock.monotonic(),
      setTimer: (ms, callback) => clock.setTimer(ms, callback),
      observe: () => wall.compare(),
    }
  }

  it.each([10, 900, 60_000, DAY])(
    'back by %d ms lengthens a life by a second at most',
    async (step) => {
      const { clock, remote, cache } = parts({ clockOf: steady })
      remote.plant(KEY, BYTES, 10_000)
      await cache.get(KEY)
      clock.advance(5000)
      clock.stepWall(-step)
      clock.advance(4999)
      expect(cache.peek(KEY)).toEqual(VALUE)
      clock.advance(1001)
      expect(cache.peek(KEY)).toBeUndefined()
    },
  )

  it('back while the remote was asked lengthens nothing', async () => {
    let step = 0
    const { clock, remote, cache } = parts({
      clockOf: steady,
      delay: () => {
        clock.stepWall(step)
        step = 0
        return { before: 0, after: 50 }
      },
    })
    remote.plant(KEY, BYTES, 10_000)
    step = -DAY
    await cache.get(KEY)
    expectLocalLife(cache, clock, 9950)
  })

  it('forward only shortens, and back again lengthens nothing', async () => {
    const { clock, remote, cache } = parts({ clockOf: steady })
    remote.plant(KEY, BYTES, 10_000)
    await cache.get(KEY)
    clock.stepWall(4000)
    clock.advance(2000)
    expect(cache.peek(KEY)).toEqual(VALUE)
    clock.stepWall(-4000)
    clock.advance(4000)
    expect(cache.peek(KEY)).toBeUndefined()
  })
})

const WITH_BOTH = NAMED_CELLS.filter(([, cell]) => cell.tiers === 'both')

describe.each(WITH_BOTH)('on %s', (_, cell) => {
  let world: World
  beforeAll(async () => {
    world = await openWorld(cell)
  })
  afterAll(() => world.end())

  it('a copy of what another process rewrote with a short life is gone when that is over', async () => {
    const key = world.key('shortened')
    const [writer, reader] = [world.open(), world.open()]
    await writer.set(key, 'old', { ttl: '1h' })
    const bytes = (await world.remote?.get(key))?.bytes ?? new Uint8Array()
    await until('the reader has come in time', async () => {
      await world.remote?.set(key, bytes, { ttl: 150 })
      return (await reader.get(key)) === 'old'
    })
    await until('the remote has dropped it', async () => {
      const gone = (await world.remote?.get(key)) === undefined
      // Asked afterwards: a copy that is here now has outlived what it was read from.
      if (gone) expect(reader.peek(key)).toBeUndefined()
      return gone
    })
    expect(await reader.get(key)).toBeUndefined()
  })

  it('a copy has no more life left than the remote, promoted or written', async () => {
    const key = world.key('left')
    const [writer, reader] = [world.open(), world.open()]
    await writer.set(key, 'value', { ttl: '1h' })
    await reader.get(key)
    for (const cache of [writer, reader]) {
      const askedAt = performance.now()
      const local = await cache.lookup(key)
      const read = await world.remote?.get(key)
      if (local.status !== 'hit' || read === undefined) throw new Error('it is gone')
      expect(local.tier).toBe('local')
      expect(read.ttlLeft).toBeLessThanOrEqual(HOUR)
      // Asked second, the remote may have lost what the questions took.
      const took = Math.ceil(performance.now() - askedAt) + 1
      expect(local.ttlLeft).toBeLessThanOrEqual(read.ttlLeft + took)
      expect(local.ttlLeft).toBeGreaterThan(HOUR - 15_000)
    }
  })
})
