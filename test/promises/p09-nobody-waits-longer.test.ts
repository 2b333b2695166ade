import { getEventListeners } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import { lru } from '../../src/lru/lru.ts'
import { CacheLoadTimeoutError } from '../../src/model/errors.ts'
import type { CacheSettings } from '../../src/options/options.ts'
import type { LoaderContext } from '../../src/read/call.ts'
import { faultyRemote, type StoreOperation } from '../../src/testing/faulty-remote.ts'
import { type ManualClock, manualClock } from '../../src/testing/manual-clock.ts'
import { type MemoryRemote, memoryRemote } from '../../src/testing/memory-remote.ts'
import { NAMED_CELLS, openWorld, type World } from '../support/cells.ts'
import { HeldLoader, reactions } from '../support/held-loader.ts'
import { LOAD_PATHS } from '../support/load-paths.ts'

function listenersOf(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length
}

describe.each(NAMED_CELLS)('P9, leaving by signal: %s', (_, cell) => {
  let world: World
  beforeAll(async () => {
    world = await openWorld(cell)
  })
  afterAll(() => world.end())

  it('a signal that has aborted before rejects with its reason, without a load', async () => {
    const cache = world.open()
    const reason = { not: 'even an error' }
    const loader = new HeldLoader<string>()
    loader.settleAll((run) => run.resolve('loaded'))
    const call = cache.once(world.key('before'), loader.load, { signal: AbortSignal.abort(reason) })
    await expect(call).rejects.toBe(reason)
    expect(loader.runs).toHaveLength(0)
    expect(cache.stats()).toMatchObject({ query: 0, hit: 0, miss: 0 })
  })

  it('one of 100 leaving gets its reason at once and leaves 99 answered', async () => {
    const cache = world.open()
    const key = world.key('one of 100')
    const loader = new HeldLoader<string>()
    const leavers = Array.from({ length: 100 }, () => new AbortController())
    const calls = leavers.map(({ signal }) => cache.once(key, loader.load, { signal }))
    const run = await loader.run(0)
    const [first] = leavers
    first?.abort('I have to go')
    await expect(calls[0]).rejects.toBe('I have to go')
    expect(run.context.signal.aborted).toBe(false)
    run.resolve('answer')
    expect(await Promise.all(calls.slice(1))).toEqual(Array(99).fill('answer'))
    expect(await cache.get(key)).toBe('answer')
    expect(loader.runs).toHaveLength(1)
  })

  it('the loader’s signal aborts when the last caller leaves, not before, with its reason', async () => {
    const cache = world.open()
    const key = world.key('last')
    const loader = new HeldLoader<string>()
    const leavers = [new AbortController(), new AbortController(), new AbortController()]
    const calls = leavers.map(({ signal }) => cache.once(key, loader.load, { signal }))
    const { context } = await loader.run(0)
    const settled = Promise.allSettled(calls)
    const seen = leavers.map((leaver, index) => {
      leaver.abort(`reason ${index}`)
      return context.signal.aborted
    })
    expect(seen).toEqual([false, false, true])
    expect(context.signal.reason).toBe('reason 2')
    expect(await settled).toEqual(
      [0, 1, 2].map((index) => ({ status: 'rejected', reason: `reason ${index}` })),
    )
  })

  it('a caller without a signal stays, whoever else leaves', async () => {
    const cache = world.open()
    const key = world.key('stays')
    const loader = new HeldLoader<string>()
    const leaving = new AbortController()
    const leaver = cache.once(key, loader.load, { signal: leaving.signal })
    const stayer = cache.once(key, loader.load)
    const run = await loader.run(0)
    leaving.abort('gone')
    await expect(leaver).rejects.toBe('gone')
    expect(run.context.signal.aborted).toBe(false)
    run.resolve('answer')
    expect(await stayer).toBe('answer')
  })

  it('no listener stays on a caller’s signal, whether it was answered, failed or left', async () => {
    const cache = world.open()
    const { signal } = new AbortController()
    const leaving = new AbortController()
    const loader = new HeldLoader<string>()
    const answered = cache.once(world.key('answered'), loader.load, { signal })
    const failed = cache.once(world.key('failed'), loader.load, { signal })
    const left = cache.once(world.key('left'), loader.load, { signal: leaving.signal })
    const runs = await Promise.all([0, 1, 2].map((index) => loader.run(index)))
    expect(Math.min(listenersOf(signal), listenersOf(leaving.signal))).toBeGreaterThan(0)
    for (const run of runs) {
      if (run.context.key === world.key('failed')) run.reject(new Error('no'))
      else if (run.context.key === world.key('answered')) run.resolve('yes')
    }
    leaving.abort('gone')
    expect(
      (await Promise.allSettled([answered, failed, left])).map(({ status }) => status),
    ).toEqual(['fulfilled', 'rejected', 'rejected'])
    await cache.once(world.key('answered'), loader.load, { signal })
    expect([listenersOf(signal), listenersOf(leaving.signal)]).toEqual([0, 0])
  })

  it('a caller whose signal aborts while its loader is being called leaves like any other', async () => {
    const cache = world.open()
    const leaving = new AbortController()
    const loader = new HeldLoader<string>()
    const load = (context: LoaderContext): Promise<string> => {
      leaving.abort('at once')
      return loader.load(context)
    }
    const call = cache.once(world.key('while called'), load, { signal: leaving.signal })
    const reason = call.catch((caught: unknown) => caught)
    const run = await loader.run(0)
    const answer = await Promise.race([reason, reactions()])
    const { aborted } = run.context.signal
    run.resolve('nobody waits for it')
    expect([answer, aborted]).toEqual(['at once', true])
  })
})

interface Held {
  readonly cache: Cache
  readonly clock: ManualClock
  readonly remote: MemoryRemote
  /** Operations that the store was asked for. */
  readonly asked: StoreOperation[]
}

/** Both tiers on a clock that the test moves; operations named in `hang` never answer. */
function open(settings: CacheSettings = {}, hang: readonly StoreOperation[] = []): Held {
  const clock = manualClock()
  const remote = memoryRemote({ clock })
  const asked: StoreOperation[] = []
  const store = faultyRemote(remote, {
    script: (operation) => {
      asked.push(operation)
      return hang.includes(operation) ? 'hang' : 'none'
    },
  })
  const local = lru({ maxEntries: 100 })
  const cache = createCache({ local, remote: store, clock, jitterRatio: 0, ...settings })
  return { cache, clock, remote, asked }
}

describe.each(LOAD_PATHS)(
  'P9, leaving while the remote is asked, $leases',
  ({ settings, ...path }) => {
    it('the last caller leaving during the remote read is told at once, and no loader starts', async () => {
      const { cache, clock } = open({ remoteTimeout: '1s', ...settings }, [path.read])
      const loader = new HeldLoader<string>()
      const leaving = new AbortController()
      const call = cache.once('k', loader.load, { signal: leaving.signal })
      await clock.advanceAsync(500)
      leaving.abort('gone')
      await expect(call).rejects.toBe('gone')
      await clock.advanceAsync(10_000)
      expect(loader.runs).toHaveLength(0)
      expect(cache.stats()).toMatchObject({ query: 0, queryFail: 0 })
      expect(clock.pendingTimers).toBe(0)
    })

    it('one who asks after the last has left during the remote read is answered', async () => {
      const { cache, clock } = open({ remoteTimeout: '1s', ...settings }, [path.read])
      const loader = new HeldLoader<string>()
      const leaving = new AbortController()
      const call = cache.once('k', loader.load, { signal: leaving.signal })
      await clock.advanceAsync(500)
      leaving.abort('gone')
      await expect(call).rejects.toBe('gone')
      const next = cache.once('k', loader.load)
      await clock.advanceAsync(1000)
      const run = await loader.run(0)
      run.resolve('answer')
      expect(await next).toBe('answer')
      expect(loader.runs).toHaveLength(1)
    })

    it('a caller leaving during the fill is told at once', async () => {
      const { cache, clock } = open({ remoteTimeout: '1s', ...settings }, [path.fill])
      const leaving = new AbortController()
      const call = cache.once('k', () => 'value', { signal: leaving.signal })
      await clock.advanceAsync(500)
      leaving.abort('gone')
      await expect(call).rejects.toBe('gone')
      await clock.advanceAsync(10_000)
      expect(cache.peek('k')).toBeUndefined()
    })
  },
)

describe.each(LOAD_PATHS)(
  'P9, a load that its last caller has left, $leases',
  ({ settings, fill }) => {
    it('stores nothing either if its fill was waiting for its turn', async () => {
      const { cache, clock, asked } = open({ remoteTimeout: '1s', ...settings }, [fill])
      for (const value of ['first', 'second']) {
        const leaving = new AbortController()
        const call = cache.once('k', () => value, { signal: leaving.signal })
        await clock.advanceAsync(10)
        leaving.abort('gone')
        await expect(call).rejects.toBe('gone')
      }
      await clock.advanceAsync(10_000)
      // The first was on its way before its caller left; the second never was.
      expect(asked.filter((operation) => operation === fill)).toHaveLength(1)
      expect(cache.peek('k')).toBeUndefined()
    })
  },
)

describe.each(LOAD_PATHS)('P9, loadTimeout, $leases', ({ settings, read, fill }) => {
  it('rejects every caller with CacheLoadTimeoutError when it is over, not before', async () => {
    const { cache, clock } = open({ loadTimeout: '2s', ...settings })
    const loader = new HeldLoader<string>()
    let settled = 0
    const calls = Array.from({ length: 50 }, () => cache.once('k', loader.load))
    for (const call of calls) call.catch(() => settled++)
    await clock.advanceAsync(1999)
    expect(settled).toBe(0)
    await clock.advanceAsync(1)
    for (const call of calls) await expect(call).rejects.toBeInstanceOf(CacheLoadTimeoutError)
    const error = await calls[0]?.catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'CACHE_LOAD_TIMEOUT', key: 'k' })
    expect((error as Error).message).toContain('2000 ms')
    expect(cache.stats()).toMatchObject({ query: 1, queryFail: 1 })
  })

  it('aborts the loader’s signal with the same error', async () => {
    const { cache, clock } = open({ loadTimeout: '2s', ...settings })
    const loader = new HeldLoader<string>()
    const call = cache.once('k', loader.load)
    call.catch(() => undefined)
    const { context } = await loader.run(0)
    const { signal } = context
    await clock.advanceAsync(2000)
    expect(signal.aborted).toBe(true)
    await expect(call).rejects.toBe(signal.reason)
  })

  it('is not cut short by a loader that rejects because of its signal', async () => {
    const { cache, clock } = open({ loadTimeout: '2s', ...settings })
    const call = cache.once(
      'k',
      ({ signal }) =>
        new Promise<string>((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted query')))
        }),
    )
    call.catch(() => undefined)
    await clock.advanceAsync(2000)
    await expect(call).rejects.toBeInstanceOf(CacheLoadTimeoutError)
  })

  it('lets the next caller load again; the late result is stored in no tier', async () => {
    const { cache, clock, remote, asked } = open({ loadTimeout: '2s', ...settings })
    const loader = new HeldLoader<string>()
    const timedOut = cache.once('k', loader.load)
    timedOut.catch(() => undefined)
    const late = await loader.run(0)
    await clock.advanceAsync(2000)
    await expect(timedOut).rejects.toBeInstanceOf(CacheLoadTimeoutError)
    late.resolve('late')
    await reactions()
    expect([cache.peek('k'), remote.size]).toEqual([undefined, 0])
    expect(asked).not.toContain(fill)
    const next = cache.once('k', loader.load)
    const renewed = await loader.run(1)
    renewed.resolve('again')
    expect(await next).toBe('again')
    expect(cache.peek('k')).toBe('again')
  })

  it('is counted from the start of the loader, not of the call', async () => {
    const { cache, clock } = open({ loadTimeout: '2s', remoteTimeout: '1s', ...settings }, [read])
    const loader = new HeldLoader<string>()
    const call = cache.once('k', loader.load)
    await clock.advanceAsync(1000)
    const run = await loader.run(0)
    await clock.advanceAsync(1999)
    run.resolve('just in time')
    expect(await call).toBe('just in time')
  })

  it('of a call counts in place of the cache’s, and beyond 2^31 ms', async () => {
    const { cache, clock } = open({ loadTimeout: '2s', ...settings })
    const loader = new HeldLoader<string>()
    const short = cache.once('short', loader.load, { loadTimeout: 10 })
    short.catch(() => undefined)
    // Without the remote: a lease would be renewed each second, two million times.
    const long = cache.once('long', loader.load, { loadTimeout: '365d', skipRemote: true })
    await loader.run(1)
    await clock.advanceAsync(10)
    await expect(short).rejects.toBeInstanceOf(CacheLoadTimeoutError)
    clock.advance(2 ** 31 + 1000)
    const run = loader.runs.find(({ context }) => context.key === 'long')
    run?.resolve('patience')
    expect(await long).toBe('patience')
  })

  it('leaves no timer behind once a loader has settled', async () => {
    const { cache, clock } = open(settings)
    await cache.once('value', () => 1)
    await expect(
      cache.once('error', () => {
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    expect(clock.pendingTimers).toBe(0)
  })

  it('a late rejection after the timeout is nobody’s unhandled rejection', async () => {
    const unhandled: unknown[] = []
    const note = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', note)
    try {
      const { cache, clock } = open({ loadTimeout: '2s', ...settings })
      const loader = new HeldLoader<string>()
      const call = cache.once('k', loader.load)
      call.catch(() => undefined)
      const run = await loader.run(0)
      await clock.advanceAsync(2000)
      run.reject(new Error('late'))
      await reactions()
      await reactions()
      expect(unhandled).toEqual([])
    } finally {
      process.off('unhandledRejection', note)
    }
  })
})
