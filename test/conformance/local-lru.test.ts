import { describe, expect, it } from 'vitest'
import { type LruOptions, lru } from '../../src/lru/lru.ts'
import { localStoreConformance } from '../../src/testing/local-conformance.ts'
import { alone, entryOf } from '../support/local-store.ts'

localStoreConformance({
  name: 'lru',
  create: (surroundings) => lru({ maxEntries: 50 }).create(surroundings),
  describe,
  it,
})

describe('a store of lru()', () => {
  it('never holds more entries than its bound, whatever is done to it', () => {
    const store = lru({ maxEntries: 10 }).create(alone())
    let seed = 1
    for (let step = 0; step < 2000; step++) {
      seed = (seed * 48271) % 2147483647
      const key = `k${seed % 25}`
      if (seed % 7 === 0) store.delete(key, 'deleted')
      else store.set(key, entryOf(step))
      expect(store.size).toBeLessThanOrEqual(10)
    }
    expect(store.size).toBe(10)
  })

  it('lets the entry go that was used longest ago', () => {
    const store = lru({ maxEntries: 2 }).create(alone())
    store.set('a', entryOf(1))
    store.set('b', entryOf(2))
    store.get('a')
    store.set('c', entryOf(3))
    expect(store.peek('a')?.kept).toBe(1)
    expect(store.peek('b')).toBeUndefined()
    expect(store.peek('c')?.kept).toBe(3)
  })

  it('does not take a peek for a use', () => {
    const store = lru({ maxEntries: 2 }).create(alone())
    store.set('a', entryOf(1))
    store.set('b', entryOf(2))
    store.peek('a')
    store.set('c', entryOf(3))
    expect(store.peek('a')).toBeUndefined()
  })

  it('replaces an entry in place and hands out the very entry it was given', () => {
    const store = lru({ maxEntries: 2 }).create(alone())
    store.set('a', entryOf(1))
    store.set('b', entryOf(2))
    const replacement = entryOf(3)
    store.set('a', replacement)
    expect(store.size).toBe(2)
    expect(store.get('a')).toBe(replacement)
    expect(store.get('b')?.kept).toBe(2)
  })

  it('keeps an entry whatever its life and its value: both are the business of its reader', () => {
    const store = lru({ maxEntries: 2, ttl: 1 }).create(alone())
    store.set('a', entryOf(undefined))
    expect(store.get('a')).toEqual(entryOf(undefined))
  })

  it('tells nothing of an entry whose value is stored again with another life', () => {
    const told: string[] = []
    const removed = (key: string) => void told.push(key)
    const store = lru({ maxEntries: 2 }).create({ ...alone(), removed })
    store.set('a', entryOf(1))
    store.set('a', { ...entryOf(1), freshUntil: 2, keptUntil: 2 })
    expect(told).toEqual([])
    store.set('a', entryOf(2))
    expect(told).toEqual(['a'])
  })
})

describe('the options of lru()', () => {
  it('come out as the engine they describe', () => {
    const copy = (value: unknown) => value
    expect(lru({ maxEntries: 1 })).toMatchObject({
      name: 'lru',
      ttl: undefined,
      isolation: 'copy',
      copy: undefined,
    })
    expect(lru({ maxEntries: 1, ttl: '2m', copy })).toMatchObject({ ttl: 120_000, copy })
    expect(lru({ maxEntries: 1, isolation: 'shared' }).isolation).toBe('shared')
  })

  const copy = (value: unknown) => value
  it.each([
    ['no options', undefined, TypeError, /options must be an object, but is undefined/],
    ['an unknown name', { maxEntries: 1, max: 1 }, TypeError, /no option "max"/],
    ['no bound', {}, TypeError, /maxEntries must be a number, but is undefined/],
    ['a bound in a string', { maxEntries: '10' }, TypeError, /maxEntries .* "10"/],
    ['a bound of 0', { maxEntries: 0 }, RangeError, /maxEntries .* from 1 to 16777216, but is 0/],
    ['half an entry', { maxEntries: 1.5 }, RangeError, /maxEntries .* is 1.5/],
    ['no number', { maxEntries: Number.NaN }, RangeError, /maxEntries .* is NaN/],
    ['more than a Map holds', { maxEntries: 2 ** 24 + 1 }, RangeError, /maxEntries/],
    ['a life of 0', { maxEntries: 1, ttl: 0 }, RangeError, /lru: ttl must be from 1 ms/],
    ['a life without unit', { maxEntries: 1, ttl: '30' }, TypeError, /lru: ttl must be/],
    ['another isolation', { maxEntries: 1, isolation: 'deep' }, TypeError, /is "deep"/],
    ['a copy that is no function', { maxEntries: 1, copy: true }, TypeError, /copy must be/],
    ['a useless copy', { maxEntries: 1, isolation: 'shared', copy }, TypeError, /does nothing/],
  ])('are refused at once with %s', (_, options, kind, message) => {
    // Reflect.apply: what a caller without types can do.
    const attempt = () => Reflect.apply(lru, undefined, [options])
    expect(attempt).toThrow(kind)
    expect(attempt).toThrow(message)
    expect(attempt).toThrow(expect.objectContaining({ code: 'CACHE_OPTION' }))
  })

  it('that contradict each other do not compile', () => {
    const options: LruOptions[] = [
      { maxEntries: 1, isolation: 'copy', copy },
      // @ts-expect-error: nothing is copied.
      { maxEntries: 1, isolation: 'shared', copy },
      // @ts-expect-error: nor here.
      { maxEntries: 1, isolation: 'frozen', copy },
      // @ts-expect-error: a store without bound is not to be had.
      { ttl: '1m' },
      // @ts-expect-error: no such unit.
      { maxEntries: 1, ttl: '1 minute' },
    ]
    expect(options.map(isRefused)).toEqual([false, true, true, true, true])
  })
})

function isRefused(options: LruOptions): boolean {
  try {
    lru(options)
    return false
  } catch {
    return true
  }
}
