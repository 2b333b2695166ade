import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createCache } from '../../src/cache.ts'
import type { Codec } from '../../src/codec/codec.ts'
import { msgpack } from '../../src/codec/msgpack.ts'
import { freeCache } from '../../src/local/free-cache/free-cache.ts'
import type { CacheSettings } from '../../src/options/options.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { memoryRemote } from '../../src/testing/memory-remote.ts'

const neverCalled = () => Promise.reject(new Error('the loader was called'))

const KINDS = {
  date: new Date(1_763_824_512_345),
  bytes: Uint8Array.of(1, 2, 3),
  map: new Map<unknown, unknown>([['a', new Set([1n, -0])]]),
  nested: [{ text: 'größe 鍵', none: null, number: 1.5 }],
}

/** Hands out views of what it reads, and says nothing of it. */
const views: Codec = {
  name: 'views',
  encode: (value) => Buffer.from(value as Uint8Array),
  decode: (bytes) => bytes.subarray(0),
}

function open(tiers: 'local' | 'both', settings: CacheSettings = {}, maxBytes = 65_536) {
  const clock = manualClock()
  const told: [key: string, value: unknown, cause: string][] = []
  const local = freeCache({
    maxBytes,
    onRemoval: (key, value, cause) => void told.push([key, value, cause]),
  })
  const common = { clock, jitterRatio: 0, logger: false, ...settings } as const
  const remote = memoryRemote({ clock })
  const cache =
    tiers === 'local'
      ? createCache({ ...common, local })
      : createCache({ ...common, local, remote })
  return { cache, clock, told, remote }
}

describe.each(['local', 'both'] as const)('a cache that holds bytes, %s', (tiers) => {
  it('gives the same value from the loader, from local and from remote, to each their own', async () => {
    const { cache } = open(tiers)
    const joined = await Promise.all([1, 2, 3].map(() => cache.once('k', () => KINDS)))
    const given = [
      ...joined,
      await cache.once('k', neverCalled),
      await cache.get('k'),
      cache.peek('k'),
    ]
    cache.clearLocal()
    if (tiers === 'both') given.push(await cache.get('k'), await cache.once('k', neverCalled))
    for (const value of given) expect(value).toStrictEqual(KINDS)
    expect(new Set(given).size).toBe(given.length)
    expect(given).not.toContain(KINDS)
  })

  it('gives views of nothing that another has, whatever the codec hands out', async () => {
    const { cache, remote } = open(tiers, { codec: views })
    const load = () => Uint8Array.of(1, 2, 3)
    const cacheIf = (bytes: Uint8Array) => bytes.fill(9).length > 0
    expect([...(await cache.onceOrThrow('asked', load, { cacheIf }))]).toEqual([1, 2, 3])
    expect([...(await cache.onceOrThrow('asked', load))]).toEqual([1, 2, 3])
    const read = [
      ...(await Promise.all([1, 2, 3].map(() => cache.once('k', load)))),
      await cache.once('k', neverCalled),
      await cache.get<Uint8Array>('k'),
      cache.peek<Uint8Array>('k'),
    ]
    for (const bytes of read) {
      expect([...(bytes as Uint8Array)]).toEqual([1, 2, 3])
      // What lies around it, too: a view shows more than itself.
      new Uint8Array((bytes as Uint8Array).buffer).fill(9)
    }
    expect([...((await cache.get<Uint8Array>('k')) as Uint8Array)]).toEqual([1, 2, 3])
    if (tiers === 'local') return
    expect([...((await remote.get('k'))?.bytes ?? [])]).toEqual([1, 2, 3])
  })

  it('gives what was held when a load began, though its memory has been written over', async () => {
    const { cache, clock } = open(tiers, { ttl: '1m', staleIfError: '1h' })
    await cache.set('k', KINDS)
    clock.advance(60_000)
    let fail: (error: Error) => void = () => undefined
    const load = () =>
      new Promise<never>((_, reject) => {
        fail = reject
      })
    const asked = cache.once('k', load, { skipRemote: true })
    const looked = cache.lookup('k', { skipRemote: true })
    for (let i = 0; i < 500; i++) await cache.set(`other${i}`, randomBytes(500))
    expect(await cache.lookup('k', { skipRemote: true })).toEqual({ status: 'miss' })
    fail(new Error('the database is gone'))
    expect(await asked).toStrictEqual(KINDS)
    expect(await looked).toMatchObject({ status: 'stale', value: KINDS })
  })

  it('keeps "not found" as an answer, beside values that are as empty', async () => {
    const { cache, clock } = open(tiers, { notFound: { ttl: '10s', jitterRatio: 0 } })
    expect(await cache.once('absent', () => null)).toBeNull()
    expect(await cache.once('absent', neverCalled)).toBeNull()
    expect(await cache.lookup('absent')).toMatchObject({ status: 'absent', tier: 'local' })
    expect(cache.peek('absent')).toBeUndefined()
    for (const value of ['', 0, false, [], {}]) {
      await cache.set('value', value)
      expect(await cache.once('value', neverCalled)).toStrictEqual(value)
    }
    await cache.set('value', null)
    expect(await cache.exists('value')).toBe(false)
    clock.advance(10_000)
    expect(await cache.once('absent', () => 'there')).toBe('there')
  })

  it('answers until the end of its life, and by an expired one where that is permitted', async () => {
    const { cache, clock } = open(tiers, { ttl: '1m', staleIfError: '10m' })
    await cache.set('k', 'old')
    clock.advance(59_999)
    expect(await cache.once('k', neverCalled, { meta: true })).toMatchObject({ ttlLeft: 1 })
    clock.advance(1)
    expect(await cache.get('k', { skipRemote: true })).toBeUndefined()
    expect(await cache.once('k', neverCalled)).toBe('old')
    await cache.set('k', 'new')
    expect(await cache.expire('k')).toBe(true)
    expect(cache.peek('k')).toBeUndefined()
    expect(await cache.lookup('k', { skipRemote: true })).toMatchObject({ status: 'stale' })
  })

  it('reads each value by the codec that it was written by', async () => {
    const { cache } = open(tiers)
    const date = new Date(0)
    const text = date.toISOString()
    expect(await cache.once('json', () => date, { codec: 'json' })).toBe(text)
    expect(await cache.once('own', () => date)).toEqual(date)
    for (let i = 0; i < 3; i++) {
      expect(await cache.once('json', neverCalled)).toBe(text)
      expect(await cache.once('own', neverCalled, { codec: 'json' })).toEqual(date)
    }
  })

  it('keeps values of 255 codecs, and hands on those of further ones', async () => {
    const { cache } = open(tiers, {}, 2 ** 20)
    for (let i = 0; i < 300; i++) {
      const codec = { ...msgpack(), name: `codec ${i}` }
      expect(await cache.once(`k${i}`, () => ({ i }), { codec })).toEqual({ i })
    }
    // The cache's own is the first.
    expect(cache.stats()).toMatchObject({ localEntries: 254, localRefused: 46 })
    for (let i = 0; i < 254; i++) expect(cache.peek(`k${i}`)).toEqual({ i })
  })

  it('hands on what is too large to be kept, and counts it', async () => {
    const { cache } = open(tiers)
    const large = { text: '0123456789abcdef'.repeat(100), other: Math.random() }
    const codec = msgpack({ compressFrom: 2 ** 20 })
    await cache.set('k', 'small')
    await cache.set('k', large, { codec })
    expect(cache.peek('k')).toBeUndefined()
    expect(cache.stats()).toMatchObject({ localEntries: 0, localRefused: 1 })
    expect(await cache.once('k', () => large, { codec })).toStrictEqual(large)
  })

  it('tells who listens what has left, as a caller would have got it', async () => {
    const { cache, told } = open(tiers)
    await cache.set('k', KINDS)
    await cache.set('k', 'other')
    await cache.set('absent', null)
    cache.deleteLocal('absent')
    await cache.close()
    expect(told).toStrictEqual([
      ['k', KINDS, 'replaced'],
      ['absent', null, 'deleted'],
      ['k', 'other', 'deleted'],
    ])
  })
})

describe('a cache whose engine holds bytes', () => {
  it('writes them by its codec even without a remote', async () => {
    const { cache } = open('local', { codec: 'json' })
    expect(await cache.once('k', () => new Date(0))).toBe('1970-01-01T00:00:00.000Z')
    await expect(cache.set('k', 1n)).rejects.toMatchObject({ code: 'CACHE_ENCODE' })
  })

  it('decodes no value of its own codec twice for the first who is given it', async () => {
    const own = msgpack()
    let decoded = 0
    const codec: Codec = {
      ...own,
      name: 'counting',
      decode: (bytes) => {
        decoded++
        return own.decode(bytes)
      },
    }
    const { cache } = open('both', { codec })
    await cache.once('k', () => KINDS)
    expect(decoded).toBe(1)
    await cache.once('k', neverCalled)
    expect(decoded).toBe(2)
    await cache.exists('k')
    await cache.delete('k')
  })

  it('is refused if it says that it holds something else', () => {
    const local = { ...freeCache({ maxBytes: 65_536 }), holds: 'views' }
    expect(() => Reflect.apply(createCache, undefined, [{ local }])).toThrow(
      /local.holds must be 'values' or 'bytes', but is "views"/,
    )
  })

  it('has the codec write its values even if its isolation were that of values', async () => {
    const local = { ...freeCache({ maxBytes: 65_536 }), isolation: 'shared' as const }
    const cache = createCache({ local })
    const value = { a: 1 }
    await cache.set('k', value)
    expect(await cache.get('k')).toEqual(value)
    expect(await cache.get('k')).not.toBe(value)
  })
})
