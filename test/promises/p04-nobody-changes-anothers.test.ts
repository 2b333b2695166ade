import assert from 'node:assert/strict'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import type { Codec } from '../../src/codec/codec.ts'
import type { Isolation } from '../../src/local/local-store.ts'
import { tinyLfu } from '../../src/local/tiny-lfu/tiny-lfu.ts'
import { memoryRemote } from '../../src/testing/memory-remote.ts'
import { NAMED_CELLS, openWorld, type World } from '../support/cells.ts'

const neverCalled = () => Promise.reject(new Error('the loader was called'))

/** Of JSON's kinds, so that it is the same with either codec. */
const makeOrder = () => ({
  id: 1,
  lines: [{ sku: 'a', tags: ['x'] }],
  ship: { to: { city: 'Oslo' } },
})
type Order = ReturnType<typeof makeOrder>

/** Changes a value in every way there is. */
function vandalise(order: Order): void {
  order.id = 666
  order.lines[0]?.tags.push('added')
  order.lines.length = 0
  order.ship.to.city = 'changed'
  Reflect.deleteProperty(order, 'ship')
  Reflect.set(order, 'extra', true)
}

/** Every way to be given the value, other than being its loader's caller. */
async function readers(cache: Cache, key: string): Promise<(Order | undefined)[]> {
  return [
    await cache.once<Order>(key, neverCalled),
    await cache.once<Order>(key, neverCalled),
    await cache.onceOrThrow<Order>(key, neverCalled),
    await cache.get<Order>(key),
    await cache.get<Order>(key),
    await cache.getOrThrow<Order>(key),
    hitOf(await cache.lookup<Order>(key)),
    hitOf(await cache.lookup<Order>(key)),
    ...(cache.type === 'remote' ? [] : [cache.peek<Order>(key), cache.peek<Order>(key)]),
  ]
}

function hitOf(found: Awaited<ReturnType<Cache['lookup']>>): Order | undefined {
  return found.status === 'hit' ? (found.value as Order) : undefined
}

function cellsWith(isolation: Isolation) {
  return NAMED_CELLS.filter(([, cell]) => cell.isolation === isolation)
}

describe.each(cellsWith('copy'))('copies: %s', (_, cell) => {
  let world: World
  beforeAll(async () => {
    world = await openWorld(cell)
  })
  afterAll(() => world.end())

  it('callers of one load get a value each', async () => {
    const cache = world.open()
    const key = world.key('joined')
    let loads = 0
    const load = async () => {
      loads++
      return makeOrder()
    }
    const orders = await Promise.all(Array.from({ length: 5 }, () => cache.once(key, load)))
    expect(loads).toBe(1)
    for (const order of orders) {
      expect(order).toStrictEqual(makeOrder())
      vandalise(order)
    }
    expect(await cache.once(key, neverCalled)).toStrictEqual(makeOrder())
  })

  it('what one caller does to their value is seen by no other, whoever they were', async () => {
    const cache = world.open()
    const other = world.open()
    const key = world.key('changed')
    vandalise(await cache.once(key, makeOrder))
    const sources = cell.tiers === 'local' ? [cache] : [cache, other]
    for (const source of sources) {
      for (const order of await readers(source, key)) {
        assert.deepStrictEqual(order, makeOrder())
        vandalise(order as Order)
      }
    }
    for (const source of sources) {
      for (const order of await readers(source, key)) assert.deepStrictEqual(order, makeOrder())
    }
  })

  it('readers who come at the same time get a value each', async () => {
    const cache = world.open()
    const key = world.key('get joined')
    await cache.set(key, makeOrder(), { skipLocal: cell.tiers !== 'local' })
    const orders = await Promise.all(Array.from({ length: 5 }, () => cache.get<Order>(key)))
    for (const order of orders) {
      assert.deepStrictEqual(order, makeOrder())
      vandalise(order)
    }
  })

  it('what is set may be changed from the next line on', async () => {
    const cache = world.open()
    const key = world.key('set')
    const order = makeOrder()
    const writing = cache.set(key, order)
    vandalise(order)
    await writing
    for (const read of await readers(cache, key)) assert.deepStrictEqual(read, makeOrder())
    Object.assign(order, { later: true })
    assert.deepStrictEqual(await cache.get(key), makeOrder())
  })

  it('what a loader returned stays the loader’s to change', async () => {
    const cache = world.open()
    const key = world.key('loader')
    const mine = makeOrder()
    const answer = await cache.once(key, () => mine)
    vandalise(mine)
    assert.deepStrictEqual(answer, makeOrder())
    for (const read of await readers(cache, key)) assert.deepStrictEqual(read, makeOrder())
  })

  it('cacheIf and ttl cannot change what is stored', async () => {
    const cache = world.open()
    const key = world.key('functions')
    const answer = await cache.once(key, makeOrder, {
      cacheIf: (order) => {
        vandalise(order)
        return true
      },
      ttl: (order) => {
        vandalise(order)
        return '1m'
      },
    })
    assert.deepStrictEqual(answer, makeOrder())
    for (const read of await readers(cache, key)) assert.deepStrictEqual(read, makeOrder())
  })
})

describe.each(cellsWith('frozen'))('frozen: %s', (_, cell) => {
  let world: World
  beforeAll(async () => {
    world = await openWorld(cell)
  })
  afterAll(() => world.end())

  it('all callers of a tier get one value, and changing any part of it throws', async () => {
    const key = world.key('frozen')
    const caches = cell.tiers === 'local' ? [world.open()] : [world.open(), world.open()]
    for (const cache of caches) {
      const fresh = await cache.once(key, makeOrder)
      for (const order of await readers(cache, key)) expect(order).toBe(fresh)
      const changes: (() => unknown)[] = [
        () => Object.assign(fresh, { id: 2 }),
        () => Reflect.apply(Array.prototype.push, fresh.lines, [1]),
        () => fresh.lines[0]?.tags.push('y'),
        () => Object.assign(fresh.ship.to, { city: 'Rome' }),
        () => Object.assign(fresh, { extra: true }),
      ]
      for (const change of changes) expect(change).toThrow(TypeError)
      assert.deepStrictEqual(await cache.once(key, neverCalled), makeOrder())
    }
  })

  it('freezes nothing that belongs to a caller', async () => {
    const cache = world.open()
    const key = world.key('mine')
    const mine = makeOrder()
    await cache.set(key, mine)
    vandalise(mine)
    const loaded = makeOrder()
    await cache.delete(key)
    const answer = await cache.once(key, () => loaded)
    vandalise(loaded)
    assert.deepStrictEqual(answer, makeOrder())
    assert.deepStrictEqual(await cache.get(key), makeOrder())
  })
})

describe('frozen, with kinds that cannot be frozen', () => {
  const make = () => ({
    list: [1],
    at: new Date(5),
    map: new Map([['a', { b: [1] }]]),
    set: new Set([{ c: 1 }]),
    bytes: Uint8Array.of(1, 2),
  })
  type Value = ReturnType<typeof make>

  it.each([
    ['at the top', (value: Value) => value],
    ['far inside', (value: Value) => ({ deep: [{ value }] })],
    ['in a Map', (value: Value) => new Map([['value', value]])],
    ['in a Set', (value: Value) => new Set([value])],
  ] as const)('callers get copies of those %s, their plain parts frozen', async (_, wrap) => {
    const inside = (value: unknown): Value => {
      if (value instanceof Map || value instanceof Set) return inside([...value.values()][0])
      return (value as { deep?: [{ value: Value }] }).deep?.[0].value ?? (value as Value)
    }
    for (const remote of [undefined, memoryRemote()]) {
      const local = tinyLfu({ maxEntries: 10, isolation: 'frozen' })
      const cache = createCache({ local, ...(remote && { remote }) })
      const got: unknown[] = [await cache.once<unknown>('k', () => wrap(make()))]
      got.push(await cache.once('k', neverCalled), await cache.get('k'), cache.peek('k'))
      for (const each of got) {
        assert.deepStrictEqual(each, wrap(make()))
        const value = inside(each)
        expect(() => value.list.push(2)).toThrow(TypeError)
        expect(() => Object.assign(value, { at: 1 })).toThrow(TypeError)
        expect(() => value.map.get('a')?.b.push(2)).toThrow(TypeError)
        for (const part of value.set) expect(() => Object.assign(part, { c: 2 })).toThrow(TypeError)
        value.at.setTime(0)
        value.map.clear()
        value.set.clear()
        value.bytes.fill(0)
      }
      assert.deepStrictEqual(await cache.get('k'), wrap(make()))
    }
  })
})

describe.each(cellsWith('shared'))('shared: %s', (_, cell) => {
  let world: World
  beforeAll(async () => {
    world = await openWorld(cell)
  })
  afterAll(() => world.end())

  it('all callers of a tier get one value', async () => {
    const key = world.key('shared')
    const caches = cell.tiers === 'local' ? [world.open()] : [world.open(), world.open()]
    for (const cache of caches) {
      const [fresh, joined] = await Promise.all([
        cache.once(key, makeOrder),
        cache.once(key, makeOrder),
      ])
      expect(joined).toBe(fresh)
      for (const order of await readers(cache, key)) expect(order).toBe(fresh)
      assert.deepStrictEqual(fresh, makeOrder())
    }
  })

  it('is the caller’s own value only where there is no remote tier', async () => {
    const cache = world.open()
    const key = world.key('own')
    const mine = makeOrder()
    const answer = await cache.once(key, () => mine)
    expect(answer === mine).toBe(cell.tiers === 'local')
    await cache.set(key, mine)
    expect((await cache.get(key)) === mine).toBe(cell.tiers === 'local')
  })
})

/** Knows a class of its own; reads bytes as views of what it was handed, as it may. */
class Money {
  readonly cents: number
  readonly receipt: Uint8Array
  notes: string[] = []

  constructor(cents: number, receipt: Uint8Array) {
    this.cents = cents
    this.receipt = receipt
  }
}

const moneyCodec: Codec = {
  name: 'money',
  encode: (value) => {
    const { cents, receipt } = value as Money
    return Buffer.concat([Buffer.from(new Int32Array([cents]).buffer), receipt])
  },
  decode: (bytes) =>
    new Money(new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true), bytes.subarray(4)),
}

describe('a codec without a copy function', () => {
  const make = () => new Money(5, Uint8Array.of(1, 2, 3))
  const tiers = [
    ['local', () => ({ local: tinyLfu({ maxEntries: 10 }) })],
    ['remote', () => ({ remote: memoryRemote() })],
    ['both', () => ({ local: tinyLfu({ maxEntries: 10 }), remote: memoryRemote() })],
  ] as const

  it.each(tiers)('gives every caller an instance of their own: %s', async (_, open) => {
    const cache = createCache({ ...open(), codec: moneyCodec })
    const loads = await Promise.all([cache.once('k', make), cache.once('k', make)])
    const later = [await cache.once('k', neverCalled), await cache.get('k')]
    const got = [...loads, ...later] as Money[]
    expect(new Set(got).size).toBe(4)
    for (const money of got) {
      expect(money).toBeInstanceOf(Money)
      expect([money.cents, [...money.receipt]]).toEqual([5, [1, 2, 3]])
      expect(money.notes).toEqual([])
      money.notes.push('mine')
      money.receipt.fill(9)
    }
    expect([...((await cache.get<Money>('k'))?.receipt ?? [])]).toEqual([1, 2, 3])
  })

  it('gives them also where it is the codec of one call', async () => {
    const cache = createCache({ local: tinyLfu({ maxEntries: 10 }), remote: memoryRemote() })
    const first = await cache.once('k', make, { codec: moneyCodec })
    const later = [await cache.get<Money>('k'), await cache.get<Money>('k')]
    first.receipt.fill(9)
    first.notes.push('mine')
    for (const money of later) {
      expect(money).toBeInstanceOf(Money)
      expect([money?.cents, [...(money?.receipt ?? [])], money?.notes]).toEqual([5, [1, 2, 3], []])
      money?.receipt.fill(9)
    }
    expect([...((await cache.get<Money>('k'))?.receipt ?? [])]).toEqual([1, 2, 3])
  })

  it('with isolation frozen, too, since instances are not frozen', async () => {
    const local = tinyLfu({ maxEntries: 10, isolation: 'frozen' })
    const cache = createCache({ local, codec: moneyCodec })
    const first = await cache.once('k', make)
    first.notes.push('mine')
    first.receipt.fill(9)
    const second = await cache.once<Money>('k', neverCalled)
    expect([second.notes, [...second.receipt]]).toEqual([[], [1, 2, 3]])
  })

  it('that freezes what it decodes is not trusted to have frozen all of it', async () => {
    const codec: Codec = {
      name: 'freezing',
      encode: () => Buffer.from('x'),
      decode: () => Object.freeze({ at: new Date(5) }),
    }
    const local = tinyLfu({ maxEntries: 10, isolation: 'frozen' })
    const cache = createCache({ local, codec })
    const first = await cache.once('k', () => ({ at: new Date(5) }))
    first.at.setTime(0)
    expect(await cache.get('k')).toEqual({ at: new Date(5) })
  })
})

describe('a copy function of the user', () => {
  class Point {
    x: number
    constructor(x: number) {
      this.x = x
    }
  }
  const copied: unknown[] = []
  const copy = (value: unknown) => {
    copied.push(value)
    return value instanceof Point ? new Point(value.x) : structuredClone(value)
  }
  const open = () => createCache({ local: tinyLfu({ maxEntries: 10, copy }) })

  it('takes the place of the codec in a local tier alone, class instances included', async () => {
    const cache = open()
    const mine = new Point(1)
    const answer = await cache.once('k', () => mine)
    expect(answer).not.toBe(mine)
    mine.x = 2
    answer.x = 3
    const later = [await cache.once<Point>('k', neverCalled), await cache.get<Point>('k')]
    for (const point of later) expect(point).toEqual(new Point(1))
    for (const point of later) expect(point).toBeInstanceOf(Point)
    expect(later[0]).not.toBe(later[1])
    const set = cache.set('s', mine)
    mine.x = 9
    await set
    expect(await cache.get('s')).toEqual(new Point(2))
  })

  it('copies local hits where there is a remote tier', async () => {
    copied.length = 0
    const local = tinyLfu({ maxEntries: 10, copy })
    const cache = createCache({ local, remote: memoryRemote() })
    await cache.set('k', { list: [1] })
    const first = await cache.get<{ list: number[] }>('k')
    first?.list.push(2)
    expect(await cache.get('k')).toEqual({ list: [1] })
    expect(copied).toEqual([{ list: [1] }, { list: [1] }])
    await expect(cache.set('k', new Point(1))).rejects.toMatchObject({ code: 'CACHE_ENCODE' })
  })

  it('is not asked for primitives, which nobody can change', async () => {
    copied.length = 0
    const cache = open()
    for (const value of [0, '', false, 'text', 5n]) {
      await cache.delete('k')
      expect(await cache.once<unknown>('k', () => value)).toBe(value)
      expect(await cache.get('k')).toBe(value)
    }
    expect(copied).toEqual([])
  })
})
