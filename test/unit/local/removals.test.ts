import { describe, expect, it } from 'vitest'
import { createCache } from '../../../src/cache.ts'
import { freeCache } from '../../../src/local/free-cache/free-cache.ts'
import type { LocalEngine, RemovalListener } from '../../../src/local/local-store.ts'
import { tinyLfu } from '../../../src/local/tiny-lfu/tiny-lfu.ts'
import { lru } from '../../../src/lru/lru.ts'
import type { CacheSettings } from '../../../src/options/options.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'
import { memoryBus } from '../../../src/testing/memory-bus.ts'
import { memoryRemote } from '../../../src/testing/memory-remote.ts'

type Told = [key: string, value: unknown, cause: string]
type Engine = (onRemoval: RemovalListener) => LocalEngine

/** Each with room for no more than some hundred entries of `FILLING`. */
const ENGINES: readonly (readonly [name: string, engine: Engine])[] = [
  ['lru', (onRemoval) => lru({ maxEntries: 100, onRemoval })],
  ['tinyLfu', (onRemoval) => tinyLfu({ maxEntries: 100, onRemoval })],
  ['tinyLfu, bytes', (onRemoval) => tinyLfu({ maxBytes: 100_000, onRemoval })],
  ['freeCache', (onRemoval) => freeCache({ maxBytes: 65_536, onRemoval })],
]

const FILLING = Array.from({ length: 400 }, (_, i) => ({ i, text: `${i} `.repeat(100) }))

const microtask = () => Promise.resolve()

function open(engine: Engine, settings: CacheSettings = {}, hears?: RemovalListener) {
  const clock = manualClock()
  const told: Told[] = []
  const warned: string[] = []
  const local = engine((key, value, cause) => {
    told.push([key, value, cause])
    return hears?.(key, value, cause)
  })
  const logger = { warn: (message: string) => void warned.push(message) }
  const cache = createCache({ local, clock, logger, jitterRatio: 0, ...settings })
  return { cache, clock, told, warned }
}

/** Two caches, as if each were in a process of its own; the first listens to what leaves. */
async function openTwo(engine: Engine) {
  const clock = manualClock()
  const bus = memoryBus()
  const remote = memoryRemote({ clock, announce: bus.announce, origin: bus.origin })
  const told: Told[] = []
  const common = { remote, sync: { bus }, clock, logger: false, jitterRatio: 0 } as const
  const one = createCache({
    ...common,
    local: engine((key, value, cause) => void told.push([key, value, cause])),
  })
  const two = createCache({ ...common, local: tinyLfu({ maxEntries: 100 }) })
  await clock.advanceAsync(0)
  return { one, two, bus, clock, told }
}

describe.each(ENGINES)('what has left %s', (name, engine) => {
  it('is told as evicted, once, where others needed its room', async () => {
    const { cache, told } = open(engine)
    for (const value of FILLING) await cache.set(`k${value.i}`, value)
    const gone = FILLING.filter(({ i }) => cache.peek(`k${i}`) === undefined)
    expect(gone.length).toBeGreaterThan(200)
    const sorted = told.toSorted(([a], [b]) => Number(a.slice(1)) - Number(b.slice(1)))
    expect(sorted).toEqual(gone.map((value) => [`k${value.i}`, value, 'evicted']))
  })

  it('is told as expired once its life is over and it was met', async () => {
    const { cache, clock, told } = open(engine, { ttl: '10s' })
    await cache.set('k', { a: 1 })
    await clock.advanceAsync(9999)
    expect(told).toEqual([])
    await clock.advanceAsync(3000)
    // Only tinyLfu looks for them by itself.
    expect(told.length).toBe(name.startsWith('tinyLfu') ? 1 : 0)
    expect(await cache.get('k')).toBeUndefined()
    await cache.get('k')
    expect(told).toEqual([['k', { a: 1 }, 'expired']])
  })

  it('is told as expired, not as stale, where a stale value may be answered', async () => {
    const { cache, clock, told } = open(engine, { ttl: '10s', staleIfError: '20s' })
    await cache.set('k', 'v')
    await clock.advanceAsync(29_999)
    await cache.get('k')
    expect(told).toEqual([])
    await clock.advanceAsync(3000)
    await cache.get('k')
    expect(told).toEqual([['k', 'v', 'expired']])
  })

  it('is told as deleted after delete, deleteLocal, clearLocal and close', async () => {
    const { cache, told } = open(engine)
    for (const key of ['a', 'b', 'c', 'd']) await cache.set(key, { key })
    await cache.delete('a')
    await cache.delete('a')
    cache.deleteLocal('b')
    await microtask()
    expect(told.splice(0)).toEqual([
      ['a', { key: 'a' }, 'deleted'],
      ['b', { key: 'b' }, 'deleted'],
    ])
    cache.clearLocal()
    cache.clearLocal()
    await microtask()
    expect(told.splice(0).sort()).toEqual([
      ['c', { key: 'c' }, 'deleted'],
      ['d', { key: 'd' }, 'deleted'],
    ])
    await cache.set('e', null)
    await cache.close()
    await cache.close()
    expect(told).toEqual([['e', null, 'deleted']])
  })

  it('is told as replaced by another value, and not by the same', async () => {
    const { cache, told } = open(engine)
    await cache.set('k', 'first')
    await cache.set('k', 'first')
    expect(told).toEqual([])
    await cache.set('k', 'second')
    await cache.set('k', null)
    await cache.set('k', null)
    await cache.set('k', 'third')
    expect(told).toEqual([
      ['k', 'first', 'replaced'],
      ['k', 'second', 'replaced'],
      ['k', null, 'replaced'],
    ])
  })

  it('is told as invalidated when another process has changed the key', async () => {
    const { one, two, clock, told } = await openTwo(engine)
    await one.set('set', { a: 1 })
    await one.set('deleted', { a: 2 })
    await two.set('set', { a: 3 })
    await two.delete('deleted')
    await clock.advanceAsync(0)
    expect(told).toEqual([
      ['set', { a: 1 }, 'invalidated'],
      ['deleted', { a: 2 }, 'invalidated'],
    ])
    await one.close()
    await two.close()
  })

  it('is told as invalidated when the bus was lost', async () => {
    const { one, two, bus, clock, told } = await openTwo(engine)
    await one.set('k', 'v')
    bus.lines[0]?.cut()
    bus.lines[0]?.mend()
    await clock.advanceAsync(10)
    expect(told).toEqual([['k', 'v', 'invalidated']])
    await one.close()
    await two.close()
  })

  it('is replaced, too, where a remote tier takes the value first', async () => {
    const { one, two, told } = await openTwo(engine)
    await one.set('k', { a: 1 })
    await one.set('k', { a: 2 })
    await one.delete('k')
    expect(told).toEqual([
      ['k', { a: 1 }, 'replaced'],
      ['k', { a: 2 }, 'deleted'],
    ])
    await one.close()
    await two.close()
  })

  it('is told in a microtask, in order', async () => {
    const { cache, told } = open(engine)
    await cache.set('a', 1)
    await cache.set('b', 2)
    cache.deleteLocal('a')
    cache.deleteLocal('b')
    expect(told).toEqual([])
    await microtask()
    expect(told).toEqual([
      ['a', 1, 'deleted'],
      ['b', 2, 'deleted'],
    ])
  })

  it('has not left when it only grows stale', async () => {
    const { cache, told } = open(engine, { staleWhileRevalidate: '1m' })
    await cache.set('k', { a: 1 })
    expect(await cache.expire('k')).toBe(true)
    expect(await cache.lookup('k')).toMatchObject({ status: 'stale', value: { a: 1 } })
    expect(told).toEqual([])
  })

  it('has expired when it is made to, and nothing stale is kept', async () => {
    const { cache, told } = open(engine)
    await cache.set('k', { a: 1 })
    await cache.expire('k')
    expect(told).toEqual([['k', { a: 1 }, 'expired']])
  })

  it.each([
    ['an error', new Error('no'), 'Error: no'],
    ['a symbol', Symbol('no'), 'Symbol(no)'],
    ['an object without a text', Object.create(null), 'an object'],
  ])('is told to the end, though the listener throws %s', async (_, thrown, text) => {
    for (const later of [false, true]) {
      const { cache, told, warned } = open(engine, {}, (key) => {
        if (key === 'a' && later) return Promise.reject(thrown) as never
        if (key === 'a') throw thrown
      })
      await cache.set('a', 1)
      await cache.set('b', 2)
      cache.deleteLocal('a')
      cache.deleteLocal('b')
      await microtask()
      await microtask()
      expect(told.map(([key]) => key)).toEqual(['a', 'b'])
      expect(warned).toEqual([
        `jetcache-ts (default): onRemoval threw for a key that was deleted: ${text}`,
      ])
      await cache.set('a', 3)
      expect(cache.peek('a')).toBe(3)
    }
  })

  it('may be asked for and changed by the listener', async () => {
    const found: unknown[] = []
    const { cache, told } = open(engine, {}, (key, value, cause) => {
      if (cause !== 'evicted' || key.startsWith('again')) return
      found.push(cache.peek(key))
      cache.deleteLocal(`again${key}`)
      void cache.set(`again${key}`, value)
      cache.deleteLocal(`again${key}`)
    })
    for (const value of FILLING) await cache.set(`k${value.i}`, value)
    await microtask()
    const firsts = told.filter(([key]) => !key.startsWith('again'))
    expect(new Set(firsts.map(([key]) => key)).size).toBe(firsts.length)
    expect(firsts.length).toBeGreaterThan(200)
    expect(new Set(found)).toEqual(new Set([undefined]))
    expect(told.filter(([key, , cause]) => key.startsWith('again') && cause === 'deleted').length)
      // One for each, but for those that were not kept or left again at once.
      .toBeGreaterThan(firsts.length / 2)
  })

  it('is told by a value of the listener alone', async () => {
    const { cache, clock, told } = open(
      engine,
      { ttl: '1m', staleIfError: '1h' },
      (_key, value) => void Object.assign(value as object, { a: 'changed' }),
    )
    await cache.set('k', { a: 1 })
    await clock.advanceAsync(60_000)
    let fail: (error: Error) => void = () => undefined
    const load = () =>
      new Promise<never>((_, reject) => {
        fail = reject
      })
    // It holds the entry that leaves.
    const asked = cache.once('k', load)
    await microtask()
    for (const value of FILLING) {
      await cache.set(`k${value.i}`, value)
      // Used more often than `k`, or tinyLfu would keep that.
      for (let uses = 0; uses < 3; uses++) await cache.exists(`k${value.i}`)
    }
    expect(told).toContainEqual(['k', { a: 'changed' }, 'evicted'])
    fail(new Error('the database is gone'))
    expect(await asked).toEqual({ a: 1 })
  })
})

describe.each([
  ['lru', lru],
  ['tinyLfu', tinyLfu],
] as const)('what is told of %s', (_, make) => {
  it('is what a caller would have got, by its isolation', async () => {
    class Money {}
    const values: { frozen?: unknown; shared?: unknown } = {}
    for (const isolation of ['frozen', 'shared'] as const) {
      const local = make({
        maxEntries: 1,
        isolation,
        onRemoval: (_key, value) => void Object.assign(values, { [isolation]: value }),
      })
      const cache = createCache({ local })
      const value = isolation === 'shared' ? new Money() : { a: [1] }
      await cache.set('k', value)
      const given = cache.peek('k')
      cache.deleteLocal('k')
      await microtask()
      expect(values[isolation]).toBe(given)
    }
    expect(values.shared).toBeInstanceOf(Money)
    expect(Object.isFrozen(values.frozen)).toBe(true)
  })
})

describe('what freeCache has no room for', () => {
  it('has expired where the tail of the ring meets it, though nobody has asked', async () => {
    const { cache, clock, told } = open((onRemoval) => freeCache({ maxBytes: 65_536, onRemoval }))
    await cache.set('k', { a: 1 }, { ttl: '10s' })
    clock.advance(10_000)
    for (const value of FILLING) await cache.set(`k${value.i}`, value)
    expect(told[0]).toEqual(['k', { a: 1 }, 'expired'])
    expect(told.filter(([, , cause]) => cause === 'expired').length).toBe(1)
  })
})
