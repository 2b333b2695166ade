import { expect, test } from 'vitest'
import { msgpack } from '../../../src/codec/msgpack.ts'
import { codecFor, expectSame, GO_TYPES } from '../support/codecs.ts'
import { CASES } from '../support/fixtures.ts'
import { readVectors } from '../support/vectors.ts'
import { countedLoader, type World } from '../support/world.ts'

const { vectors } = readVectors()
const LOADED = 'loaded'

/** Every value, in both directions, and without a load on either side. */
export function valueTests(world: () => World): void {
  test.each(CASES)('what Go stores of %s as %s is what once gives here', async (...given) => {
    const [name, goCodec, fixture] = given
    const { go, key, open, bytes } = world()
    const at = key(name)
    const stored = await go.call({ do: 'set', codec: goCodec, fixture: name, key: at })
    expect(stored.error).toBeUndefined()
    const captured = vectors.get(`${name} ${goCodec}`)
    if (captured !== undefined) expect(await bytes(at)).toEqual(captured)
    const { load, runs } = countedLoader(LOADED)
    expectSame(await open(codecFor(goCodec, fixture.raw)).once(at, load), fixture.values[goCodec])
    expect(runs()).toBe(0)
  })

  const returned = CASES.filter(([, goCodec, { oneWay }]) => oneWay[goCodec] === undefined)
  test.each(returned)(
    'what is stored here of %s as %s is what Once gives in Go',
    async (...given) => {
      const [name, goCodec, fixture] = given
      const { go, key, open } = world()
      const at = key(name)
      await open(codecFor(goCodec, fixture.raw)).set(at, fixture.values[goCodec])
      const answer = await go.call({ do: 'once', codec: goCodec, fixture: name, key: at })
      expect(answer).toMatchObject({ same: true, loads: 0 })
    },
  )

  const oneWays = CASES.flatMap(([name, goCodec, { values, oneWay, raw }]) => {
    const reason = oneWay[goCodec]
    return reason === undefined ? [] : [{ name, goCodec, value: values[goCodec], reason, raw }]
  })
  test.each(oneWays)('$name as $goCodec comes back to Go otherwise: $reason', async (given) => {
    const { go, key, open } = world()
    const { name, goCodec, value, raw } = given
    const at = key(name)
    await open(codecFor(goCodec, raw)).set(at, value)
    const answer = await go.call({ do: 'get', codec: goCodec, fixture: name, key: at })
    expect(answer.same).not.toBe(true)
  })

  const packed = returned.flatMap(([name, goCodec, { raw, values, refusedWithout }]) =>
    goCodec === 'msgpack' && raw === undefined
      ? [{ name, value: values.msgpack, refusedWithout }]
      : [],
  )
  test.each(packed)('Go reads $name as the default msgpack writes it', async (given) => {
    const { name, value, refusedWithout } = given
    const { go, key, open } = world()
    const at = key(name)
    await open(msgpack()).set(at, value)
    const answer = await go.call({ do: 'get', codec: 'msgpack', fixture: name, key: at })
    if (refusedWithout === undefined) expect(answer).toMatchObject({ same: true })
    else expect(answer.error).toMatch(refusedWithout)
  })

  test.each(packed)('Go reads $name compressed by us, however short it is', async (given) => {
    const { name, value } = given
    const { go, key, open } = world()
    const at = key(name)
    await open(msgpack({ ...GO_TYPES, compressFrom: 0 })).set(at, value)
    const answer = await go.call({ do: 'get', codec: 'msgpack', fixture: name, key: at })
    expect(answer).toMatchObject({ same: true })
  })
}
