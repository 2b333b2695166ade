import { expect, test } from 'vitest'
import { json } from '../../../src/codec/json.ts'
import { msgpack } from '../../../src/codec/msgpack.ts'
import { text } from '../../../src/codec/raw.ts'
import { countedLoader, type World } from '../support/world.ts'

/** The kinds that Go has no word for, as the default msgpack writes them. */
const JS_ONLY: readonly (readonly [string, unknown])[] = [
  ['a bigint', 5n],
  ['a bigint of more than 64 bits', 2n ** 70n],
  ['a negative bigint', -5n],
  ['a Set', new Set([1, 2])],
  ['an empty Set', new Set()],
  ['a Set of strings', new Set(['a'])],
  ['a Map of strings', new Map([['a', 1]])],
  ['a Map of strings to strings', new Map([['ID', 'one']])],
  ['an empty Map', new Map()],
  ['an array with undefined', [1, undefined]],
  ['an array of undefined', [undefined]],
  ['an array of undefined and an object', [undefined, { a: 1 }]],
]

export function refusalTests(world: () => World): void {
  test.each(JS_ONLY)(
    '%s is an error to Go, whatever the type of the field',
    async (name, value) => {
      const { go, key, open } = world()
      const at = key(name)
      await open(msgpack()).set(at, { V: value })
      const { values } = await go.call({ do: 'read' })
      const types = Object.keys(values ?? {})
      expect(types.length).toBeGreaterThan(20)
      const silent: string[] = []
      for (const target of types) {
        const answer = await go.call({ do: 'read', codec: 'msgpack', key: at, target })
        if (answer.error === undefined) silent.push(`${target}: ${answer.shown}`)
      }
      expect(silent).toEqual([])
    },
  )

  test.each(JS_ONLY)('%s as the whole value is an error to Go', async (name, value) => {
    const { go, key, open } = world()
    const at = key(name)
    await open(msgpack()).set(at, value)
    for (const fixture of ['inner', 'object', 'list', 'number', 'truth', 'moment', 'anything']) {
      const answer = await go.call({ do: 'get', codec: 'msgpack', fixture, key: at })
      expect(answer.error, fixture).toBeDefined()
    }
  })

  test('Once in Go deletes what it cannot read, loads, and its value is read here', async () => {
    const { go, key, open, redis } = world()
    const at = key('unreadable')
    const cache = open(msgpack())
    await cache.set(at, { ID: 5n, Name: 'ours' })
    const asked = { do: 'once', codec: 'msgpack', fixture: 'inner', key: at } as const
    const before = await go.call({ ...asked, do: 'get' })
    expect(before.error).toContain('invalid code')
    expect(await go.call({ ...asked, loads: 'failure' })).toMatchObject({ loads: 1 })
    expect(await redis.exists(at)).toBe(0)
    await cache.set(at, { ID: 5n, Name: 'ours' })
    expect(await go.call(asked)).toMatchObject({ same: true, loads: 1 })
    expect(await cache.get(at)).toEqual({ ID: 7, Name: 'seven' })
  })

  test('MGet in Go leaves out what it cannot read, with an error, and neither loads nor deletes it', async () => {
    const { go, key, open, redis } = world()
    const prefix = key('unreadable')
    const cache = open(msgpack())
    await cache.set(`${prefix}:1`, { ID: 5n, Name: 'ours' })
    await cache.set(`${prefix}:2`, { ID: 2, Name: 'ours' })
    const answer = await go.call({
      ...{ do: 'mget', codec: 'msgpack', prefix, idType: 'int' },
      ...{ ids: ['1', '2'], known: ['1'] },
    })
    expect(answer.error).toContain('invalid code')
    expect(answer.values).toEqual({ 2: '{ID:2 Name:ours}' })
    expect(answer.loads).toBe(0)
    expect(await redis.exists(`${prefix}:1`)).toBe(1)
  })

  test('a nil for a time that is no pointer makes Go panic, and omitNull leaves it out', async () => {
    const { go, key, open } = world()
    const at = key('time')
    const value = { V: null, Other: null }
    const asked = { do: 'read', codec: 'msgpack', key: at, target: 'time.Time' } as const
    await open(msgpack({ interop: 'go' })).set(at, value)
    expect(await go.call(asked)).toMatchObject({ panicked: true })
    await open(msgpack({ interop: 'go', omitNull: ['V'] })).set(at, value)
    const answer = await go.call(asked)
    expect(answer.error).toBeUndefined()
    expect(answer.shown).toBe('{V:0001-01-01 00:00:00 +0000 UTC}')
  })

  test('a fraction is an error to a float32 of Go, unless float32Fields names it', async () => {
    const { go, key, open } = world()
    const at = key('float32')
    const asked = { do: 'read', codec: 'msgpack', key: at, target: 'float32' } as const
    await open(msgpack({ interop: 'go' })).set(at, { V: 1.5 })
    expect((await go.call(asked)).error).toBe('msgpack: invalid code=cb decoding float32')
    await open(msgpack({ interop: 'go' })).set(at, { V: 3 })
    expect(await go.call(asked)).toMatchObject({ shown: '{V:3}' })
    expect(await go.call({ ...asked, target: 'float64' })).toMatchObject({ shown: '{V:3}' })

    const cache = open(msgpack({ interop: 'go', float32Fields: ['V'] }))
    await cache.set(at, { V: 0.1 })
    expect(await go.call(asked)).toMatchObject({ shown: '{V:0.1}' })
    expect(await go.call({ ...asked, target: 'float64' })).toMatchObject({
      shown: '{V:0.10000000149011612}',
    })
    expect(await cache.get(at)).toEqual({ V: 0.10000000149011612 })
  })

  test('an integer that no float32 has is rounded by Go alone', async () => {
    const { go, key, open } = world()
    const at = key('float32')
    const asked = { do: 'read', codec: 'msgpack', key: at, target: 'float32' } as const
    const cache = open(msgpack({ interop: 'go', float32Fields: ['V'] }))
    await cache.set(at, { V: 2 ** 24 + 1 })
    expect(await go.call(asked)).toMatchObject({ shown: '{V:1.6777216e+07}' })
    expect(await go.call({ ...asked, target: 'int64' })).toMatchObject({ shown: '{V:16777217}' })
    expect(await cache.get(at)).toEqual({ V: 2 ** 24 + 1 })
  })

  test('a float32 in a map is an error to Go under the name of the map, not under its own', async () => {
    const { go, key, open } = world()
    const at = key('float32 in a map')
    const asked = { do: 'read', codec: 'msgpack', key: at, target: 'map[string]float32' } as const
    await open(msgpack({ interop: 'go', float32Fields: ['V'] })).set(at, { V: { a: 0.1 } })
    expect((await go.call(asked)).error).toBe('msgpack: invalid code=cb decoding float32')
    await open(msgpack({ interop: 'go', float32Fields: ['a'] })).set(at, { V: { a: 0.1 } })
    expect(await go.call(asked)).toMatchObject({ shown: '{V:map[a:0.1]}' })
  })

  test('a nil is the zero value for every other type of field', async () => {
    const { go, key, open } = world()
    const at = key('nil')
    await open(msgpack({ interop: 'go' })).set(at, { V: null })
    const { values } = await go.call({ do: 'read' })
    const refused: string[] = []
    for (const target of Object.keys(values ?? {})) {
      const answer = await go.call({ do: 'read', codec: 'msgpack', key: at, target })
      if (answer.error !== undefined) refused.push(`${target}: ${answer.error}`)
    }
    expect(refused).toEqual([expect.stringMatching(/^time\.Time: /)])
  })

  test('a string written with the default msgpack is not the string that Go reads', async () => {
    const { go, key, open } = world()
    const at = key('string')
    const asked = { do: 'get', codec: 'msgpack', fixture: 'rawText', key: at } as const
    await open(msgpack()).set(at, 'é 漢字 🙂')
    expect((await go.call(asked)).same).not.toBe(true)
    await expect(open(msgpack({ interop: 'go' })).set(at, 'é 漢字 🙂')).rejects.toThrow(
      /Use codec text/,
    )
    await open(text()).set(at, 'é 漢字 🙂')
    expect(await go.call(asked)).toMatchObject({ same: true })
  })

  test('interned strings are refused without the names of their fields, and loaded anew', async () => {
    const { go, key, open } = world()
    const at = key('interned')
    await go.call({ do: 'set', codec: 'msgpack', fixture: 'interned', key: at })
    const cache = open(msgpack())
    const found = await cache.lookup(at)
    expect(found).toMatchObject({ status: 'error' })
    expect(String('error' in found ? found.error : '')).toContain('internedFields')
    const { load, runs } = countedLoader([{ City: 'Faro', Zip: '8000' }])
    expect(await cache.once(at, load)).toEqual([{ City: 'Faro', Zip: '8000' }])
    expect(runs()).toBe(1)
  })

  test('two services with different codecs do not take turns at deleting and loading', async () => {
    const { go, key, open } = world()
    const at = key('war')
    const cache = open(json())
    const asked = { do: 'once', codec: 'msgpack', fixture: 'inner', key: at } as const
    let loadsInGo = 0
    for (let round = 0; round < 10; round++) {
      const answer = await go.call(asked)
      expect(answer).toMatchObject({ same: true })
      loadsInGo += answer.loads
      expect(await cache.once(at, () => ({ ID: 7, Name: 'seven' }))).toEqual({
        ID: 7,
        Name: 'seven',
      })
    }
    // The first load, and the one after the only time that we replaced Go's bytes.
    expect(loadsInGo).toBe(2)
  })
}
