/**
 * Hashes keys to 32 bits, each instance in a way of its own, so that nobody who knows the code can choose
 * keys that meet. What two keys that meet cost is a wrong estimate, never a wrong answer.
 *
 * The mixing of MurmurHash3 (A. Appleby), a UTF-16 code unit at a time.
 */
export class KeyHash {
  readonly #seed: number
  readonly #factor: number

  /** @param random From 0 to below 1, twice. */
  constructor(random: () => number) {
    this.#seed = (random() * 2 ** 32) | 0
    // Odd, so that nothing is lost, and with high bits, so that units spread.
    this.#factor = ((random() * 2 ** 30) | 0) * 2 + 0x40000001
  }

  of(key: string): number {
    let hash = this.#seed ^ key.length
    for (let i = 0; i < key.length; i++) {
      hash = Math.imul(hash ^ key.charCodeAt(i), this.#factor)
      hash ^= hash >>> 15
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    return hash ^ (hash >>> 16)
  }
}
