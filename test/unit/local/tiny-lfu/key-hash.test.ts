import { describe, expect, it } from 'vitest'
import { KeyHash } from '../../../../src/local/tiny-lfu/key-hash.ts'

const KEYS = Array.from({ length: 2000 }, (_, i) => `user:${i}`)

describe('the hash of a key', () => {
  it('is the same for the same key, and 32 bits', () => {
    const hash = new KeyHash(Math.random)
    for (const key of ['', 'a', '__proto__', 'ключ', '🔑', 'x'.repeat(1000), ...KEYS]) {
      expect(hash.of(key)).toBe(hash.of(`${key} `.slice(0, -1)))
      expect(hash.of(key) | 0).toBe(hash.of(key))
    }
  })

  it('is another in each instance', () => {
    const one = new KeyHash(Math.random)
    const other = new KeyHash(Math.random)
    expect(KEYS.filter((key) => one.of(key) === other.of(key)).length).toBeLessThan(5)
  })

  it('depends on both numbers of the instance', () => {
    const of = (...numbers: number[]) => new KeyHash(() => numbers.shift() ?? 0)
    const keys = KEYS.slice(0, 100)
    const all = (hash: KeyHash) => keys.map((key) => hash.of(key))
    expect(all(of(0.1, 0.5))).not.toEqual(all(of(0.2, 0.5)))
    expect(all(of(0.1, 0.5))).not.toEqual(all(of(0.1, 0.6)))
  })

  it.each([0.37, 0.42])('spreads keys that are alike, with %d for chance', (number) => {
    const hash = new KeyHash(() => number)
    const hashes = KEYS.map((key) => hash.of(key))
    expect(new Set(hashes).size).toBeGreaterThan(1995)
    for (const shift of [0, 8, 16, 24]) {
      const counts = new Array<number>(256).fill(0)
      for (const each of hashes)
        counts[(each >>> shift) & 255] = (counts[(each >>> shift) & 255] ?? 0) + 1
      expect(Math.max(...counts)).toBeLessThan(30)
    }
  })

  it('tells keys apart that differ in their order, their length or above U+00FF', () => {
    const hash = new KeyHash(() => 0.42)
    const keys = [
      '',
      '\u0000',
      '\u0000\u0000',
      'ab',
      'ba',
      'a',
      'š',
      'a\u0000',
      '\u0061\u0161',
      'š\u0061',
    ]
    expect(new Set(keys.map((key) => hash.of(key))).size).toBe(keys.length)
  })
})
