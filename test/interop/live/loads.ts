import { describe, expect, test } from 'vitest'
import type { Codec } from '../../../src/codec/codec.ts'
import { codecFor } from '../support/codecs.ts'
import type { GoCodec, Raw } from '../support/fixtures.ts'
import { countedLoader, type World } from '../support/world.ts'

interface Pair {
  readonly goCodec: GoCodec
  readonly fixture: string
  readonly raw: Raw | undefined
  readonly value: unknown
}

const PAIRS: readonly (readonly [string, Pair])[] = [
  [
    'msgpack',
    { goCodec: 'msgpack', fixture: 'inner', raw: undefined, value: { ID: 7, Name: 'seven' } },
  ],
  ['json', { goCodec: 'json', fixture: 'inner', raw: undefined, value: { ID: 7, Name: 'seven' } }],
  ['text', { goCodec: 'msgpack', fixture: 'rawText', raw: 'text', value: 'é 漢字 🙂' }],
  [
    'bytes',
    { goCodec: 'msgpack', fixture: 'rawBytes', raw: 'bytes', value: Uint8Array.of(0, 1, 254, 255) },
  ],
]

/** Who loads, and who need not: placeholders, deletes and empty bytes. */
export function loadTests(world: () => World): void {
  describe.each(PAIRS)('with %s', (_name, { goCodec, fixture, raw, value }) => {
    const codec = (): Codec => codecFor(goCodec, raw)

    test('what Once has loaded in Go is not loaded again here', async () => {
      const { go, key, open } = world()
      const at = key('once')
      const loaded = await go.call({ do: 'once', codec: goCodec, fixture, key: at })
      expect(loaded).toMatchObject({ same: true, loads: 1 })
      const { load, runs } = countedLoader(value)
      expect(await open(codec()).once(at, load)).toEqual(value)
      expect(runs()).toBe(0)
    })

    test('what once has loaded here is not loaded again in Go', async () => {
      const { go, key, open } = world()
      const at = key('once')
      const { load, runs } = countedLoader(value)
      expect(await open(codec()).once(at, load)).toEqual(value)
      expect(runs()).toBe(1)
      const answer = await go.call({ do: 'once', codec: goCodec, fixture, key: at })
      expect(answer).toMatchObject({ same: true, loads: 0 })
    })

    test('a record that Go did not find is not looked for here', async () => {
      const { go, key, open, redis } = world()
      const at = key('absent')
      const asked = { do: 'once', codec: goCodec, fixture, key: at, loads: 'notFound' } as const
      expect(await go.call(asked)).toMatchObject({ notFound: true, loads: 1 })
      const cache = open(codec())
      const { load, runs } = countedLoader<unknown>(value)
      expect(await cache.once(at, load)).toBeNull()
      expect(runs()).toBe(0)
      const found = await cache.lookup(at)
      expect(found).toMatchObject({ status: 'absent', tier: 'remote' })
      expect(await redis.get(at)).toBe('*')
    })

    test.each(['once', 'set'])(
      'a record that %s did not find here is not looked for in Go',
      async (by) => {
        const { go, key, open, redis } = world()
        const at = key('absent')
        const cache = open(codec())
        if (by === 'once') expect(await cache.once(at, () => null)).toBeNull()
        else await cache.set(at, null)
        expect(await redis.get(at)).toBe('*')
        const answer = await go.call({ do: 'once', codec: goCodec, fixture, key: at })
        expect(answer).toMatchObject({ notFound: true, loads: 0 })
      },
    )

    test('what is deleted here is loaded again in Go', async () => {
      const { go, key, open } = world()
      const at = key('deleted')
      const cache = open(codec())
      const asked = { do: 'once', codec: goCodec, fixture, key: at } as const
      await go.call(asked)
      expect(await go.call(asked)).toMatchObject({ loads: 0 })
      expect(await cache.delete(at)).toBe(true)
      expect(await go.call(asked)).toMatchObject({ same: true, loads: 1 })
    })

    test('what Go deletes is loaded again here', async () => {
      const { go, key, open } = world()
      const at = key('deleted')
      const cache = open(codec())
      await cache.set(at, value)
      expect((await go.call({ do: 'delete', codec: goCodec, key: at })).error).toBeUndefined()
      const { load, runs } = countedLoader(value)
      expect(await cache.once(at, load)).toEqual(value)
      expect(runs()).toBe(1)
    })
  })

  test.each(['msgpack', 'json'] as const)(
    'a nil that Go stored is not found with %s',
    async (goCodec) => {
      const { go, key, open } = world()
      const at = key('nil')
      await go.call({ do: 'set', codec: goCodec, fixture: 'nil', key: at })
      const cache = open(codecFor(goCodec))
      expect(await cache.lookup(at)).toMatchObject({ status: 'absent' })
      const { load, runs } = countedLoader<unknown>('loaded')
      expect(await cache.once(at, load)).toBeNull()
      expect(runs()).toBe(0)
    },
  )

  test('a life that Go gave is the life it has here, and the other way round', async () => {
    const { go, key, open, redis } = world()
    const at = key('life')
    const cache = open(codecFor('msgpack'))
    await go.call({ do: 'set', codec: 'msgpack', fixture: 'inner', key: at, ttl: 600_000 })
    const found = await cache.lookup(at)
    const left = 'ttlLeft' in found ? found.ttlLeft : 0
    expect(left).toBeGreaterThan(540_000)
    expect(left).toBeLessThanOrEqual(600_000)
    await cache.set(at, { ID: 7, Name: 'seven' }, { ttl: '5m' })
    const life = await redis.pTTL(at)
    expect(life).toBeGreaterThan(240_000)
    expect(life).toBeLessThanOrEqual(300_000)
  })

  test('a life below a second becomes an hour in Go', async () => {
    const { go, key, redis } = world()
    const at = key('life')
    await go.call({ do: 'set', codec: 'msgpack', fixture: 'inner', key: at, ttl: 999 })
    const life = await redis.pTTL(at)
    expect(life).toBeGreaterThan(3_540_000)
    expect(life).toBeLessThanOrEqual(3_600_000)
  })
}
