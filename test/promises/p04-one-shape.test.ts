import assert from 'node:assert/strict'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import type { Codec } from '../../src/codec/codec.ts'
import { json } from '../../src/codec/json.ts'
import { msgpack } from '../../src/codec/msgpack.ts'
import { tinyLfu } from '../../src/local/tiny-lfu/tiny-lfu.ts'
import { CacheEncodeError } from '../../src/model/errors.ts'
import { memoryRemote } from '../../src/testing/memory-remote.ts'
import { type Cell, NAMED_CELLS, openWorld, type World } from '../support/cells.ts'
import { jsonValues, msgpackValues } from '../unit/codec/arbitrary.ts'

const neverCalled = () => Promise.reject(new Error('the loader was called'))

/** A local tier alone that shares keeps the very value: there is no codec to give it a shape. */
const keepsTheVeryValue = (cell: Cell) => cell.tiers === 'local' && cell.isolation === 'shared'

/** An object that `await` might take for a promise. */
function withThen(then: unknown, others: object = {}): Record<string, unknown> {
  return { ...others, ...Object.fromEntries([['then', then]]) }
}

/** What a value is made of, from outside inwards. */
function typesOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value
  const name: string = Object.getPrototypeOf(value)?.constructor.name ?? 'null prototype'
  if (value instanceof Uint8Array || value instanceof Date) return name
  if (value instanceof Map) return [name, [...value].map((pair) => pair.map(typesOf))]
  if (value instanceof Set) return [name, [...value].map(typesOf)]
  return [name, Object.entries(value).map(([key, part]) => [key, typesOf(part)])]
}

/** A kind of value, and what it is for every caller; no `json` where that refuses it. */
interface Kind {
  readonly name: string
  readonly make: () => unknown
  readonly msgpack: () => unknown
  readonly json?: () => unknown
}

const same = (name: string, make: () => unknown): Kind => ({
  name,
  make,
  msgpack: make,
  json: make,
})
const onlyMsgpack = (name: string, make: () => unknown): Kind => ({ name, make, msgpack: make })

const AT = '2020-02-29T12:34:56.789Z'

const KINDS: readonly Kind[] = [
  same('zero', () => 0),
  same('the empty string', () => ''),
  same('false', () => false),
  same('true', () => true),
  same('a string', () => 'zażółć 😀 \0 "quoted"'),
  same('a string that looks like a placeholder', () => '*'),
  same('the largest safe integer', () => Number.MAX_SAFE_INTEGER),
  same('the smallest safe integer', () => Number.MIN_SAFE_INTEGER),
  same('a number beyond the safe integers', () => 2 ** 60),
  same('a fraction', () => 0.1),
  same('the smallest number there is', () => 5e-324),
  same('an empty array', () => []),
  same('an empty object', () => ({})),
  same('null inside', () => ({ a: null, b: [null] })),
  same('nested arrays and objects', () => ({ a: [{ b: [1, 'x', [false]] }], c: { d: {} } })),
  same('keys that look like numbers', () => ({ 10: 'a', 2: 'b', x: 'c' })),
  same('keys that every object inherits', () =>
    JSON.parse('{"__proto__":{"a":[1]},"constructor":1,"toString":"x","hasOwnProperty":null}'),
  ),
  same('a then that is no function', () => withThen(5, { inner: withThen('x') })),
  onlyMsgpack('NaN', () => Number.NaN),
  onlyMsgpack('the infinities', () => [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]),
  onlyMsgpack('a bigint', () => 12_345_678_901_234_567_890n),
  onlyMsgpack('small bigints', () => [0n, -1n, 255n]),
  onlyMsgpack('bytes', () => ({ b: Uint8Array.of(0, 42, 255) })),
  onlyMsgpack('empty bytes', () => new Uint8Array()),
  onlyMsgpack(
    'a Map with keys of every kind',
    () =>
      new Map<unknown, unknown>([
        [1, 'one'],
        ['1', 'text'],
        [true, [1]],
        [null, new Map()],
      ]),
  ),
  onlyMsgpack('a Map with strings for keys', () => ({ m: new Map([['a', { b: 1 }]]) })),
  onlyMsgpack('an empty Map and an empty Set', () => ({ m: new Map(), s: new Set() })),
  onlyMsgpack('a Set', () => new Set<unknown>([1, 'a', new Date(5), { deep: [new Set([1])] }])),
  onlyMsgpack('undefined in an array', () => [1, undefined, 3]),
  {
    name: 'minus zero',
    make: () => ({ zero: -0 }),
    msgpack: () => ({ zero: -0 }),
    json: () => ({ zero: 0 }),
  },
  {
    name: 'a Date',
    make: () => ({ at: new Date(AT), list: [new Date(0)] }),
    msgpack: () => ({ at: new Date(AT), list: [new Date(0)] }),
    json: () => ({ at: AT, list: ['1970-01-01T00:00:00.000Z'] }),
  },
  {
    name: 'a Date by itself',
    make: () => new Date(AT),
    msgpack: () => new Date(AT),
    json: () => AT,
  },
  {
    name: 'a property that is undefined',
    make: () => ({ a: 1, b: undefined, c: { d: undefined } }),
    msgpack: () => ({ a: 1, c: {} }),
    json: () => ({ a: 1, c: {} }),
  },
  {
    name: 'an object without a prototype',
    make: () => Object.assign(Object.create(null), { a: 1 }) as object,
    msgpack: () => ({ a: 1 }),
    json: () => ({ a: 1 }),
  },
  {
    name: 'a Buffer',
    make: () => ({ b: Buffer.from('abc') }),
    msgpack: () => ({ b: Uint8Array.of(97, 98, 99) }),
  },
]

class Point {
  readonly x = 1
}
const cyclic: { self?: unknown } = {}
cyclic.self = cyclic

type Refused = readonly [name: string, value: unknown, path: string]
const REFUSED: readonly Refused[] = [
  ['a function', { a: [() => 1] }, '$.a[0]'],
  ['a function by itself', () => 1, '$'],
  ['a symbol', { a: { b: Symbol('s') } }, '$.a.b'],
  ['a symbol by itself', Symbol('s'), '$'],
  ['a cycle', cyclic, '$.self'],
  ['a class instance', [0, { p: new Point() }], '$[1].p'],
  ['an error', new Error('x'), '$'],
]
const REFUSED_BY_JSON: readonly Refused[] = [
  ['a bigint', { id: 1n }, '$.id'],
  ['a Map', [new Map()], '$[0]'],
  ['a Set', { s: new Set([1]) }, '$.s'],
  ['bytes', { b: Uint8Array.of(1) }, '$.b'],
  ['NaN', { n: [Number.NaN] }, '$.n[0]'],
  ['an infinity', Number.POSITIVE_INFINITY, '$'],
]

describe.each(NAMED_CELLS)('on %s', (_, cell) => {
  let world: World
  beforeAll(async () => {
    world = await openWorld(cell)
  })
  afterAll(() => world.end())

  const kinds = KINDS.flatMap((kind) => {
    const shape = keepsTheVeryValue(cell) ? kind.make : kind[cell.codec]
    return shape === undefined ? [] : [{ name: kind.name, make: kind.make, shape }]
  })

  it.each(kinds)('$name is the same from the loader, from local and from remote', async (kind) => {
    const { make, shape } = kind
    const key = world.key(kind.name)
    const cache = world.open()
    const got: [source: string, value: unknown][] = []
    const [fresh, joined] = await Promise.all([cache.once(key, make), cache.once(key, make)])
    got.push(['the loader', fresh], ['a load that was joined', joined])
    got.push(['once', await cache.once(key, neverCalled)])
    got.push(['onceOrThrow', await cache.onceOrThrow(key, neverCalled)])
    got.push(['get', await cache.get(key)], ['getOrThrow', await cache.getOrThrow(key)])
    if (cell.tiers !== 'remote') got.push(['peek', cache.peek(key)])
    if (cell.tiers !== 'local') {
      const other = world.open()
      got.push(['the remote', await other.once(key, neverCalled)])
      got.push(['its copy in local', await other.once(key, neverCalled)])
      got.push(['the remote alone', await cache.get(key, { skipLocal: true })])
    }
    const setKey = world.key(`set ${kind.name}`)
    await cache.set(setKey, make())
    got.push(['a set', await cache.get(setKey)])
    for (const [source, value] of got) {
      assert.deepStrictEqual(value, shape(), `from ${source}`)
      assert.deepStrictEqual(typesOf(value), typesOf(shape()), `from ${source}`)
    }
    expect(cache.stats().query).toBe(1)
  })

  const refusedByAll = keepsTheVeryValue(cell) ? [] : REFUSED
  const refused = cell.codec === 'json' ? [...refusedByAll, ...REFUSED_BY_JSON] : refusedByAll

  it.each(refused)(
    'what comes back as something else is refused with its path: %s',
    async (name, value, path) => {
      const cache = world.open()
      const key = world.key(`refused ${name}`)
      await cache.set(key, 'before')
      const expected = { code: 'CACHE_ENCODE', path, key }
      await expect(cache.set(key, value)).rejects.toMatchObject(expected)
      expect(await cache.get(key), 'a set that was refused changed nothing').toBe('before')
      await cache.delete(key)
      const loads = [cache.once(key, () => value), cache.onceOrThrow(key, () => value)]
      for (const load of loads) await expect(load).rejects.toBeInstanceOf(CacheEncodeError)
      await expect(cache.once(key, () => value)).rejects.toMatchObject(expected)
      expect(await cache.lookup(key)).toEqual({ status: 'miss' })
      expect(await cache.once(key, () => 'after')).toBe('after')
    },
  )

  it('a value that one would have to await is refused, not stored as something else', async () => {
    const cache = world.open()
    const key = world.key('thenable')
    for (const value of [Promise.resolve(1), withThen(() => undefined)]) {
      const refusal = { code: 'CACHE_ENCODE', path: '$', key }
      await expect(cache.set(key, value)).rejects.toMatchObject(refusal)
    }
    expect(await cache.lookup(key)).toEqual({ status: 'miss' })
  })

  it.each(['__proto__', 'constructor', 'then', 'toString', 'key with spaces\n', '*'])(
    'the key %j is a key like any other',
    async (name) => {
      const cache = world.open()
      // Not made unique: the name itself is what matters. Deleted first and last instead.
      const key =
        cell.store === 'node-redis' || cell.store === 'ioredis' ? `${world.key('')}:${name}` : name
      await cache.delete(key)
      expect(await cache.get(key)).toBeUndefined()
      expect(await cache.once(key, () => ({ mine: true }))).toEqual({ mine: true })
      expect(await cache.once(key, neverCalled)).toEqual({ mine: true })
      expect(await cache.delete(key)).toBe(true)
      expect(await cache.exists(key)).toBe(false)
    },
  )
})

describe('json', () => {
  it('gives the first caller an ISO string for a Date, as it gives every other', async () => {
    for (const local of [tinyLfu({ maxEntries: 10 }), undefined]) {
      const remote = memoryRemote()
      const cache = createCache({ ...(local && { local }), remote, codec: 'json' })
      const first: unknown = await cache.once('k', () => ({ at: new Date(AT) }))
      expect(first).toStrictEqual({ at: AT })
      expect(await cache.once('k', neverCalled)).toStrictEqual({ at: AT })
    }
  })

  it('gives cacheIf and ttl what every caller gets', async () => {
    const cache = createCache({ local: tinyLfu({ maxEntries: 10 }), codec: 'json' })
    const seen: unknown[] = []
    await cache.once('k', () => ({ at: new Date(AT) }), {
      cacheIf: (value) => seen.push(value) > 0,
      ttl: (value) => (seen.push(value) > 0 ? '1m' : '1h'),
    })
    expect(seen).toStrictEqual([{ at: AT }, { at: AT }])
  })
})

describe('the codec of one call', () => {
  const made = () => ({ at: new Date(AT), list: [1] })
  const shape = { at: AT, list: [1] }

  it.each(['copy', 'frozen', 'shared'] as const)(
    'gives its shape to every caller, whatever the cache’s own, with isolation %s',
    async (isolation) => {
      const remote = memoryRemote()
      const open = () => createCache({ local: tinyLfu({ maxEntries: 10, isolation }), remote })
      const [cache, other] = [open(), open()]
      const options = { codec: 'json' }
      const got: unknown[] = await Promise.all([
        cache.once<unknown>('k', made, options),
        cache.once<unknown>('k', made, options),
      ])
      got.push(await cache.get('k'), await cache.get('k', options), cache.peek('k'))
      got.push(await other.once('k', neverCalled, options), await other.get('k'))
      got.push(await cache.get('k', { ...options, skipLocal: true }))
      for (const value of got) assert.deepStrictEqual(value, shape)
      expect(Buffer.from(remote.peek('k')?.bytes ?? []).toString()).toBe(JSON.stringify(shape))
      await cache.set('set', made(), options)
      assert.deepStrictEqual(await cache.get('set'), shape)
    },
  )

  it('copies for every caller, or says one reader nothing of what another’s codec read', async () => {
    const remote = memoryRemote()
    const cache = createCache({ local: tinyLfu({ maxEntries: 10 }), remote })
    await cache.set('k', { list: [1] }, { codec: 'json', skipLocal: true })
    const [mine, wrong] = await Promise.all([
      cache.get<{ list: number[] }>('k', { codec: 'json' }),
      cache.lookup('k'),
    ])
    expect(wrong.status).toBe('error')
    mine?.list.push(2)
    expect(await cache.get('k')).toEqual({ list: [1] })
  })

  it('refuses by its own rules, under its own name', async () => {
    const cache = createCache({ local: tinyLfu({ maxEntries: 10 }) })
    const message = expect.stringMatching(/codec json cannot write/)
    const refusal = { code: 'CACHE_ENCODE', path: '$.id', message }
    for (const attempt of [
      cache.set('k', { id: 1n }, { codec: 'json' }),
      cache.once('k', () => ({ id: 1n }), { codec: 'json' }),
    ]) {
      await expect(attempt).rejects.toMatchObject(refusal)
    }
  })
})

describe('a local tier alone that shares', () => {
  const open = () => createCache({ local: tinyLfu({ maxEntries: 10, isolation: 'shared' }) })

  it('keeps class instances, functions and cycles by identity', async () => {
    const cache = open()
    for (const value of [new Point(), () => 1, cyclic, Symbol('s'), new WeakMap()]) {
      await cache.delete('k')
      expect(await cache.once<unknown>('k', () => value)).toBe(value)
      expect(await cache.once('k', neverCalled)).toBe(value)
      expect(await cache.get('k')).toBe(value)
      expect(cache.peek('k')).toBe(value)
    }
  })

  it('uses no codec, whichever a call names', async () => {
    const cache = open()
    const value = new Point()
    expect(await cache.once('k', () => value, { codec: 'json' })).toBe(value)
    expect(await cache.get('k', { codec: 'msgpack' })).toBe(value)
  })

  it('keeps a value with a then method inside it', async () => {
    const cache = open()
    const value = { inner: withThen(() => 'called') }
    expect(await cache.once('k', () => value)).toBe(value)
    expect(await cache.once('k', neverCalled)).toBe(value)
    expect(Reflect.apply(value.inner['then'] as () => string, undefined, [])).toBe('called')
  })

  it('shares with a remote tier what the codec keeps, and refuses the rest', async () => {
    const local = tinyLfu({ maxEntries: 10, isolation: 'shared' })
    const cache = createCache({ local, remote: memoryRemote() })
    await expect(cache.set('k', new Point())).rejects.toMatchObject({ code: 'CACHE_ENCODE' })
  })
})

const VALUES: readonly (readonly [string, Codec, fc.Arbitrary<unknown>])[] = [
  ['msgpack', msgpack(), msgpackValues],
  ['json', json(), jsonValues],
]

describe.each(VALUES)('every value that %s keeps', (_, codec, values) => {
  const records = values.filter((value) => value !== null && value !== undefined)

  it.each(['copy', 'frozen', 'shared'] as const)(
    'is what its bytes say, from every source, with isolation %s',
    async (isolation) => {
      const remote = memoryRemote()
      const open = () =>
        createCache({ local: tinyLfu({ maxEntries: 10, isolation }), remote, codec: codec.name })
      const [cache, other]: [Cache, Cache] = [open(), open()]
      let run = 0
      await fc.assert(
        fc.asyncProperty(records, async (value) => {
          const key = `k${run++}`
          const expected = codec.decode(codec.encode(value))
          assert.deepStrictEqual(await cache.once<unknown>(key, () => value), expected)
          for (const each of [cache, other, other]) {
            assert.deepStrictEqual(await each.once(key, neverCalled), expected)
          }
        }),
        { numRuns: 150 },
      )
    },
  )
})
