import { expect, test } from 'vitest'
import { msgpack } from '../../../src/codec/msgpack.ts'
import { codecFor } from '../support/codecs.ts'
import { countedLoader, type World } from '../support/world.ts'

/** Ids as Go's typed wrapper takes them, in JSON, and the end of the key that it makes of each. */
const IDS: readonly (readonly [idType: string, id: string, printed: string])[] = [
  ['int', '42', '42'],
  ['int', '-7', '-7'],
  ['int64', '9007199254740993', '9007199254740993'],
  ['uint64', '18446744073709551615', '18446744073709551615'],
  ['string', '"a:b c"', 'a:b c'],
  ['string', '"é"', 'é'],
  ['float64', '1.5', '1.5'],
  ['float64', '1000000', '1e+06'],
  ['float64', '1e21', '1e+21'],
  ['float64', '0.00001', '1e-05'],
]

/** Go's typed wrapper, and its MGet over keys of ours. */
export function batchTests(world: () => World): void {
  test.each(IDS)('the key of the %s %s ends in %s', async (idType, id, printed) => {
    const { go, key, open } = world()
    const prefix = key('typed')
    const codec = 'msgpack'
    const stored = await go.call({ do: 'typedSet', codec, prefix, idType, ids: [id] })
    expect(stored.error).toBeUndefined()
    expect(await open(msgpack()).get(`${prefix}:${printed}`)).toEqual({ ID: 7, Name: 'seven' })
  })

  const kinds = [
    { goCodec: 'msgpack', idType: 'int', ids: ['1', '2', '3', '4', '5'] },
    { goCodec: 'json', idType: 'int', ids: ['1', '2', '3', '4', '5'] },
    { goCodec: 'msgpack', idType: 'string', ids: ['"a"', '"b"', '"c"', '"d"', '"e"'] },
  ] as const
  test.each(kinds)(
    'MGet over keys of ours loads only what we lack: $goCodec, ids of type $idType',
    async (given) => {
      const { go, key, open } = world()
      const { goCodec, idType, ids } = given
      const prefix = key('mget')
      const printed: readonly string[] = ids.map((id) => String(JSON.parse(id)))
      const [one, two, three, four, five] = printed as [string, string, string, string, string]
      const cache = open(codecFor(goCodec))
      await cache.set(`${prefix}:${one}`, { ID: 1, Name: 'ours' })
      await cache.once(`${prefix}:${two}`, () => ({ ID: 2, Name: 'loaded here' }))
      await cache.set(`${prefix}:${three}`, null)

      const asked = { do: 'mget', codec: goCodec, prefix, idType, ids, known: [ids[3]] } as const
      const answer = await go.call(asked)
      expect(answer.error).toBeUndefined()
      expect(answer.values).toEqual({
        [one]: '{ID:1 Name:ours}',
        [two]: '{ID:2 Name:loaded here}',
        [four]: `{ID:7 Name:loaded ${four}}`,
      })
      expect(answer.asked).toEqual([four, five])

      const { load, runs } = countedLoader<unknown>('loaded')
      expect(await cache.once(`${prefix}:${four}`, load)).toEqual({ ID: 7, Name: `loaded ${four}` })
      expect(await cache.once(`${prefix}:${five}`, load)).toBeNull()
      expect(runs()).toBe(0)
      expect(await go.call(asked)).toMatchObject({ loads: 0 })
    },
  )

  test('MGet over values of 100 KB of ours, compressible and not, loads none', async () => {
    const { go, key, open } = world()
    const prefix = key('mget')
    const cache = open(codecFor('msgpack'))
    const ids = Array.from({ length: 20 }, (_, i) => String(i))
    const long = 'two tiers, one answer; '.repeat(4500)
    await Promise.all(ids.map((id) => cache.set(`${prefix}:${id}`, { ID: Number(id), Name: long })))
    const answer = await go.call({ do: 'mget', codec: 'msgpack', prefix, idType: 'int', ids })
    expect(answer).toMatchObject({ loads: 0 })
    expect(Object.keys(answer.values ?? {}).sort()).toEqual([...ids].sort())
  })
}
