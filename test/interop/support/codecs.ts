import { inspect, isDeepStrictEqual } from 'node:util'
import { expect } from 'vitest'
import type { Codec } from '../../../src/codec/codec.ts'
import { json } from '../../../src/codec/json.ts'
import { msgpack } from '../../../src/codec/msgpack.ts'
import { bytes, text } from '../../../src/codec/raw.ts'
import type { GoCodec, Raw } from './fixtures.ts'

/** What the types of `go/fixtures.go` need to be told about. */
export const GO_TYPES = {
  interop: 'go',
  internedFields: ['City'],
  float32Fields: ['Float32', 'Vector', 'Grid', 'Weight'],
} as const

/** The codec of ours for what Go keeps raw, or writes with its codec of that name. */
export function codecFor(goCodec: GoCodec, raw?: Raw): Codec {
  if (raw !== undefined) return raw === 'text' ? text() : bytes()
  return goCodec === 'msgpack' ? msgpack(GO_TYPES) : json()
}

/** Equal in types and values. Quick with megabytes, where vitest's own comparison is not. */
export function expectSame(got: unknown, wanted: unknown): void {
  const isSame = isDeepStrictEqual(got, wanted)
  expect(isSame, `${inspect(got)} is not ${inspect(wanted)}`).toBe(true)
}
