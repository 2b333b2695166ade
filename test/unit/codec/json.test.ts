import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { json } from '../../../src/codec/json.ts'
import { CacheDecodeError } from '../../../src/model/errors.ts'
import { jsonValues } from './arbitrary.ts'

const codec = json()

describe('json', () => {
  it('brings its kinds back deeply equal', () => {
    fc.assert(
      fc.property(jsonValues, (value) => {
        deepStrictEqual(codec.decode(codec.encode(value)), value)
      }),
      { numRuns: 300 },
    )
  })

  it('writes plain JSON text', () => {
    expect(Buffer.from(codec.encode({ a: ['ä', 1.5, null] })).toString()).toBe(
      '{"a":["ä",1.5,null]}',
    )
  })

  it('writes a Date as its ISO string and minus zero as 0', () => {
    const value = [new Date(0), -0]
    expect(codec.decode(codec.encode(value))).toStrictEqual(['1970-01-01T00:00:00.000Z', 0])
  })

  it.each<[string, string, number]>([
    ['9007199254740993', 'the nearest that is even', 9007199254740992],
    ['9223372036854775807', '2^63', 2 ** 63],
    ['-9223372036854775808', 'itself, a power of 2', -(2 ** 63)],
    ['9007199254740991', 'itself', 9007199254740991],
  ])('reads the integer %s as JavaScript does: %s', (text, _, number) => {
    expect(codec.decode(Buffer.from(`{"id":${text}}`))).toStrictEqual({ id: number })
  })

  it('keeps every digit of an integer in quotes', () => {
    const quoted = '{"id":"9007199254740993"}'
    const value = codec.decode(Buffer.from(quoted))
    expect(value).toStrictEqual({ id: '9007199254740993' })
    expect(Buffer.from(codec.encode(value)).toString()).toBe(quoted)
  })

  it('drops a property that is undefined', () => {
    expect(codec.decode(codec.encode({ a: undefined, b: 1 }))).toStrictEqual({ b: 1 })
  })

  it('keeps an own __proto__ as data', () => {
    const value: unknown = JSON.parse('{"__proto__":{"admin":true}}')
    expect(Object.keys(codec.decode(codec.encode(value)) as object)).toEqual(['__proto__'])
  })

  it.each([
    ['nothing', ''],
    ['no JSON', '{"a":'],
    ['two values', '1 2'],
    ['arrays nested 100,000 deep', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['objects nested 513 deep', `${'{"a":'.repeat(513)}1${'}'.repeat(513)}`],
  ])('refuses to read %s', (_, text) => {
    expect(() => codec.decode(Buffer.from(text))).toThrow(CacheDecodeError)
  })

  it('reads what is nested 512 deep, and much that is beside each other', () => {
    const deep = '['.repeat(512) + ']'.repeat(512)
    expect(() => codec.decode(Buffer.from(deep))).not.toThrow()
    const wide = Array.from({ length: 2000 }, () => ({}))
    expect(codec.decode(codec.encode(wide))).toEqual(wide)
  })

  it('reads from a plain Uint8Array as from a Buffer', () => {
    expect(codec.decode(new TextEncoder().encode('["ä"]').slice())).toEqual(['ä'])
  })

  it('gives a value or a CacheDecodeError for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        try {
          codec.decode(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(CacheDecodeError)
        }
      }),
    )
  })
})
