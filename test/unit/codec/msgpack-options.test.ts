import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { msgpack } from '../../../src/codec/msgpack.ts'
import type { MsgpackOptions } from '../../../src/codec/msgpack-options.ts'
import { s2Encode } from '../../../src/codec/s2-encode.ts'
import { CacheDecodeError, CacheEncodeError } from '../../../src/model/errors.ts'
import { msgpackValues } from './arbitrary.ts'

const RAW = 0x00
const S2 = 0x01
const wordy = { text: 'the same words again and again; '.repeat(100) }

describe('compression', () => {
  it('begins at compressFrom bytes of msgpack', () => {
    const codec = msgpack({ compressFrom: 100 })
    // A text of up to 255 bytes has two bytes before it.
    expect(codec.encode('a'.repeat(97)).at(-1)).toBe(RAW)
    expect(codec.encode('a'.repeat(98)).at(-1)).toBe(S2)
  })

  it('is for values from 1,024 bytes on unless said otherwise', () => {
    expect(msgpack().encode('a'.repeat(1020)).at(-1)).toBe(RAW)
    expect(msgpack().encode('a'.repeat(1021)).at(-1)).toBe(S2)
  })

  it('can be left out, and what others compressed is read all the same', () => {
    const codec = msgpack({ compressFrom: Infinity })
    expect(codec.encode(wordy).at(-1)).toBe(RAW)
    expect(codec.decode(msgpack().encode(wordy))).toEqual(wordy)
    expect(msgpack().decode(codec.encode(wordy))).toEqual(wordy)
  })

  it('is not used where it saves less than an eighth', () => {
    const noise = Uint8Array.from({ length: 4000 }, (_, i) => (Math.imul(i, 0x9e3779b1) >>> 13) ^ i)
    expect(s2Encode(noise, S2).length).toBeGreaterThan(3500)
    expect(msgpack().encode(noise).at(-1)).toBe(RAW)
  })

  it('brings every value back', () => {
    const codec = msgpack({ compressFrom: 0 })
    fc.assert(
      fc.property(msgpackValues, (value) => {
        expect(Buffer.from(codec.encode(codec.decode(codec.encode(value))))).toEqual(
          Buffer.from(codec.encode(value)),
        )
      }),
      { numRuns: 100 },
    )
    expect(codec.decode(codec.encode(wordy))).toEqual(wordy)
  })

  it('of more than maxDecodedBytes is neither read nor written', () => {
    const codec = msgpack({ maxDecodedBytes: 2000 })
    expect(() => codec.decode(msgpack().encode(wordy))).toThrow(CacheDecodeError)
    expect(codec.decode(codec.encode(wordy))).toEqual(wordy)
  })

  it('that is damaged, or holds no msgpack, is a CacheDecodeError', () => {
    const bomb = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x61, S2)
    expect(() => msgpack().decode(bomb)).toThrow(/declares 4294967295 bytes/)
    expect(() => msgpack().decode(Uint8Array.of(S2))).toThrow(CacheDecodeError)
    expect(() => msgpack().decode(s2Encode(Uint8Array.of(0xc1), S2))).toThrow(CacheDecodeError)
    fc.assert(
      fc.property(fc.uint8Array(), (block) => {
        try {
          msgpack().decode(Uint8Array.of(...block, S2))
        } catch (error) {
          expect(error).toBeInstanceOf(CacheDecodeError)
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe("interop: 'go'", () => {
  const codec = msgpack({ interop: 'go', omitNull: ['deletedAt'] })

  function hexOf(value: unknown): string {
    return Buffer.from(codec.encode(value)).toString('hex')
  }

  it.each<[string, unknown, string]>([
    ['a bigint as int64', [5n, -1n], '92cf0000000000000005d3ffffffffffffffff'],
    [
      'the largest and smallest',
      [2n ** 64n - 1n, -(2n ** 63n)],
      '92cfffffffffffffffffd38000000000000000',
    ],
    ['a Map of strings as a map', [new Map([['a', 1]])], '9181a16101'],
    ['an empty Map as a map', [new Map()], '9180'],
    [
      'no null in a property of omitNull, at any depth',
      [{ deletedAt: null, a: null }],
      '9181a161c0',
    ],
    [
      'a date in a property of omitNull',
      [{ deletedAt: new Date(0) }],
      `9181a9${'64656c657465644174'}d6ff00000000`,
    ],
  ])('writes %s', (_, value, hex) => {
    expect(hexOf(value)).toBe(`${hex}00`)
  })

  it.each<[string, unknown, string, RegExp]>([
    ['a Set', { s: new Set() }, '$.s', /a Set/],
    ['undefined in an array', { list: [1, undefined] }, '$.list[1]', /undefined/],
    ['a bigint of 65 bits', { n: 2n ** 64n }, '$.n', /64 bits/],
    ['a negative bigint of 65 bits', { n: -(2n ** 63n) - 1n }, '$.n', /64 bits/],
    ['a string at the top', 'abc', '$', /codec text/],
    ['bytes at the top', Uint8Array.of(1), '$', /codec bytes/],
  ])('refuses %s', (_, value, path, reason) => {
    let refusal: unknown
    try {
      codec.encode(value)
    } catch (error) {
      refusal = error
    }
    expect(refusal).toBeInstanceOf(CacheEncodeError)
    expect((refusal as CacheEncodeError).path).toBe(path)
    expect((refusal as CacheEncodeError).reason).toMatch(reason)
  })

  it('still writes a null where no omitNull names it, also at the top of an array', () => {
    expect(codec.decode(codec.encode([null, { a: null }]))).toStrictEqual([null, { a: null }])
  })
})

describe('options', () => {
  it.each<[string, unknown, string, RegExp]>([
    ['an unknown one', { compress: 5 }, 'TypeError', /no option "compress"/],
    ['a toPlain that is no function', { toPlain: true }, 'TypeError', /toPlain must be a function/],
    ['an unknown interop', { interop: 'java' }, 'TypeError', /interop must be 'go', but is "java"/],
    ['omitNull without interop', { omitNull: ['a'] }, 'TypeError', /no effect without interop/],
    [
      'an omitNull that is no list',
      { interop: 'go', omitNull: 'a' },
      'TypeError',
      /omitNull must be/,
    ],
    [
      'internedFields that are no names',
      { internedFields: [1] },
      'TypeError',
      /internedFields must/,
    ],
    ['a negative threshold', { compressFrom: -1 }, 'RangeError', /compressFrom must be from 0/],
    [
      'a threshold that is none',
      { compressFrom: '1k' },
      'TypeError',
      /compressFrom must be a number/,
    ],
    ['NaN', { compressFrom: Number.NaN }, 'RangeError', /compressFrom must be/],
    ['a cap below 1 KiB', { maxDecodedBytes: 10 }, 'RangeError', /from 1024 to 4294967296/],
  ])('refuse %s', (_, options, name, message) => {
    const make = (): unknown => msgpack(options as MsgpackOptions)
    expect(make).toThrow(message)
    expect(make).toThrow(expect.objectContaining({ name, code: 'CACHE_OPTION' }) as Error)
  })
})
