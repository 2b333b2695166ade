import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkKey } from '../../../src/model/key.ts'

function check(key: unknown): void {
  checkKey(key)
}

describe('checkKey', () => {
  it.each([
    ['one byte', 'a'],
    ['a NUL', '\0'],
    ['spaces and newlines', ' a\r\nb '],
    ['an emoji', '👩‍👩‍👧'],
    ['65,535 bytes of ASCII', 'x'.repeat(65_535)],
    ['65,535 bytes in characters of three', '€'.repeat(21_845)],
    ['65,532 bytes in characters of four', '😀'.repeat(16_383)],
    ['a reserved suffix in its middle', 'a_#RL#b'],
    ['a reserved suffix in lower case', 'a_#rl#'],
    ['the name of a property of every object', '__proto__'],
  ])('takes %s', (_, key) => {
    expect(() => check(key)).not.toThrow()
  })

  it.each([
    ['65,536 bytes of ASCII', 'x'.repeat(65_536), /at most 65535 bytes of UTF-8, but has 65536/],
    ['65,537 bytes, short in characters', `${'€'.repeat(21_845)}é`, /but has 65537/],
    ['nothing', '', /must not be empty/],
    ['the suffix of a refresh lock', 'user:1_#RL#', /must not end in _#RL# nor begin with _#JL#/],
    ['the prefix of a lease', '_#JL#{user:1}', /must not end in _#RL# nor begin with _#JL#/],
    ['nothing but a reserved suffix', '_#RL#', /must not end in/],
  ])('refuses %s with a RangeError', (_, key, message) => {
    expect(() => check(key)).toThrow(RangeError)
    expect(() => check(key)).toThrow(message)
    expect(() => check(key)).toThrow(expect.objectContaining({ code: 'CACHE_OPTION' }))
  })

  it.each([
    ['a number', 5, /must be a string, but is 5/],
    ['undefined', undefined, /but is undefined/],
    ['null', null, /but is null/],
    ['a String object', Object('a'), /but is an object/],
    ['an array', ['a'], /but is an array/],
    ['a symbol', Symbol('a'), /but is Symbol\(a\)/],
    ['bytes', Uint8Array.of(97), /but is an object/],
    ['a high surrogate alone', 'a\ud800', /lone surrogate/],
    ['a low surrogate alone', '\udc00a', /lone surrogate/],
  ])('refuses %s with a TypeError', (_, key, message) => {
    expect(() => check(key)).toThrow(TypeError)
    expect(() => check(key)).toThrow(message)
    expect(() => check(key)).toThrow(expect.objectContaining({ code: 'CACHE_OPTION' }))
  })

  it('counts bytes, not characters, wherever the limit falls', () => {
    const character = fc.constantFrom('x', 'é', '€', '😀')
    fc.assert(
      fc.property(character, fc.integer({ min: -3, max: 3 }), (filler, off) => {
        const size = Buffer.byteLength(filler)
        const key = filler.repeat(Math.floor(65_535 / size) + off)
        if (Buffer.byteLength(key) <= 65_535) expect(() => check(key)).not.toThrow()
        else expect(() => check(key)).toThrow(RangeError)
      }),
    )
  })
})
