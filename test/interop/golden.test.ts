import { describe, expect, test } from 'vitest'
import { decodePayload } from '../../src/codec/payload.ts'
import { NOT_FOUND } from '../../src/model/entry.ts'
import { codecFor, expectSame } from './support/codecs.ts'
import { CASES, type Fixture, type GoCodec } from './support/fixtures.ts'
import { readVectors } from './support/vectors.ts'

const { header, vectors } = readVectors()
const jetcacheGo = `jetcache-go ${header.modules['github.com/mgtv-tech/jetcache-go']}`

/** Megabytes that no codec shortens: the live tests compare those. */
function isTooLong(name: string, goCodec: GoCodec): boolean {
  return /(100K|5M)$/.test(name) && !(name.startsWith('letter') && goCodec === 'msgpack')
}

const CAPTURED = CASES.filter(([name, goCodec]) => !isTooLong(name, goCodec)).map(
  ([name, goCodec, fixture]): [string, GoCodec, Fixture, Uint8Array | undefined] => [
    name,
    goCodec,
    fixture,
    vectors.get(`${name} ${goCodec}`),
  ],
)

describe(`bytes captured from ${jetcacheGo} on ${header.captured}`, () => {
  test.each(CAPTURED)('of %s with %s are read here as the same value', (...given) => {
    const [, goCodec, fixture, stored] = given
    if (stored === undefined) throw new Error('they have not been captured')
    const value = decodePayload(codecFor(goCodec, fixture.raw), 'key', stored)
    expectSame(value === NOT_FOUND ? null : value, fixture.values[goCodec])
  })

  test('of the placeholder are read here as not found, with every codec', () => {
    const stored = vectors.get('placeholder msgpack') ?? new Uint8Array()
    for (const raw of ['text', 'bytes', undefined] as const) {
      for (const goCodec of ['msgpack', 'json'] as const) {
        expect(decodePayload(codecFor(goCodec, raw), 'key', stored)).toBe(NOT_FOUND)
      }
    }
  })

  test('are each compared with a value', () => {
    const compared = CAPTURED.map(([name, goCodec]) => `${name} ${goCodec}`)
    expect([...vectors.keys()].sort()).toEqual([...compared, 'placeholder msgpack'].sort())
  })

  test('hold both forms of msgpack: as it is, and as an S2 block', () => {
    const packed = CAPTURED.filter(
      ([, goCodec, { raw }, stored]) =>
        goCodec === 'msgpack' && raw === undefined && stored?.length,
    )
    expect(new Set(packed.map(([, , , stored]) => stored?.at(-1)))).toEqual(new Set([0, 1]))
  })
})
