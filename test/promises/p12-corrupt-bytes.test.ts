import assert from 'node:assert/strict'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import type { Codec } from '../../src/codec/codec.ts'
import { json } from '../../src/codec/json.ts'
import { msgpack } from '../../src/codec/msgpack.ts'
import { tinyLfu } from '../../src/local/tiny-lfu/tiny-lfu.ts'
import { CacheDecodeError } from '../../src/model/errors.ts'
import type { CacheSettings } from '../../src/options/options.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { faultyRemote } from '../../src/testing/faulty-remote.ts'
import { type ManualClock, manualClock } from '../../src/testing/manual-clock.ts'
import { type MemoryRemote, memoryRemote } from '../../src/testing/memory-remote.ts'
import { NAMED_CELLS, openWorld, type World } from '../support/cells.ts'
import { LOAD_PATHS } from '../support/load-paths.ts'
import { jsonValues, msgpackValues } from '../unit/codec/arbitrary.ts'

const KEY = 'user:1'
const HOUR = 3_600_000
const GARBAGE = Buffer.from('{"name": "Ada", cut off in the mid')
const OTHER_GARBAGE = Buffer.from('\xc1\xc1\xc1', 'latin1')
const neverCalled = () => Promise.reject(new Error('the loader was called'))

interface Parts {
  readonly cache: Cache
  readonly remote: MemoryRemote
  readonly clock: ManualClock
  /** The operations that the cache called, in order. */
  readonly calls: string[]
}

function parts(
  options: {
    readonly settings?: CacheSettings
    readonly local?: false
    readonly ttl?: number
  } = {},
): Parts {
  const clock = manualClock()
  const remote = memoryRemote({ clock })
  const calls: string[] = []
  const watched: RemoteStore = faultyRemote(remote, {
    script: (operation) => {
      calls.push(operation)
      return 'none'
    },
  })
  const cache = createCache({
    ...(options.local === false
      ? {}
      : { local: tinyLfu({ maxEntries: 10_000, ttl: options.ttl }) }),
    remote: watched,
    clock,
    jitterRatio: 0,
    ...options.settings,
  })
  return { cache, remote, clock, calls }
}

const heldIn = (remote: MemoryRemote, key = KEY) => {
  const read = remote.peek(key)
  return read === undefined ? undefined : Buffer.from(read.bytes)
}

describe.each(LOAD_PATHS)('bytes that the codec cannot read, $leases', ({ leases, settings }) => {
  const leased = leases === 'with leases'

  it('are counted, the load runs, and its value replaces them in both tiers', async () => {
    const { cache, remote, calls } = parts({ settings })
    remote.plant(KEY, GARBAGE, HOUR)
    expect(await cache.once(KEY, () => 'loaded', { ttl: '10m' })).toBe('loaded')
    expect(heldIn(remote)).toEqual(msgpack().encode('loaded'))
    expect(remote.peek(KEY)?.ttlLeft).toBe(600_000)
    expect(cache.peek(KEY)).toBe('loaded')
    const counted = { decodeFailures: 1, query: 1, hit: 0, remoteErrors: 0, codecConflicts: 0 }
    expect(cache.stats()).toMatchObject(counted)
    expect(calls, 'nothing is deleted, nothing is overwritten blindly').toEqual(
      leased ? ['lease.read', 'lease.take', 'lease.fill'] : ['get', 'compareAndSet'],
    )
  })

  it.each([
    ['replaced by something readable', msgpack().encode('theirs'), HOUR],
    ['replaced by something else unreadable', OTHER_GARBAGE, undefined],
    ['replaced by bytes that begin like them', Buffer.concat([GARBAGE, GARBAGE]), HOUR],
    ['cut shorter', GARBAGE.subarray(0, 5), HOUR],
    ['replaced by a placeholder', Buffer.from('*'), HOUR],
  ])('and are meanwhile %s by another writer are left to that writer', async (_, theirs, ttl) => {
    const { cache, remote } = parts({ settings })
    remote.plant(KEY, GARBAGE, HOUR)
    const load = () => {
      remote.plant(KEY, theirs, ttl)
      return 'ours'
    }
    expect(await cache.once(KEY, load)).toBe('ours')
    expect(heldIn(remote)).toEqual(Buffer.from(theirs))
    expect(cache.peek(KEY), 'what the remote did not take, local does not keep').toBeUndefined()
    expect(cache.stats()).toMatchObject({ decodeFailures: 1, fillsFenced: 1 })
  })

  it('and are meanwhile deleted stay deleted', async () => {
    const { cache, remote } = parts({ settings })
    remote.plant(KEY, GARBAGE, HOUR)
    const load = async () => {
      await remote.delete([KEY])
      return 'ours'
    }
    expect(await cache.once(KEY, load)).toBe('ours')
    expect([remote.peek(KEY), cache.peek(KEY)]).toEqual([undefined, undefined])
  })

  it('stay where they are when the loader fails', async () => {
    const { cache, remote, calls } = parts({ settings })
    remote.plant(KEY, GARBAGE, HOUR)
    const failed = new Error('the database is down')
    await expect(cache.once(KEY, () => Promise.reject(failed))).rejects.toBe(failed)
    expect(heldIn(remote)).toEqual(GARBAGE)
    expect(calls).toEqual(leased ? ['lease.read', 'lease.take', 'lease.release'] : ['get'])
  })

  it('are replaced by the placeholder when there is no such record', async () => {
    const { cache, remote } = parts({ settings })
    remote.plant(KEY, GARBAGE, HOUR)
    expect(await cache.once(KEY, () => null)).toBeNull()
    expect(heldIn(remote)).toEqual(Buffer.from('*'))
    expect(await cache.lookup(KEY)).toMatchObject({ status: 'absent', tier: 'local' })
  })

  it('are a miss to none who only look, who change nothing', async () => {
    const { cache, remote, calls } = parts({ settings })
    remote.plant(KEY, GARBAGE, HOUR)
    expect(await cache.get(KEY)).toBeUndefined()
    expect(await cache.exists(KEY)).toBe(false)
    const found = await cache.lookup(KEY)
    expect(found.status).toBe('error')
    expect(Reflect.get(found, 'error')).toBeInstanceOf(CacheDecodeError)
    await expect(cache.getOrThrow(KEY)).rejects.toMatchObject({ code: 'CACHE_DECODE', key: KEY })
    expect(heldIn(remote)).toEqual(GARBAGE)
    expect(calls).toEqual(['get', 'get', 'get', 'get'])
    expect(cache.stats()).toMatchObject({ decodeFailures: 4, miss: 0, remoteMiss: 0, hit: 0 })
  })

  it('are overwritten by a set and deleted by a delete', async () => {
    const { cache, remote } = parts({ settings })
    remote.plant(KEY, GARBAGE, HOUR)
    await cache.set(KEY, 'set')
    expect(heldIn(remote)).toEqual(msgpack().encode('set'))
    remote.plant(KEY, GARBAGE, HOUR)
    expect(await cache.delete(KEY)).toBe(true)
    expect(remote.peek(KEY)).toBeUndefined()
  })
})

describe.each(LOAD_PATHS)('a key that is corrupt again after its repair, $leases', (path) => {
  async function repaired(options: Parameters<typeof parts>[0] = {}): Promise<Parts> {
    const made = parts({ settings: { ttl: '10m', ...path.settings }, ...options })
    made.remote.plant(KEY, GARBAGE, HOUR)
    await made.cache.once(KEY, () => 'repair')
    made.cache.deleteLocal(KEY)
    made.calls.length = 0
    return made
  }

  it('is left alone in the remote, and its value lives in local for a second', async () => {
    const { cache, remote, clock, calls } = await repaired()
    remote.plant(KEY, OTHER_GARBAGE, HOUR)
    expect(await cache.once(KEY, () => 'ours')).toBe('ours')
    expect(heldIn(remote)).toEqual(OTHER_GARBAGE)
    expect(calls).toEqual([path.read])
    expect(cache.stats()).toMatchObject({ codecConflicts: 1, decodeFailures: 2 })
    clock.advance(999)
    expect(await cache.once(KEY, neverCalled)).toBe('ours')
    clock.advance(1)
    expect(cache.peek(KEY)).toBeUndefined()
    expect(await cache.once(KEY, () => 'again')).toBe('again')
    expect(heldIn(remote)).toEqual(OTHER_GARBAGE)
    expect(cache.stats()).toMatchObject({ codecConflicts: 2, decodeFailures: 3, query: 3 })
  })

  it('loads once a second however often it is asked for', async () => {
    const { cache, remote, clock } = await repaired()
    remote.plant(KEY, GARBAGE, HOUR)
    let loads = 0
    for (let i = 0; i < 100; i++) {
      await cache.once(KEY, () => ++loads)
      clock.advance(50)
    }
    expect(loads).toBe(5)
  })

  it('keeps a shorter local life', async () => {
    const { cache, remote, clock } = await repaired({ ttl: 200 })
    remote.plant(KEY, GARBAGE, HOUR)
    await cache.once(KEY, () => 'ours')
    clock.advance(199)
    expect(cache.peek(KEY)).toBe('ours')
    clock.advance(1)
    expect(cache.peek(KEY)).toBeUndefined()
  })

  it('is left alone without a local tier, too', async () => {
    const { cache, remote, calls } = await repaired({ local: false })
    remote.plant(KEY, GARBAGE, HOUR)
    expect(await cache.once(KEY, () => 'ours')).toBe('ours')
    expect(heldIn(remote)).toEqual(GARBAGE)
    expect(calls).toEqual([path.read])
    expect(cache.stats().codecConflicts).toBe(1)
  })

  it('is repaired anew once the first repair would have expired', async () => {
    const { cache, remote, clock } = await repaired()
    remote.plant(KEY, GARBAGE, HOUR)
    clock.advance(599_999)
    await cache.once(KEY, () => 'ours')
    expect(heldIn(remote)).toEqual(GARBAGE)
    clock.advance(1000)
    await cache.once(KEY, () => 'ours')
    expect(heldIn(remote)).toEqual(msgpack().encode('ours'))
  })

  it('is repaired anew once a repair that said "not found" would have expired', async () => {
    const { cache, remote, clock } = parts({
      settings: { notFound: { ttl: '30s', jitterRatio: 0 }, ...path.settings },
    })
    remote.plant(KEY, GARBAGE, HOUR)
    expect(await cache.once(KEY, () => null)).toBeNull()
    clock.advance(30_000)
    remote.plant(KEY, GARBAGE, HOUR)
    expect(await cache.once(KEY, () => 'created')).toBe('created')
    expect(heldIn(remote)).toEqual(msgpack().encode('created'))
  })

  it('is remembered by its own key only', async () => {
    const { cache, remote } = await repaired()
    remote.plant('another', GARBAGE, HOUR)
    await cache.once('another', () => 'repair')
    expect(heldIn(remote, 'another')).toEqual(msgpack().encode('repair'))
    expect(cache.stats().codecConflicts).toBe(0)
  })

  it('is not held against a repair that did not take', async () => {
    const { cache, remote } = parts({ settings: path.settings })
    remote.plant(KEY, GARBAGE, HOUR)
    await cache.once(KEY, () => {
      remote.plant(KEY, OTHER_GARBAGE, HOUR)
      return 'refused'
    })
    expect(await cache.once(KEY, () => 'taken')).toBe('taken')
    expect(heldIn(remote)).toEqual(msgpack().encode('taken'))
    expect(cache.stats().codecConflicts).toBe(0)
  })

  it('is forgotten, the oldest first, when there are more than a thousand', async () => {
    const { cache, remote } = parts({ settings: path.settings })
    const keys = Array.from({ length: 1001 }, (_, i) => `k${i}`)
    for (const key of keys) {
      remote.plant(key, GARBAGE, HOUR)
      await cache.once(key, () => 'repair')
    }
    cache.clearLocal()
    for (const key of ['k1', 'k0']) {
      remote.plant(key, GARBAGE, HOUR)
      await cache.once(key, () => 'ours')
    }
    expect(heldIn(remote, 'k1')).toEqual(GARBAGE)
    expect(heldIn(remote, 'k0')).toEqual(msgpack().encode('ours'))
    expect(cache.stats().codecConflicts).toBe(1)
  })
})

/** What a reader of these bytes is due: a value, "not found", or nothing that can be read. */
function dueFor(codec: Codec, bytes: Uint8Array): { readonly value: unknown } | 'corrupt' {
  if (bytes.length === 0 || (bytes.length === 1 && bytes[0] === 0x2a)) return { value: null }
  try {
    return { value: codec.decode(bytes) ?? null }
  } catch {
    return 'corrupt'
  }
}

const FUZZED: readonly (readonly [string, Codec, fc.Arbitrary<unknown>])[] = [
  ['msgpack', msgpack(), msgpackValues],
  ['json', json(), jsonValues],
]

describe.each(FUZZED)('fuzzed bytes under %s', (_, codec, values) => {
  const damaged = fc
    .tuple(values, fc.nat(), fc.nat(255), fc.constantFrom('flip', 'cut', 'append', 'insert'))
    .map(([value, where, byte, how]) => {
      const bytes = Buffer.from(codec.encode(value))
      const at = where % (bytes.length + 1)
      if (how === 'cut') return bytes.subarray(0, at)
      if (how === 'append') return Buffer.concat([bytes, Buffer.of(byte)])
      if (how === 'insert') {
        return Buffer.concat([bytes.subarray(0, at), Buffer.of(byte), bytes.subarray(at)])
      }
      if (at < bytes.length) bytes[at] = byte
      return bytes
    })
  const random = fc.uint8Array({ maxLength: 64 })
  const withTrailer = random.map((bytes) => Buffer.concat([bytes, Buffer.of(0)]))

  it('are a value, "not found", or replaced by what is loaded; never anything else', async () => {
    const { cache, remote } = parts({ settings: { codec: codec.name } })
    let run = 0
    let corrupt = 0
    await fc.assert(
      fc.asyncProperty(fc.oneof(random, withTrailer, damaged), async (bytes) => {
        const key = `k${run++}`
        remote.plant(key, bytes, HOUR)
        const due = dueFor(codec, bytes)
        const answer = await cache.once<unknown>(key, () => 'loaded')
        if (due === 'corrupt') {
          corrupt++
          expect(answer).toBe('loaded')
          expect(heldIn(remote, key)).toEqual(codec.encode('loaded'))
        } else {
          assert.deepStrictEqual(answer, due.value)
          expect(heldIn(remote, key)).toEqual(Buffer.from(bytes))
        }
        expect(cache.stats()).toMatchObject({ decodeFailures: corrupt, query: corrupt })
      }),
      { seed: 20_240_229, numRuns: 1500 },
    )
    expect(corrupt).toBeGreaterThan(300)
  })

  it('that declare gigabytes are refused without making room for them', async () => {
    const { cache, remote } = parts({ settings: { codec: codec.name } })
    const claims = [
      'ddffffffff00',
      'dfffffffff00',
      'c6ffffffff00',
      'dbffffffff00',
      'c9ffffffff6c00',
    ]
    const before = process.memoryUsage()
    for (const claim of claims) {
      remote.plant(claim, Buffer.from(claim, 'hex'), HOUR)
      expect(await cache.once(claim, () => 'loaded')).toBe('loaded')
    }
    const after = process.memoryUsage()
    expect(after.rss - before.rss).toBeLessThan(256 * 1024 * 1024)
    expect(cache.stats().decodeFailures).toBe(claims.length)
  })

  it('that nest without end are refused without exhausting the stack', async () => {
    const { cache, remote } = parts({ settings: { codec: codec.name } })
    const [open, close] = codec.name === 'json' ? ['[', ']'] : ['\x91', '']
    const bytes = Buffer.from(`${open.repeat(200_000)}\x00${close.repeat(200_000)}`, 'latin1')
    remote.plant(KEY, bytes, HOUR)
    expect(await cache.once(KEY, () => 'loaded')).toBe('loaded')
    expect(cache.stats().decodeFailures).toBe(1)
  })
})

describe('crafted bytes', () => {
  const field = (text: string) => Buffer.concat([Buffer.of(0xa0 | text.length), Buffer.from(text)])
  const crafted: readonly (readonly [string, string, Uint8Array])[] = [
    ['json', 'an own __proto__', Buffer.from('{"__proto__":{"polluted":1},"a":1}')],
    ['json', 'a constructor', Buffer.from('{"constructor":{"prototype":{"polluted":1}}}')],
    [
      'msgpack',
      'an own __proto__',
      Buffer.concat([
        Buffer.of(0x81),
        field('__proto__'),
        Buffer.of(0x81),
        field('polluted'),
        Buffer.of(1, 0),
      ]),
    ],
    [
      'msgpack',
      'a constructor',
      Buffer.concat([
        Buffer.of(0x81),
        field('constructor'),
        Buffer.of(0x81),
        field('prototype'),
        Buffer.of(0x81),
        field('polluted'),
        Buffer.of(1, 0),
      ]),
    ],
  ]

  it.each(crafted)('change no prototype: %s with %s', async (codec, _, bytes) => {
    for (const isolation of ['copy', 'frozen', 'shared'] as const) {
      const remote = memoryRemote()
      const cache = createCache({ local: tinyLfu({ maxEntries: 10, isolation }), remote, codec })
      remote.plant(KEY, bytes, HOUR)
      const before = Object.getOwnPropertyNames(Object.prototype)
      for (let i = 0; i < 3; i++) {
        const value = (await cache.get<object>(KEY)) ?? {}
        expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
        expect(Reflect.get(value, 'polluted')).toBeUndefined()
        expect(Reflect.get(value, 'constructor')).toBe(
          Object.hasOwn(value, 'constructor') ? Reflect.get(value, 'constructor') : Object,
        )
        expect(Object.keys(value).length).toBeGreaterThan(0)
      }
      expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(before)
      expect(Reflect.get({}, 'polluted')).toBeUndefined()
      expect(Object.isFrozen(Object.prototype)).toBe(false)
    }
  })
})

const WITH_REMOTE = NAMED_CELLS.filter(([, cell]) => cell.tiers !== 'local')

describe.each(WITH_REMOTE)('on %s', (_, cell) => {
  let world: World
  beforeAll(async () => {
    world = await openWorld(cell)
  })
  afterAll(() => world.end())

  it.each(LOAD_PATHS)(
    'random bytes are replaced by what is loaded, by compare-and-set, $leases',
    async ({ leases, settings }) => {
      const cache = world.open(settings)
      const { remote } = world
      if (remote === undefined) throw new Error('no remote')
      const codec = cell.codec === 'json' ? json() : msgpack()
      const samples = fc.sample(fc.uint8Array({ minLength: 2, maxLength: 300 }), {
        seed: 7,
        numRuns: 30,
      })
      const corrupt = samples.filter((bytes) => dueFor(codec, bytes) === 'corrupt')
      expect(corrupt.length).toBeGreaterThan(20)
      for (const [at, bytes] of corrupt.entries()) {
        const key = world.key(`random ${at} ${leases}`)
        await remote.set(key, bytes, { ttl: HOUR })
        const contested = at % 3 === 0
        const load = async () => {
          if (contested) await remote.set(key, OTHER_GARBAGE, { ttl: HOUR })
          return { loaded: at }
        }
        expect(await cache.once(key, load)).toEqual({ loaded: at })
        const held = Buffer.from((await remote.get(key))?.bytes ?? [])
        expect(held).toEqual(contested ? OTHER_GARBAGE : codec.encode({ loaded: at }))
      }
      expect(cache.stats().decodeFailures).toBe(corrupt.length)
    },
  )
})
