import { describe, expect, it } from 'vitest'
import type { Codec } from '../../../src/codec/codec.ts'
import { json } from '../../../src/codec/json.ts'
import { codecFinder } from '../../../src/codec/registry.ts'

const own: Codec = { ...json(), name: 'own' }

describe('the codec option', () => {
  it('takes the built-in names', () => {
    expect(codecFinder({})('msgpack').name).toBe('msgpack')
    expect(codecFinder(undefined)('json').name).toBe('json')
  })

  it('takes a registered name, and a codec as it is', () => {
    expect(codecFinder({ mine: own })('mine')).toBe(own)
    expect(codecFinder(undefined)(own)).toBe(own)
  })

  it('gives one codec for one name, so that its scratch memory exists once', () => {
    const find = codecFinder(undefined)
    expect(find('msgpack')).toBe(find('msgpack'))
  })

  it('names what there is when a name is unknown', () => {
    expect(() => codecFinder({ mine: own })('sonic')).toThrow(
      /codec "sonic" is not registered\. There is .*"msgpack".*"json".*"mine"/,
    )
    expect(() => codecFinder({})('toString')).toThrow(/not registered/)
  })

  it('refuses a codec that redefines a built-in name, used or not', () => {
    expect(() => codecFinder({ json: own })).toThrow(/must not redefine .*"json"/)
  })

  it.each<[string, unknown, RegExp]>([
    ['a number', 5, /codec must be a name or a codec, but is 5/],
    ['null', null, /codec must be a name or a codec, but is null/],
    ['a codec without name', { ...own, name: undefined }, /codec\.name must be/],
    ['a codec with an empty name', { ...own, name: '' }, /codec\.name must be/],
    ['a codec without encode', { ...own, encode: undefined }, /codec\.encode must be a function/],
    ['a codec without decode', { ...own, decode: 1 }, /codec\.decode must be a function, but is 1/],
    ['a codec with a copy that is none', { ...own, copy: true }, /codec\.copy must be/],
    [
      'a codec with a flag that is none',
      { ...own, emptyIsNotFound: 'yes' },
      /codec\.emptyIsNotFound/,
    ],
  ])('refuses %s', (_, codec, message) => {
    expect(() => codecFinder(undefined)(codec as Codec)).toThrow(message)
  })

  it('refuses registered codecs that are none, used or not', () => {
    const broken = { mine: { name: 'mine' } } as unknown as Record<string, Codec>
    expect(() => codecFinder(broken)).toThrow(/codecs\["mine"\]\.encode must be/)
    expect(() => codecFinder([] as unknown as Record<string, Codec>)).toThrow(/codecs must be/)
  })

  it('errors carry the option code', () => {
    expect(() => codecFinder(undefined)('x')).toThrow(
      expect.objectContaining({ name: 'TypeError', code: 'CACHE_OPTION' }) as Error,
    )
  })
})
