import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import { lru } from '../../src/lru/lru.ts'
import { CacheLoadTimeoutError } from '../../src/model/errors.ts'
import type { CacheSettings } from '../../src/options/options.ts'
import type { LoaderContext } from '../../src/read/call.ts'
import { type Fault, faultyRemote, type StoreOperation } from '../../src/testing/faulty-remote.ts'
import { type ManualClock, manualClock } from '../../src/testing/manual-clock.ts'
import { memoryBus } from '../../src/testing/memory-bus.ts'
import { type MemoryRemote, memoryRemote } from '../../src/testing/memory-remote.ts'
import { NAMED_CELLS, openWorld, type World } from '../support/cells.ts'
import { HeldLoader, reactions } from '../support/held-loader.ts'

const KEY = 'user:1'
const MINUTE = 60_000
const caches: Cache[] = []

afterEach(() => {
  for (const cache of caches.splice(0)) void cache.close()
})

const TIERS = ['local', 'remote', 'both'] as const

function open(tiers: (typeof TIERS)[number], settings: CacheSettings = {}) {
  const clock: ManualClock = manualClock()
  const faults = new Map<StoreOperation, Fault>()
  const remote: MemoryRemote = memoryRemote({ clock })
  remote.open()
  const asked: StoreOperation[] = []
  const store = faultyRemote(remote, {
    script: (operation) => {
      asked.push(operation)
      return faults.get(operation) ?? 'none'
    },
  })
  const given = { ttl: '1m', jitterRatio: 0, logger: false, clock, ...settings } as const
  /** Another cache on the same remote. */
  const other = (): Cache => {
    const cache =
      tiers === 'local'
        ? createCache({ ...given, local: lru({ maxEntries: 100 }) })
        : createCache({
            ...given,
            ...(tiers === 'both' ? { local: lru({ maxEntries: 100 }) } : {}),
            remote: store,
          })
    caches.push(cache)
    return cache
  }
  return { clock, remote, cache: other(), other, faults, asked, loader: new HeldLoader<string>() }
}

describe.each(TIERS)('softTimeout, %s', (tiers) => {
  it('gives the stale value when it is over, and the load goes on and fills', async () => {
    const { cache, clock, loader } = open(tiers, { staleIfError: '10m' })
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    let answer: unknown
    const call = cache
      .once(KEY, loader.load, { softTimeout: 200, meta: true })
      .then((value) => (answer = value))
    const run = await loader.run(0)
    await clock.advanceAsync(199)
    expect(answer).toBeUndefined()
    await clock.advanceAsync(1)
    expect(await call).toMatchObject({ value: 'old', status: 'stale' })
    run.resolve('new')
    await reactions()
    expect(await cache.get(KEY)).toBe('new')
  })

  it('gives nothing where there is nothing stale: the caller waits on', async () => {
    const { cache, clock, loader } = open(tiers, { softTimeout: 200 })
    const call = cache.once(KEY, loader.load)
    const run = await loader.run(0)
    await clock.advanceAsync(1000)
    run.resolve('new')
    expect(await call).toBe('new')
  })

  it('is the caller’s own: who joined later waits for as long', async () => {
    const { cache, clock, loader } = open(tiers, { staleIfError: '10m', softTimeout: 200 })
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    const answers: unknown[] = []
    const ask = (options?: object) =>
      cache.once(KEY, loader.load, options).then((value) => answers.push(value))
    const calls = [ask()]
    await loader.run(0)
    await clock.advanceAsync(150)
    calls.push(ask(), ask({ softTimeout: false }))
    await clock.advanceAsync(50)
    expect(answers).toEqual(['old'])
    await clock.advanceAsync(150)
    expect(answers).toEqual(['old', 'old'])
    ;(await loader.run(0)).resolve('new')
    await Promise.all(calls)
    expect(answers).toEqual(['old', 'old', 'new'])
    expect(loader.runs).toHaveLength(1)
  })

  it('a caller that it answered counts as present: the others’ leaving does not end the load', async () => {
    const { cache, clock, loader } = open(tiers, { staleIfError: '10m' })
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    const soft = cache.once(KEY, loader.load, { softTimeout: 100 })
    const leaving = new AbortController()
    const left = cache.once(KEY, loader.load, { signal: leaving.signal, softTimeout: false })
    const run = await loader.run(0)
    await clock.advanceAsync(100)
    expect(await soft).toBe('old')
    leaving.abort('gone')
    await expect(left).rejects.toBe('gone')
    expect(run.context.signal.aborted).toBe(false)
    run.resolve('new')
    await reactions()
    expect(await cache.get(KEY)).toBe('new')
  })
})

describe.each(TIERS)('hardTimeout, %s', (tiers) => {
  it('rejects this caller alone; the load goes on and fills', async () => {
    const { cache, clock, loader } = open(tiers)
    const hard = cache.once(KEY, loader.load, { hardTimeout: 300 })
    const patient = cache.once(KEY, loader.load)
    hard.catch(() => undefined)
    const run = await loader.run(0)
    await clock.advanceAsync(300)
    await expect(hard).rejects.toMatchObject({ code: 'CACHE_LOAD_TIMEOUT', key: KEY })
    await expect(hard).rejects.toThrow('was not loaded within 300 ms; the load goes on')
    run.resolve('new')
    expect(await patient).toBe('new')
    expect(await cache.get(KEY)).toBe('new')
  })

  it('of the only caller leaves a load that fills, until loadTimeout', async () => {
    const { cache, clock, loader } = open(tiers, { hardTimeout: 300, loadTimeout: '1s' })
    const call = cache.once(KEY, loader.load)
    call.catch(() => undefined)
    const { context } = await loader.run(0)
    await clock.advanceAsync(300)
    await expect(call).rejects.toBeInstanceOf(CacheLoadTimeoutError)
    expect(context.signal.aborted).toBe(false)
    await clock.advanceAsync(700)
    expect(context.signal.aborted).toBe(true)
    await reactions()
    expect(clock.pendingTimers).toBe(0)
  })

  it('a softTimeout that is not shorter is refused', () => {
    expect(() => open(tiers, { softTimeout: 300, hardTimeout: 300 })).toThrow(
      'softTimeout must be shorter than hardTimeout, 300 ms, but is 300 ms',
    )
  })
})

describe.each(TIERS)('the deadlines of the cache, %s', (tiers) => {
  it('are those of a call that says nothing, and a call says false for none', async () => {
    const { cache, clock, loader } = open(tiers, { hardTimeout: 300 })
    const bound = cache.once(KEY, loader.load)
    bound.catch(() => undefined)
    let answer: unknown
    const unbound = cache.once(KEY, loader.load, { hardTimeout: false }).then((value) => {
      answer = value
    })
    const run = await loader.run(0)
    await clock.advanceAsync(300)
    await expect(bound).rejects.toThrow('was not loaded within 300 ms')
    await clock.advanceAsync(5000)
    expect(answer).toBeUndefined()
    run.resolve('new')
    await unbound
    expect(answer).toBe('new')
  })

  it('leave no timer once their caller is answered', async () => {
    const { cache, clock, loader } = open(tiers, { softTimeout: 200, hardTimeout: 300 })
    const call = cache.once(KEY, loader.load)
    ;(await loader.run(0)).resolve('new')
    expect(await call).toBe('new')
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('a load whose callers have given up', () => {
  it('waits for no other process: that one’s value is there soon', async () => {
    const { cache, clock, loader, remote, asked } = open('both')
    await remote.leases.take(KEY, 'another.1', 20_000)
    const call = cache.once(KEY, loader.load, { hardTimeout: 300 })
    call.catch(() => undefined)
    await clock.advanceAsync(300)
    await expect(call).rejects.toMatchObject({ code: 'CACHE_LOAD_TIMEOUT' })
    await clock.advanceAsync(1000)
    asked.length = 0
    await clock.advanceAsync(30_000)
    expect([loader.runs.length, asked]).toEqual([0, []])
  })
})

describe.each(TIERS)('what a caller is told besides, %s', (tiers) => {
  it('is where the value comes from: the loader, or a tier, and for how long', async () => {
    const { cache, clock } = open(tiers, { notFound: { ttl: '10s', jitterRatio: 0 } })
    const tier = tiers === 'remote' ? 'remote' : 'local'
    const load = () => 'v'
    expect(await cache.once(KEY, load, { meta: true })).toEqual({
      value: 'v',
      status: 'miss',
      tier: undefined,
      ttlLeft: undefined,
    })
    clock.advance(1000)
    expect(await cache.once(KEY, load, { meta: true })).toEqual({
      value: 'v',
      status: 'hit',
      tier,
      ttlLeft: MINUTE - 1000,
    })
    const none = () => null
    await cache.once<string | null>('none', none)
    expect(await cache.once<string | null>('none', none, { meta: true })).toEqual({
      value: null,
      status: 'absent',
      tier,
      ttlLeft: 10_000,
    })
  })
})

describe.each(TIERS)('what a loader may say, %s', (tiers) => {
  it('setTtl chooses the life of what it returns', async () => {
    const { cache, clock } = open(tiers)
    await cache.once(
      KEY,
      ({ setTtl }: LoaderContext) => {
        setTtl('5s')
        return 'v'
      },
      { ttl: '30s' },
    )
    clock.advance(4999)
    expect(await cache.get(KEY)).toBe('v')
    clock.advance(1)
    expect(await cache.get(KEY)).toBeUndefined()
    const wrong = cache.once('other', ({ setTtl }) => setTtl(-1))
    await expect(wrong).rejects.toMatchObject({ code: 'CACHE_OPTION' })
  })

  it('skipStore hands the value to the callers, and leaves what is stored', async () => {
    const { cache, clock } = open(tiers, { staleIfError: '10m' })
    const once = await cache.once(KEY, ({ skipStore }: LoaderContext) => {
      skipStore()
      return 'partial'
    })
    expect([once, await cache.get(KEY)]).toEqual(['partial', undefined])
    await cache.set(KEY, 'old')
    clock.advance(MINUTE)
    await cache.once(KEY, ({ skipStore }: LoaderContext) => {
      skipStore()
      return 'partial'
    })
    expect(await cache.lookup(KEY)).toMatchObject({ status: 'stale', value: 'old' })
  })

  it.each(['null', 'an error'])(
    'both count of a record that does not exist, told by %s',
    async (by) => {
      class Gone extends Error {}
      const { cache, clock } = open(tiers, { notFound: { error: Gone, jitterRatio: 0 } })
      const none = async (key: string, say: (context: LoaderContext) => void) =>
        cache.once<string | null>(key, (context) => {
          say(context)
          if (by === 'null') return null
          throw new Gone()
        })
      expect(await none('kept', ({ setTtl }) => setTtl('5s'))).toBeNull()
      expect(await none('skipped', ({ skipStore }) => skipStore())).toBeNull()
      expect((await cache.lookup('skipped')).status).toBe('miss')
      clock.advance(4999)
      expect((await cache.lookup('kept')).status).toBe('absent')
      clock.advance(1)
      expect((await cache.lookup('kept')).status).toBe('miss')
    },
  )

  it('notModified keeps the stale value and renews its life, without sending its bytes', async () => {
    const { cache, clock, asked } = open(tiers, { staleIfError: '10m' })
    await cache.set(KEY, { name: 'Ada' })
    clock.advance(MINUTE)
    asked.length = 0
    const answer = await cache.once(KEY, ({ stale, notModified }: LoaderContext) => {
      expect(stale).toEqual({ name: 'Ada' })
      return notModified()
    })
    expect(answer).toEqual({ name: 'Ada' })
    expect(await cache.lookup(KEY)).toMatchObject({ status: 'hit', ttlLeft: MINUTE })
    if (tiers !== 'local') expect(asked).toContain('lease.touch')
    expect(asked).not.toContain('lease.fill')
  })

  it('notModified without a stale value is an error of the loader', async () => {
    const { cache } = open(tiers)
    const call = cache.once(KEY, ({ notModified }: LoaderContext) => notModified())
    await expect(call).rejects.toThrow('notModified() was called by a loader without a stale value')
  })

  it('a stale value that the loader changes is its own copy', async () => {
    const { cache, clock } = open(tiers, { staleIfError: '10m' })
    await cache.set(KEY, { tags: ['a'] })
    clock.advance(MINUTE)
    await cache.once(KEY, ({ stale, notModified }: LoaderContext) => {
      ;(stale as { tags: string[] }).tags.push('b')
      return notModified()
    })
    expect(await cache.get(KEY)).toEqual({ tags: ['a'] })
  })
})

describe.each(TIERS)('expire, %s', (tiers) => {
  it('makes a value stale at once, and keeps it for the stale permissions', async () => {
    const { cache, clock, loader } = open(tiers, { staleWhileRevalidate: '30s' })
    await cache.set(KEY, 'old')
    expect(await cache.expire(KEY)).toBe(true)
    expect(await cache.get(KEY)).toBeUndefined()
    expect(await cache.once(KEY, loader.load)).toBe('old')
    ;(await loader.run(0)).reject(new Error('no'))
    await reactions()
    clock.advance(30_000)
    expect(await cache.lookup(KEY)).toEqual({ status: 'miss' })
  })

  it('never lengthens a life', async () => {
    const { cache, clock } = open(tiers, { staleWhileRevalidate: '30s' })
    await cache.set(KEY, 'old')
    clock.advance(MINUTE + 20_000)
    expect(await cache.expire(KEY)).toBe(true)
    clock.advance(10_000)
    expect(await cache.lookup(KEY)).toEqual({ status: 'miss' })
  })

  it('is a delete where nothing stale is kept, and of a placeholder', async () => {
    const { cache, asked } = open(tiers)
    await cache.set(KEY, 'old')
    expect(await cache.expire(KEY)).toBe(true)
    expect(await cache.lookup(KEY)).toEqual({ status: 'miss' })
    // What has no time left, not every store can shorten to.
    expect(asked).not.toContain('shorten')
    const { cache: keeping } = open(tiers, { staleIfError: '1m' })
    await keeping.set(KEY, null)
    expect(await keeping.expire(KEY)).toBe(false)
    expect(await keeping.lookup(KEY)).toEqual({ status: 'miss' })
    expect(await keeping.expire('nothing')).toBe(false)
  })

  it('is a change: what was being loaded before it is not stored', async () => {
    const { cache, loader } = open(tiers, { staleIfError: '10m' })
    const call = cache.once(KEY, loader.load)
    const run = await loader.run(0)
    await cache.expire(KEY)
    run.resolve('loaded before')
    expect(await call).toBe('loaded before')
    expect(await cache.lookup(KEY)).toEqual({ status: 'miss' })
  })
})

describe('expire, of two tiers', () => {
  it('keeps the local copy for an outage, and drops it where the remote did not take it', async () => {
    const { cache, loader, faults } = open('both', { staleIfError: '10m' })
    for (const key of ['taken', 'failed']) await cache.set(key, 'old')
    expect(await cache.expire('taken')).toBe(true)
    faults.set('shorten', 'before')
    await expect(cache.expire('failed')).rejects.toMatchObject({ operation: 'expire' })
    for (const each of ['lease.read', 'get'] as const) faults.set(each, 'before')
    expect(await cache.once('taken', loader.load)).toBe('old')
    const call = cache.once('failed', () => Promise.reject(new Error('down')))
    await expect(call).rejects.toThrow('down')
  })

  it('leaves nothing in local beside another change: nobody knows which came last', async () => {
    const { cache, loader, faults } = open('both', { staleIfError: '10m' })
    await cache.set(KEY, 'old')
    await Promise.all([cache.set(KEY, 'new'), cache.expire(KEY)])
    for (const each of ['lease.read', 'get', 'lease.take'] as const) faults.set(each, 'before')
    loader.settleAll((run) => run.reject(new Error('down')))
    await expect(cache.once(KEY, loader.load)).rejects.toThrow('down')
  })
})

describe('what others hear', () => {
  it.each([
    { tiers: 'both', remote: 'holds it' },
    { tiers: 'both', remote: 'has lost it' },
    { tiers: 'local', remote: 'does not exist' },
  ] as const)('an expire drops their copies: $tiers, the remote $remote', async (world) => {
    const bus = memoryBus()
    const { cache, clock, remote, other } = open(world.tiers, {
      staleIfError: '10m',
      sync: { bus },
    })
    const two = other()
    await clock.advanceAsync(0)
    await two.set(KEY, 'old')
    await clock.advanceAsync(0)
    expect(two.peek(KEY)).toBe('old')
    if (world.remote === 'has lost it') remote.plant(KEY, new Uint8Array(0), 0)
    await cache.expire(KEY)
    await clock.advanceAsync(0)
    expect(two.peek(KEY)).toBeUndefined()
  })

  it('a value that a load found not modified leaves their copies: they are right', async () => {
    const bus = memoryBus()
    const { cache, clock, other } = open('both', { staleIfError: '10m', sync: { bus } })
    const two = other()
    await clock.advanceAsync(0)
    await cache.set(KEY, 'v')
    await clock.advanceAsync(MINUTE)
    const held = two.lookup(KEY)
    expect((await held).status).toBe('stale')
    expect(two.stats().localEntries).toBe(1)
    await cache.once(KEY, ({ notModified }: LoaderContext) => notModified())
    await clock.advanceAsync(1000)
    expect([cache.peek(KEY), two.stats().localEntries]).toEqual(['v', 1])
  })
})

describe.each(NAMED_CELLS)('Stale permissions and expire on real stores: %s', (_, cell) => {
  let world: World
  beforeAll(async () => {
    world = await openWorld(cell)
  })
  afterAll(() => world.end())

  it('an expired value is answered stale, loaded anew behind, and fresh after that', async () => {
    const cache = world.open({ staleWhileRevalidate: '10m' })
    const key = world.key('expired')
    const loader = new HeldLoader<string>()
    await cache.set(key, 'old')
    expect(await cache.expire(key)).toBe(true)
    expect((await cache.lookup(key)).status).toBe('stale')
    expect(await cache.once(key, loader.load)).toBe('old')
    const run = await loader.run(0)
    expect(run.context.stale).toBe('old')
    run.resolve('new')
    // Who takes no stale value waits for the load that is under way, and its fill.
    const strict = await cache.once(key, loader.load, { staleWhileRevalidate: false })
    expect([strict, await cache.get(key)]).toEqual(['new', 'new'])
    expect(loader.runs).toHaveLength(1)
  })

  it('a value that is not modified lives anew', async () => {
    const cache = world.open({ staleIfError: '10m', ttl: '1h', jitterRatio: 0 })
    const key = world.key('not modified')
    await cache.set(key, { name: 'Ada', list: [1, 2, 3] })
    await cache.expire(key)
    const load = ({ notModified }: LoaderContext) => notModified()
    expect(await cache.once(key, load)).toEqual({ name: 'Ada', list: [1, 2, 3] })
    const found = await cache.lookup(key, { skipLocal: cell.tiers !== 'local' })
    expect(found).toMatchObject({ status: 'hit', value: { name: 'Ada', list: [1, 2, 3] } })
    expect('ttlLeft' in found && found.ttlLeft).toBeGreaterThan(3_500_000)
  })

  it('a refresh by hand replaces what is there', async () => {
    const cache = world.open()
    const key = world.key('by hand')
    await cache.set(key, 'old')
    expect(await cache.refresh(key, () => 'new')).toBe('new')
    expect(await cache.get(key)).toBe('new')
    expect(await cache.get(key, { skipLocal: cell.tiers !== 'local' })).toBe('new')
  })
})
