import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { msgpack } from '../../src/codec/msgpack.ts'
import { codecFinder } from '../../src/codec/registry.ts'
import { lru } from '../../src/lru/lru.ts'
import { systemClock } from '../../src/model/clock.ts'
import { parseDuration } from '../../src/model/duration.ts'
import {
  type CacheSettings,
  DEFAULTS,
  type NotFoundOptions,
  type OnceOptions,
  type RefreshOptions,
} from '../../src/options/options.ts'
import { resolveOptions } from '../../src/options/resolve-cache.ts'
import {
  resolveGet,
  resolveOnce,
  resolveRefreshCall,
  resolveSet,
  resolveTimeout,
} from '../../src/options/resolve-call.ts'
import { memoryBus } from '../../src/testing/memory-bus.ts'
import { memoryRemote } from '../../src/testing/memory-remote.ts'

const local = lru({ maxEntries: 10 })
const remote = memoryRemote()
const codecs = codecFinder(undefined)
const resolved = (settings: CacheSettings = {}) => resolveOptions({ local, remote, ...settings })

describe('the defaults of a cache', () => {
  it('are an hour for values, a minute for what does not exist, little patience, some jitter', () => {
    const options = resolved()
    expect(options.policy).toEqual({
      ttl: 3_600_000,
      localTtl: Number.POSITIVE_INFINITY,
      jitterRatio: 0.1,
      notFoundTtl: 60_000,
      notFoundJitterRatio: 0.1,
      remoteTimeout: 250,
      loadTimeout: 30_000,
      leaseMaxWait: 10_000,
      replay: 10_000,
      staleWhileRevalidate: 0,
      staleIfError: 0,
      retain: 0,
      refreshAheadRatio: undefined,
      softTimeout: undefined,
      hardTimeout: undefined,
    })
    expect(options.refresh).toBeUndefined()
    expect(options).toMatchObject({ name: 'default', codec: { name: 'msgpack' }, leasing: true })
    expect(options.sync).toBeUndefined()
    expect(options.clock).toBe(systemClock)
  })

  it('are those that the comments of the options promise', async () => {
    const source = await readFile(new URL('../../src/options/options.ts', import.meta.url), 'utf8')
    const cache = await readFile(new URL('../../src/face.ts', import.meta.url), 'utf8')
    const promised = (text: string, block: string, name: string): string => {
      const inside = text.slice(text.indexOf(`export interface ${block}`))
      const before = inside.slice(0, inside.search(new RegExp(`^  (readonly )?${name}[?(]`, 'm')))
      return before.slice(before.lastIndexOf('@default')).match(/@default '?([^\s'*]+)/)?.[1] ?? ''
    }
    const settings = (name: string) => promised(source, 'CacheSettings', name)
    expect(settings('name')).toBe(DEFAULTS.name)
    expect(settings('codec')).toBe(DEFAULTS.codec)
    expect(parseDuration(settings('ttl'))).toBe(DEFAULTS.ttl)
    expect(Number(settings('jitterRatio'))).toBe(DEFAULTS.jitterRatio)
    expect(parseDuration(settings('remoteTimeout'))).toBe(DEFAULTS.remoteTimeout)
    expect(parseDuration(settings('loadTimeout'))).toBe(DEFAULTS.loadTimeout)
    expect(parseDuration(promised(source, 'NotFoundOptions', 'ttl'))).toBe(DEFAULTS.notFoundTtl)
    expect(Number(promised(source, 'NotFoundOptions', 'jitterRatio'))).toBe(DEFAULTS.jitterRatio)
    expect(parseDuration(promised(source, 'RecoveryOptions', 'replay'))).toBe(DEFAULTS.replay)
    expect(parseDuration(promised(source, 'LeaseOptions', 'maxWait'))).toBe(DEFAULTS.leaseMaxWait)
    expect(parseDuration(promised(source, 'SyncOptions', 'foreignWindow'))).toBe(
      DEFAULTS.foreignWindow,
    )
    expect(parseDuration(promised(source, 'SyncOptions', 'unarmedTtl'))).toBe(DEFAULTS.unarmedTtl)
    expect(parseDuration(promised(cache, 'Cache<', 'ready'))).toBe(DEFAULTS.readyTimeout)
    expect(parseDuration(promised(cache, 'Cache<', 'close'))).toBe(DEFAULTS.closeTimeout)
  })
})

describe('the options of a cache', () => {
  it('are read in milliseconds, whatever unit they came in', () => {
    const { policy } = resolveOptions({
      local: lru({ maxEntries: 10, ttl: '2m' }),
      ttl: '1d',
      jitterRatio: 0,
      notFound: { ttl: '1.5s', jitterRatio: 0.25 },
      remoteTimeout: 20,
      loadTimeout: '5s',
      lease: { maxWait: '3s' },
      recovery: { replay: '1m' },
      staleWhileRevalidate: '3m',
      staleIfError: '2m',
      refreshAheadRatio: 0.8,
      softTimeout: 200,
      hardTimeout: '1s',
    })
    expect(policy).toEqual({
      staleWhileRevalidate: 180_000,
      staleIfError: 120_000,
      retain: 180_000,
      refreshAheadRatio: 0.8,
      softTimeout: 200,
      hardTimeout: 1000,
      ttl: 86_400_000,
      localTtl: 120_000,
      jitterRatio: 0,
      notFoundTtl: 1500,
      notFoundJitterRatio: 0.25,
      remoteTimeout: 20,
      loadTimeout: 5000,
      leaseMaxWait: 3000,
      replay: 60_000,
    })
  })

  it('say by false that no load takes a lease', () => {
    expect(resolved({ lease: false }).leasing).toBe(false)
    expect(resolved({ lease: {} }).leasing).toBe(true)
  })

  it('of sync stand for themselves where only the bus is given', () => {
    const bus = memoryBus()
    expect(resolved({ name: 'users', sync: { bus } }).sync).toEqual({
      bus,
      sourceId: 'users',
      foreignWindow: 2000,
      unarmedTtl: 1000,
      unarmedServe: Number.POSITIVE_INFINITY,
      publishFills: false,
    })
    const given = {
      bus,
      sourceId: 'web',
      foreignWindow: '5s',
      unarmedTtl: 200,
      unarmedServe: '1m',
      publishFills: true,
    } as const
    expect(resolved({ sync: given }).sync).toEqual({
      ...given,
      foreignWindow: 5000,
      unarmedServe: 60_000,
    })
  })

  it('say by false that nothing is replayed', () => {
    expect(resolved({ recovery: { replay: false } }).policy.replay).toBe(0)
  })

  it('name where warnings go: to the console, to a logger like it, or nowhere', () => {
    const told: string[] = []
    const logger = { warn: (message: string) => void told.push(message) }
    resolved({ name: 'users', logger }).warn('look')
    resolved({ logger: false }).warn('look')
    expect(told).toEqual(['jetcache-ts (users): look'])
    const throwing = resolved({
      logger: {
        warn: () => {
          throw new Error('disk full')
        },
      },
    })
    expect(() => throwing.warn('look')).not.toThrow()
    expect(() => resolved({ logger: {} as never })).toThrow('logger must have a method warn')
  })

  it('need a codec wherever values become bytes, and nowhere else', () => {
    const shared = lru({ maxEntries: 10, isolation: 'shared' })
    const copying = lru({ maxEntries: 10, copy: structuredClone })
    const frozen = lru({ maxEntries: 10, isolation: 'frozen' })
    for (const engine of [shared, copying]) {
      expect(resolveOptions({ local: engine }).codec).toBeUndefined()
      expect(resolveOptions({ local: engine, remote }).codec?.name).toBe('msgpack')
      expect(() => resolveOptions({ local: engine, codec: 'avro' })).toThrow('not registered')
    }
    for (const engine of [local, frozen]) {
      expect(resolveOptions({ local: engine, codec: 'json' }).codec?.name).toBe('json')
    }
    const mine = msgpack()
    expect(resolved({ codec: 'mine', codecs: { mine } }).codec).toBe(mine)
    expect(resolved({ codec: mine }).codec).toBe(mine)
  })
})

describe('notFound.error', () => {
  class RecordNotFound extends Error {}
  class UserNotFound extends RecordNotFound {}
  class NoRecord {}
  function OldNotFound(): boolean {
    return false
  }
  OldNotFound.prototype = Object.create(Error.prototype)

  const recognises = (error: NotFoundOptions['error'], thrown: unknown) =>
    resolved({ notFound: { error } }).isNotFound(thrown)

  it.each<[string, NotFoundOptions['error'], unknown, boolean]>([
    ['a class and an error of it', RecordNotFound, new RecordNotFound(), true],
    ['a class and an error of a subclass', RecordNotFound, new UserNotFound(), true],
    ['a class and another error', RecordNotFound, new Error('x'), false],
    ['a class and something that is no error', RecordNotFound, 'RecordNotFound', false],
    ['a class that is no error', NoRecord, new NoRecord(), true],
    ['Error itself', Error, new RangeError('x'), true],
    ['a built-in class', RangeError, new TypeError('x'), false],
    [
      'a constructor from before classes',
      Reflect.get({ OldNotFound }, 'OldNotFound'),
      Object.create(OldNotFound.prototype),
      true,
    ],
    ['a function that says yes', (error) => error === 404, 404, true],
    ['a function that says no', (error) => error === 404, 500, false],
    ['a function written the long way', isMissing, { code: 'ENOENT' }, true],
    ['nothing at all', undefined, new RecordNotFound(), false],
  ])('%s', (_, error, thrown, expected) => {
    expect(recognises(error, thrown)).toBe(expected)
  })

  it('takes only true for a yes, so that a promise is none', () => {
    const answers: unknown[] = [Promise.resolve(true), 1, 'yes', {}]
    for (const answer of answers) {
      const error = Object.assign(() => answer) as unknown as (error: unknown) => boolean
      expect(recognises(error, new Error('x'))).toBe(false)
    }
  })
})

function isMissing(error: unknown): boolean {
  return Reflect.get(Object(error), 'code') === 'ENOENT'
}

/** Of a cache that keeps nothing stale and refreshes nothing. */
const limits = {
  policy: resolveOptions({ local: lru({ maxEntries: 1 }) }).policy,
  interval: undefined,
}

describe('the options of one call', () => {
  it('are all off where there are none', () => {
    const off = { skipLocal: false, skipRemote: false, localTtl: undefined, codec: undefined }
    expect(resolveGet(undefined, codecs)).toMatchObject(off)
    expect(resolveGet({}, codecs)).toEqual(off)
    const once = {
      ttl: undefined,
      cacheIf: undefined,
      loadTimeout: undefined,
      signal: undefined,
      softTimeout: undefined,
      hardTimeout: undefined,
      staleWhileRevalidate: undefined,
      staleIfError: undefined,
      refresh: false,
    }
    expect(resolveOnce(undefined, codecs, limits)).toEqual({ ...off, ...once })
    expect(resolveOnce({}, codecs, limits)).toEqual({ ...off, ...once })
    const set = { ...off, ttl: undefined, when: undefined }
    expect(resolveSet(undefined, { local: true, remote: true }, codecs)).toEqual(set)
    expect(resolveSet({}, { local: true, remote: true }, codecs)).toEqual(set)
  })

  it('are read in milliseconds, and codecs by their names', () => {
    const { signal } = new AbortController()
    const cacheIf = () => true
    const get = { skipLocal: true, localTtl: '2s', codec: 'json' } as const
    const once = resolveOnce(
      { ...get, ttl: '1m', loadTimeout: '3s', signal, cacheIf, skipRemote: true },
      codecs,
      limits,
    )
    expect(once).toMatchObject({
      skipLocal: true,
      skipRemote: true,
      localTtl: 2000,
      codec: { name: 'json' },
      ttl: 60_000,
      loadTimeout: 3000,
      cacheIf,
    })
    expect(once.signal).toBe(signal)
    expect(resolveGet(get, codecs)).toMatchObject({ localTtl: 2000, codec: { name: 'json' } })
    const set = { ttl: '1m', localTtl: 5, when: 'absent', codec: 'json' } as const
    expect(resolveSet(set, { local: true, remote: false }, codecs)).toMatchObject({
      ttl: 60_000,
      localTtl: 5,
      when: 'absent',
      codec: { name: 'json' },
    })
  })

  it('check what a ttl function returns each time it is asked', () => {
    const { ttl } = resolveOnce<number>({ ttl: (value) => value }, codecs, limits)
    if (typeof ttl !== 'function') throw new Error('no function')
    expect(ttl(5)).toBe(5)
    expect(() => ttl(-5)).toThrow(/^ttl\(value\) must be from 1 ms/)
  })

  it.each([
    [{ skipLocal: true }, { local: true, remote: false }],
    [{ skipRemote: true }, { local: false, remote: true }],
    [
      { skipLocal: true, skipRemote: true },
      { local: true, remote: true },
    ],
  ])('of a set leave a tier to write to: %j of %j', (options, tiers) => {
    expect(() => resolveSet(options, tiers, codecs)).toThrow('no tier left')
  })

  it.each([
    [{ skipLocal: true }, { local: true, remote: true }],
    [{ skipRemote: true }, { local: true, remote: true }],
    [{ skipLocal: true }, { local: false, remote: true }],
  ])('of a set may skip one that is not the last: %j of %j', (options, tiers) => {
    expect(resolveSet(options, tiers, codecs)).toMatchObject(options)
  })

  it('of ready and close fall back on what they are given', () => {
    expect(resolveTimeout(undefined, 'close', 7)).toBe(7)
    expect(resolveTimeout({}, 'close', 7)).toBe(7)
    expect(resolveTimeout({ timeout: '2s' }, 'close', 7)).toBe(2000)
  })
})

describe('what is kept stale, and for how long callers wait', () => {
  it('is refused by the cache where a caller would never be given the stale value', () => {
    const timeouts = (softTimeout: number, hardTimeout: number) => () =>
      resolved({ softTimeout, hardTimeout })
    expect(timeouts(100, 100)).toThrow('softTimeout must be shorter than hardTimeout, 100 ms')
    expect(timeouts(99, 100)).not.toThrow()
  })

  it.each([0, 1, -0.5, Number.NaN, '0.8'])('refuses a refreshAheadRatio of %j', (ratio) => {
    expect(() => resolved({ refreshAheadRatio: ratio as number })).toThrow(
      'refreshAheadRatio must be a number above 0 and below 1',
    )
  })

  const keeping = resolved({
    staleWhileRevalidate: '10s',
    staleIfError: '30s',
    softTimeout: 200,
    hardTimeout: 1000,
  })
  const once = (options: OnceOptions<unknown>) =>
    resolveOnce(options, codecs, { policy: keeping.policy, interval: undefined })

  it('is narrowed by a call down to nothing, and up to what the cache keeps', () => {
    expect(once({ staleWhileRevalidate: '30s', staleIfError: false })).toMatchObject({
      staleWhileRevalidate: 30_000,
      staleIfError: 0,
    })
    for (const name of ['staleWhileRevalidate', 'staleIfError'] as const) {
      expect(() => once({ [name]: 30_001 })).toThrow(
        `${name} of a call must be at most what the cache keeps, 30000 ms, but is 30001 ms`,
      )
    }
  })

  it('is held by a call against its own timeouts, and against those of the cache that it leaves', () => {
    expect(() => once({ softTimeout: 300, hardTimeout: 300 })).toThrow('softTimeout must be')
    expect(() => once({ softTimeout: 1000 })).toThrow('than hardTimeout, 1000 ms')
    expect(() => once({ hardTimeout: 200 })).toThrow('but is 200 ms')
    expect(once({ hardTimeout: false, softTimeout: 5000 })).toMatchObject({
      hardTimeout: 0,
      softTimeout: 5000,
    })
    expect(once({ softTimeout: false, hardTimeout: 100 })).toMatchObject({ softTimeout: 0 })
  })

  it.each(['meta', 'refresh'] as const)('%s of a call is true or false', (name) => {
    expect(() => once({ [name]: 'yes' })).toThrow(`${name} must be true or false, but is "yes"`)
  })
})

describe('the options of refresh', () => {
  const policy = (settings: CacheSettings) => resolved({ ttl: '1m', jitterRatio: 0, ...settings })
  const refreshOf = (refresh: RefreshOptions) => policy({ refresh }).refresh

  it('are a second after the interval, 4 at a time and 10,000 keys where nothing is said', () => {
    expect(refreshOf({ interval: '10s' })).toEqual({
      interval: 10_000,
      stopAfterLastAccess: 11_000,
      concurrency: 4,
      maxTasks: 10_000,
    })
  })

  it('are taken as they are said, up to their limits', () => {
    const said = { concurrency: 1000, maxTasks: 1_000_000 }
    expect(refreshOf({ interval: '10s', stopAfterLastAccess: '1h', ...said })).toMatchObject({
      stopAfterLastAccess: 3_600_000,
      ...said,
    })
    expect(refreshOf({ interval: 1, concurrency: 1, maxTasks: 1 })?.concurrency).toBe(1)
  })

  it.each([
    [
      { concurrency: 1001 },
      RangeError,
      'refresh.concurrency must be a whole number from 1 to 1000',
    ],
    [
      { maxTasks: 1_000_001 },
      RangeError,
      'refresh.maxTasks must be a whole number from 1 to 1000000',
    ],
    [{ maxTasks: 0 }, RangeError, 'refresh.maxTasks must be'],
    [{ concurrency: '4' }, TypeError, 'refresh.concurrency must be a number'],
    [{ interval: undefined }, TypeError, 'refresh needs an interval'],
  ])('are refused: %j', (refresh, kind, message) => {
    const make = () => refreshOf({ interval: '10s', ...refresh } as RefreshOptions)
    expect(make).toThrow(kind)
    expect(make).toThrow(message)
  })

  it('fit the shortest life that a value may have: the local ttl counts where there is no remote', () => {
    const engine = lru({ maxEntries: 1, ttl: '20s' })
    const settings = { ttl: '1m', jitterRatio: 0.1 } as const
    const alone = (interval: number) => () =>
      resolveOptions({ local: engine, refresh: { interval }, ...settings })
    expect(alone(18_000)).toThrow('shorter than a value may live, 18000 ms')
    expect(alone(17_999)).not.toThrow()
    const both = resolveOptions({
      local: engine,
      remote,
      refresh: { interval: '50s' },
      ...settings,
    })
    expect(both.refresh?.interval).toBe(50_000)
  })

  it('fit the ttl of a call that asks for it, less what jitter takes', () => {
    const call = (ttl: number) => () =>
      resolveOnce({ refresh: true, ttl }, codecs, {
        policy: policy({ jitterRatio: 0.5 }).policy,
        interval: 10_000,
      })
    expect(call(20_000)).toThrow('shorter than a value may live, 10000 ms')
    expect(call(20_002)).not.toThrow()
  })

  it('of one by hand are those that have a meaning for it', () => {
    const impatient = { policy: policy({ softTimeout: 200 }).policy, interval: undefined }
    const byHand = (options: object) => () => resolveRefreshCall(options, codecs, impatient)
    expect(byHand({ softTimeout: 100 })).toThrow('refresh has no option "softTimeout"')
    expect(byHand({ staleIfError: 1 })).toThrow('refresh has no option "staleIfError"')
    // It takes nothing stale: the softTimeout of the cache is none of its own.
    expect(byHand({ hardTimeout: 100 })()).toMatchObject({ hardTimeout: 100, softTimeout: 0 })
  })
})
