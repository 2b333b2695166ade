import { afterEach, describe, expect, it } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import { json } from '../../src/codec/json.ts'
import { lru } from '../../src/lru/lru.ts'
import type { Duration } from '../../src/model/duration.ts'
import type { CacheOptions, CacheSettings } from '../../src/options/options.ts'
import type { LoaderContext } from '../../src/read/call.ts'
import { type Fault, faultyRemote, type StoreOperation } from '../../src/testing/faulty-remote.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { type MemoryBus, memoryBus } from '../../src/testing/memory-bus.ts'
import { memoryRemote } from '../../src/testing/memory-remote.ts'
import { HeldLoader, reactions } from '../support/held-loader.ts'

const KEY = 'user:1'
const MINUTE = 60_000
const caches: Cache[] = []
afterEach(() => {
  for (const cache of caches.splice(0)) void cache.close()
})

function world({ bus: withBus = false } = {}) {
  const clock = manualClock()
  const held = { on: false }
  const bus: MemoryBus | undefined = withBus
    ? memoryBus({
        carry: (text, line) =>
          held.on && line === bus?.lines[0] && text.includes(KEY) ? 'hold' : 'deliver',
      })
    : undefined
  const remote = memoryRemote(
    bus ? { clock, announce: bus.announce, origin: bus.origin } : { clock },
  )
  remote.open()
  const process = (
    settings: CacheSettings & Partial<Pick<CacheOptions, 'local' | 'remote'>> = {},
  ) => {
    const asked: StoreOperation[] = []
    const faults = new Map<StoreOperation, Fault>()
    const gates = new Map<string, Promise<void>>()
    const store = faultyRemote(remote, {
      script: (op) => {
        asked.push(op)
        return faults.get(op) ?? 'none'
      },
      gate: async (op, _keys, moment) => {
        const g = gates.get(`${op} ${moment}`)
        if (g) {
          gates.delete(`${op} ${moment}`)
          await g
        }
      },
    })
    const cache = createCache({
      local: lru({ maxEntries: 1000 }),
      remote: store,
      ttl: '1m',
      jitterRatio: 0,
      logger: false,
      clock,
      ...(bus ? { sync: { bus } } : {}),
      ...settings,
    } as CacheOptions)
    caches.push(cache)
    const hold = (what: string) => {
      let open = () => {}
      gates.set(what, new Promise<void>((resolve) => (open = resolve)))
      return () => open()
    }
    return { cache, asked, faults, hold }
  }
  return { clock, remote, bus, process, held }
}
const turns = async (n = 5) => {
  for (let i = 0; i < n; i++) await reactions()
}
const within = (p: Promise<unknown>) =>
  Promise.race([p.catch((e) => `rejected: ${e.message}`), turns(8).then(() => 'PENDING')])

describe('What overlaps a load that has something to answer with', () => {
  it('a caller who asks after a settled delete does not get the deleted value (renewed epoch, remote lost)', async () => {
    const { clock, process } = world()
    const { cache, faults, hold } = process({ staleIfError: '10m', staleWhileRevalidate: '10m' })
    const loader = new HeldLoader<string>()
    await cache.set(KEY, 'old')
    clock.advance(MINUTE + 1)
    const go = hold('lease.read before')
    const first = cache.once(KEY, loader.load)
    await turns()
    expect(await cache.delete(KEY)).toBe(true) // settled
    faults.set('lease.read', 'before') // the second look fails
    go()
    await turns()
    expect(await within(cache.once(KEY, loader.load))).not.toBe('old')
    void first.catch(() => {})
  })
  it('a caller who asks after a delete elsewhere does not get the deleted value from a load that waited', async () => {
    const { clock, process } = world()
    const a = process({ staleIfError: '10m' })
    const b = process({ staleIfError: '10m' })
    const la = new HeldLoader<string>()
    const lb = new HeldLoader<string>()
    await a.cache.set(KEY, 'old')
    clock.advance(MINUTE + 1)
    const pb = b.cache.once(KEY, lb.load)
    await lb.run(0)
    const pa = a.cache.once(KEY, la.load)
    await turns()
    a.faults.set('lease.read', 'before')
    a.faults.set('lease.take', 'before')
    expect(await a.cache.delete(KEY)).toBe(true)
    await turns()
    await clock.advanceAsync(300)
    await turns()
    expect(await within(a.cache.once(KEY, la.load))).not.toBe('old')
    void pa.catch(() => {})
    void pb.catch(() => {})
  })
  it('a get under way does not put the old value over what this process has just filled', async () => {
    const { process } = world()
    const { cache, hold } = process()
    await cache.set(KEY, 'v1')
    cache.clearLocal()
    const go = hold('get after')
    const get = cache.get(KEY)
    await turns()
    expect(await cache.refresh(KEY, async () => 'v2')).toBe('v2')
    expect(cache.peek(KEY)).toBe('v2')
    go()
    await get
    expect(cache.peek(KEY)).toBe('v2') // v1, for up to v1's whole remaining ttl
  })
  it('setTtl with refreshAheadRatio does not make two processes load at each call', async () => {
    for (const how of ['setTtl', 'ttl function'] as const) {
      const { clock, process } = world({ bus: true })
      const settings = { ttl: '1h', refreshAheadRatio: 0.8 } as const
      const a = process(settings)
      const b = process(settings)
      await turns()
      await clock.advanceAsync(1500)
      let loads = 0
      const load = async (ctx: LoaderContext) => {
        loads++
        if (how === 'setTtl') ctx.setTtl('1m')
        return 'v'
      }
      const options = how === 'setTtl' ? undefined : { ttl: (): Duration => '1m' }
      for (let i = 0; i < 20; i++) {
        await a.cache.once(KEY, load, options)
        await turns()
        await b.cache.once(KEY, load, options)
        await turns()
        await clock.advanceAsync(50)
      }
      // Each process learns the value's own ttl by one load.
      expect(loads, how).toBeLessThanOrEqual(2)
    }
  })
  it('setTtl with refreshAheadRatio, remote alone: one load ahead, not one for each hit', async () => {
    const { process } = world()
    const { cache } = process({ local: undefined, ttl: '1h', refreshAheadRatio: 0.8 })
    let loads = 0
    for (let i = 0; i < 20; i++) {
      await cache.once(KEY, async (c: LoaderContext) => {
        c.setTtl('1m')
        return ++loads
      })
      await turns()
    }
    expect(loads).toBe(1)
  })
  it('refresh(key) keeps the codec', async () => {
    const { process, remote } = world()
    const { cache } = process({ codecs: { other: json() }, refresh: { interval: '10s' } })
    await cache.once(KEY, async () => ({ a: 1 }), { refresh: true, codec: 'other' })
    const before = Buffer.from(remote.peek(KEY)?.bytes ?? []).toString('hex')
    await cache.refresh(KEY)
    expect(Buffer.from(remote.peek(KEY)?.bytes ?? []).toString('hex')).toBe(before)
  })
  it('refresh(key) keeps cacheIf', async () => {
    const { process, remote } = world()
    const { cache } = process({ refresh: { interval: '10s' } })
    await cache.once(KEY, async () => 'secret', { refresh: true, cacheIf: () => false })
    expect(remote.peek(KEY)).toBeUndefined()
    await cache.refresh(KEY)
    expect(remote.peek(KEY)).toBeUndefined()
  })
  it('refresh(key) keeps localTtl and loadTimeout', async () => {
    const { process, clock } = world()
    const { cache } = process({ refresh: { interval: '10s' } })
    await cache.once(KEY, async () => 'v', { refresh: true, localTtl: '1s' })
    await cache.refresh(KEY)
    clock.advance(1001)
    expect(cache.peek(KEY)).toBeUndefined()
  })
  it('a background refresh is not aborted by a leaver', async () => {
    const { clock, process } = world()
    const { cache } = process({ refresh: { interval: '10s', stopAfterLastAccess: '1h' } })
    await cache.once(KEY, async () => 'v1', { refresh: true })
    const loader = new HeldLoader<string>()
    await cache.once(KEY, loader.load, { refresh: true })
    for (let i = 0; i < 110 && loader.runs.length === 0; i++) {
      await clock.advanceAsync(100)
      await turns(2)
    }
    const run = await loader.run(0)
    const leaving = new AbortController()
    const asked = cache.refresh(KEY, async () => 'by hand', { signal: leaving.signal })
    const signal = run.context.signal
    await turns()
    leaving.abort()
    await expect(asked).rejects.toThrow()
    expect(signal.aborted).toBe(false)
    run.resolve('v2')
    await turns()
    expect(await cache.get(KEY)).toBe('v2')
  })
  it('a background refresh that still reads the remote is not aborted by a leaver', async () => {
    const { clock, process } = world()
    const { cache, hold, asked } = process({
      refresh: { interval: '10s', stopAfterLastAccess: '1h' },
    })
    let loads = 0
    await cache.once(KEY, async () => `v${++loads}`, { refresh: true })
    cache.clearLocal()
    asked.length = 0
    const go = hold('lease.read before')
    for (let i = 0; i < 110 && !asked.includes('lease.read'); i++) {
      await clock.advanceAsync(100)
      await turns(2)
    }
    const leaving = new AbortController()
    const asking = cache.once(KEY, async () => 'x', { signal: leaving.signal })
    await turns()
    leaving.abort()
    await expect(asking).rejects.toThrow()
    go()
    await turns()
    expect([loads, cache.stats().refreshesFailed]).toEqual([2, 0])
  })
  it('a load ahead is not aborted by a leaver who has joined it', async () => {
    const { process, clock } = world()
    const { cache } = process({ refreshAheadRatio: 0.5 })
    const loader = new HeldLoader<string>()
    await cache.set(KEY, 'old')
    clock.advance(31_000)
    expect(await cache.once(KEY, loader.load)).toBe('old')
    const run = await loader.run(0)
    const sig = run.context.signal
    const c = new AbortController()
    const s = cache.refresh(KEY, loader.load, { signal: c.signal })
    await turns()
    c.abort()
    await expect(s).rejects.toThrow()
    expect(sig.aborted).toBe(false)
  })
  it('a once does not wait for a refresh by hand that still reads the remote', async () => {
    const { process } = world()
    const { cache } = process()
    await cache.set(KEY, 'v1')
    cache.clearLocal()
    const loader = new HeldLoader<string>()
    const r = cache.refresh(KEY, loader.load)
    const o = cache.once(KEY, loader.load)
    await loader.run(0)
    expect(await within(o)).toBe('v1')
    void r.catch(() => {})
  })
  it('a once does not fail by a refresh by hand where the remote has a fresh value', async () => {
    const { process } = world()
    const { cache } = process()
    await cache.set(KEY, 'v1')
    cache.clearLocal()
    const r = cache.refresh(KEY, async () => {
      throw new Error('db is down')
    })
    const o = cache.once(KEY, async () => 'x')
    expect(await within(o)).toBe('v1')
    await r.catch(() => {})
  })
  it('staleIfError does not answer where nothing has failed', async () => {
    const { clock, process } = world()
    const settings = { staleIfError: '10m', staleWhileRevalidate: '10m' } as const
    const a = process(settings)
    const b = process(settings)
    const lb = new HeldLoader<string>()
    const la = new HeldLoader<string>()
    await a.cache.set(KEY, 'old')
    clock.advance(MINUTE + 1)
    const pb = b.cache.once(KEY, lb.load)
    await pb
    await lb.run(0) // B is loading, in good health
    expect(await a.cache.once(KEY, la.load)).toBe('old') // permitted: stale while B loads
    await turns()
    const strict = await within(a.cache.once(KEY, la.load, { staleWhileRevalidate: false }))
    expect(strict).not.toBe('old')
  })
  it('a value whose change this process has heard of is not answered on an error', async () => {
    const { process, clock, bus, held } = world({ bus: true })
    const a = process({ staleIfError: '10m' })
    const b = process({ staleIfError: '10m' })
    await turns()
    await clock.advanceAsync(1500)
    await a.cache.set(KEY, 'old')
    await turns()
    await clock.advanceAsync(MINUTE + 1)
    await turns()
    const la = new HeldLoader<string>()
    const go = a.hold('lease.take before')
    const pa = a.cache.once(KEY, la.load)
    await turns()
    held.on = true
    expect(await b.cache.delete(KEY)).toBe(true)
    await turns()
    go()
    const run = await la.run(0)
    held.on = false
    expect(bus?.lines[0]?.held.length).toBe(1)
    bus?.lines[0]?.release()
    await turns()
    const late = a.cache.once(KEY, la.load)
    await turns()
    run.reject(new Error('db'))
    expect(await within(late)).toBe('rejected: db')
    void pa.catch(() => {})
  })
  it('what the remote has not any more is not answered on an error', async () => {
    const { process, clock } = world()
    const a = process({ staleIfError: '10m', local: undefined })
    const b = process({ staleIfError: '10m' })
    const lb = new HeldLoader<string>()
    const la = new HeldLoader<string>()
    await a.cache.set(KEY, 'old')
    clock.advance(MINUTE + 1)
    const pb = b.cache.once(KEY, lb.load)
    await lb.run(0)
    const pa = a.cache.once(KEY, la.load)
    await turns()
    expect(await b.cache.delete(KEY)).toBe(true)
    for (let i = 0; i < 50 && la.runs.length === 0; i++) {
      await clock.advanceAsync(20)
      await turns(1)
    }
    const run = await la.run(0)
    const late = a.cache.once(KEY, la.load)
    run.reject(new Error('db'))
    expect(await within(late)).toBe('rejected: db')
    void pa.catch(() => {})
    void pb.catch(() => {})
  })
  it('what deleteLocal has dropped is not answered when the load fails', async () => {
    const { process, clock } = world()
    const { cache, faults } = process({ staleIfError: '10m' })
    const loader = new HeldLoader<string>()
    await cache.set(KEY, 'old')
    clock.advance(MINUTE + 1)
    faults.set('lease.read', 'before')
    expect(await cache.once(KEY, loader.load)).toBe('old')
    cache.deleteLocal(KEY)
    expect(await within(cache.once(KEY, loader.load))).not.toBe('old')
  })
  it('a failure before a change keeps nobody from loading after it', async () => {
    const { process, clock } = world()
    const { cache } = process({ staleIfError: '10m' })
    await cache.set(KEY, 'old')
    clock.advance(MINUTE + 1)
    expect(
      await cache.once(KEY, async () => {
        throw new Error('x')
      }),
    ).toBe('old')
    await cache.set(KEY, 'v2')
    await cache.expire(KEY)
    let n = 0
    // v2 has been expired by hand; the failure was of an older value, half a second ago
    expect([
      await cache.once(KEY, async () => {
        n++
        return 'v3'
      }),
      n,
    ]).toEqual(['v3', 1])
  })
  it('failures are forgotten after a load that found nothing', async () => {
    const { process, clock } = world()
    const { cache } = process({ staleIfError: '10m', staleWhileRevalidate: '10m' })
    await cache.set(KEY, 'old')
    clock.advance(MINUTE + 1)
    const bad = async () => {
      throw new Error('x')
    }
    for (let i = 0; i < 6; i++) {
      await cache.once(KEY, bad)
      await turns()
      clock.advance(2 ** i * 1000)
      if (i === 5) break
    }
    await cache.once(KEY, bad)
    await turns()
    await cache.delete(KEY)
    expect(await cache.once(KEY, async () => 'v2', { ttl: '1s' })).toBe('v2')
    clock.advance(1001)
    let n = 0
    expect(
      await cache.once(KEY, async () => {
        n++
        return 'v3'
      }),
    ).toBe('v2')
    await turns()
    expect(n).toBe(1)
  })
  it('hardTimeout is not begun anew when the load it joined ends without a result', async () => {
    const { clock, process } = world()
    const { cache, hold, asked } = process({
      refresh: { interval: '10s', stopAfterLastAccess: '1h' },
    })
    await cache.once(KEY, async () => 'v1', { refresh: true })
    cache.clearLocal()
    asked.length = 0
    const go = hold('lease.read before')
    for (let i = 0; i < 110 && !asked.includes('lease.read'); i++) {
      await clock.advanceAsync(100)
      await turns(2)
    }
    // gone there
    const loader = new HeldLoader<string>()
    const start = clock.monotonic()
    let after: number | undefined
    const call = cache.once(KEY, loader.load, { hardTimeout: 100 }).catch(() => {
      after = clock.monotonic() - start
    })
    await turns()
    const other = process()
    await other.cache.delete(KEY)
    await clock.advanceAsync(90)
    go()
    await turns()
    await clock.advanceAsync(10)
    await turns()
    const atItsTime = after
    await clock.advanceAsync(1000)
    await call
    expect([atItsTime, after]).toEqual([100, 100])
  })
  it('hardTimeout counts while a change is in doubt', async () => {
    const { clock, process } = world({ bus: true })
    const a = process()
    const b = process()
    await turns()
    await clock.advanceAsync(1500)
    const loader = new HeldLoader<string>()
    // B deletes, its news are late; here simply: A begins a load after the delete and the news come then
    const first = a.cache.once(KEY, loader.load)
    await loader.run(0)
    a.faults.set('lease.renew', 'hang')
    await b.cache.delete(KEY)
    await turns()
    const start = clock.monotonic()
    let after: number | undefined
    const call = a.cache.once(KEY, loader.load, { hardTimeout: 100 }).catch(() => {
      after = clock.monotonic() - start
    })
    for (let i = 0; i < 100; i++) {
      await clock.advanceAsync(10)
      await turns(1)
    }
    await call
    expect(after).toBe(100)
    void first.catch(() => {})
  })
  it('a refresh that found nothing modified is heard of like any other: locks are not tried in vain', async () => {
    const count = async (how: string) => {
      const { process, clock } = world({ bus: true })
      const all = Array.from({ length: 6 }, () =>
        process({ ttl: '10m', refresh: { interval: '10s', stopAfterLastAccess: '1h' } }),
      )
      await turns()
      await clock.advanceAsync(1500)
      let n = 0
      const load = async (c: LoaderContext) =>
        how === 'new' || c.stale === undefined ? `v${++n}` : c.notModified()
      for (const p of all) {
        await p.cache.once(KEY, load, { refresh: true })
        await turns()
      }
      for (let i = 0; i < 300; i++) {
        await clock.advanceAsync(100)
        await turns(1)
      }
      for (const p of all) p.asked.length = 0
      for (let i = 0; i < 1000; i++) {
        await clock.advanceAsync(100)
        await turns(1)
      }
      return all.reduce((sum, p) => sum + p.asked.filter((o) => o === 'set').length, 0) / 10
    }
    const fresh = await count('new')
    const same = await count('same')
    expect([fresh, same, same < 2]).toEqual([fresh, same, true])
  }, 60_000)
  it('late hits on a key that the remote has lost do not ask it at each hit', async () => {
    const { process, remote, clock } = world()
    const { cache, asked } = process({ refreshAheadRatio: 0.5 })
    await cache.once(KEY, async () => 'v1')
    clock.advance(31_000)
    await remote.delete([KEY]) // evicted, or deleted by a process that nobody hears
    asked.length = 0
    for (let i = 0; i < 50; i++) {
      await cache.once(KEY, async () => 'v2')
      await turns(2)
    }
    expect(asked.length).toBeLessThan(10) // 100: lease.read + lease.release per hit
  })
  it('a load ahead that stores nothing is not repeated by each hit', async () => {
    for (const how of ['skipStore', 'cacheIf']) {
      const { process, clock } = world()
      const { cache } = process({ refreshAheadRatio: 0.5 })
      let n = 0
      await cache.once(KEY, async () => 'v')
      clock.advance(31_000)
      for (let i = 0; i < 50; i++) {
        await cache.once(
          KEY,
          async (c: LoaderContext) => {
            n++
            if (how === 'skipStore') c.skipStore()
            return 'w'
          },
          how === 'cacheIf' ? { cacheIf: () => false } : undefined,
        )
        await turns(3)
      }
      expect([how, n < 10, n]).toEqual([how, true, n])
    }
  })
  it('a refresh whose fill the remote did not take is no success', async () => {
    const { process, clock, remote } = world()
    const { cache, faults } = process({ refresh: { interval: '10s', stopAfterLastAccess: '1h' } })
    let n = 0
    await cache.once(KEY, async () => ++n, { refresh: true })
    faults.set('lease.fill', 'before')
    for (let i = 0; i < 110 && n < 2; i++) {
      await clock.advanceAsync(100)
      await turns(2)
    }
    await turns()
    expect(n).toBe(2)
    expect([cache.stats().refreshesFailed, remote.peek(`${KEY}_#RL#`)]).toEqual([1, undefined])
  })
  it('refresh() loads also if a once of the key is under way', async () => {
    const { process } = world()
    const { cache } = process()
    await cache.set(KEY, 'v1')
    cache.clearLocal()
    const loader = async () => 'v2'
    const [, refreshed] = await Promise.all([
      cache.once(KEY, async () => 'x'),
      cache.refresh(KEY, loader),
    ])
    expect(refreshed).toBe('v2')
  })
  it('a refresh for a call that skips local leaves no older copy in local', async () => {
    const { process, clock } = world()
    const { cache } = process({ refresh: { interval: '10s', stopAfterLastAccess: '1h' } })
    let n = 0
    const load = async () => ++n
    await cache.once(KEY, load)
    await cache.once(KEY, load, { refresh: true, skipLocal: true })
    for (let i = 0; i < 110; i++) {
      await clock.advanceAsync(100)
      await turns(1)
    }
    expect(n).toBeGreaterThan(1)
    expect(await cache.get(KEY)).toBe(n)
  })
  it('an older local value is not answered over a newer one of the remote', async () => {
    const { process, clock } = world()
    const settings = { staleWhileRevalidate: '10m' } as const
    const a = process(settings)
    const b = process(settings)
    await a.cache.set(KEY, 'v1')
    clock.advance(30_000)
    await b.cache.set(KEY, 'v2')
    clock.advance(MINUTE + 1)
    const loader = new HeldLoader<string>()
    a.faults.set('lease.take', 'before')
    expect(await a.cache.once(KEY, loader.load)).toBe('v2')
    await turns()
    expect(await within(a.cache.once(KEY, loader.load))).toBe('v2')
  })
  it('skipStore counts where the loader says "not found" by an error', async () => {
    const { process, remote } = world()
    class Gone extends Error {}
    const { cache } = process({ notFound: { error: Gone } })
    expect(
      await cache.once(KEY, async (c: LoaderContext) => {
        c.skipStore()
        throw new Gone()
      }),
    ).toBe(null)
    expect(remote.peek(KEY)).toBeUndefined()
  })
  it('setTtl counts where the loader says "not found" by an error', async () => {
    const { process, remote } = world()
    class Gone extends Error {}
    const { cache } = process({ notFound: { error: Gone, jitterRatio: 0 } })
    await cache.once(KEY, async (c: LoaderContext) => {
      c.setTtl('1s')
      throw new Gone()
    })
    expect(remote.peek(KEY)?.ttlLeft).toBe(1000)
  })
  it('a cache of local alone loads ahead by the life that its engine gives', async () => {
    const { process, clock } = world()
    const { cache } = process({
      remote: undefined,
      local: lru({ maxEntries: 10, ttl: '10s' }),
      ttl: '1h',
      refreshAheadRatio: 0.5,
    })
    let n = 0
    const load = async () => ++n
    await cache.once(KEY, load)
    clock.advance(9_000)
    await cache.once(KEY, load)
    await turns()
    expect(n).toBe(2)
  })
  it('a lock that was taken while the cache closed is given back', async () => {
    const { process, clock, remote } = world()
    const { cache, hold, asked } = process({
      refresh: { interval: '10s', stopAfterLastAccess: '1h' },
    })
    const other = process()
    void other
    await cache.once(KEY, async () => 1, { refresh: true })
    asked.length = 0
    const go = hold('set after')
    for (let i = 0; i < 110 && !asked.includes('set'); i++) {
      await clock.advanceAsync(100)
      await turns(1)
    }
    const closing = cache.close()
    go()
    await turns()
    await closing
    expect(remote.peek(`${KEY}_#RL#`)).toBeUndefined()
  })
  it('no loader begins in the background after close() was called', async () => {
    const { process, clock } = world()
    const { cache, hold } = process({ staleWhileRevalidate: '10m' })
    let n = 0
    await cache.set(KEY, 'old')
    clock.advance(MINUTE + 1)
    const go = hold('lease.read after')
    const call = cache.once(KEY, async () => ++n)
    await turns()
    const closing = cache.close()
    go()
    await turns()
    await Promise.all([within(call), closing])
    expect(n).toBe(0)
  })
  it('after a delete nothing is loaded for callers who have their stale answer', async () => {
    const { process, clock, remote } = world()
    const { cache, hold } = process({ staleWhileRevalidate: '10m' })
    let n = 0
    await cache.set(KEY, 'old')
    clock.advance(MINUTE + 1)
    const go = hold('lease.take before')
    expect(await cache.once(KEY, async () => ++n)).toBe('old')
    await turns()
    await cache.delete(KEY)
    go()
    await turns(10)
    expect([n, remote.peek(KEY)]).toEqual([0, undefined])
  })
  it('a caller who has to ask once more is counted once', async () => {
    const { clock, process } = world()
    const { cache, hold, asked } = process({
      refresh: { interval: '10s', stopAfterLastAccess: '1h' },
    })
    await cache.once(KEY, async () => 'v1', { refresh: true })
    cache.clearLocal()
    asked.length = 0
    const go = hold('lease.read before')
    for (let i = 0; i < 110 && !asked.includes('lease.read'); i++) {
      await clock.advanceAsync(100)
      await turns(2)
    }
    const calls = Array.from({ length: 10 }, () => cache.once(KEY, async () => 'v2'))
    await process().cache.delete(KEY)
    go()
    await Promise.all(calls)
    expect(cache.stats().coalesced).toBeLessThanOrEqual(10)
  })
  it('a caller from before close() is answered', async () => {
    const { clock, process } = world()
    const { cache, hold, asked } = process({
      refresh: { interval: '10s', stopAfterLastAccess: '1h' },
    })
    const other = process()
    await cache.once(KEY, async () => 'v1', { refresh: true })
    cache.clearLocal()
    asked.length = 0
    const go = hold('lease.read before')
    for (let i = 0; i < 110 && !asked.includes('lease.read'); i++) {
      await clock.advanceAsync(100)
      await turns(2)
    }
    const call = cache.once(KEY, async () => 'v2')
    await other.cache.delete(KEY)
    const closing = cache.close()
    go()
    expect(await within(call)).toBe('v2')
    await closing
  })
  it('a load that waits for another process goes on and fills after the hardTimeout of its callers', async () => {
    const { clock, process } = world()
    const { cache, faults } = process({ hardTimeout: 100, staleIfError: '10m' })
    void faults
    const loader = new HeldLoader<string>()
    const call = within(cache.once(KEY, loader.load))
    const run = await loader.run(0)
    clock.advance(101)
    expect(await call).toContain('rejected')
    const c = new AbortController()
    const second = cache.once(KEY, loader.load, { signal: c.signal })
    c.abort()
    await expect(second).rejects.toThrow()
    run.resolve('v')
    await turns()
    expect([run.context.signal.aborted, await cache.get(KEY)]).toEqual([false, 'v'])
  })
  it('a cache that lost the lock leaves no timer after close', async () => {
    const { process, clock, remote } = world()
    const { cache } = process({ refresh: { interval: '10s', stopAfterLastAccess: '1h' } })
    await cache.once(KEY, async () => 1, { refresh: true })
    remote.plant(`${KEY}_#RL#`, Buffer.from('1'), 20_000)
    for (let i = 0; i < 110 && cache.stats().refreshesElsewhere === 0; i++) {
      await clock.advanceAsync(100)
      await turns(2)
    }
    const closing = cache.close()
    await turns()
    await closing
    expect(clock.pendingTimers).toBe(0)
  })
})
