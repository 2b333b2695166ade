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

describe('float32Fields', () => {
  const codec = msgpack({ interop: 'go', float32Fields: ['w', 'é'] })

  function hexOf(value: unknown, options?: MsgpackOptions): string {
    const bytes = (options === undefined ? codec : msgpack(options)).encode(value)
    return Buffer.from(bytes).toString('hex')
  }

  it.each<[string, unknown, string]>([
    ['a fraction in 32 bits', { w: 1.5 }, '81a177ca3fc00000'],
    ['one that 32 bits do not have, rounded', { w: 0.1 }, '81a177ca3dcccccd'],
    [
      'NaN, the infinities and minus zero',
      { w: [Number.NaN, Infinity, -Infinity, -0] },
      '81a17794ca7fc00000ca7f800000caff800000ca80000000',
    ],
    ['the largest float32', { w: (2 - 2 ** -23) * 2 ** 127 }, '81a177ca7f7fffff'],
    ['what is nearest to zero, as zero', { w: 1e-60 }, '81a177ca00000000'],
    ['2^53, which is no safe integer', { w: 2 ** 53 }, '81a177ca5a000000'],
    ['a safe integer as ever', { w: [3, -1, 2 ** 24 + 1] }, '81a1779303ffce01000001'],
    ['arrays in arrays', { w: [[1.5], [[1.5]]] }, '81a1779291ca3fc000009191ca3fc00000'],
    ['a name beyond ASCII', { é: 1.5 }, '81a2c3a9ca3fc00000'],
    ['the name at any depth', [{ a: { w: 1.5 } }], '9181a16181a177ca3fc00000'],
    ['other kinds as ever', { w: ['1.5', null, true] }, '81a17793a3312e35c0c3'],
  ])('writes under its names %s', (_, value, hex) => {
    expect(hexOf(value)).toBe(`${hex}00`)
  })

  it.each<[string, unknown, string]>([
    ['a number under another name', { v: 1.5 }, '81a176cb3ff8000000000000'],
    ['one after it', { w: 1, v: 1.5 }, '82a17701a176cb3ff8000000000000'],
    ['one that is no property', 1.5, 'cb3ff8000000000000'],
    ['another name of an object in it', { w: { v: 1.5 } }, '81a17781a176cb3ff8000000000000'],
    ['what a Map in it holds', { w: new Map([[1, 1.5]]) }, '81a1778101cb3ff8000000000000'],
    ['the key of a Map', new Map([['w', 1.5]]), '81a177cb3ff8000000000000'],
  ])('leaves in 64 bits %s', (_, value, hex) => {
    expect(hexOf(value)).toBe(`${hex}00`)
  })

  it.each<[string, unknown, string]>([
    ['an object', { w: [{ v: 1.5 }, 1.5] }, '81a1779281a176cb3ff8000000000000ca3fc00000'],
    ['a Map', { w: [new Map([[1, 1.5]]), 1.5] }, '81a177928101cb3ff8000000000000ca3fc00000'],
  ])('holds again after %s in the array', (_, value, hex) => {
    expect(hexOf(value)).toBe(`${hex}00`)
  })

  it('covers what toPlain gives under the name', () => {
    const options = {
      interop: 'go',
      float32Fields: ['w'],
      toPlain: (value) => Array.from(value as Float32Array),
    } as const satisfies MsgpackOptions
    expect(hexOf({ w: Float32Array.of(0.1, 2) }, options)).toBe('81a17792ca3dcccccd0200')
  })

  it('gives every reader the rounded number', () => {
    expect(codec.decode(codec.encode({ w: 0.1 }))).toStrictEqual({ w: Math.fround(0.1) })
  })

  it.each([1e39, -1e39, Number.MAX_VALUE])('refuses %d, which would become infinite', (number) => {
    expect(() => codec.encode({ a: [{ w: [1.5, number] }] })).toThrow(
      expect.objectContaining({
        path: '$.a[0].w[1]',
        reason: expect.stringMatching(/no float32/),
      }) as Error,
    )
  })

  it('does not outlast a value that is refused', () => {
    expect(() => codec.encode({ w: [Symbol('none')] })).toThrow(CacheEncodeError)
    expect(hexOf([1.5])).toBe('91cb3ff800000000000000')
  })
})

describe('options', () => {
  it.each<[string, unknown, string, RegExp]>([
    ['an unknown one', { compress: 5 }, 'TypeError', /no option "compress"/],
    ['a toPlain that is no function', { toPlain: true }, 'TypeError', /toPlain must be a function/],
    ['an unknown interop', { interop: 'java' }, 'TypeError', /interop must be 'go', but is "java"/],
    ['omitNull without interop', { omitNull: ['a'] }, 'TypeError', /no effect without interop/],
    [
      'float32Fields without interop',
      { float32Fields: ['a'] },
      'TypeError',
      /float32Fields has no effect without interop/,
    ],
    [
      'float32Fields that are no names',
      { interop: 'go', float32Fields: [1] },
      'TypeError',
      /float32Fields must be a list of names/,
    ],
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
