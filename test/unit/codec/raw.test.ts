import { describe, expect, it } from 'vitest'
import { bytes, text } from '../../../src/codec/raw.ts'
import { codecFinder } from '../../../src/codec/registry.ts'
import { CacheEncodeError } from '../../../src/model/errors.ts'

describe('text', () => {
  it.each(['', 'abc', 'ä€𝄞', '0'])('stores %j as its UTF-8 and nothing more', (value) => {
    const encoded = text().encode(value)
    expect(Buffer.from(encoded).toString('hex')).toBe(Buffer.from(value).toString('hex'))
    expect(text().decode(new Uint8Array(encoded))).toBe(value)
  })

  it('reads empty bytes as the empty string, which is a value', () => {
    expect(text().emptyIsNotFound).toBe(false)
    expect(text().decode(new Uint8Array(0))).toBe('')
  })

  it.each([[1], [{}], [Buffer.from('a')], ['a\ud800']])('refuses %j', (value) => {
    expect(() => text().encode(value)).toThrow(CacheEncodeError)
  })
})

describe('bytes', () => {
  it('stores them as they are, in memory of their own', () => {
    const value = Uint8Array.of(1, 2, 3)
    const encoded = bytes().encode(value)
    value[0] = 9
    expect([...encoded]).toEqual([1, 2, 3])
  })

  it('takes a Buffer and gives a Uint8Array that shares nothing with what it was read from', () => {
    const stored = bytes().encode(Buffer.from('abc'))
    const decoded = bytes().decode(stored) as Uint8Array
    stored[0] = 0
    expect(decoded).toStrictEqual(Uint8Array.of(97, 98, 99))
    const copy = bytes().copy?.(decoded) as Uint8Array
    decoded[0] = 0
    expect(copy).toStrictEqual(Uint8Array.of(97, 98, 99))
  })

  it('reads empty bytes as an empty array, which is a value', () => {
    expect(bytes().emptyIsNotFound).toBe(false)
    expect(bytes().decode(new Uint8Array(0))).toStrictEqual(new Uint8Array(0))
  })

  it.each([['abc'], [[1, 2]], [new Uint16Array(2)], [{}]])('refuses %j', (value) => {
    expect(() => bytes().encode(value)).toThrow(CacheEncodeError)
  })
})

it('both go by their names', () => {
  expect(codecFinder(undefined)('text').name).toBe('text')
  expect(codecFinder(undefined)('bytes').name).toBe('bytes')
})
