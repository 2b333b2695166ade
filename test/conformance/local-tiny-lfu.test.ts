import { describe, expect, it } from 'vitest'
import { type TinyLfuOptions, tinyLfu } from '../../src/local/tiny-lfu/tiny-lfu.ts'
import { localStoreConformance } from '../../src/testing/local-conformance.ts'

localStoreConformance({
  name: 'tinyLfu, bound in entries',
  create: (surroundings) => tinyLfu({ maxEntries: 50 }).create(surroundings),
  describe,
  it,
})

localStoreConformance({
  name: 'tinyLfu, bound in bytes',
  create: (surroundings) => tinyLfu({ maxBytes: 50 * 400 }).create(surroundings),
  describe,
  it,
})

describe('the options of tinyLfu()', () => {
  const copy = (value: unknown) => value
  const weigh = () => 1

  it('come out as the engine they describe', () => {
    expect(tinyLfu({ maxEntries: 1 })).toMatchObject({
      name: 'tinyLfu',
      ttl: undefined,
      isolation: 'copy',
      copy: undefined,
      onRemoval: undefined,
    })
    const onRemoval = () => undefined
    expect(tinyLfu({ maxBytes: 2 ** 40, ttl: '2m', copy, weigh, onRemoval })).toMatchObject({
      ...{ ttl: 120_000, copy, onRemoval },
    })
    expect(tinyLfu({ maxEntries: 2 ** 24, isolation: 'shared' }).isolation).toBe('shared')
  })

  it.each([
    ['no options', undefined, TypeError, /options must be an object, but is undefined/],
    ['an unknown name', { maxEntries: 1, max: 1 }, TypeError, /no option "max"/],
    ['no bound', {}, TypeError, /no bound, neither maxEntries nor maxBytes/],
    [
      'both bounds',
      { maxEntries: 1, maxBytes: 1 },
      TypeError,
      /one bound: maxEntries and maxBytes/,
    ],
    ['a bound in a string', { maxEntries: '10' }, TypeError, /maxEntries .* "10"/],
    ['a bound of 0', { maxEntries: 0 }, RangeError, /maxEntries .* from 1 to 16777216, but is 0/],
    ['half an entry', { maxEntries: 1.5 }, RangeError, /maxEntries .* is 1.5/],
    ['no number', { maxEntries: Number.NaN }, RangeError, /maxEntries .* is NaN/],
    ['more than a Map holds', { maxEntries: 2 ** 24 + 1 }, RangeError, /maxEntries/],
    ['bytes in a string', { maxBytes: '64mb' }, TypeError, /maxBytes .* "64mb"/],
    ['no bytes', { maxBytes: 0 }, RangeError, /maxBytes .* from 1 to 1099511627776, but is 0/],
    ['half a byte', { maxBytes: 0.5 }, RangeError, /maxBytes .* is 0.5/],
    ['too many bytes', { maxBytes: 2 ** 40 + 1 }, RangeError, /maxBytes .* is 1099511627777/],
    ['a weigh that is none', { maxBytes: 1, weigh: 1 }, TypeError, /tinyLfu: weigh must be/],
    ['a life of 0', { maxEntries: 1, ttl: 0 }, RangeError, /tinyLfu: ttl must be from 1 ms/],
    ['a life without unit', { maxEntries: 1, ttl: '30' }, TypeError, /tinyLfu: ttl must be/],
    ['another isolation', { maxEntries: 1, isolation: 'deep' }, TypeError, /is "deep"/],
    ['a copy that is no function', { maxEntries: 1, copy: true }, TypeError, /copy must be/],
    ['a useless copy', { maxEntries: 1, isolation: 'shared', copy }, TypeError, /does nothing/],
    ['a listener that is none', { maxEntries: 1, onRemoval: 1 }, TypeError, /onRemoval must be/],
    ['a useless weigh', { maxEntries: 1, weigh }, TypeError, /weigh/],
  ])('are refused at once with %s', (_, options, kind, message) => {
    // Reflect.apply: what a caller without types can do.
    const attempt = () => Reflect.apply(tinyLfu, undefined, [options])
    expect(attempt).toThrow(kind)
    expect(attempt).toThrow(message)
    expect(attempt).toThrow(expect.objectContaining({ code: 'CACHE_OPTION' }))
  })

  it('that contradict each other do not compile', () => {
    const options: TinyLfuOptions[] = [
      { maxEntries: 1, isolation: 'copy', copy },
      { maxBytes: 1, weigh, isolation: 'shared' },
      // @ts-expect-error: there is one bound.
      { maxEntries: 1, maxBytes: 1 },
      // @ts-expect-error: nothing is weighed.
      { maxEntries: 1, weigh },
      // @ts-expect-error: nothing is copied.
      { maxEntries: 1, isolation: 'shared', copy },
      // @ts-expect-error: nor here.
      { maxBytes: 1, isolation: 'frozen', copy },
      // @ts-expect-error: a store without bound is not to be had.
      { ttl: '1m' },
    ]
    expect(options.map(isRefused)).toEqual([false, false, true, true, true, true, true])
  })
})

function isRefused(options: TinyLfuOptions): boolean {
  try {
    tinyLfu(options)
    return false
  } catch {
    return true
  }
}
