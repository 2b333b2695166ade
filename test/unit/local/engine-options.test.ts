import { describe, expect, it } from 'vitest'
import { freeCache } from '../../../src/local/free-cache/free-cache.ts'
import type { LocalEngine } from '../../../src/local/local-store.ts'
import { tinyLfu } from '../../../src/local/tiny-lfu/tiny-lfu.ts'
import { lru } from '../../../src/lru/lru.ts'

type Make = (options: unknown) => LocalEngine
type Bad = readonly [what: string, options: unknown, error: new () => Error, message: RegExp]

const make = (engine: unknown): Make => {
  return (options) => Reflect.apply(engine as Make, undefined, [options])
}

/** Its name, how it is made, and options that are right. */
const ENGINES: readonly (readonly [string, Make, object])[] = [
  ['lru', make(lru), { maxEntries: 10 }],
  ['tinyLfu', make(tinyLfu), { maxEntries: 10 }],
  ['freeCache', make(freeCache), { maxBytes: 65_536 }],
]

function expectRefused(made: () => unknown, error: new () => Error, message: RegExp): void {
  expect(made).toThrow(error)
  expect(made).toThrow(expect.objectContaining({ code: 'CACHE_OPTION' }))
  expect(made).toThrow(message)
}

describe.each(ENGINES)('the options of %s', (name, engine, good) => {
  it('are taken', () => {
    const onRemoval = () => undefined
    const ttl = '1m'
    expect(engine({ ...good, ttl, onRemoval })).toMatchObject({ name, ttl: 60_000, onRemoval })
    expect(engine(good)).toMatchObject({ ttl: undefined, isolation: 'copy', copy: undefined })
    expect(engine({ ...good, ttl: undefined, onRemoval: undefined }).ttl).toBeUndefined()
  })

  it.each<Bad>([
    ['nothing', undefined, TypeError, /: options must be an object, but is undefined\. Call/],
    ['null', null, TypeError, /: options must be an object, but is null/],
    ['a number', 10, TypeError, /: options must be an object, but is 10/],
    ['a list', [good], TypeError, /: options must be an object, but is an array/],
    [
      'a name unknown',
      { ...good, max: 1 },
      TypeError,
      /: there is no option "max"\. The options are max.*, ttl,.* onRemoval\./,
    ],
    ['a name of every object', { ...good, toString: 1 }, TypeError, /no option "toString"/],
    ['a ttl of zero', { ...good, ttl: 0 }, RangeError, /: ttl must be/],
    ['a ttl that is none', { ...good, ttl: 'soon' }, TypeError, /: ttl /],
    [
      'no listener',
      { ...good, onRemoval: {} },
      TypeError,
      /: onRemoval must be a function, but is/,
    ],
  ])('are refused: %s', (_, options, error, message) => {
    expectRefused(() => engine(options), error, message)
    expectRefused(() => engine(options), error, new RegExp(`^${name}: `))
  })
})

describe.each(ENGINES.slice(0, 2))('isolation of %s', (_name, engine, good) => {
  it('is taken', () => {
    expect(engine({ ...good, copy: structuredClone }).copy).toBe(structuredClone)
    expect(engine({ ...good, isolation: 'copy', copy: structuredClone }).isolation).toBe('copy')
    expect(engine({ ...good, isolation: 'frozen' }).isolation).toBe('frozen')
    expect(engine({ ...good, isolation: 'shared' }).isolation).toBe('shared')
  })

  it.each<Bad>([
    ['unknown', { isolation: 'deep' }, TypeError, /isolation must be 'copy', 'frozen' or 'shared'/],
    [
      'a copy that is none',
      { copy: 'deep' },
      TypeError,
      /: copy must be a function, but is "deep"/,
    ],
    [
      'a copy without copies',
      { isolation: 'frozen', copy: structuredClone },
      TypeError,
      /: copy does nothing with isolation "frozen"/,
    ],
  ])('is refused: %s', (_, options, error, message) => {
    expectRefused(() => engine({ ...good, ...(options as object) }), error, message)
  })
})

describe('a bound', () => {
  it.each<readonly [...Bad, Make]>([
    ['none', {}, TypeError, /no bound, neither maxEntries nor maxBytes/, make(tinyLfu)],
    ['both', { maxEntries: 1, maxBytes: 1 }, TypeError, /more than one bound/, make(tinyLfu)],
    ['text', { maxEntries: '1' }, TypeError, /maxEntries must be a number, but is/, make(tinyLfu)],
    ['zero', { maxEntries: 0 }, RangeError, /whole number from 1 to 16777216/, make(tinyLfu)],
    ['parts', { maxBytes: 1.5 }, RangeError, /whole number from 1 to 1099511627776/, make(tinyLfu)],
    ['no number', { maxEntries: Number.NaN }, RangeError, /but is NaN/, make(lru)],
    ['too many', { maxEntries: 2 ** 24 + 1 }, RangeError, /from 1 to 16777216/, make(lru)],
    ['too few', { maxBytes: 65_535 }, RangeError, /from 65536 to 17179869184/, make(freeCache)],
    ['a weigh that is none', { maxBytes: 9, weigh: 1 }, TypeError, /weigh must be/, make(tinyLfu)],
    [
      'weigh without bytes',
      { maxEntries: 9, weigh: () => 1 },
      TypeError,
      /weigh does/,
      make(tinyLfu),
    ],
    ['isolation', { maxBytes: 65_536, isolation: 'copy' }, TypeError, /no option/, make(freeCache)],
  ])('is refused: %s', (_, options, error, message, engine) => {
    expectRefused(() => engine(options), error, message)
  })

  it('is taken from the least to the most', () => {
    const made = [
      ...[1, 2 ** 24].map((maxEntries) => tinyLfu({ maxEntries })),
      ...[1, 2 ** 40].map((maxBytes) => tinyLfu({ maxBytes, weigh: () => 1 })),
      ...[1, 2 ** 24].map((maxEntries) => lru({ maxEntries })),
      ...[2 ** 16, 2 ** 34].map((maxBytes) => freeCache({ maxBytes })),
    ]
    expect(made.map(({ ttl }) => ttl)).toEqual(made.map(() => undefined))
  })
})
