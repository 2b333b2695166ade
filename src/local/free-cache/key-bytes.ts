/** For longer keys the encoder is faster than reading one character after the other. */
const SHORT = 48

/** What a record can say of the length of its key. */
const LONGEST = 65_535

const encoder = new TextEncoder()

/**
 * The UTF-8 of one key at a time, in memory that is used again: nothing is made for a look-up. (Not
 * Latin-1: it writes the low byte of each character, so that keys beyond U+00FF would be taken for others.)
 */
export class KeyBytes {
  /** The key's bytes; those that are missing to the last word are 0. */
  words: Uint32Array = new Uint32Array(64)
  /** The same memory. */
  bytes: Uint8Array = new Uint8Array(this.words.buffer)
  length = 0

  /** Returns whether it is no longer than 65,535 bytes. */
  load(key: string): boolean {
    if (key.length <= SHORT && this.#loadAscii(key)) return true
    return this.#encode(key)
  }

  #loadAscii(key: string): boolean {
    const length = key.length
    for (let i = 0; i < length; i++) {
      const code = key.charCodeAt(i)
      if (code > 0x7f) return false
      this.bytes[i] = code
    }
    this.#ends(length)
    return true
  }

  #encode(key: string): boolean {
    // One UTF-16 unit becomes three bytes at most.
    const most = Math.min(key.length * 3, LONGEST)
    if (most + 4 > this.bytes.length) {
      this.words = new Uint32Array((most + 8) >> 2)
      this.bytes = new Uint8Array(this.words.buffer)
    }
    const { read, written } = encoder.encodeInto(key, this.bytes.subarray(0, most))
    this.#ends(written)
    return read === key.length
  }

  #ends(length: number): void {
    this.length = length
    for (let i = length; (i & 3) !== 0; i++) this.bytes[i] = 0
  }
}
