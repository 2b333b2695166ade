// Build first: npm run build (in the folder above).
import { msgpack } from '../dist/codec/msgpack.js'
import { compare } from './compare.js'
import { orders } from './objects.js'

// What compression saves and costs by size: the reason for the default of compressFrom.
const raw = msgpack({ compressFrom: Infinity })
const compressed = msgpack({ compressFrom: 0 })

console.log('bytes -> compressed (saved); ns more to encode, ns more to decode; ns per byte saved')
for (const count of [1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128]) {
  const value = orders(count)
  const plain = raw.encode(value)
  const block = compressed.encode(value)
  const times = compare(
    {
      encodeRaw: () => raw.encode(value),
      encode: () => compressed.encode(value),
      decodeRaw: () => raw.decode(plain),
      decode: () => compressed.decode(block),
    },
    { repetitions: 31, roundMs: 5 },
  )
  const encode = times.get('encode') - times.get('encodeRaw')
  const decode = times.get('decode') - times.get('decodeRaw')
  const saved = plain.length - block.length
  const share = `${((saved / plain.length) * 100).toFixed(0)} %`
  console.log(
    `${plain.length} -> ${block.length} (${share}); +${encode.toFixed(0)}, +${decode.toFixed(0)}; ${((encode + decode) / saved).toFixed(1)}`,
  )
}
