import { describe, expect, test } from 'vitest'
import { decodePayload } from '../../src/codec/payload.ts'
import { NOT_FOUND } from '../../src/model/entry.ts'
import { codecFor, expectSame } from './support/codecs.ts'
import { CASES } from './support/fixtures.ts'
import { readVectors } from './support/vectors.ts'

const { header, vectors } = readVectors()

/** What the Go program found too long to keep: megabytes, and what no codec shortens. */
const TOO_LONG = /^(text|noise|packet)(100K|5M)$|^letter(100K|5M)$/

describe(`bytes captured from jetcache-go ${header.modules['github.com/mgtv-tech/jetcache-go']} on ${header.captured}`, () => {
  test.each(CASES)('of %s with %s are read here as the same value', (name, goCodec, fixture) => {
    const stored = vectors.get(`${name} ${goCodec}`)
    if (stored === undefined) {
      expect(name).toMatch(TOO_LONG)
      return
    }
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

  test('are all there, and none is left without a value to compare it with', () => {
    const named = new Set(CASES.map(([name, goCodec]) => `${name} ${goCodec}`))
    const unnamed = [...vectors.keys()].filter((each) => !named.has(each))
    expect(unnamed).toEqual(['placeholder msgpack'])
    const missing = [...named].filter((each) => !vectors.has(each))
    expect(missing.every((each) => TOO_LONG.test(each.split(' ')[0] ?? ''))).toBe(true)
    expect(vectors.size).toBeGreaterThan(130)
  })

  test('hold both forms of msgpack: as it is, and as an S2 block', () => {
    const trailers = [...vectors].flatMap(([name, stored]) =>
      name.endsWith(' msgpack') &&
      CASES.some(([each, , { raw }]) => name === `${each} msgpack` && raw === undefined)
        ? [stored.at(-1)]
        : [],
    )
    expect(new Set(trailers.filter((each) => each !== undefined))).toEqual(new Set([0, 1]))
  })
})
