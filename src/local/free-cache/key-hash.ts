import { randomFillSync } from 'node:crypto'

/**
 * Hashes the bytes of a key to 32 bits.
 *
 * @param words The bytes; those that are missing to the last word are 0.
 */
export type KeyHash = (words: Uint32Array, length: number) => number

/**
 * A hash with a secret of its own, so that nobody who chooses keys can choose such as lie in one chain:
 * HalfSipHash-1-3 (Aumasson, Bernstein), the one with fewer rounds, as hash tables use it.
 */
export function seededHash(): KeyHash {
  const [seed0 = 0, seed1 = 0] = randomFillSync(new Int32Array(2))
  return (words, length) => {
    let v0 = seed0
    let v1 = seed1
    let v2 = seed0 ^ 0x6c796765
    let v3 = seed1 ^ 0x74656462
    const whole = length >> 2
    for (let i = 0; i <= whole + 3; i++) {
      let word = 0
      if (i < whole) word = words[i] as number
      // The last word has the length in its upper byte.
      else if (i === whole) word = (length << 24) ^ ((length & 3) === 0 ? 0 : (words[i] as number))
      else if (i === whole + 1) v2 ^= 0xff
      v3 ^= word
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
      v0 ^= word
    }
    return (v1 ^ v3) >>> 0
  }
}
