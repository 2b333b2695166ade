import { afterEach, describe, expect, it, vi } from 'vitest'
import { type FreeCacheOptions, freeCache } from '../../src/local/free-cache/free-cache.ts'
import type { KeptBytes } from '../../src/local/kept-bytes.ts'
import type { RemovalCause } from '../../src/local/local-store.ts'
import { NOT_FOUND } from '../../src/model/entry.ts'
import { localStoreConformance } from '../../src/testing/local-conformance.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { bytesEntry } from '../support/free-store.ts'
import { alone } from '../support/local-store.ts'

const LEAST = 65_536
/** The most bytes of an entry in the smallest store; what stands before its key. */
const LARGEST = LEAST / 64
const HEADER = 32

/** A number in as many bytes as leave room for some 60 entries. */
function kept(number: number): KeptBytes {
  const bytes = new Uint8Array(900)
  new DataView(bytes.buffer).setFloat64(0, number)
  return { form: 0, bytes }
}

function numberOf(value: unknown): number {
  const { bytes } = value as KeptBytes
  expect(bytes.length).toBe(900)
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0)
}

localStoreConformance({
  name: 'freeCache',
  create: (surroundings) => freeCache({ maxBytes: LEAST }).create(surroundings),
  kept,
  numberOf,
  describe,
  it,
})

function bytesAt(entry: { readonly kept: unknown } | undefined): Uint8Array | undefined {
  return (entry?.kept as KeptBytes | undefined)?.bytes
}

function filled(length: number, byte = 1): Uint8Array {
  return new Uint8Array(length).fill(byte)
}

describe('a store of freeCache()', () => {
  afterEach(() => void vi.unstubAllGlobals())

  it('keeps an entry of the largest size, and refuses and counts the next larger one', () => {
    const store = freeCache({ maxBytes: LEAST }).create(alone())
    const most = LARGEST - HEADER - 1
    store.set('k', bytesEntry(filled(most)))
    expect([bytesAt(store.get('k'))?.length, store.refused]).toEqual([most, 0])
    store.set('k', bytesEntry(filled(most + 1)))
    expect([store.get('k'), store.size, store.refused]).toEqual([undefined, 0, 1])
  })

  it('keeps a key of 65,535 bytes, and refuses a longer one', () => {
    const store = freeCache({ maxBytes: 2 ** 23 }).create(alone())
    const longest = '€'.repeat(21_845)
    expect(Buffer.byteLength(longest)).toBe(65_535)
    for (const key of [longest, `${longest.slice(1)}aaa`, 'x'.repeat(65_535)]) {
      store.set(key, bytesEntry(filled(3)))
      expect(bytesAt(store.get(key))).toEqual(Buffer.from(filled(3)))
    }
    expect([store.size, store.refused]).toEqual([3, 0])
    for (const key of [`${longest}a`, 'x'.repeat(65_536), '€'.repeat(21_846)]) {
      store.set(key, bytesEntry(filled(3)))
      expect([store.get(key), store.peek(key), store.delete(key, 'deleted')]).toEqual([
        undefined,
        undefined,
        false,
      ])
    }
    expect([store.size, store.refused]).toEqual([3, 3])
  })

  it('takes keys for different that only differ above U+00FF', () => {
    const store = freeCache({ maxBytes: LEAST }).create(alone())
    const keys = ['a', 'š', 'ɡ', 'ａ', 'á', 'aš', 'ša', '\u0161\u0100', '\u0061\u0000', 'a\u0000']
    const different = [...new Set(keys)]
    different.forEach((key, i) => void store.set(key, bytesEntry(Uint8Array.of(i))))
    expect(different.map((key) => bytesAt(store.get(key))?.[0])).toEqual(different.map((_, i) => i))
  })

  it('hands out bytes that nobody writes over, and keeps none that it was given', () => {
    const store = freeCache({ maxBytes: LEAST }).create(alone())
    const given = filled(100, 7)
    store.set('k', bytesEntry(given))
    given.fill(0)
    const first = bytesAt(store.get('k'))
    first?.fill(9)
    expect(bytesAt(store.peek('k'))).toEqual(Buffer.from(filled(100, 7)))
    const held = bytesAt(store.get('k'))
    for (let i = 0; i < 5000; i++) store.set(`k${i}`, bytesEntry(filled(100, 8)))
    expect(store.get('k')).toBeUndefined()
    expect(held).toEqual(Buffer.from(filled(100, 7)))
  })

  it('keeps a placeholder, and the form of bytes; what has no form it refuses', () => {
    const store = freeCache({ maxBytes: LEAST }).create(alone())
    store.set('absent', { ...bytesEntry(filled(0)), kept: NOT_FOUND })
    expect(store.get('absent')?.kept).toBe(NOT_FOUND)
    store.set('empty', bytesEntry(filled(0)))
    expect(bytesAt(store.get('empty'))?.length).toBe(0)
    store.set('other', { ...bytesEntry(filled(1)), kept: { form: 254, bytes: filled(1) } })
    expect(store.get('other')?.kept).toMatchObject({ form: 254 })
    store.set('other', { ...bytesEntry(filled(1)), kept: { form: 255, bytes: filled(1) } })
    expect([store.get('other'), store.refused]).toEqual([undefined, 1])
  })

  it('tells nothing of an entry whose bytes are stored again with another life', () => {
    const told: RemovalCause[] = []
    const removed = (_key: string, _entry: unknown, cause: RemovalCause) => void told.push(cause)
    const store = freeCache({ maxBytes: LEAST }).create({ ...alone(), removed })
    store.set('k', bytesEntry(filled(10)))
    store.set('k', bytesEntry(filled(10), { freshUntil: 5, keptUntil: 9 }))
    expect([told, store.peek('k')?.freshUntil, store.life?.('k')?.keptUntil]).toEqual([[], 5, 9])
    store.set('k', bytesEntry(filled(10, 2)))
    expect(told).toEqual(['replaced'])
    store.set('k', { ...bytesEntry(filled(0)), kept: NOT_FOUND })
    store.set('k', bytesEntry(filled(0)))
    expect(told).toEqual(['replaced', 'replaced', 'replaced'])
    store.set('k', bytesEntry(filled(2000)))
    expect(told.length).toBe(4)
  })

  it('says of an entry it makes room from whether its life was over', () => {
    const clock = manualClock()
    const told: RemovalCause[] = []
    const removed = (_key: string, _entry: unknown, cause: RemovalCause) => void told.push(cause)
    const store = freeCache({ maxBytes: LEAST }).create({ clock, removed })
    const until = clock.now() + 1000
    for (let i = 0; i < 40; i++) {
      store.set(`old${i}`, bytesEntry(filled(900), { freshUntil: until, keptUntil: until }))
    }
    clock.advance(1000)
    for (let i = 0; i < 40; i++) {
      store.get(`old${i}`)
      store.set(`new${i}`, bytesEntry(filled(900)))
    }
    expect([told.length > 10, new Set(told)]).toEqual([true, new Set(['expired'])])
    for (let i = 0; i < 100; i++) store.set(`newer${i}`, bytesEntry(filled(900)))
    expect(told.filter((cause) => cause === 'expired').length).toBe(40)
    expect(told.filter((cause) => cause === 'evicted').length).toBeGreaterThan(30)
  })

  it('may be changed by whoever is told of what has left', () => {
    const told: string[] = []
    const removed = (key: string) => {
      told.push(key)
      if (key.endsWith('0') && !key.startsWith('again'))
        store.set(`again:${key}`, bytesEntry(filled(900)))
    }
    const store = freeCache({ maxBytes: LEAST }).create({ ...alone(), removed })
    for (let i = 0; i < 200; i++) {
      store.set(`k${i}`, bytesEntry(filled(900, i)))
      expect(bytesAt(store.peek(`k${i}`))?.[0]).toBe(i)
    }
    const again = told.filter((key) => key.startsWith('k') && key.endsWith('0')).length
    expect(again).toBeGreaterThan(10)
    expect(told.length + store.size).toBe(200 + again)
  })

  it('stays as large as it is where the process has no memory left, and never throws for it', () => {
    const store = freeCache({ maxBytes: LEAST }).create(alone())
    store.set('first', bytesEntry(filled(10)))
    vi.stubGlobal('ArrayBuffer', function none() {
      throw new RangeError('Array buffer allocation failed')
    })
    for (let i = 0; i < 1000; i++) store.set(`k${i}`, bytesEntry(filled(100, i % 251)))
    expect(store.size).toBeGreaterThan(10)
    expect(bytesAt(store.get('k999'))?.[0]).toBe(999 % 251)
    store.clear('deleted')
    store.set('k', bytesEntry(filled(10)))
    expect([store.get('k'), store.refused]).toEqual([undefined, 1])
    vi.unstubAllGlobals()
    store.clear('deleted')
    store.set('k', bytesEntry(filled(10)))
    expect(store.size).toBe(1)
  })
})

describe('the options of freeCache()', () => {
  it('come out as the engine they describe', () => {
    expect(freeCache({ maxBytes: LEAST })).toMatchObject({
      ...{ name: 'freeCache', ttl: undefined, isolation: 'copy', copy: undefined, holds: 'bytes' },
    })
    const onRemoval = () => undefined
    expect(freeCache({ maxBytes: 2 ** 34, ttl: '2m', onRemoval })).toMatchObject({
      ttl: 120_000,
      onRemoval,
    })
  })

  it('take no memory before there is an entry', () => {
    const before = process.memoryUsage().arrayBuffers
    const stores = Array.from({ length: 10 }, () =>
      freeCache({ maxBytes: 2 ** 34 }).create(alone()),
    )
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20)
    expect(stores.length).toBe(10)
  })

  it.each([
    ['no options', undefined, TypeError, /options must be an object, but is undefined/],
    ['an unknown name', { maxBytes: LEAST, maxEntries: 1 }, TypeError, /no option "maxEntries"/],
    ['an isolation', { maxBytes: LEAST, isolation: 'copy' }, TypeError, /no option "isolation"/],
    ['no bound', {}, TypeError, /maxBytes must be a number, but is undefined/],
    ['a bound in a string', { maxBytes: '64mb' }, TypeError, /maxBytes .* "64mb"/],
    ['too small a bound', { maxBytes: LEAST - 1 }, RangeError, /from 65536 to 17179869184, but is/],
    ['too large a bound', { maxBytes: 2 ** 34 + 1 }, RangeError, /maxBytes .* is 17179869185/],
    ['half a byte', { maxBytes: LEAST + 0.5 }, RangeError, /maxBytes .* is 65536.5/],
    ['no number', { maxBytes: Number.NaN }, RangeError, /maxBytes .* is NaN/],
    ['a life of 0', { maxBytes: LEAST, ttl: 0 }, RangeError, /freeCache: ttl must be from 1 ms/],
    ['a life without unit', { maxBytes: LEAST, ttl: '30' }, TypeError, /freeCache: ttl must be/],
    ['a listener that is none', { maxBytes: LEAST, onRemoval: 1 }, TypeError, /onRemoval must be/],
  ])('are refused at once with %s', (_, options, kind, message) => {
    // Reflect.apply: what a caller without types can do.
    const attempt = () => Reflect.apply(freeCache, undefined, [options])
    expect(attempt).toThrow(kind)
    expect(attempt).toThrow(message)
    expect(attempt).toThrow(expect.objectContaining({ code: 'CACHE_OPTION' }))
  })

  it('that no engine has do not compile', () => {
    const options: FreeCacheOptions[] = [
      { maxBytes: LEAST, ttl: '1m' },
      // @ts-expect-error: values are always copied.
      { maxBytes: LEAST, isolation: 'shared' },
      // @ts-expect-error: a store without bound is not to be had.
      { ttl: '1m' },
    ]
    expect(options.length).toBe(3)
  })
})
