import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { copyPlain } from '../../../src/codec/copy.ts'
import { msgpack } from '../../../src/codec/msgpack.ts'
import { msgpackValues } from './arbitrary.ts'
import { objectsIn } from './objects-in.ts'

const codec = msgpack()

describe('a copy of a decoded value', () => {
  it('is deeply equal to it and shares nothing that can be changed', () => {
    fc.assert(
      fc.property(msgpackValues, (value) => {
        const decoded = codec.decode(codec.encode(value))
        const copy = copyPlain(decoded)
        deepStrictEqual(copy, decoded)
        deepStrictEqual(copy, codec.decode(codec.encode(decoded)))
        const own = objectsIn(decoded)
        expect([...objectsIn(copy)].filter((object) => own.has(object))).toEqual([])
      }),
      { numRuns: 300 },
    )
  })

  it('keeps an own __proto__ with what it holds, in a copy of its own', () => {
    const value = JSON.parse('{"__proto__":{"a":[1]},"b":"__proto__"}') as Record<string, object>
    const copy = copyPlain(value) as typeof value
    expect(Object.keys(copy)).toEqual(['__proto__', 'b'])
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype)
    const kept = Object.getOwnPropertyDescriptor(copy, '__proto__')?.value as object
    expect(kept).toStrictEqual({ a: [1] })
    expect(kept).not.toBe(Object.getOwnPropertyDescriptor(value, '__proto__')?.value)
  })

  it('keeps minus zero, primitives and the order of keys', () => {
    expect(copyPlain([-0, 'a', 1n, undefined, null, true])).toStrictEqual([
      -0,
      'a',
      1n,
      undefined,
      null,
      true,
    ])
    expect(Object.keys(copyPlain({ z: 1, a: {}, 1: 0 }) as object)).toEqual(['1', 'z', 'a'])
  })
})
