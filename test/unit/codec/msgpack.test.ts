import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { msgpack } from '../../../src/codec/msgpack.ts'
import { CacheDecodeError } from '../../../src/model/errors.ts'
import { msgpackValues } from './arbitrary.ts'

const codec = msgpack()

function hexOf(value: unknown): string {
  return Buffer.from(codec.encode(value)).toString('hex')
}

function fromHex(hex: string): unknown {
  return codec.decode(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

function roundTrip(value: unknown): unknown {
  return codec.decode(codec.encode(value))
}

describe('what msgpack keeps', () => {
  it('comes back deeply equal, of the same types, whatever it is nested in', () => {
    fc.assert(
      fc.property(msgpackValues, (value) => {
        deepStrictEqual(roundTrip(value), value)
      }),
      { numRuns: 300 },
    )
  })

  it('keeps minus zero, NaN and the infinities', () => {
    expect(roundTrip([-0, 0, Number.NaN, Infinity, -Infinity])).toStrictEqual([
      -0,
      0,
      Number.NaN,
      Infinity,
      -Infinity,
    ])
  })

  it('gives bytes that are written from a Buffer back as a Uint8Array of their own', () => {
    const encoded = codec.encode(Buffer.from('abc'))
    const decoded = codec.decode(encoded) as Uint8Array
    expect(Object.getPrototypeOf(decoded)).toBe(Uint8Array.prototype)
    expect(decoded.buffer).not.toBe(encoded.buffer)
    expect(decoded.buffer.byteLength).toBe(3)
  })

  it('keeps the order of a Map, also of keys that an object would reorder', () => {
    const map = new Map([
      ['b', 1],
      ['1', 2],
      ['a', 3],
    ])
    expect([...(roundTrip(map) as typeof map)]).toEqual([...map])
  })

  it('keeps an own __proto__ as data and touches no prototype', () => {
    const value = JSON.parse('{"__proto__":{"admin":true},"a":1}') as object
    const decoded = roundTrip(value) as { admin?: boolean }
    expect(Object.keys(decoded)).toEqual(['__proto__', 'a'])
    expect(decoded.admin).toBeUndefined()
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype)
  })

  it('drops a property that is undefined, at every width of the header', () => {
    for (const count of [1, 15, 16, 17, 70_000]) {
      const entries = Array.from({ length: count }, (_, i) => [`k${i}`, i] as const)
      const kept = Object.fromEntries(entries)
      deepStrictEqual(roundTrip({ gone: undefined, ...kept, also: undefined }), kept)
    }
  })

  it('keeps undefined in an array, and reads a hole as undefined', () => {
    // biome-ignore lint/suspicious/noSparseArray: a hole is the case
    expect(roundTrip([1, , undefined])).toStrictEqual([1, undefined, undefined])
  })

  it('reads an object without prototype back as a plain one', () => {
    const bare = Object.assign(Object.create(null) as object, { a: 1 })
    expect(roundTrip(bare)).toStrictEqual({ a: 1 })
  })

  it('gives out bytes that no later encode writes into', () => {
    const values = Array.from({ length: 3000 }, (_, i) => ({ id: i, text: 'x'.repeat(i % 90) }))
    const encoded = values.map((value) => codec.encode(value))
    codec.encode('y'.repeat(100_000))
    expect(encoded.map((bytes) => codec.decode(bytes))).toStrictEqual(values)
  })

  it('does not mix up keys that share a slot of the key cache', () => {
    // All three have one slot, and the first begins with the second.
    const rows = [{ aqbaa: 1 }, { aqb: 2 }, { aqbba: 3 }, { aqbaa: 4 }]
    expect(roundTrip(rows)).toStrictEqual(rows)
  })

  it('keeps what is nested 512 deep', () => {
    expect(roundTrip(nest(512))).toStrictEqual(nest(512))
  })

  it('may be entered again by a getter while it writes', () => {
    const inner = { a: [1, 2, 3] }
    const value = {
      before: 'x'.repeat(40),
      get bytes() {
        return codec.encode(inner)
      },
      after: 1,
    }
    const decoded = roundTrip(value) as { bytes: Uint8Array; before: string; after: number }
    expect(codec.decode(decoded.bytes)).toEqual(inner)
    expect([decoded.before, decoded.after]).toEqual(['x'.repeat(40), 1])
  })
})

describe('what msgpack writes', () => {
  it.each<[string, unknown, string]>([
    ['a small integer in one byte', 7, '07'],
    ['a negative one in one byte', -32, 'e0'],
    ['255 in 8 bits', 255, 'ccff'],
    ['256 in 16 bits', 256, 'cd0100'],
    ['65,536 in 32 bits', 65_536, 'ce00010000'],
    [
      '2^32 as an integer, which Go reads, and not as a float, which it refuses',
      2 ** 32,
      'cf0000000100000000',
    ],
    ['the largest safe integer as an integer', 2 ** 53 - 1, 'cf001fffffffffffff'],
    ['the smallest safe integer as an integer', -(2 ** 53) + 1, 'd3ffe0000000000001'],
    ['-33 in 8 bits', -33, 'd0df'],
    ['-129 in 16 bits', -129, 'd1ff7f'],
    ['-32,769 in 32 bits', -32_769, 'd2ffff7fff'],
    ['2^53 as a float', 2 ** 53, 'cb4340000000000000'],
    ['minus zero as a float', -0, 'cb8000000000000000'],
    ['a fraction as a float', 1.5, 'cb3ff8000000000000'],
    ['a text', 'abc', 'a3616263'],
    ['a text of 32 bytes with 8 bits of length', 'x'.repeat(32), `d920${'78'.repeat(32)}`],
    ['a text beyond ASCII', 'ä', 'a2c3a4'],
    ['16 letters of 32 bytes with 8 bits of length', 'ä'.repeat(16), `d920${'c3a4'.repeat(16)}`],
    ['a text of 256 bytes with 16 bits of length', 'x'.repeat(256), `da0100${'78'.repeat(256)}`],
    ['bytes', Uint8Array.of(1, 2), 'c4020102'],
    ['whole seconds in 4 bytes', new Date(1_700_000_000_000), 'd6ff6553f100'],
    ['milliseconds in 8 bytes', new Date(1_700_000_000_001), 'd7ff003d09006553f100'],
    ['a time before 1970 in 12 bytes', new Date(-1), 'c70cff3b8b87c0ffffffffffffffff'],
    ['an object', { a: 1 }, '81a16101'],
    ['a Map of numbers as a map', new Map([[1, 'a']]), '8101a161'],
    ['undefined in an array as extension 106', [undefined], '91c7006a'],
    ['a bigint as extension 107', -256n, 'c7036b010100'],
    ['a Set as extension 108', new Set([1]), 'c9000000026c9101'],
    ['a Map of strings as extension 109', new Map([['a', 1]]), 'c9000000046d92a16101'],
  ])('is %s', (_, value, hex) => {
    expect(hexOf(value)).toBe(`${hex}00`)
  })
})

describe('what Go writes', () => {
  it.each<[string, string, unknown]>([
    ['int64(1) at full width as a number', 'd30000000000000001', 1],
    ['int64(-1) at full width as a number', 'd3ffffffffffffffff', -1],
    ['int8, int16, int32 at full width', '93 d0ff d1ffff d2ffffffff', [-1, -1, -1]],
    [
      'uint8, uint16, uint32, uint64 at full width',
      '94 cc01 cd0001 ce00000001 cf0000000000000001',
      [1, 1, 1, 1],
    ],
    ['int64 beyond 2^53 as a bigint', 'd3 7fffffffffffffff', 2n ** 63n - 1n],
    ['the smallest int64 as a bigint', 'd3 8000000000000000', -(2n ** 63n)],
    ['uint64 beyond 2^53 as a bigint', 'cf ffffffffffffffff', 2n ** 64n - 1n],
    ['the largest safe integer as a number', 'cf 001fffffffffffff', 2 ** 53 - 1],
    ['a float32', 'ca3fc00000', 1.5],
    ['a time of whole seconds', 'd6ff 6553f100', new Date(1_700_000_000_000)],
    [
      'a time with nanoseconds, cut to milliseconds',
      'd7ff ee6b27fc6553f100',
      new Date(1_700_000_000_999),
    ],
    ['the zero time', 'c70cff 00000000 fffffff1886e0900', new Date('0001-01-01T00:00:00.000Z')],
    [
      'a map keyed by integers',
      '82 01a161 d30000000000000002a162',
      new Map([
        [1, 'a'],
        [2, 'b'],
      ]),
    ],
    [
      'a map keyed by booleans',
      '82 c201 c302',
      new Map([
        [false, 1],
        [true, 2],
      ]),
    ],
    [
      'a map of mixed keys',
      '82 a16101 0102',
      new Map<unknown, unknown>([
        ['a', 1],
        [1, 2],
      ]),
    ],
    ['an empty map', '80', {}],
    ['a field given twice, the last one', '82 a16101 a16102', { a: 2 }],
    ['bytes', 'c403010203', Uint8Array.of(1, 2, 3)],
    ['a text of bytes that are no UTF-8, with the replacement character', 'a2 61ff', 'a\ufffd'],
    ['a short array in a long header', 'dd00000001 05', [5]],
    ['a short map in a long header', 'df00000001 a16105', { a: 5 }],
    ['a short text in a long header', 'db00000001 61', 'a'],
    ['nil', 'c0', null],
  ])('is read: %s', (_, hex, value) => {
    expect(fromHex(`${hex}00`)).toStrictEqual(value)
  })

  it('has interned strings, which are read where their fields are named', () => {
    // []Row{City, Land string `msgpack:",intern"`; N int64; Note string} by msgpack v5.4.1.
    const rows =
      '9584a463697479a64265726c696ea46c616e64a24445a16ed30000000000000001a46e6f7465d4800084a463697479' +
      'd48000a46c616e64a3444555a16ed31000000000000000a46e6f7465a17884a463697479a55061726973a46c616e64' +
      'a3465241a16ed30000000000000003a46e6f7465d4800284a463697479a0a46c616e64d48002a16ed3000000000000' +
      '0003a46e6f7465d4800184a463697479a463697479a46c616e64a46e6f7465a16ed30000000000000003d48005a000'
    const reader = msgpack({ internedFields: ['city', 'land'] })
    expect(reader.decode(Buffer.from(rows, 'hex'))).toEqual([
      { city: 'Berlin', land: 'DE', n: 1, note: 'Berlin' },
      { city: 'Berlin', land: 'DEU', n: 2n ** 60n, note: 'x' },
      { city: 'Paris', land: 'FRA', n: 3, note: 'Paris' },
      { city: '', land: 'Paris', n: 3, note: 'DEU' },
      { city: 'city', land: 'note', n: 3, note: '' },
    ])
    expect(() => fromHex(rows)).toThrow(/internedFields/)
    expect(() => reader.decode(Buffer.from('d4800700', 'hex'))).toThrow(CacheDecodeError)
  })

  it.each([
    ['a 2-byte number', `92 81a163a3616263 d580000000`],
    ['a 4-byte number', `92 81a163a3616263 d6800000000000`],
  ])('has interned strings with %s', (_, hex) => {
    const reader = msgpack({ internedFields: ['c'] })
    expect(reader.decode(Buffer.from(hex.replaceAll(' ', ''), 'hex'))).toEqual([
      { c: 'abc' },
      'abc',
    ])
  })
})

it('a reference to an interned string is not itself interned', () => {
  const reader = msgpack({ internedFields: ['c'] })
  const rows = '93 81a163a3616263 81a163d68000000000 82a163a3646566a164d48001 00'
  expect(reader.decode(Buffer.from(rows.replaceAll(' ', ''), 'hex'))).toEqual([
    { c: 'abc' },
    { c: 'abc' },
    { c: 'def', d: 'def' },
  ])
})

describe('what msgpack refuses to read', () => {
  it.each<[string, string]>([
    ['no bytes', ''],
    ['a trailer alone', '00'],
    ['an unknown trailer', '0102'],
    ['text', '68656c6c6f'],
    ['bytes after the value', '010100'],
    ['a value cut short', 'cf00000000'],
    ['a text longer than its bytes', 'db7fffffff6100'],
    ['bytes longer than they are', 'c6ffffffff0000'],
    ['an array of more parts than bytes', 'ddffffffff00'],
    ['a map of more parts than bytes', 'df7fffffff00'],
    ['a map half a part short', '81a16100'],
    ['the byte that begins nothing', 'c100'],
    ['an unknown extension', 'd4010000'],
    ['a Set without an array', 'c7016c0100'],
    ['a Set with bytes to spare', 'c7026c900000'],
    ['a Map that holds no array', 'c7016d8000'],
    ['a Map with a key and no value', 'c7026d910100'],
    ['an extension that reaches past the end', 'c7ff6c9000'],
    ['a Set whose parts reach past its extension', 'c7016c910100'],
    ['a timestamp cut short', 'd6ff6553f100'],
    ['a timestamp that reaches past the end of its Set', 'c7036c91d6ff6553f10000'],
    ['a timestamp of 5 bytes', 'c705ff000000000000'],
    ['a timestamp of a thousand million nanoseconds', 'd7ffee6b28000000000000'],
    ['a timestamp that no Date can hold', 'c70cff000000007fffffffffffffff00'],
    ['an interned string', 'd4800000'],
    ['what is nested deeper than 512', `${'91'.repeat(513)}c000`],
    ['maps nested deeper than 512', `${'81a161'.repeat(600)}c000`],
    ['Sets nested deeper than 512', '91'.repeat(100_000)],
  ])('is %s', (_, hex) => {
    expect(() => fromHex(hex)).toThrow(CacheDecodeError)
  })

  it('is any random or damaged bytes, which give a value or a CacheDecodeError and nothing else', () => {
    const damaged = fc
      .tuple(msgpackValues, fc.nat(), fc.integer({ min: 1, max: 255 }))
      .map(([value, at, bits]) => {
        const bytes = Uint8Array.from(codec.encode(value))
        const i = at % bytes.length
        bytes[i] = (bytes[i] as number) ^ bits
        return bytes
      })
    const trailed = fc.uint8Array({ maxLength: 200 }).map((body) => Uint8Array.of(...body, 0))
    fc.assert(
      fc.property(fc.oneof(damaged, trailed, fc.uint8Array()), (bytes) => {
        try {
          codec.decode(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(CacheDecodeError)
        }
      }),
      { numRuns: 1500 },
    )
  })

  it('says so before reading any part when they cannot be that many', () => {
    expect(() => fromHex('ddffffffff0000')).toThrow(/4294967295 parts are more than its bytes/)
    expect(() => fromHex('df7fffffff0000')).toThrow(/4294967294 parts are more than its bytes/)
  })

  it('does not spoil the next decode', () => {
    const good = codec.encode({ a: [1, 'x'] })
    expect(() => fromHex('c7056c910100')).toThrow(CacheDecodeError)
    expect(codec.decode(good)).toEqual({ a: [1, 'x'] })
  })
})

function nest(depth: number): unknown {
  let value: unknown = 'core'
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { in: value }
  return value
}
