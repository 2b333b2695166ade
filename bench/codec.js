import { createRequire } from 'node:module'
import v8 from 'node:v8'
import { Decoder as OtherDecoder, Encoder as OtherEncoder } from '@msgpack/msgpack'
import { json } from '../dist/codec/json.js'
import { msgpack } from '../dist/codec/msgpack.js'
import { compare, print } from './compare.js'
import { large, small } from './objects.js'

// Build first: npm run build (in the folder above).
// Run with MSGPACKR_NATIVE_ACCELERATION_DISABLED=true for msgpackr without its native part.
const { Packr } = createRequire(import.meta.url)('msgpackr')
const isNative = process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED !== 'true'

const own = msgpack({ compressFrom: Infinity })
const ownJson = json()
const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'auto' })
const encoder = new OtherEncoder()
const decoder = new OtherDecoder()
const msgpackr = isNative ? 'msgpackr (native)' : 'msgpackr (no native)'

for (const [name, object] of Object.entries({ small, large })) {
  const text = Buffer.from(JSON.stringify(object))
  const bytes = Buffer.from(own.encode(object))
  const body = bytes.subarray(0, -1)
  const serialized = v8.serialize(object)
  console.log(`\n${name}: ${text.length} bytes of JSON, ${bytes.length} of msgpack`)
  print(
    `decode ${name}`,
    compare({
      'own msgpack': () => own.decode(bytes),
      'JSON.parse from a Buffer': () => JSON.parse(text.toString()),
      [msgpackr]: () => packr.unpack(body),
      '@msgpack/msgpack': () => decoder.decode(body),
      'v8.deserialize': () => v8.deserialize(serialized),
      'own json': () => ownJson.decode(text),
    }),
  )
  print(
    `encode ${name}`,
    compare({
      'own msgpack': () => own.encode(object),
      'JSON.stringify to a Buffer': () => Buffer.from(JSON.stringify(object)),
      [msgpackr]: () => packr.pack(object),
      '@msgpack/msgpack': () => encoder.encode(object),
      'v8.serialize': () => v8.serialize(object),
      'own json': () => ownJson.encode(object),
    }),
  )
  const decoded = own.decode(bytes)
  print(
    `copy ${name}`,
    compare({
      'copy of a decoded value': () => own.copy(decoded),
      structuredClone: () => structuredClone(decoded),
      'JSON.parse(text)': () => JSON.parse(JSON.stringify(decoded)),
    }),
  )
}
