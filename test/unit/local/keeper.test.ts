import assert from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import { copyPlain } from '../../../src/codec/copy.ts'
import { json } from '../../../src/codec/json.ts'
import { type Copying, keeperFor } from '../../../src/local/keeper.ts'
import type { Isolation } from '../../../src/local/local-store.ts'

const codec = json()
const decode = (bytes: Uint8Array) => codec.decode(bytes)
const byCopy: Copying = { copy: copyPlain, decode }
const byBytes: Copying = { copy: undefined, decode }

const make = () => ({ a: [1, { b: 2 }] })
const BYTES = codec.encode(make())

describe.each<[string, Copying]>([
  ['a codec that copies', byCopy],
  ['a codec that does not', byBytes],
])('a value of %s', (_, copying) => {
  it.each<[Isolation, boolean]>([
    ['copy', false],
    ['frozen', true],
    ['shared', true],
  ])('with isolation %s is one for all: %s', (isolation, one) => {
    const keeper = keeperFor(isolation, copying, copying)
    const kept = keeper.keep(make(), BYTES)
    const [first, second] = [keeper.give(kept), keeper.give(kept)]
    assert.deepStrictEqual(first, make())
    assert.deepStrictEqual(second, make())
    expect(first === second).toBe(one)
    expect(keeper.givesOne(kept)).toBe(one)
  })

  it.each<Isolation>(['copy', 'frozen', 'shared'])(
    'that is a primitive is given as it is, with isolation %s',
    (isolation) => {
      const keeper = keeperFor(isolation, copying, copying)
      for (const value of [0, -0, Number.NaN, '', 'x', false, 5n, null, undefined, Symbol('s')]) {
        const kept = keeper.keep(value, Uint8Array.of(1))
        expect(Object.is(keeper.give(kept), value)).toBe(true)
        expect(keeper.givesOne(kept)).toBe(true)
      }
    },
  )
})

describe('a value that is given very often', () => {
  it('is copied for each caller, however many there were', () => {
    const keeper = keeperFor('copy', byCopy, byCopy)
    const kept = keeper.keep(make(), BYTES)
    const all = new Set<unknown>()
    for (let i = 0; i < 3000; i++) {
      const given = keeper.give(kept) as ReturnType<typeof make>
      assert.deepStrictEqual(given, make())
      all.add(given).add(given.a).add(given.a[1])
      given.a.push(1)
    }
    expect(all.size).toBe(9000)
    expect(keeper.givesOne(kept)).toBe(false)
  })

  it('is copied by code of its own in the end', () => {
    const keeper = keeperFor('copy', byCopy, byCopy)
    const value = { only: { here: 1 } }
    const kept = keeper.keep(value, undefined)
    let made = 0
    const generate = globalThis.Function
    globalThis.Function = new Proxy(generate, {
      construct(target, args) {
        if (args.join().includes('"only"')) made++
        return Reflect.construct(target, args) as object
      },
    })
    try {
      for (let i = 0; i < 3000; i++) assert.deepStrictEqual(keeper.give(kept), value)
    } finally {
      globalThis.Function = generate
    }
    expect(made).toBe(1)
  })
})

describe('bytes kept in the place of a value', () => {
  it.each([
    ['a Buffer', Buffer.from(BYTES)],
    ['a Uint8Array', new Uint8Array(BYTES)],
  ])('are handed to the codec as a copy each time, when they came as %s', (_, bytes) => {
    const seen: Uint8Array[] = []
    const copying: Copying = {
      copy: undefined,
      decode: (own) => {
        seen.push(own)
        return { view: own }
      },
    }
    const keeper = keeperFor('copy', copying, copying)
    const kept = keeper.keep({}, bytes)
    for (let i = 0; i < 3; i++) {
      const given = keeper.give(kept) as { view: Uint8Array }
      expect([...given.view]).toEqual([...bytes])
      given.view.fill(0)
    }
    expect(new Set(seen.map((own) => own.buffer)).size).toBe(3)
  })
})

describe('a value of another codec than the cache’s own', () => {
  const upper: Copying = { copy: (value) => ({ by: 'upper', value }), decode: () => 'upper' }

  it('is copied by its own codec, whoever hands it out', () => {
    const usual = keeperFor('copy', byCopy, byCopy)
    const kept = keeperFor('copy', upper, byCopy).keep(make(), BYTES)
    expect(usual.give(kept)).toEqual({ by: 'upper', value: make() })
    expect(usual.givesOne(kept)).toBe(false)
  })

  it('is read from its bytes by its own codec where that does not copy', () => {
    const usual = keeperFor('copy', byCopy, byCopy)
    const kept = keeperFor('copy', { ...upper, copy: undefined }, byCopy).keep(make(), BYTES)
    expect(usual.give(kept)).toBe('upper')
  })

  it('is frozen, and one for all, as any other', () => {
    const usual = keeperFor('frozen', byCopy, byCopy)
    const kept = keeperFor('frozen', upper, byCopy).keep(make(), BYTES)
    expect(usual.give(kept)).toBe(usual.give(kept))
    expect(Object.isFrozen(usual.give(kept))).toBe(true)
  })
})

describe('freezing', () => {
  const keeper = keeperFor('frozen', byCopy, byCopy)

  it('reaches every plain object and array, those without a prototype too', () => {
    const bare = Object.assign(Object.create(null), { c: [[]] }) as { c: unknown[][] }
    const value = { a: [{ b: {} }], bare }
    const given = keeper.give(keeper.keep(value, undefined)) as typeof value
    expect(given).toBe(value)
    for (const part of [given, given.a, given.a[0], given.a[0]?.b, given.bare, given.bare.c]) {
      expect(Object.isFrozen(part)).toBe(true)
    }
  })

  it('ends with a value that holds itself', () => {
    const value: { self?: unknown; list: unknown[] } = { list: [] }
    value.self = value
    value.list.push(value)
    expect(keeper.give(keeper.keep(value, undefined))).toBe(value)
    expect(Object.isFrozen(value.list)).toBe(true)
  })

  it('goes on inside what was frozen before', () => {
    const inner = { list: [1] }
    keeper.keep(Object.freeze({ inner }), undefined)
    expect(Object.isFrozen(inner.list)).toBe(true)
  })

  it.each<[string, () => object]>([
    ['a Date', () => new Date(5)],
    ['a Map', () => new Map([[1, 2]])],
    ['a Set', () => new Set([1])],
    ['bytes', () => Uint8Array.of(1)],
    ['empty bytes', () => new Uint8Array()],
  ])('does not pretend to have frozen %s: each caller gets a copy', (_, unfreezable) => {
    const shared = unfreezable()
    for (const value of [
      shared,
      { a: [shared] },
      Object.freeze([shared]),
      { a: shared, b: shared },
    ]) {
      const kept = keeper.keep(value, undefined)
      expect(keeper.givesOne(kept)).toBe(false)
      const [first, second] = [keeper.give(kept), keeper.give(kept)]
      assert.deepStrictEqual(first, value)
      expect(first).not.toBe(second)
      expect(first).not.toBe(value)
      if (value !== shared) expect(Object.isFrozen(first)).toBe(true)
    }
  })

  it('does not throw on a class instance that a codec returned', () => {
    class Point {
      x = 1
    }
    const usual = { copy: undefined, decode: () => new Point() }
    const instances = keeperFor('frozen', usual, usual)
    const kept = instances.keep(new Point(), BYTES)
    const given = instances.give(kept) as Point
    given.x = 2
    expect(instances.give(kept)).toEqual(new Point())
  })
})
