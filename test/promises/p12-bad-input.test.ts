import { LRUCache } from 'lru-cache'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import { msgpack } from '../../src/codec/msgpack.ts'
import { lru } from '../../src/lru/lru.ts'
import { isCacheError } from '../../src/model/errors.ts'
import { memoryBus } from '../../src/testing/memory-bus.ts'
import { memoryRemote } from '../../src/testing/memory-remote.ts'
import { NAMED_CELLS, openWorld, type World } from '../support/cells.ts'

const TEN_YEARS = 3650 * 86_400_000

const load = () => 'loaded'
const neverCalled = () => Promise.reject(new Error('the loader was called'))

function open(): Cache {
  return createCache({ local: lru({ maxEntries: 10 }), remote: memoryRemote(), jitterRatio: 0 })
}

/** Calls as one without types can. */
function call(cache: Cache, method: string, ...args: unknown[]): unknown {
  return Reflect.apply(Reflect.get(cache, method), cache, args)
}

/** What the call failed with, thrown or rejected; asynchronous methods never throw. */
async function failure(attempt: () => unknown): Promise<unknown> {
  let running: unknown
  try {
    running = attempt()
  } catch (error) {
    return { thrown: error }
  }
  try {
    await running
  } catch (error) {
    return { rejected: error }
  }
  return 'nothing'
}

async function expectRefusal(
  attempt: () => unknown,
  how: 'thrown' | 'rejected',
  kind: ErrorConstructor,
  message: RegExp,
): Promise<void> {
  const failed = await failure(attempt)
  expect(failed).toHaveProperty(how)
  const error: unknown = Reflect.get(Object(failed), how)
  expect(error).toBeInstanceOf(kind)
  expect(error).toMatchObject({
    code: 'CACHE_OPTION',
    docs: 'jetcache-ts/docs/errors.md#cache_option',
    message: expect.stringMatching(message),
  })
  expect(isCacheError(error)).toBe(true)
}

const TAKING_A_KEY: readonly (readonly [string, readonly unknown[], 'thrown' | 'rejected'])[] = [
  ['once', [neverCalled], 'rejected'],
  ['onceOrThrow', [neverCalled], 'rejected'],
  ['get', [], 'rejected'],
  ['getOrThrow', [], 'rejected'],
  ['lookup', [], 'rejected'],
  ['exists', [], 'rejected'],
  ['set', ['value'], 'rejected'],
  ['delete', [], 'rejected'],
  ['peek', [], 'thrown'],
  ['deleteLocal', [], 'thrown'],
]

describe.each(TAKING_A_KEY)('%s', (method, rest, how) => {
  const refused: readonly (readonly [string, unknown, ErrorConstructor, RegExp])[] = [
    ['an empty key', '', RangeError, /key must not be empty/],
    ['a key that is a number', 5, TypeError, /key must be a string, but is 5/],
    ['no key', undefined, TypeError, /key must be a string, but is undefined/],
    ['a key that is null', null, TypeError, /key must be a string, but is null/],
    ['a key that is an object', { id: 1 }, TypeError, /key must be a string, but is an object/],
    ['a lone surrogate', 'user:\ud83d', TypeError, /key .* lone surrogate/],
    ['65,536 bytes', 'x'.repeat(65_536), RangeError, /at most 65535 bytes .* has 65536/],
    ['65,537 bytes in fewer characters', `${'€'.repeat(21_845)}é`, RangeError, /has 65537/],
    [
      'the suffix of a refresh lock',
      'user_#RL#',
      RangeError,
      /must not end in _#RL# nor begin with _#JL#/,
    ],
    [
      'the prefix of a lease',
      '_#JL#{user}',
      RangeError,
      /must not end in _#RL# nor begin with _#JL#/,
    ],
  ]

  it.each(refused)('refuses %s', async (_, key, kind, message) => {
    await expectRefusal(() => call(open(), method, key, ...rest), how, kind, message)
  })

  it.each([
    ['65,535 bytes of ASCII', 'x'.repeat(65_535)],
    ['65,535 bytes in 21,845 characters', '€'.repeat(21_845)],
    ['one byte', '\0'],
  ])('takes a key of %s', async (_, key) => {
    const cache = open()
    await cache.set(key, 'value')
    expect(await failure(() => call(cache, method, key, ...rest))).toBe('nothing')
  })
})

interface Place {
  readonly name: string
  readonly option: string
  readonly how: 'thrown' | 'rejected'
  readonly use: (duration: unknown) => unknown
}

const local = lru({ maxEntries: 10 })
const bus = memoryBus()
const make = (options: object) => Reflect.apply(createCache, undefined, [{ local, ...options }])
const madeAndClosed = (options: object) => (make(options) as Cache).close()
const at = (name: string, option: string, use: Place['use']): Place => ({
  name,
  option,
  how: 'rejected',
  use,
})
const built = (name: string, option: string, use: Place['use']): Place => ({
  name,
  option,
  how: 'thrown',
  use,
})

const PLACES: readonly Place[] = [
  built('createCache ttl', 'ttl', (ttl) => make({ ttl })),
  built('createCache notFound.ttl', 'notFound.ttl', (ttl) => make({ notFound: { ttl } })),
  built('createCache remoteTimeout', 'remoteTimeout', (remoteTimeout) => make({ remoteTimeout })),
  built('createCache loadTimeout', 'loadTimeout', (loadTimeout) => make({ loadTimeout })),
  built('createCache lease.maxWait', 'lease.maxWait', (maxWait) => make({ lease: { maxWait } })),
  built('createCache sync.foreignWindow', 'sync.foreignWindow', (foreignWindow) =>
    madeAndClosed({ sync: { bus, foreignWindow } }),
  ),
  built('createCache sync.unarmedTtl', 'sync.unarmedTtl', (unarmedTtl) =>
    madeAndClosed({ sync: { bus, unarmedTtl } }),
  ),
  built('createCache sync.unarmedServe', 'sync.unarmedServe', (unarmedServe) =>
    madeAndClosed({ sync: { bus, unarmedServe } }),
  ),
  built('lru ttl', 'ttl', (ttl) => Reflect.apply(lru, undefined, [{ maxEntries: 10, ttl }])),
  at('once ttl', 'ttl', (ttl) => call(open(), 'once', 'k', load, { ttl })),
  at('once ttl(value)', 'ttl', (ttl) => call(open(), 'once', 'k', load, { ttl: () => ttl })),
  at('once localTtl', 'localTtl', (localTtl) => call(open(), 'once', 'k', load, { localTtl })),
  at('once loadTimeout', 'loadTimeout', (loadTimeout) =>
    call(open(), 'once', 'k', load, { loadTimeout }),
  ),
  at('onceOrThrow ttl', 'ttl', (ttl) => call(open(), 'onceOrThrow', 'k', load, { ttl })),
  at('get localTtl', 'localTtl', (localTtl) => call(open(), 'get', 'k', { localTtl })),
  at('getOrThrow localTtl', 'localTtl', async (localTtl) => {
    const cache = open()
    await cache.set('k', 1)
    return call(cache, 'getOrThrow', 'k', { localTtl })
  }),
  at('lookup localTtl', 'localTtl', (localTtl) => call(open(), 'lookup', 'k', { localTtl })),
  at('exists localTtl', 'localTtl', (localTtl) => call(open(), 'exists', 'k', { localTtl })),
  at('set ttl', 'ttl', (ttl) => call(open(), 'set', 'k', 1, { ttl })),
  at('set localTtl', 'localTtl', (localTtl) => call(open(), 'set', 'k', 1, { localTtl })),
  at('ready timeout', 'timeout', (timeout) => call(open(), 'ready', { timeout })),
  at('close timeout', 'timeout', (timeout) => call(open(), 'close', { timeout })),
]

describe.each(PLACES)('the duration $name', ({ option, how, use }) => {
  it.each([
    0,
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    0.4,
    '0s',
    '-5s',
    TEN_YEARS + 1,
    11 * 365 * 86_400_000,
    '4015d',
  ])('is refused as out of range: %s', async (duration) => {
    const message = new RegExp(`${option}.* must be from 1 ms to 10 years, but is `)
    await expectRefusal(() => use(duration), how, RangeError, message)
  })

  it.each(['5 minutes', '5', '', 'soon', null, true, 5n, {}])(
    'is refused as no duration: %s',
    async (duration) => {
      const message = new RegExp(`${option}.* must be milliseconds or a string such as "250ms"`)
      await expectRefusal(() => use(duration), how, TypeError, message)
    },
  )

  it.each([1, '1ms', '1.5h', 2 ** 31, TEN_YEARS, '3650d'])('is taken: %j', async (duration) => {
    expect(await failure(() => use(duration))).toBe('nothing')
  })
})

it('a ttl(value) that is refused stores nothing, and the next load is taken', async () => {
  const cache = open()
  await expect(cache.once('k', load, { ttl: () => 0 })).rejects.toThrow(RangeError)
  expect(await cache.lookup('k')).toEqual({ status: 'miss' })
  expect(await cache.once('k', load, { ttl: () => '1m' })).toBe('loaded')
  expect(await cache.lookup('k')).toMatchObject({ status: 'hit', tier: 'local' })
})

describe('an option that does not exist', () => {
  it.each([
    ['createCache', 'thrown', () => make({ expire: 5 })],
    ['notFound', 'thrown', () => make({ notFound: { expire: 5 } })],
    ['once', 'rejected', () => call(open(), 'once', 'k', load, { expire: 5 })],
    ['once', 'rejected', () => call(open(), 'onceOrThrow', 'k', load, { expire: 5 })],
    ['get', 'rejected', () => call(open(), 'get', 'k', { expire: 5 })],
    ['get', 'rejected', () => call(open(), 'getOrThrow', 'k', { expire: 5 })],
    ['get', 'rejected', () => call(open(), 'lookup', 'k', { expire: 5 })],
    ['get', 'rejected', () => call(open(), 'exists', 'k', { expire: 5 })],
    ['set', 'rejected', () => call(open(), 'set', 'k', 1, { expire: 5 })],
    ['ready', 'rejected', () => call(open(), 'ready', { expire: 5 })],
    ['close', 'rejected', () => call(open(), 'close', { expire: 5 })],
  ] as const)(
    'of %s is refused, and those that exist are listed (%s, %#)',
    async (of, how, use) => {
      const message = new RegExp(
        `${of} has no option "expire"\\. There is: .*(ttl|timeout|localTtl)`,
      )
      await expectRefusal(use, how, TypeError, message)
    },
  )

  it.each(['__proto__', 'constructor', 'toString'])('is refused also when called %s', (name) => {
    const options: unknown = JSON.parse(`{"${name}":1}`)
    expect(() => make({ notFound: options })).toThrow(TypeError)
    expect(() => make({ notFound: options })).toThrow(`no option "${name}"`)
  })

  it.each([null, 5, 'text', [], true])(
    'is what %j is made of, which is no object',
    async (options) => {
      const message = /options of .* must be an object, but are /
      await expectRefusal(
        () => Reflect.apply(createCache, undefined, [options]),
        'thrown',
        TypeError,
        message,
      )
      for (const method of ['once', 'set']) {
        const attempt = () => call(open(), method, 'k', load, options)
        await expectRefusal(attempt, 'rejected', TypeError, message)
      }
      for (const method of ['get', 'lookup', 'exists']) {
        await expectRefusal(
          () => call(open(), method, 'k', options),
          'rejected',
          TypeError,
          message,
        )
      }
      for (const method of ['ready', 'close']) {
        await expectRefusal(() => call(open(), method, options), 'rejected', TypeError, message)
      }
    },
  )
})

describe('createCache', () => {
  const refused: readonly (readonly [string, () => unknown, ErrorConstructor, RegExp])[] = [
    [
      'no tier',
      () => Reflect.apply(createCache, undefined, [{}]),
      TypeError,
      /^cache: both remote and local are nil\. Give createCache at least one tier/,
    ],
    [
      'tiers that are undefined',
      () => make({ local: undefined }),
      TypeError,
      /both remote and local are nil/,
    ],
    [
      'a client of Redis as remote',
      () => make({ remote: createClient() }),
      TypeError,
      /remote must be a store.* nodeRedis\(client\)/,
    ],
    ['a Map as remote', () => make({ remote: new Map() }), TypeError, /remote must be a store/],
    [
      'a URL as remote',
      () => make({ remote: 'redis://x' }),
      TypeError,
      /remote must be a store, but is "redis:\/\/x"/,
    ],
    [
      'a store without ping as remote',
      () => make({ remote: { ...methods, ping: undefined } }),
      TypeError,
      /remote must be a store/,
    ],
    [
      'an LRUCache as local',
      () => make({ local: new LRUCache({ max: 5 }) }),
      TypeError,
      /local must be an engine.* tinyLfu\(\{ maxEntries/,
    ],
    [
      'the function that makes engines as local',
      () => make({ local: lru }),
      TypeError,
      /local must be an engine, but is a function/,
    ],
    [
      'null as local',
      () => make({ local: null }),
      TypeError,
      /local must be an engine, but is null/,
    ],
    [
      'a codec that is not registered',
      () => make({ codec: 'avro', codecs: { mine: msgpack() } }),
      TypeError,
      /codec "avro" is not registered\. There is "msgpack", "json",.* "mine"/,
    ],
    [
      'a name of every object as codec',
      () => make({ codec: 'constructor' }),
      TypeError,
      /codec "constructor" is not registered/,
    ],
    [
      'a codec that is null',
      () => make({ codec: null }),
      TypeError,
      /codec must be a name or a codec, but is null/,
    ],
    [
      'a codec without decode',
      () => make({ codec: { name: 'x', encode: load } }),
      TypeError,
      /codec\.decode must be a function/,
    ],
    [
      'codecs that redefine json',
      () => make({ codecs: { json: msgpack() } }),
      TypeError,
      /must not redefine the built-in "json"/,
    ],
    [
      'a jitterRatio of 1',
      () => make({ jitterRatio: 1 }),
      RangeError,
      /jitterRatio must be from 0 to below 1, but is 1/,
    ],
    ['a negative jitterRatio', () => make({ jitterRatio: -0.1 }), RangeError, /jitterRatio/],
    [
      'a jitterRatio that is no number',
      () => make({ jitterRatio: Number.NaN }),
      RangeError,
      /jitterRatio/,
    ],
    [
      'a jitterRatio in percent',
      () => make({ jitterRatio: '10%' }),
      TypeError,
      /jitterRatio must be a number, but is "10%"/,
    ],
    [
      'a notFound.jitterRatio of 2',
      () => make({ notFound: { jitterRatio: 2 } }),
      RangeError,
      /notFound\.jitterRatio/,
    ],
    [
      'a notFound.error that is an error',
      () => make({ notFound: { error: new Error('x') } }),
      TypeError,
      /notFound\.error must be a class or a function/,
    ],
    [
      'notFound that is null',
      () => make({ notFound: null }),
      TypeError,
      /options of notFound must be an object, but are null/,
    ],
    [
      'lease: true',
      () => make({ lease: true }),
      TypeError,
      /options of lease must be an object, but are true/,
    ],
    [
      'a lease with a ttl',
      () => make({ lease: { ttl: 5 } }),
      TypeError,
      /lease has no option "ttl"\. There is: maxWait/,
    ],
    [
      'sync without a bus',
      () => make({ sync: {} }),
      TypeError,
      /sync\.bus must be an invalidation bus, but is undefined\. Make one/,
    ],
    [
      'a client of Redis as bus',
      () => make({ sync: { bus: {} } }),
      TypeError,
      /sync\.bus must be an invalidation bus, but is an object/,
    ],
    [
      'sync that is a bus',
      () => make({ sync: bus }),
      TypeError,
      /sync has no option ".+"\. There is: bus/,
    ],
    [
      'sync with an option that does not exist',
      () => make({ sync: { bus, channel: 'news' } }),
      TypeError,
      /sync has no option "channel"\. There is: bus/,
    ],
    [
      'an empty sync.sourceId',
      () => make({ sync: { bus, sourceId: '' } }),
      TypeError,
      /sync\.sourceId must be a string/,
    ],
    [
      'sync.publishFills that is a word',
      () => make({ sync: { bus, publishFills: 'yes' } }),
      TypeError,
      /sync\.publishFills must be true or false, but is "yes"/,
    ],
    ['an empty name', () => make({ name: '' }), TypeError, /name must be a string/],
    [
      'a clock that is Date',
      () => make({ clock: Date }),
      TypeError,
      /clock must have now, monotonic and setTimer/,
    ],
    [
      'a copy function and isolation shared',
      () => Reflect.apply(lru, undefined, [{ maxEntries: 1, isolation: 'shared', copy: load }]),
      TypeError,
      /copy does nothing with isolation "shared"/,
    ],
  ]

  it.each(refused)('refuses %s, and says what to do', async (_, attempt, kind, message) => {
    await expectRefusal(attempt, 'thrown', kind, message)
  })

  it('takes options that are undefined for options that are not there', () => {
    const cache = make({
      name: undefined,
      codec: undefined,
      codecs: undefined,
      ttl: undefined,
      jitterRatio: undefined,
      notFound: { error: undefined, ttl: undefined, jitterRatio: undefined },
      remoteTimeout: undefined,
      loadTimeout: undefined,
      lease: undefined,
      sync: undefined,
      clock: undefined,
      remote: undefined,
    }) as Cache
    expect([cache.name, cache.type]).toEqual(['default', 'local'])
  })
})

const noop = () => undefined
const methods = {
  get: noop,
  getMany: noop,
  set: noop,
  compareAndSet: noop,
  compareAndDelete: noop,
  delete: noop,
  ping: noop,
  open: noop,
  close: noop,
}

describe('one call', () => {
  const refused: readonly (readonly [string, () => unknown, RegExp])[] = [
    ['set of undefined', () => open().set('k', undefined), /set was given undefined\. Store null/],
    ['set without a value', () => call(open(), 'set', 'k'), /set was given undefined/],
    [
      'once without a loader',
      () => call(open(), 'once', 'k'),
      /loader must be a function, but is undefined/,
    ],
    [
      'once with a value for a loader',
      () => call(open(), 'once', 'k', 'v'),
      /loader must be a function, but is "v"/,
    ],
    [
      'once with a promise for a loader',
      () => call(open(), 'once', 'k', Promise.resolve(1)),
      /loader must be a function, but is an object/,
    ],
    [
      'onceOrThrow without a loader',
      () => call(open(), 'onceOrThrow', 'k'),
      /loader must be a function/,
    ],
    [
      'set with no tier left',
      () => open().set('k', 1, { skipLocal: true, skipRemote: true }),
      /no tier left to write to\. Take back/,
    ],
    [
      'set that skips the only tier',
      () => (make({}) as Cache).set('k', 1, { skipLocal: true }),
      /no tier left to write to/,
    ],
    [
      'set with another when',
      () => call(open(), 'set', 'k', 1, { when: 'missing' }),
      /when must be 'absent' or 'present', but is "missing"/,
    ],
    [
      'a flag that is a string',
      () => call(open(), 'get', 'k', { skipLocal: 'no' }),
      /skipLocal must be true or false, but is "no"/,
    ],
    [
      'a flag that is a number',
      () => call(open(), 'set', 'k', 1, { skipRemote: 0 }),
      /skipRemote must be true or false, but is 0/,
    ],
    [
      'a cacheIf that is a flag',
      () => call(open(), 'once', 'k', load, { cacheIf: true }),
      /cacheIf must be a function, but is true/,
    ],
    [
      'a controller for its signal',
      () => call(open(), 'once', 'k', load, { signal: new AbortController() }),
      /signal must be an AbortSignal/,
    ],
  ]

  it.each(refused)('is refused: %s', async (_, attempt, message) => {
    await expectRefusal(attempt, 'rejected', TypeError, message)
  })

  it.each(['once', 'set', 'get', 'getOrThrow', 'lookup', 'exists'])(
    'is refused with a codec that there is not: %s',
    async (method) => {
      const rest = { once: [load], set: [1] }[method] ?? []
      for (const [codec, message] of [
        ['avro', /codec "avro" is not registered\. There is "msgpack", "json"/],
        [{ name: 'x' }, /codec\.encode must be a function/],
        [null, /codec must be a name or a codec, but is null/],
      ] as const) {
        const attempt = () => call(open(), method, 'k', ...rest, { codec })
        await expectRefusal(attempt, 'rejected', TypeError, message)
      }
    },
  )

  it('is refused also where local would have answered', async () => {
    const cache = open()
    await cache.set('k', 'value')
    await expectRefusal(() => call(cache, 'once', 'k'), 'rejected', TypeError, /loader must be/)
    const attempt = () => call(cache, 'once', 'k', load, { expire: 1 })
    await expectRefusal(attempt, 'rejected', TypeError, /no option "expire"/)
  })

  it('is refused without a trace: no load, no write', async () => {
    const remote = memoryRemote()
    const cache = createCache({ local, remote })
    let loads = 0
    const counted = () => ++loads
    const attempts = [
      call(cache, 'once', 'k', counted, { ttl: 0 }),
      call(cache, 'once', 'k', counted, { expire: 1 }),
      call(cache, 'set', 'k', 1, { ttl: -1 }),
      call(cache, 'set', 'k', undefined),
    ]
    const settled = await Promise.allSettled(attempts)
    expect(settled.map(({ status }) => status)).toEqual(Array(4).fill('rejected'))
    expect([loads, remote.size, cache.peek('k')]).toEqual([0, 0, undefined])
  })
})

describe('an error of the cache', () => {
  it('carries its code, the key and where that is explained', async () => {
    const remote = memoryRemote()
    const cache = createCache({ local, remote })
    remote.plant('corrupt', Buffer.from('not msgpack'))
    const failures = {
      CACHE_MISS: () => cache.getOrThrow('miss'),
      CACHE_NOT_FOUND: () => cache.onceOrThrow('none', () => null),
      CACHE_ENCODE: () => cache.set('function', load),
      CACHE_DECODE: () => cache.getOrThrow('corrupt'),
    }
    const keys = ['miss', 'none', 'function', 'corrupt']
    for (const [code, attempt] of Object.entries(failures)) {
      const error: unknown = Reflect.get(Object(await failure(attempt)), 'rejected')
      const docs = `jetcache-ts/docs/errors.md#${code.toLowerCase()}`
      expect(error).toMatchObject({ code, key: keys.shift(), docs })
      expect(error).toHaveProperty('message', expect.stringContaining(docs))
    }
  })

  it('of a miss says that the read path is once', async () => {
    const message = 'cache: key is missing: "k". get only looks; to load what is missing call once'
    await expect(open().getOrThrow('k')).rejects.toThrow(message)
  })
})

describe.each(NAMED_CELLS)('on %s', (_, cell) => {
  let world: World
  beforeAll(async () => {
    world = await openWorld(cell)
  })
  afterAll(() => world.end())

  it.each(['30d', 2 ** 31 + 1, '3650d'] as const)('a ttl beyond 2^31 ms works: %s', async (ttl) => {
    const [cache, other] = [world.open(), world.open()]
    for (const write of ['set', 'once'] as const) {
      const key = world.key(`long ${ttl} ${write}`)
      if (write === 'set') await cache.set(key, 'value', { ttl })
      else await cache.once(key, () => 'value', { ttl })
      expect(await cache.get(key)).toBe('value')
      const found = await cache.lookup(key)
      expect(found).toMatchObject({ status: 'hit', value: 'value' })
      expect(Reflect.get(found, 'ttlLeft')).toBeGreaterThan(2 ** 31 - 1 - 10_000)
      if (cell.tiers === 'local') continue
      expect((await world.remote?.get(key))?.ttlLeft).toBeGreaterThan(2 ** 31 - 10_000)
      expect(await other.once(key, neverCalled)).toBe('value')
    }
  })

  it('a key of 65,535 bytes works, and does not answer for another that begins like it', async () => {
    const cache = world.open()
    const start = world.key('long').padEnd(65_533, 'x')
    for (const end of ['a', 'ab', '€'.slice(0, 1)]) {
      const key = Buffer.byteLength(start + end) > 65_535 ? `${start.slice(1)}${end}` : start + end
      expect(await cache.get(key)).toBeUndefined()
      expect(await cache.once(key, () => `value ${end}`)).toBe(`value ${end}`)
      expect(await cache.get(key, { skipLocal: cell.tiers !== 'local' })).toBe(`value ${end}`)
    }
    expect(await cache.delete(`${start}a`)).toBe(true)
    expect(await cache.get(`${start}ab`)).toBe('value ab')
    await cache.delete(`${start}ab`)
  })
})
