// Build first: npm run build (in the folder above).
import { compressSync, uncompressSync } from 'snappy'
import snappyjs from 'snappyjs'
import { s2Decode } from '../dist/codec/s2-decode.js'
import { s2Encode } from '../dist/codec/s2-encode.js'
import { compare, print } from './compare.js'
import { orders } from './objects.js'

const MAX = 64 * 1024 * 1024
const TRAILER = 1

const inputs = {
  '250 B of JSON': Buffer.from(JSON.stringify(orders(2)).slice(0, 250)),
  '16 KB of JSON': Buffer.from(JSON.stringify(orders(200)).slice(0, 16_384)),
}

for (const [name, input] of Object.entries(inputs)) {
  const block = compressSync(input)
  const own = s2Encode(input, TRAILER)
  if (!uncompressSync(own.subarray(0, -1)).equals(input)) throw new Error('own block is not read')
  console.log(
    `\n${name}: own block ${own.length - 1} bytes, snappy ${block.length}, snappyjs ${snappyjs.compress(input).length}`,
  )
  print(
    `decode ${name}`,
    compare({
      own: () => s2Decode(block, MAX),
      'snappy (native)': () => uncompressSync(block),
      snappyjs: () => snappyjs.uncompress(block),
    }),
  )
  print(
    `encode ${name}`,
    compare({
      own: () => s2Encode(input, TRAILER),
      'snappy (native)': () => compressSync(input),
      snappyjs: () => snappyjs.compress(input),
    }),
  )
}
