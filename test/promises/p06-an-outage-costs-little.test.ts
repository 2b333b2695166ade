import { createClient } from 'redis'
import { describe, expect, it } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import { msgpack } from '../../src/codec/msgpack.ts'
import { lru } from '../../src/lru/lru.ts'
import { CacheRemoteError } from '../../src/model/errors.ts'
import type { CacheSettings } from '../../src/options/options.ts'
import { nodeRedis } from '../../src/redis/node-redis-store.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import {
  type Fault,
  type FaultyRemoteOptions,
  faultyRemote,
  type StoreOperation,
} from '../../src/testing/faulty-remote.ts'
import { type ManualClock, manualClock } from '../../src/testing/manual-clock.ts'
import { type MemoryRemote, memoryRemote } from '../../src/testing/memory-remote.ts'
import { startRedis } from '../../src/testing/servers/redis.ts'
import { HeldLoader } from '../support/held-loader.ts'
import { LEASED, LOAD_PATHS, type LoadPath, UNLEASED } from '../support/load-paths.ts'

const CODEC = msgpack()
const NO_ERRORS = { remoteErrors: 0 }

interface Opened {
  readonly cache: Cache
  readonly clock: ManualClock
  /** What is really stored. */
  readonly remote: MemoryRemote
  /** Operations the store was asked for. */
  readonly asked: StoreOperation[]
  /** What happens to operations from now on. */
  readonly faults: Partial<Record<StoreOperation, Fault>>
}

interface Setup extends LoadPath {
  readonly tiers: 'remote' | 'both'
}

function open(
  setup: Setup,
  faults: Opened['faults'] = {},
  more: { readonly gate?: FaultyRemoteOptions['gate']; readonly settings?: CacheSettings } = {},
): Opened {
  const clock = manualClock()
  const remote = memoryRemote({ clock })
  const asked: StoreOperation[] = []
  const store = faultyRemote(remote, {
    script: (operation) => {
      asked.push(operation)
      return faults[operation] ?? 'none'
    },
    gate: more.gate,
  })
  const local = setup.tiers === 'both' ? { local: lru({ maxEntries: 100 }) } : {}
  const settings = { jitterRatio: 0, ...setup.settings, ...more.settings }
  const cache = createCache({ ...local, remote: store, clock, ...settings })
  return { cache, clock, remote, asked, faults }
}

/** Where a promise stands after everything that is ready has run. */
function watched<T>(promise: Promise<T>): { state: 'pending' | 'resolved' | 'rejected' } {
  const watch: { state: 'pending' | 'resolved' | 'rejected' } = { state: 'pending' }
  promise.then(
    () => {
      watch.state = 'resolved'
    },
    () => {
      watch.state = 'rejected'
    },
  )
  return watch
}

const TIERS = ['remote', 'both'] as const
const SETUPS: readonly Setup[] = TIERS.flatMap((tiers) =>
  LOAD_PATHS.map((path): Setup => ({ tiers, ...path })),
)
const WITH_LOCAL = SETUPS.filter(({ tiers }) => tiers === 'both')
const ALL: readonly StoreOperation[] = [
  'get',
  'getMany',
  'compareAndSet',
  'set',
  'delete',
  'lease.read',
  'lease.take',
  'lease.renew',
  'lease.release',
  'lease.fill',
]
const every = (fault: Fault): Opened['faults'] => Object.fromEntries(ALL.map((op) => [op, fault]))

describe.each(SETUPS)('P6, a remote that never answers, tiers: $tiers, $leases', (setup) => {
  it('once loads when remoteTimeout is over, not before, and is answered by the loader', async () => {
    const { cache, clock } = open(setup, every('hang'))
    const loader = new HeldLoader<string>()
    const call = cache.once('k', loader.load)
    await clock.advanceAsync(249)
    expect(loader.runs).toHaveLength(0)
    await clock.advanceAsync(1)
    const run = await loader.run(0)
    const watch = watched(call)
    run.resolve('loaded')
    await clock.advanceAsync(0)
    expect(watch.state).toBe('resolved')
    expect(await call).toBe('loaded')
  })

  it('one budget serves read and fill: together they cost remoteTimeout at the most', async () => {
    const { cache, clock } = open(setup, every('hang'))
    const startedAt = clock.monotonic()
    const call = cache.once('k', async () => 'loaded')
    const watch = watched(call)
    while (watch.state === 'pending') await clock.advanceAsync(1)
    expect(await call).toBe('loaded')
    expect(clock.monotonic() - startedAt).toBe(250)
  })

  it('a slow read leaves the fill what is left of the budget', async () => {
    let slow: (() => void) | undefined
    const faults: Opened['faults'] = { [setup.fill]: 'hang' }
    const gate: FaultyRemoteOptions['gate'] = (operation, _keys, moment) =>
      operation === setup.read && moment === 'after'
        ? new Promise((resolve) => {
            slow = resolve
          })
        : Promise.resolve()
    const { cache, clock, asked } = open(setup, faults, { gate })
    const call = cache.once('k', async () => 'loaded')
    const watch = watched(call)
    await clock.advanceAsync(200)
    slow?.()
    await clock.advanceAsync(49)
    expect([watch.state, asked]).toEqual(['pending', [setup.read, setup.fill]])
    await clock.advanceAsync(1)
    expect(watch.state).toBe('resolved')
    expect(await call).toBe('loaded')
    if (setup.tiers === 'both') expect(cache.peek('k')).toBe('loaded')
  })

  it('the time a loader takes is not taken from the budget', async () => {
    const { cache, clock, remote } = open(setup)
    const loader = new HeldLoader<string>()
    const call = cache.once('k', loader.load)
    const run = await loader.run(0)
    await clock.advanceAsync(20_000)
    run.resolve('slow')
    expect(await call).toBe('slow')
    expect(remote.size).toBe(1)
    expect(cache.stats()).toMatchObject(NO_ERRORS)
  })

  it.each(['set', 'delete'] as const)('%s rejects when remoteTimeout is over', async (change) => {
    const { cache, clock } = open(setup, every('hang'))
    const call = change === 'set' ? cache.set('k', 1) : cache.delete('k')
    const watch = watched(call)
    await clock.advanceAsync(249)
    expect(watch.state).toBe('pending')
    await clock.advanceAsync(1)
    await expect(call).rejects.toMatchObject({ code: 'CACHE_REMOTE', operation: change, key: 'k' })
  })

  it('nothing waits longer than one remoteTimeout for an abandoned load’s fill', async () => {
    const { cache, clock } = open(setup, { [setup.fill]: 'hang' })
    const leaving = new AbortController()
    const left = cache.once('k', async () => 'abandoned', { signal: leaving.signal })
    await clock.advanceAsync(10)
    leaving.abort('gone')
    await expect(left).rejects.toBe('gone')
    const call = cache.once('k', async () => 'loaded')
    const watch = watched(call)
    await clock.advanceAsync(250)
    const within = watch.state
    await clock.advanceAsync(1000)
    expect(await call).toBe('loaded')
    expect(within).toBe('resolved')
  })

  it('no timer is left behind', async () => {
    const { cache, clock } = open(setup, every('hang'))
    const calls = [cache.once('a', async () => 1), cache.get('b')]
    await clock.advanceAsync(250)
    expect(await Promise.all(calls)).toEqual([1, undefined])
    expect(clock.pendingTimers).toBe(0)
  })
})

describe.each(SETUPS)('P6, a remote that rejects everything, tiers: $tiers, $leases', (setup) => {
  it('once is answered by the loader at once; no time has to pass', async () => {
    const { cache } = open(setup, every('before'))
    expect(await cache.once('k', async () => 'loaded')).toBe('loaded')
    expect(cache.stats()).toMatchObject({ query: 1, queryFail: 0 })
  })

  it('errors have a counter of their own and are not misses', async () => {
    const { cache } = open(setup, every('before'))
    await cache.once('a', async () => 1)
    await cache.get('b')
    await cache.set('c', 1).catch(() => undefined)
    await cache.delete('d').catch(() => undefined)
    expect(cache.stats()).toMatchObject({
      remoteErrors: 3,
      breakerOpened: 1,
      remoteSkipped: 1,
      miss: 0,
      remoteMiss: 0,
      remoteHit: 0,
      hit: 0,
      localMiss: setup.tiers === 'both' ? 2 : 0,
    })
  })

  it('get gives undefined, exists false, lookup the error, getOrThrow throws it', async () => {
    const { cache } = open(setup, every('before'))
    expect(await cache.get('k')).toBeUndefined()
    expect(await cache.exists('k')).toBe(false)
    const { cache: second } = open(setup, every('before'))
    const found = await second.lookup('k')
    expect(found).toMatchObject({
      status: 'error',
      error: { code: 'CACHE_REMOTE', operation: 'get', key: 'k' },
    })
    const thrown = await second.getOrThrow('k').catch((error: unknown) => error)
    expect(thrown).toBeInstanceOf(CacheRemoteError)
    expect(thrown).toMatchObject({ code: 'CACHE_REMOTE', operation: 'get', key: 'k' })
    expect((thrown as Error).cause).toMatchObject({ message: expect.stringContaining('injected') })
  })

  it.each([
    ['set', 'before'],
    ['set', 'after'],
    ['delete', 'before'],
    ['delete', 'after'],
  ] as const)(
    '%s (failed %s it took) rejects and leaves local without the key',
    async (change, fault) => {
      const { cache, faults } = open(setup)
      await cache.set('k', 'old')
      faults[change] = fault
      const call = change === 'set' ? cache.set('k', 'new') : cache.delete('k')
      const thrown = await call.catch((error: unknown) => error)
      expect(thrown).toBeInstanceOf(CacheRemoteError)
      expect(thrown).toMatchObject({ code: 'CACHE_REMOTE', operation: change, key: 'k' })
      expect((thrown as Error).cause).toMatchObject({
        message: expect.stringContaining('injected'),
      })
      expect(cache.peek('k')).toBeUndefined()
      if (setup.tiers === 'both') expect(cache.stats().localEntries).toBe(0)
    },
  )

  it('a store that throws instead of rejecting is treated alike', async () => {
    const thrown = new Error('thrown')
    const broken = memoryRemote()
    const fail = (): never => {
      throw thrown
    }
    const store: RemoteStore = Object.assign(Object.create(broken) as MemoryRemote, {
      open: () => undefined,
      close: async () => undefined,
      get: fail,
      compareAndSet: fail,
      set: fail,
      delete: fail,
      ping: fail,
      leases: { read: fail, take: fail, renew: fail, release: fail, fill: fail },
    })
    const local = setup.tiers === 'both' ? { local: lru({ maxEntries: 10 }) } : {}
    const cache = createCache({ ...local, remote: store, clock: manualClock(), ...setup.settings })
    expect(await cache.once('k', async () => 'loaded')).toBe('loaded')
    for (const call of [cache.set('k', 1), cache.delete('k')]) {
      await expect(call).rejects.toMatchObject({ code: 'CACHE_REMOTE', cause: thrown })
    }
    expect(cache.stats()).toMatchObject({ remoteErrors: 3 })
  })

  it('it is asked again by the next call, and works when it is back', async () => {
    const { cache, faults, remote } = open(setup, every('before'))
    expect(await cache.once('k', async () => 1)).toBe(1)
    for (const operation of ALL) delete faults[operation]
    cache.clearLocal()
    expect(await cache.once('k', async () => 2)).toBe(2)
    expect(remote.peek('k')?.bytes).toEqual(Uint8Array.from(CODEC.encode(2)))
  })
})

describe.each(WITH_LOCAL)('P6, the local tier during an outage, $leases', (setup) => {
  it('is filled by a load whose remote could not be asked, and answers the next call', async () => {
    const { cache, clock, asked } = open(setup, every('hang'))
    const first = cache.once('k', async () => 'loaded')
    await clock.advanceAsync(250)
    expect(await first).toBe('loaded')
    asked.length = 0
    expect(await cache.once('k', () => Promise.reject(new Error('not called')))).toBe('loaded')
    expect(asked).toEqual([])
  })

  it('hits are answered without a look at the remote', async () => {
    const { cache, faults, asked, clock } = open(setup)
    await cache.once('k', async () => 'value')
    Object.assign(faults, every('hang'))
    asked.length = 0
    expect(await cache.once('k', async () => 'other')).toBe('value')
    expect(await cache.get('k')).toBe('value')
    expect(asked).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })

  it.each(['before', 'after', 'hang'] as const)(
    'is filled when nobody knows whether the remote took the fill (%s)',
    async (fault) => {
      const { cache, clock, remote } = open(setup, { [setup.fill]: fault })
      const call = cache.once('k', async () => 'loaded')
      await clock.advanceAsync(250)
      expect(await call).toBe('loaded')
      expect(cache.peek('k')).toBe('loaded')
      expect(remote.size).toBe(fault === 'after' ? 1 : 0)
      expect(cache.stats()).toMatchObject({ remoteErrors: 1, miss: 1, fillsFenced: 0 })
    },
  )

  it('a fill that hung is counted into the life of the local copy', async () => {
    const { cache, clock } = open(setup, { [setup.fill]: 'hang' }, { settings: { ttl: '10s' } })
    const call = cache.once('k', async () => 'loaded')
    await clock.advanceAsync(250)
    await call
    expect(await cache.lookup('k')).toMatchObject({ tier: 'local', ttlLeft: 10_000 - 250 })
  })

  it('keeps nothing of a load that a failing change overlapped', async () => {
    const { cache } = open(setup, { delete: 'before' })
    const loader = new HeldLoader<string>()
    const call = cache.once('k', loader.load)
    const run = await loader.run(0)
    await expect(cache.delete('k')).rejects.toBeInstanceOf(CacheRemoteError)
    run.resolve('old')
    expect(await call).toBe('old')
    expect(cache.peek('k')).toBeUndefined()
  })
})

describe.each(LOAD_PATHS)('P6, a Redis that is frozen and comes back, $leases', ({ settings }) => {
  it('costs a read its load, a change its error, and is used again at once', async () => {
    const server = await startRedis()
    const client = createClient({ url: server.url })
    client.on('error', () => undefined)
    try {
      await client.connect()
      const remote = nodeRedis(client)
      const cache = createCache({
        local: lru({ maxEntries: 10 }),
        remote,
        remoteTimeout: 300,
        ...settings,
      })
      // The server knows the script: sent a second time, with its source, the repair would come later
      // than what is set after it, and undo that too.
      await cache.delete('k')
      await cache.set('k', 'before')
      cache.clearLocal()
      process.kill(server.pid, 'SIGSTOP')
      expect(await cache.once('k', async () => 'loaded')).toBe('loaded')
      expect(cache.peek('k')).toBe('loaded')
      expect(await cache.get('unknown')).toBeUndefined()
      await expect(cache.set('k', 'new')).rejects.toBeInstanceOf(CacheRemoteError)
      expect(cache.peek('k')).toBeUndefined()
      expect(cache.stats()).toMatchObject({ remoteErrors: 3, remoteMiss: 0 })
      process.kill(server.pid, 'SIGCONT')
      expect(await cache.ready()).toBe(true)
      await cache.set('k', 'after')
      cache.clearLocal()
      expect(await cache.get('k')).toBe('after')
      await cache.close()
    } finally {
      client.destroy()
      await server.stop()
    }
  })
})

describe.each(SETUPS)('P6, the breaker, tiers: $tiers, $leases', (setup) => {
  /** Three failures in a row. */
  async function openBreaker(opened: Opened, fault: Fault): Promise<void> {
    for (const operation of [...ALL, 'ping'] as const) opened.faults[operation] = fault
    const calls: Promise<unknown>[] = []
    for (const key of ['x', 'y', 'z']) {
      calls.push(opened.cache.get(key))
      // Reads of one turn are one request, and fail once.
      await opened.clock.advanceAsync(0)
    }
    await opened.clock.advanceAsync(250)
    await Promise.all(calls)
    expect(opened.cache.stats()).toMatchObject({ breaker: 'open', breakerOpened: 1 })
    opened.asked.length = 0
  }

  it.each(['hang', 'before'] as const)(
    'opens when the remote does: %s; once then costs the load, and no call sends anything',
    async (fault) => {
      const opened = open(setup)
      const { cache, asked } = opened
      await openBreaker(opened, fault)
      expect(await cache.once('k', async () => 'loaded')).toBe('loaded')
      expect(await cache.get('other')).toBeUndefined()
      expect(await cache.lookup('other')).toMatchObject({ status: 'error' })
      for (const change of [cache.set('k', 1), cache.delete('k')]) {
        await expect(change).rejects.toBeInstanceOf(CacheRemoteError)
      }
      expect(asked).toEqual([])
      expect(cache.stats().remoteSkipped).toBe(5)
      if (setup.tiers === 'both') expect(cache.peek('k')).toBeUndefined()
    },
  )

  it('local hits go on as if nothing was', async () => {
    const opened = open({ ...setup, tiers: 'both' })
    const { cache } = opened
    await cache.set('k', 'value')
    await openBreaker(opened, 'hang')
    expect(await cache.once('k', async () => 'loaded')).toBe('value')
  })

  it('asks by itself whether the remote is back, and closes when it is', async () => {
    const opened = open(setup)
    const { cache, clock, asked, faults, remote } = opened
    await openBreaker(opened, 'hang')
    await clock.advanceAsync(500)
    expect(asked).toEqual(['ping'])
    expect(cache.stats().breaker).toBe('half-open')
    await clock.advanceAsync(250)
    expect(cache.stats().breaker).toBe('open')
    for (const operation of [...ALL, 'ping'] as const) delete faults[operation]
    await clock.advanceAsync(500)
    expect(asked).toEqual(['ping', 'ping'])
    expect(cache.stats().breaker).toBe('closed')
    await cache.set('k', 'again')
    expect(remote.peek('k')).toBeDefined()
  })

  it('is on trial after that: one failure opens it again, one success ends the trial', async () => {
    const opened = open(setup)
    const { cache, clock, faults } = opened
    await openBreaker(opened, 'before')
    delete faults.ping
    await clock.advanceAsync(500)
    await cache.get('k')
    expect(cache.stats()).toMatchObject({ breaker: 'open', breakerOpened: 2 })
    for (const operation of [...ALL, 'ping'] as const) delete faults[operation]
    await clock.advanceAsync(500)
    await cache.get('k')
    faults.get = 'before'
    await cache.get('k')
    expect(cache.stats()).toMatchObject({ breaker: 'closed', breakerOpened: 2 })
  })

  it('opens when half of the last calls fail, though never three in a row', async () => {
    const opened = open(setup)
    const { cache, faults } = opened
    for (let call = 0; call < 40 && cache.stats().breaker === 'closed'; call++) {
      if (call % 2 === 0) faults.get = 'before'
      else delete faults.get
      await cache.get(`k${call}`)
    }
    expect(cache.stats()).toMatchObject({ breaker: 'open', remoteErrors: 10 })
  })

  it('leaves no timer behind when the cache closes while it is open', async () => {
    const opened = open(setup)
    await openBreaker(opened, 'hang')
    await opened.cache.close()
    expect(opened.clock.pendingTimers).toBe(0)
  })

  it('a load under way sends nothing either while it is open, and is answered', async () => {
    const opened = open(setup)
    const { cache, clock, asked } = opened
    const loader = new HeldLoader<string>()
    const call = cache.once('k', loader.load)
    const run = await loader.run(0)
    await openBreaker(opened, 'before')
    await clock.advanceAsync(10_000)
    run.resolve('loaded')
    expect(await call).toBe('loaded')
    expect(new Set(asked)).toEqual(new Set(['ping']))
    if (setup.tiers === 'both') expect(cache.peek('k')).toBe('loaded')
  })

  it('a load that a hanging change has overlapped answers without waiting for that change', async () => {
    const { cache, faults, clock } = open(setup)
    const loader = new HeldLoader<string>()
    const loaded = cache.once('k', loader.load)
    const run = await loader.run(0)
    faults.delete = 'hang'
    const change = cache.delete('k').catch((error: unknown) => error)
    run.resolve('loaded')
    expect(await loaded).toBe('loaded')
    await clock.advanceAsync(250)
    expect(await change).toBeInstanceOf(CacheRemoteError)
  })

  it('refuses calls beyond 10,000 under way instead of piling them up', async () => {
    const { cache, clock } = open(setup, { getMany: 'hang' })
    const calls = Array.from({ length: 10_010 }, (_, i) => cache.get(`k${i}`))
    await clock.advanceAsync(0)
    // Requests of 256 keys are sent, or not sent, as a whole.
    const sent = 39 * 256
    expect(cache.stats().remoteShed).toBe(10_010 - sent)
    await clock.advanceAsync(250)
    await Promise.all(calls)
    expect(cache.stats().remoteErrors).toBe(sent)
  })
})

describe.each(SETUPS)('P6, what an outage left behind, tiers: $tiers, $leases', (setup) => {
  /** The remote fails `change` with `fault`, while it holds an old value. */
  async function failed(change: 'set' | 'delete', fault: Fault): Promise<Opened> {
    const opened = open(setup)
    const { cache, faults, clock } = opened
    await cache.set('k', 'old')
    for (const operation of ALL) faults[operation] = fault
    const call = (change === 'set' ? cache.set('k', 'new') : cache.delete('k')).catch(
      () => 'failed',
    )
    await clock.advanceAsync(250)
    expect(await call).toBe('failed')
    expect(cache.stats().recoveryPending).toBe(1)
    for (const operation of ALL) delete faults[operation]
    return opened
  }

  const CHANGES = [
    ['set', 'hang'],
    ['set', 'before'],
    ['delete', 'hang'],
    ['delete', 'before'],
  ] as const

  it.each(CHANGES)(
    'after a %s that failed (%s) the old value is never read again, here',
    async (change, fault) => {
      const { cache, asked, remote } = await failed(change, fault)
      expect(remote.peek('k')).toBeDefined()
      asked.length = 0
      expect(await cache.get('k', { skipLocal: true })).toBeUndefined()
      expect(await cache.once('k', async () => 'loaded', { skipLocal: true })).toBe('loaded')
      expect(asked).toEqual([])
    },
  )

  it.each(CHANGES)(
    'after a %s that failed (%s) the key is deleted, and after a write could have come late, again',
    async (change, fault) => {
      const { cache, clock, remote } = await failed(change, fault)
      await clock.advanceAsync(500)
      expect(remote.peek('k')).toBeUndefined()
      expect(cache.stats().recoveryPending).toBe(1)
      // The write of a lost connection.
      await remote.set('k', CODEC.encode('late'), { ttl: 1000_000 })
      expect(await cache.get('k', { skipLocal: true })).toBeUndefined()
      await clock.advanceAsync(5000)
      expect(remote.peek('k')).toBeUndefined()
      // As long as it has not settled it may still come; no connection stays silent for 20 minutes.
      expect(cache.stats().recoveryPending).toBe(fault === 'hang' ? 1 : 0)
      if (fault === 'hang') await clock.advanceAsync(21 * 60_000)
      expect(cache.stats().recoveryPending).toBe(0)
      await cache.set('k', 'newer')
      expect(await cache.get('k', { skipLocal: true })).toBe('newer')
    },
  )

  it('other keys go on, in both tiers', async () => {
    const { cache, remote } = await failed('delete', 'before')
    expect(await cache.once('other', async () => 1)).toBe(1)
    expect(remote.peek('other')).toBeDefined()
  })

  it('a change that was certainly not sent is repaired once', async () => {
    const opened = open(setup)
    const { cache, clock, faults, remote, asked } = opened
    await cache.set('k', 'old')
    for (const operation of [...ALL, 'ping'] as const) faults[operation] = 'before'
    for (const key of ['x', 'y', 'z']) await cache.get(key)
    const thrown = await cache.delete('k').catch((error: unknown) => error)
    expect(thrown).toMatchObject({ code: 'CACHE_REMOTE', outcome: 'not sent' })
    for (const operation of [...ALL, 'ping'] as const) delete faults[operation]
    asked.length = 0
    await clock.advanceAsync(500)
    expect(asked).toEqual(['ping', 'delete'])
    expect(remote.peek('k')).toBeUndefined()
    expect(cache.stats()).toMatchObject({ breaker: 'closed', recoveryPending: 0 })
  })

  it('a set only if absent, with unknown outcome, is left alone', async () => {
    const { cache, faults, remote } = open(setup)
    faults.set = 'after'
    await expect(cache.set('k', 'v', { when: 'absent' })).rejects.toMatchObject({
      outcome: 'unknown',
    })
    expect(cache.stats().recoveryPending).toBe(0)
    expect(remote.peek('k')).toBeDefined()
  })

  it('a repair that fails is tried again', async () => {
    const { cache, clock, faults, remote } = await failed('delete', 'before')
    faults.delete = 'before'
    await clock.advanceAsync(500)
    expect(remote.peek('k')).toBeDefined()
    delete faults.delete
    await clock.advanceAsync(500)
    expect(remote.peek('k')).toBeUndefined()
    expect(cache.stats().breaker).toBe('closed')
  })

  it('thousands of keys are repaired by few commands, and a repair that fails goes on later', async () => {
    const { cache, clock, faults, asked } = open(setup)
    for (const operation of [...ALL, 'ping'] as const) faults[operation] = 'before'
    const calls = Array.from({ length: 3000 }, (_, i) => cache.delete(`k${i}`).catch(() => 'no'))
    await Promise.all(calls)
    expect(cache.stats().recoveryPending).toBe(3000)
    await clock.advanceAsync(2000)
    expect(cache.stats().recoveryPending).toBe(3000)
    for (const operation of [...ALL, 'ping'] as const) delete faults[operation]
    asked.length = 0
    await clock.advanceAsync(1000)
    expect(asked.filter((operation) => operation === 'delete').length).toBe(12)
    await clock.advanceAsync(5000)
    expect(cache.stats().recoveryPending).toBe(0)
  })
})

describe.each(TIERS)('P6, a fill with unknown outcome, tiers: %s', (tiers) => {
  it('is repaired like a change where the store has no leases', async () => {
    const { cache, clock, faults, remote } = open({ ...UNLEASED, tiers })
    faults.compareAndSet = 'after'
    expect(await cache.once('k', async () => 'loaded')).toBe('loaded')
    expect(cache.stats().recoveryPending).toBe(1)
    expect(remote.peek('k')).toBeDefined()
    await clock.advanceAsync(500)
    expect(remote.peek('k')).toBeUndefined()
  })

  it('is left as it is where it ran under a lease: its key is read at once, and never deleted', async () => {
    const { cache, clock, faults, asked, remote } = open({ ...LEASED, tiers })
    faults['lease.fill'] = 'after'
    expect(await cache.once('k', async () => 'loaded')).toBe('loaded')
    expect(cache.stats()).toMatchObject({ remoteErrors: 1, recoveryPending: 0 })
    expect(await cache.get('k', { skipLocal: true })).toBe('loaded')
    await clock.advanceAsync(60_000)
    expect(asked).not.toContain('delete')
    expect(remote.peek('k')).toBeDefined()
  })

  it('gives its lease back, so that nobody waits for what will not come', async () => {
    const { cache, clock, faults, asked, remote } = open({ ...LEASED, tiers })
    faults['lease.fill'] = 'hang'
    const call = cache.once('k', async () => 'loaded')
    await clock.advanceAsync(250)
    expect(await call).toBe('loaded')
    expect(asked).toEqual(['lease.read', 'lease.fill', 'lease.release'])
    expect(await remote.leases.take('k', 'another.1', 1000)).toBeUndefined()
  })

  it('stores nothing under a lease if it comes after another process has deleted the key', async () => {
    let arrive = () => {}
    const late = new Promise<void>((resolve) => {
      arrive = resolve
    })
    const gate: FaultyRemoteOptions['gate'] = async (operation, _keys, moment) => {
      if (operation === 'lease.fill' && moment === 'before') await late
    }
    // Nor is it given back: only the deletion has ended it.
    const opened = open({ ...LEASED, tiers }, { 'lease.release': 'hang' }, { gate })
    const { cache, clock, asked, remote } = opened
    const call = cache.once('k', async () => 'old')
    await clock.advanceAsync(250)
    expect(await call).toBe('old')
    await remote.delete(['k'])
    arrive()
    await clock.advanceAsync(0)
    expect(asked).toContain('lease.fill')
    expect(remote.peek('k')).toBeUndefined()
    expect(await cache.get('k', { skipLocal: true })).toBeUndefined()
  })
})
