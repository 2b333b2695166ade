import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import type { Codec } from '../../src/codec/codec.ts'
import { json } from '../../src/codec/json.ts'
import { msgpack } from '../../src/codec/msgpack.ts'
import { tinyLfu } from '../../src/local/tiny-lfu/tiny-lfu.ts'
import { CacheEncodeError, CacheNotFoundError } from '../../src/model/errors.ts'
import type { CacheSettings } from '../../src/options/options.ts'
import { type ManualClock, manualClock } from '../../src/testing/manual-clock.ts'
import { type MemoryRemote, memoryRemote } from '../../src/testing/memory-remote.ts'
import { NAMED_CELLS, openWorld, type World } from '../support/cells.ts'
import { HeldLoader } from '../support/held-loader.ts'
import { LOAD_PATHS } from '../support/load-paths.ts'

const ASTERISK = Uint8Array.of(0x2a)

class NoRecord extends Error {}

const neverLoads = (): never => {
  throw new Error('the loader was called')
}

describe.each(NAMED_CELLS)('P5, %s', (_, cell) => {
  let world: World
  beforeAll(async () => {
    world = await openWorld(cell)
  })
  afterAll(() => world.end())

  const error = new NoRecord('no such row')
  const rejects = async (): Promise<string> => {
    throw error
  }

  it.each([
    ['returning null', async () => null, {}, undefined],
    ['returning undefined', async () => undefined, {}, undefined],
    ['throwing an error of the class', rejects, { error: NoRecord }, error],
    ['throwing what the predicate knows', rejects, { error: (e: unknown) => e === error }, error],
  ])('a loader %s says that there is no such record', async (how, load, recognised, cause) => {
    const cache = world.open({ notFound: { ...recognised, ttl: '30s' } })
    const key = world.key(how)
    expect(await cache.once<unknown>(key, load)).toBeNull()
    expect(await cache.once<unknown>(key, neverLoads)).toBeNull()
    const fresh = world.key(`${how}, or throw`)
    const thrown = await cache.onceOrThrow<unknown>(fresh, load).catch((e: unknown) => e)
    expect(thrown).toBeInstanceOf(CacheNotFoundError)
    expect(thrown).toMatchObject({ code: 'CACHE_NOT_FOUND', key: fresh })
    expect((thrown as Error).cause).toBe(cause)
    await expect(cache.onceOrThrow(fresh, neverLoads)).rejects.toBeInstanceOf(CacheNotFoundError)
  })

  it('every way of looking tells it from a miss', async () => {
    const cache = world.open()
    const key = world.key('looking')
    await cache.once(key, () => null)
    expect(await cache.lookup(key)).toMatchObject({ status: 'absent' })
    expect(await cache.exists(key)).toBe(false)
    expect(await cache.get(key)).toBeUndefined()
    expect(cache.peek(key)).toBeUndefined()
    await expect(cache.getOrThrow(key)).rejects.toBeInstanceOf(CacheNotFoundError)
  })

  it.each([undefined, '10s', '2h'] as const)(
    'the placeholder is the byte * and lives for notFound.ttl at the most; ttl of the call: %s',
    async (ttl) => {
      const cache = world.open({ notFound: { ttl: '30s' } })
      const key = world.key(`placeholder ${ttl}`)
      await cache.once(key, () => null, ttl === undefined ? {} : { ttl, localTtl: '2h' })
      const most = ttl === '10s' ? 10_000 : 30_000
      const local = await cache.lookup(key)
      expect(local).toMatchObject({
        status: 'absent',
        tier: cell.tiers === 'remote' ? 'remote' : 'local',
      })
      expect('ttlLeft' in local && local.ttlLeft).toBeLessThanOrEqual(most)
      if (world.remote === undefined) return
      const stored = await world.remote.get(key)
      expect(stored?.bytes).toEqual(ASTERISK)
      expect(stored?.ttlLeft).toBeLessThanOrEqual(most)
      expect(stored?.ttlLeft).toBeGreaterThan(most / 2)
    },
  )

  it('set(key, null) stores the placeholder', async () => {
    const cache = world.open({ notFound: { ttl: '30s' } })
    const key = world.key('set null')
    expect(await cache.set(key, null, { ttl: '2h' })).toBe(true)
    expect(await cache.once<unknown>(key, neverLoads)).toBeNull()
    if (world.remote === undefined) return
    const stored = await world.remote.get(key)
    expect(stored?.bytes).toEqual(ASTERISK)
    expect(stored?.ttlLeft).toBeLessThanOrEqual(30_000)
  })

  it.each([0, '', false, '*', 42, 'a nil inside: ok'])(
    '%j is a value in every tier',
    async (value) => {
      const cache = world.open()
      const [loaded, set] = [world.key(`loaded ${value}`), world.key(`set ${value}`)]
      expect(await cache.once<unknown>(loaded, async () => value)).toBe(value)
      await cache.set(set, value)
      for (const key of [loaded, set]) {
        expect(await cache.lookup(key)).toMatchObject({ status: 'hit', value })
        expect(await cache.exists(key)).toBe(true)
        expect(await cache.once<unknown>(key, neverLoads)).toBe(value)
        if (world.remote === undefined) continue
        const other = world.open()
        expect(await other.lookup(key)).toMatchObject({ status: 'hit', value, tier: 'remote' })
        expect(await other.once<unknown>(key, neverLoads)).toBe(value)
        expect((await world.remote.get(key))?.bytes).not.toEqual(ASTERISK)
      }
      expect(cache.stats().uncacheable).toBe(0)
    },
  )

  it('an error that is not recognised is an error, and is not remembered', async () => {
    const cache = world.open({ notFound: { error: NoRecord } })
    const key = world.key('unrecognised')
    const other = new Error('connection reset')
    await expect(
      cache.once(key, async () => {
        throw other
      }),
    ).rejects.toBe(other)
    expect(await cache.lookup(key)).toEqual({ status: 'miss' })
  })

  it('all who share a load get its cause', async () => {
    const cache = world.open({ notFound: { error: NoRecord } })
    const loader = new HeldLoader<string>()
    const key = world.key('shared cause')
    const calls = Array.from({ length: 5 }, () => cache.onceOrThrow(key, loader.load))
    const nulls = Array.from({ length: 5 }, () => cache.once(key, loader.load))
    const run = await loader.run(0)
    run.reject(error)
    for (const call of calls) await expect(call).rejects.toMatchObject({ cause: error })
    expect(await Promise.all(nulls)).toEqual(Array(5).fill(null))
  })
})

describe.each(NAMED_CELLS.filter(([, cell]) => cell.store !== 'none'))(
  'P5, a placeholder of another process: %s',
  (_, cell) => {
    let world: World
    beforeAll(async () => {
      world = await openWorld(cell)
    })
    afterAll(() => world.end())

    it.each(LOAD_PATHS)(
      'is honoured: no loader is called, and two calls are one remote read where there is a local, $leases',
      async ({ leases, settings }) => {
        const cache = world.open(settings)
        const key = world.key(`honoured ${leases}`)
        await world.remote?.set(key, ASTERISK, { ttl: 20_000 })
        if (world.remote?.leases === undefined)
          throw new Error('this cell has a remote with leases')
        const reads =
          leases === 'with leases'
            ? vi.spyOn(world.remote.leases, 'read')
            : vi.spyOn(world.remote, 'get')
        expect(await cache.once<unknown>(key, neverLoads)).toBeNull()
        expect(await cache.once<unknown>(key, neverLoads)).toBeNull()
        expect(reads).toHaveBeenCalledTimes(cell.tiers === 'both' ? 1 : 2)
        reads.mockRestore()
        const found = await cache.lookup(key)
        expect(found).toMatchObject({
          status: 'absent',
          tier: cell.tiers === 'both' ? 'local' : 'remote',
        })
        expect('ttlLeft' in found && found.ttlLeft).toBeLessThanOrEqual(20_000)
      },
    )

    it('so are empty bytes, a nil of Go', async () => {
      const cache = world.open()
      const key = world.key('empty')
      await world.remote?.set(key, new Uint8Array(), { ttl: 20_000 })
      expect(await cache.lookup(key)).toMatchObject({ status: 'absent' })
      expect(await cache.once<unknown>(key, neverLoads)).toBeNull()
      expect(cache.stats()).toMatchObject({ decodeFailures: 0, query: 0 })
    })
  },
)

interface Opened {
  readonly cache: Cache
  readonly clock: ManualClock
  readonly remote: MemoryRemote
}

function open(settings: CacheSettings = {}): Opened {
  const clock = manualClock()
  const remote = memoryRemote({ clock })
  const local = tinyLfu({ maxEntries: 1000 })
  const notFound = { ttl: 60_000, jitterRatio: 0, ...settings.notFound }
  const cache = createCache({ local, remote, clock, jitterRatio: 0, ...settings, notFound })
  return { cache, clock, remote }
}

describe('P5, the life of a placeholder to the millisecond', () => {
  it.each([
    ['of the cache', {}, 60_000],
    ['when the call asks for more', { ttl: '2h', localTtl: '2h' } as const, 60_000],
    ['when the call asks for less', { ttl: '5s' } as const, 5000],
    ['whatever the ttl of values says', { ttl: () => '2h' as const }, 60_000],
  ])('ends in both tiers after notFound.ttl, %s', async (_, options, life) => {
    const { cache, clock, remote } = open()
    await cache.once<string>('k', () => null as unknown as string, options)
    expect(remote.peek('k')).toEqual({ bytes: ASTERISK, ttlLeft: life })
    await clock.advanceAsync(life - 1)
    expect(await cache.lookup('k')).toEqual({ status: 'absent', tier: 'local', ttlLeft: 1 })
    await clock.advanceAsync(1)
    expect(await cache.lookup('k')).toEqual({ status: 'miss' })
  })

  it.each([
    ['less than notFound.ttl left', 7000, 7000],
    ['more than notFound.ttl left', 3_600_000, 60_000],
    ['no expiry', Infinity, 60_000],
  ])('in local, promoted from a foreign one with %s', async (_, left, life) => {
    const { cache, clock, remote } = open()
    remote.plant('k', ASTERISK, left)
    await cache.get('k')
    await clock.advanceAsync(life - 1)
    expect(await cache.lookup('k')).toMatchObject({ tier: 'local', ttlLeft: 1 })
    await clock.advanceAsync(1)
    const found = await cache.lookup('k')
    expect(found).toMatchObject(
      left > life ? { status: 'absent', tier: 'remote' } : { status: 'miss' },
    )
  })

  it('ends in a local tier alone as well', async () => {
    const clock = manualClock()
    const local = tinyLfu({ maxEntries: 10, ttl: '2h' })
    const notFound = { ttl: '10s', jitterRatio: 0 } as const
    const cache = createCache({ local, clock, jitterRatio: 0, notFound })
    await cache.once('k', () => null)
    await clock.advanceAsync(9999)
    expect(await cache.lookup('k')).toMatchObject({ status: 'absent' })
    await clock.advanceAsync(1)
    expect(await cache.lookup('k')).toEqual({ status: 'miss' })
  })

  it('is not spread in local by the jitterRatio of values', async () => {
    const clock = manualClock()
    const local = tinyLfu({ maxEntries: 1000, ttl: '2h' })
    const notFound = { ttl: 10_000, jitterRatio: 0 }
    const cache = createCache({ local, clock, jitterRatio: 0.9, notFound })
    const lives = new Set<number>()
    for (let i = 0; i < 100; i++) {
      await cache.once(`k${i}`, () => null)
      const found = await cache.lookup(`k${i}`)
      lives.add('ttlLeft' in found ? found.ttlLeft : 0)
    }
    expect(lives).toEqual(new Set([10_000]))
  })

  it('is spread by notFound.jitterRatio and by nothing else', async () => {
    const { cache, remote } = open({
      jitterRatio: 0.9,
      notFound: { ttl: 10_000, jitterRatio: 0.2 },
    })
    for (let i = 0; i < 200; i++) await cache.once(`k${i}`, () => null)
    const lives = remote.entries().map(([, { ttlLeft }]) => ttlLeft)
    expect(Math.max(...lives)).toBeLessThanOrEqual(10_000)
    expect(Math.min(...lives)).toBeGreaterThanOrEqual(8000)
    expect(Math.max(...lives) - Math.min(...lives)).toBeGreaterThan(1000)
  })
})

describe('P5, nothing can be taken for the placeholder', () => {
  it.each([
    ['msgpack', msgpack()],
    ['json', json()],
  ])('no primitive that %s writes becomes the byte * or no bytes', (_, codec) => {
    for (const value of ['*', '', 42, 0x2a, 0, false, true, -0, [], {}, '\u002a']) {
      const bytes = codec.encode(value)
      expect([...bytes]).not.toEqual([0x2a])
      expect(bytes.length).toBeGreaterThan(0)
    }
  })

  /** Raw text, as jetcache-go stores strings. */
  const text: Codec = {
    name: 'raw-text',
    encode: (value) => new TextEncoder().encode(String(value)),
    decode: (bytes) => new TextDecoder().decode(bytes),
    emptyIsNotFound: false,
  }

  it('a raw text * is refused by set, which leaves both tiers as they were', async () => {
    const { cache, remote } = open({ codec: text })
    await cache.set('k', 'before')
    const refused = await cache.set('k', '*').catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(CacheEncodeError)
    expect(refused).toMatchObject({ code: 'CACHE_ENCODE', key: 'k', path: '$' })
    expect(await cache.get('k')).toBe('before')
    expect(remote.peek('k')?.bytes).toEqual(text.encode('before'))
  })

  it('a raw text * is handed through uncached by once, to every caller, and counted', async () => {
    const { cache, remote } = open({ codec: text })
    const loader = new HeldLoader<string>()
    const calls = [cache.once('k', loader.load), cache.onceOrThrow('k', loader.load)]
    const run = await loader.run(0)
    run.resolve('*')
    expect(await Promise.all(calls)).toEqual(['*', '*'])
    expect(await cache.lookup('k')).toEqual({ status: 'miss' })
    expect(remote.size).toBe(0)
    expect(cache.stats().uncacheable).toBe(1)
    expect(await cache.once('k', () => '**')).toBe('**')
    expect(cache.stats().uncacheable).toBe(1)
  })

  it('with a codec that has a value for empty bytes, they are that value', async () => {
    const { cache, remote } = open({ codec: text })
    remote.plant('k', new Uint8Array(), 1000)
    expect(await cache.lookup('k')).toMatchObject({ status: 'hit', value: '' })
    expect(await cache.once('other', () => '')).toBe('')
    expect(remote.peek('other')?.bytes).toEqual(new Uint8Array())
  })
})
