// Build first: npm run build (in the folder above).
import { isDeepStrictEqual } from 'node:util'
import { Decoder, Encoder } from '@msgpack/msgpack'
import { Packr } from 'msgpackr'
import { msgpack } from '../dist/codec/msgpack.js'

/*
 * Random values of the kinds that all three know, written by each and read by each other. Left out is
 * what the others are known to do differently: integers above 2^32 (msgpackr writes floats), -0, NaN
 * and __proto__ keys.
 */
const ROUNDS = Number(process.argv[2] ?? 20_000)

const own = msgpack({ compressFrom: Infinity })
const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'auto' })
const encoder = new Encoder()
const decoder = new Decoder()

const body = (value) => own.encode(value).subarray(0, -1)
const framed = (bytes) => Buffer.concat([bytes, Buffer.of(0)])

let seed = Number(process.argv[3] ?? 1)
function below(limit) {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return Math.floor((seed / 2 ** 32) * limit)
}

const EDGES = [0, 1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1]
const TEXTS = [
  '',
  'a',
  'key',
  'ä',
  '€uro',
  '𝄞',
  'x'.repeat(31),
  'y'.repeat(32),
  'ü'.repeat(130),
  'z'.repeat(70_000),
]

function value(depth) {
  switch (below(depth > 3 ? 7 : 9)) {
    case 0:
      return [null, true, false][below(3)]
    case 1:
      return EDGES[below(EDGES.length)]
    case 2:
      return -EDGES[1 + below(8)] - below(2)
    case 3:
      return (below(2 ** 32) - 2 ** 31) / (1 + below(997)) + 0.5
    case 4:
    case 5:
      return below(50) === 0 ? TEXTS[below(TEXTS.length)] : TEXTS[below(TEXTS.length - 1)]
    case 6:
      return below(2) === 0
        ? new Date(below(2 ** 32) * 1000 + below(1000))
        : Uint8Array.from({ length: below(40) }, () => below(256))
    case 7:
      return Array.from({ length: below(20) }, () => value(depth + 1))
    default:
      return Object.fromEntries(
        Array.from({ length: below(20) }, (_, i) => [`${TEXTS[below(8)]}${i}`, value(depth + 1)]),
      )
  }
}

/** Both others read bytes as a Buffer when they read from one; the value is the same. */
function plainBytes(input) {
  if (input instanceof Uint8Array) return new Uint8Array(input)
  if (Array.isArray(input)) return input.map(plainBytes)
  if (typeof input !== 'object' || input === null || input instanceof Date) return input
  return Object.fromEntries(Object.entries(input).map(([key, part]) => [key, plainBytes(part)]))
}

function check(what, read, written) {
  if (isDeepStrictEqual(plainBytes(read), written)) return
  throw new Error(`${what}, not equal: ${JSON.stringify(written).slice(0, 2000)}`)
}

for (let i = 0; i < ROUNDS; i++) {
  const input = value(0)
  const bytes = body(input)
  check('msgpackr reads ours', packr.unpack(bytes), input)
  check('@msgpack/msgpack reads ours', decoder.decode(bytes), input)
  check('we read msgpackr', own.decode(framed(packr.pack(input))), input)
  check('we read @msgpack/msgpack', own.decode(framed(encoder.encode(input))), input)
}
console.log(`${ROUNDS} values: each reads what the others wrote`)
