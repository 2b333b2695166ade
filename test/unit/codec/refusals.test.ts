import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import type { Codec } from '../../../src/codec/codec.ts'
import { json } from '../../../src/codec/json.ts'
import { msgpack } from '../../../src/codec/msgpack.ts'
import { CacheEncodeError } from '../../../src/model/errors.ts'

class Point {
  readonly x = 1
}
class Moment extends Date {}
class List extends Array<number> {}
class Names extends Map<string, string> {}

const cyclic: { name: string; self?: unknown } = { name: 'a' }
cyclic.self = cyclic

const parent = { id: 1, children: [] as unknown[] }
parent.children.push({ id: 2, parent })

const mapOfItself = new Map<string, unknown>()
mapOfItself.set('me', mapOfItself)

function refusalOf(codec: Codec, value: unknown): CacheEncodeError {
  try {
    codec.encode(value)
  } catch (error) {
    expect(error).toBeInstanceOf(CacheEncodeError)
    return error as CacheEncodeError
  }
  throw new Error('it was written')
}

function nest(depth: number): unknown {
  let value: unknown = 1
  for (let i = 0; i < depth; i++) value = [value]
  return value
}

type Case = readonly [name: string, value: unknown, path: string, reason: RegExp]

const both: readonly Case[] = [
  ['a function at the top', () => 1, '$', /a function/],
  ['a function in a property', { a: { b: () => 1 } }, '$.a.b', /a function/],
  ['a symbol', { orders: [1, 2, 3, { total: Symbol('s') }] }, '$.orders[3].total', /a symbol/],
  ['a class instance', { a: [new Point()] }, '$.a[0]', /an instance of Point/],
  ['a subclass of Date', { at: new Moment() }, '$.at', /an instance of Moment/],
  ['a subclass of Array', { list: new List() }, '$.list', /an instance of List/],
  ['a subclass of Map', { names: new Names() }, '$.names', /an instance of Names/],
  ['an invalid Date', [new Date(Number.NaN)], '$[0]', /an invalid Date/],
  ['a typed array other than Uint8Array', { f: new Float64Array(2) }, '$.f', /Float64Array/],
  ['an Error', { e: new Error('x') }, '$.e', /an instance of Error/],
  ['a RegExp', { 'not a name': /x/ }, '$["not a name"]', /an instance of RegExp/],
  ['a promise', { p: Promise.resolve(1) }, '$.p', /an instance of Promise/],
  ['an object made from another', { o: Object.create({ a: 1 }) as object }, '$.o', /an instance/],
  ['a lone surrogate', { s: 'a\ud800' }, '$.s', /lone surrogate/],
  ['a long lone surrogate', { s: `${'x'.repeat(100)}\udc00` }, '$.s', /lone surrogate/],
  ['a lone surrogate in a key', { a: { 'k\ud800': 1 } }, '$.a["k\\ud800"]', /lone surrogate/],
  ['an object within itself', cyclic, '$.self', /a cycle: it is \$ again/],
  ['a cycle through an array', { parent }, '$.parent.children[0].parent', /it is \$\.parent again/],
  ['what is nested deeper than 512', nest(513), `$${'[0]'.repeat(132)}...`, /more than 512 deep/],
]

const jsonOnly: readonly Case[] = [
  ['a bigint', { id: 1n }, '$.id', /a bigint/],
  ['NaN', [Number.NaN], '$[0]', /NaN/],
  ['an infinity', { a: -Infinity }, '$.a', /-Infinity/],
  ['undefined in an array', [1, undefined], '$[1]', /undefined/],
  ['a Map', { m: new Map() }, '$.m', /an instance of Map/],
  ['a Set', { s: new Set() }, '$.s', /an instance of Set/],
  ['bytes', { b: Uint8Array.of(1) }, '$.b', /an instance of Uint8Array/],
  ['a Buffer', { b: Buffer.from('x') }, '$.b', /an instance of Buffer/],
  ['a toJSON of its own', { a: { toJSON: () => 1 } }, '$.a.toJSON', /a function/],
]

const msgpackOnly: readonly Case[] = [
  ['a function under a Map key', { m: new Map([[7, () => 1]]) }, '$.m[7]', /a function/],
  ['a symbol in a Set', { s: new Set([1, Symbol('s')]) }, '$.s[1]', /a symbol/],
  ['a Map within itself', { m: mapOfItself }, '$.m.me', /it is \$\.m again/],
]

describe('what a codec cannot write is refused with its path', () => {
  it.each([...both, ...msgpackOnly])('msgpack: %s', (_, value, path, reason) => {
    const refusal = refusalOf(msgpack(), value)
    expect(refusal.path).toBe(path)
    expect(refusal.reason).toMatch(reason)
  })

  it.each([...both, ...jsonOnly])('json: %s', (_, value, path, reason) => {
    const refusal = refusalOf(json(), value)
    expect(refusal.path).toBe(path)
    expect(refusal.reason).toMatch(reason)
  })

  it('and the next value is written as if nothing had been', () => {
    const codec = msgpack()
    refusalOf(codec, { text: 'x'.repeat(50_000), bad: Symbol('s') })
    expect(codec.decode(codec.encode({ a: 1 }))).toEqual({ a: 1 })
  })

  it('and a cycle is found after a few rounds, long before it is too deep', () => {
    let reads = 0
    const round = {
      get id() {
        return ++reads
      },
      self: undefined as unknown,
    }
    round.self = round
    refusalOf(msgpack(), round)
    refusalOf(json(), round)
    expect(reads).toBeLessThan(50)
  })

  it('while the same object in two places is written twice', () => {
    const shared = { a: 1 }
    const codec = msgpack()
    expect(codec.decode(codec.encode([shared, shared]))).toEqual([shared, shared])
  })

  it('and an error of a getter reaches the caller as it is', () => {
    const broken = {
      get a(): number {
        throw new RangeError('mine')
      },
    }
    expect(() => msgpack().encode([broken])).toThrow(new RangeError('mine'))
    expect(() => json().encode([broken])).toThrow(new RangeError('mine'))
  })
})

describe('objects of another realm', () => {
  it('count as our own', () => {
    const foreign: unknown = runInNewContext(
      '({ list: [1], at: new Date(5), map: new Map([[1, 2]]), set: new Set([1]), bytes: Uint8Array.of(9) })',
    )
    const codec = msgpack()
    expect(codec.decode(codec.encode(foreign))).toStrictEqual({
      list: [1],
      at: new Date(5),
      map: new Map([[1, 2]]),
      set: new Set([1]),
      bytes: Uint8Array.of(9),
    })
  })

  it('are refused as our own are', () => {
    const foreign: unknown = runInNewContext('class Point {}; ({ p: new Point() })')
    expect(refusalOf(msgpack(), foreign).path).toBe('$.p')
  })
})

describe('toPlain', () => {
  it('is asked for class instances, and what it returns is written in their place', () => {
    const codec = msgpack({
      toPlain: (value) => (value instanceof Point ? { x: value.x } : 'other'),
    })
    const value = { p: new Point(), list: [new List()], plain: { a: 1 } }
    expect(codec.decode(codec.encode(value))).toStrictEqual({
      p: { x: 1 },
      list: ['other'],
      plain: { a: 1 },
    })
  })

  it('does not hide the path of what is refused inside its result', () => {
    const codec = msgpack({ toPlain: () => ({ inner: [Symbol('s')] }) })
    expect(refusalOf(codec, { p: new Point() }).path).toBe('$.p.inner[0]')
  })

  it('that returns the instance itself is a cycle and no endless loop', () => {
    expect(refusalOf(msgpack({ toPlain: (value) => value }), { p: new Point() }).path).toBe('$.p')
  })
})
