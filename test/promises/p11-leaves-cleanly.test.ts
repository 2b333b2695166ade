import { spawn } from 'node:child_process'
import { once as onceEvent } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { InvalidationBus } from '../../src/bus/invalidation-bus.ts'
import { type Cache, createCache } from '../../src/cache.ts'
import { lru } from '../../src/lru/lru.ts'
import { CacheClosedError } from '../../src/model/errors.ts'
import type { CacheSettings } from '../../src/options/options.ts'
import { nodeRedis } from '../../src/redis/node-redis-store.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { faultyRemote, type StoreOperation } from '../../src/testing/faulty-remote.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { type MemoryRemote, memoryRemote } from '../../src/testing/memory-remote.ts'
import { NAMED_CELLS, openWorld, type World } from '../support/cells.ts'
import { HeldLoader, reactions } from '../support/held-loader.ts'
import { LOAD_PATHS } from '../support/load-paths.ts'
import { alone } from '../support/local-store.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Every method that takes calls, on a key that local holds. */
const METHODS: readonly (readonly [string, (cache: Cache, key: string) => unknown])[] = [
  ['once', (cache, key) => cache.once(key, () => 'loaded')],
  ['once with options', (cache, key) => cache.once(key, () => 'loaded', { ttl: 1000 })],
  ['onceOrThrow', (cache, key) => cache.onceOrThrow(key, () => 'loaded')],
  ['get', (cache, key) => cache.get(key)],
  ['getOrThrow', (cache, key) => cache.getOrThrow(key)],
  ['lookup', (cache, key) => cache.lookup(key)],
  ['exists', (cache, key) => cache.exists(key)],
  ['set', (cache, key) => cache.set(key, 'value')],
  ['delete', (cache, key) => cache.delete(key)],
  ['peek', (cache, key) => cache.peek(key)],
  ['deleteLocal', (cache, key) => cache.deleteLocal(key)],
  ['clearLocal', (cache) => cache.clearLocal()],
]

/** `once` and its like reject, the synchronous ones throw. */
async function refusal(call: () => unknown): Promise<unknown> {
  try {
    return { resolvedTo: await call() }
  } catch (error) {
    return error
  }
}

describe.each(NAMED_CELLS)('P11, close: %s', (_, cell) => {
  let world: World
  beforeAll(async () => {
    world = await openWorld(cell)
  })
  afterAll(() => world.end())

  it('every method refuses with CACHE_CLOSED afterwards, what local held included', async () => {
    const cache = world.open()
    const key = world.key('closed')
    await cache.set(key, 'value')
    await cache.get(key)
    await cache.close()
    for (const [name, call] of METHODS) {
      const error = await refusal(() => call(cache, key))
      expect(error, name).toBeInstanceOf(CacheClosedError)
      expect(error, name).toMatchObject({ code: 'CACHE_CLOSED' })
    }
    expect(cache.stats()).toMatchObject({ localEntries: 0 })
  })

  it('a second close is the first one, whoever calls it and when', async () => {
    const cache = world.open()
    const loader = new HeldLoader<string>()
    const call = cache.once(world.key('closing'), loader.load)
    const run = await loader.run(0)
    const closes = [cache.close(), cache.close(), cache[Symbol.asyncDispose]()]
    run.resolve('drained')
    await Promise.all(closes)
    await cache.close()
    expect(await call).toBe('drained')
  })

  it('await using closes at the end of the block', async () => {
    let inside: Cache
    {
      await using cache = world.open()
      inside = cache
      await cache.set(world.key('using'), 1)
    }
    expect(await refusal(() => inside.get(world.key('using')))).toBeInstanceOf(CacheClosedError)
  })

  it('takes no more calls and waits for a load under way, which is answered and fills the remote', async () => {
    const cache = world.open()
    const key = world.key('drained')
    const held = world.key('held')
    await cache.set(held, 'in local')
    const loader = new HeldLoader<string>()
    const calls = [cache.once(key, loader.load), cache.once(key, loader.load)]
    const run = await loader.run(0)
    let closed = false
    const closing = cache.close().then(() => {
      closed = true
    })
    await reactions()
    expect(closed).toBe(false)
    for (const late of [key, held]) {
      expect(await refusal(() => cache.once(late, loader.load))).toBeInstanceOf(CacheClosedError)
    }
    run.resolve('drained')
    expect(await Promise.all(calls)).toEqual(['drained', 'drained'])
    await closing
    if (world.remote !== undefined) expect((await world.remote.get(key))?.bytes).toBeDefined()
  })

  it('of one cache leaves another on the same store working', async () => {
    const [one, two] = [world.open(), world.open()]
    const key = world.key('shared store')
    await one.set(key, 'by one')
    await one.close()
    await one.close()
    await two.set(key, 'by two')
    expect(await two.get(key, cell.tiers === 'both' ? { skipLocal: true } : {})).toBe('by two')
    expect(await two.ready()).toBe(true)
    const three = world.open()
    await three.set(key, 'by three')
    expect(await three.get(key)).toBe('by three')
  })
})

describe('P11, the bound of close', () => {
  function open(hang: readonly StoreOperation[] = [], settings: CacheSettings = {}) {
    const clock = manualClock()
    const remote = memoryRemote({ clock })
    remote.open()
    const asked: StoreOperation[] = []
    const store = faultyRemote(remote, {
      script: (operation) => {
        asked.push(operation)
        return hang.includes(operation) ? 'hang' : 'none'
      },
    })
    const engine = lru({ maxEntries: 10 })
    const localStore = engine.create(alone())
    const local = { ...engine, create: () => localStore }
    const common = { clock, jitterRatio: 0, remoteTimeout: '1m', ...settings } as const
    const cache = createCache({ local, remote: store, ...common })
    return { clock, remote, asked, localStore, cache }
  }

  const bounds = [
    ['5 s', undefined, 5000],
    ['its timeout', { timeout: '70ms' } as const, 70],
  ] as const

  describe.each(LOAD_PATHS)('$leases', ({ leases, settings, read }) => {
    const ended = leases === 'with leases' ? [read, 'lease.release'] : [read]

    it.each(bounds)(
      'a load that hangs keeps it for %s, and then stores nothing',
      async (_, options, bound) => {
        const { cache, clock, remote, asked, localStore } = open([], settings)
        const loader = new HeldLoader<string>()
        const call = cache.once('k', loader.load)
        const run = await loader.run(0)
        let closed = false
        void cache.close(options).then(() => {
          closed = true
        })
        await clock.advanceAsync(bound - 1)
        expect(closed).toBe(false)
        await clock.advanceAsync(1)
        expect(closed).toBe(true)
        const before = asked.filter((operation) => operation !== 'lease.renew')
        asked.length = 0
        await clock.advanceAsync(10_000)
        run.resolve('late')
        expect(await call).toBe('late')
        expect([localStore.size, remote.size]).toEqual([0, 0])
        // Nothing is sent any more, no renewal either.
        expect([before, asked]).toEqual([ended, []])
        expect(clock.pendingTimers).toBe(0)
      },
    )
  })

  it('a remote value that arrives after it is not promoted', async () => {
    const { cache, clock, localStore } = open(['get'])
    const call = cache.get('k')
    const closing = cache.close({ timeout: 10 })
    await clock.advanceAsync(10)
    await closing
    await clock.advanceAsync(60_000)
    expect(await call).toBeUndefined()
    expect(localStore.size).toBe(0)
  })

  it('a set that was still waiting for its turn is not sent after it', async () => {
    const { cache, clock, asked } = open(['delete'])
    const deleting = cache.delete('k').catch((error: unknown) => error)
    const setting = cache.set('k', 'value').catch((error: unknown) => error)
    const closing = cache.close({ timeout: 10 })
    await clock.advanceAsync(10)
    await closing
    await clock.advanceAsync(60_000)
    await Promise.all([deleting, setting])
    expect(asked).toEqual(['delete'])
  })

  it('is not kept longer by a lease that cannot be given back', async () => {
    const { cache, clock } = open(['lease.release'])
    await cache.once('k', () => Promise.reject(new Error('no'))).catch(() => undefined)
    let closed = false
    void cache.close({ timeout: 10 }).then(() => {
      closed = true
    })
    await clock.advanceAsync(9)
    expect(closed).toBe(false)
    await clock.advanceAsync(1)
    expect(closed).toBe(true)
  })

  it('leaves no lease of a failed load behind', async () => {
    const { cache, remote, asked } = open()
    await cache.once('k', () => Promise.reject(new Error('no'))).catch(() => undefined)
    await cache.close()
    expect(asked).toEqual(['lease.read', 'lease.release'])
    expect(await remote.leases.take('k', 'another.1', 1000)).toBeUndefined()
  })

  it('takes no longer than what is under way, and leaves no timer', async () => {
    const { cache, clock, localStore } = open()
    await cache.set('k', 1)
    expect(localStore.size).toBe(1)
    await cache.close()
    expect(localStore.size).toBe(0)
    expect(clock.pendingTimers).toBe(0)
  })

  it('releases the clock once, however often it is called', async () => {
    const clock = manualClock()
    let held = 0
    const hold = () => {
      held++
      return () => {
        held--
      }
    }
    const cache = createCache({
      local: lru({ maxEntries: 10 }),
      clock: { ...clockOf(clock), hold },
    })
    expect(held).toBe(1)
    await Promise.all([cache.close(), cache.close()])
    expect(held).toBe(0)
  })
})

/** A plain object that a spread can add to. */
function clockOf(clock: ReturnType<typeof manualClock>) {
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    setTimer: clock.setTimer.bind(clock),
  }
}

describe('P11, a Redis client handed in', () => {
  it('stays open and has the listeners it had before', async () => {
    const client = createClient({ url: inject('redisUrl') })
    client.on('error', () => undefined)
    await client.connect()
    const counts = () => client.eventNames().map((name) => [name, client.listenerCount(name)])
    const before = counts()
    const remote = nodeRedis(client)
    const caches = Array.from({ length: 20 }, () => createCache({ remote }))
    await caches[0]?.set(`handed-in:${process.pid}`, 1)
    await Promise.all(caches.map((cache) => cache.close()))
    expect(counts()).toEqual(before)
    expect(client.isReady).toBe(true)
    expect(await client.ping()).toBe('PONG')
    client.destroy()
  })
})

describe('P11, a process whose work is done', () => {
  /** Runs a script against the build until it ends by itself; what it wrote, and its exit code. */
  async function run(script: string): Promise<{ code: number | null; output: string }> {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: ROOT })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    child.stderr.on('data', (chunk) => {
      output += chunk
    })
    const overdue = setTimeout(() => child.kill('SIGKILL'), 10_000)
    const [code] = (await onceEvent(child, 'close')) as [number | null]
    clearTimeout(overdue)
    return { code, output }
  }

  const caches: readonly (readonly [string, string, string])[] = [
    [
      'a local tier',
      `import { lru } from './dist/lru/index.js'`,
      `{ local: lru({ maxEntries: 10 }) }`,
    ],
    [
      'an in-memory remote',
      `import { memoryRemote } from './dist/testing/index.js'`,
      `{ remote: memoryRemote() }`,
    ],
    [
      'LMDB and a local tier',
      `import { lru } from './dist/lru/index.js'; import { lmdb } from './dist/lmdb/index.js'`,
      `{ local: lru({ maxEntries: 10 }), remote: lmdb({ path: PATH }) }`,
    ],
  ]

  it.each(caches)(
    'ends by itself although a cache with %s is open and timers are pending',
    async (_, imports, options) => {
      const path = await mkdtemp(join(tmpdir(), 'jetcache-'))
      try {
        const { code, output } = await run(`
          import { createCache } from './dist/index.js'
          ${imports}
          const PATH = ${JSON.stringify(path)}
          const cache = createCache(${options})
          await cache.set('k', { a: 1 })
          console.log(JSON.stringify(await cache.get('k')))
          // A deadline of half a minute that nobody will ever be told of.
          cache.once('hangs', () => new Promise(() => {}))
          setImmediate(() => console.log('done'))
        `)
        expect(output).toBe('{"a":1}\ndone\n')
        expect(code).toBe(0)
      } finally {
        await rm(path, { recursive: true, force: true })
      }
    },
  )
})

it('a bus that cannot be opened leaves nothing open behind it', async () => {
  const clock = manualClock()
  const remote = memoryRemote({ clock })
  let users = 0
  const store: RemoteStore = {
    ...bound(remote),
    open: () => void users++,
    close: async () => void users--,
  }
  const bus: InvalidationBus = {
    name: 'broken',
    kind: 'messages',
    open: () => {
      throw new Error('no such bus')
    },
  }
  expect(() => createCache({ remote: store, sync: { bus }, clock })).toThrow('no such bus')
  await clock.advanceAsync(60_000)
  expect([users, clock.pendingTimers]).toEqual([0, 0])
})

function bound(remote: MemoryRemote): Omit<RemoteStore, 'open' | 'close'> {
  return {
    name: remote.name,
    leases: remote.leases,
    get: (key) => remote.get(key),
    getMany: (keys) => remote.getMany(keys),
    set: (key, bytes, options) => remote.set(key, bytes, options),
    compareAndSet: (key, expected, bytes, ttl) => remote.compareAndSet(key, expected, bytes, ttl),
    compareAndDelete: (key, expected) => remote.compareAndDelete(key, expected),
    delete: (keys) => remote.delete(keys),
    ping: () => remote.ping(),
  }
}
