import { Refusal } from './refusal.ts'

/** What most values need; larger ones make it grow. */
const FIRST = 8192

/** A buffer that grew beyond this for one value is given back after it. */
const KEPT = 1024 * 1024

/** Redis' limit for a value. */
const MOST = 512 * 1024 * 1024

/** Below this, a loop over the characters beats a call into the runtime. */
const SHORT_STRING = 48

const TWO_32 = 2 ** 32

/**
 * Where msgpack is written: one buffer used again and again, of which `finish` copies out what it
 * holds. Knows msgpack's heads of code and length or number, and its strings; numbers are big-endian.
 */
export class ByteSink {
  #bytes: Buffer = Buffer.allocUnsafeSlow(FIRST)
  #view: DataView = viewOf(this.#bytes)
  #pos = 0

  /** How many bytes have been written. */
  get length(): number {
    return this.#pos
  }

  /** The bytes written, in memory that is the caller's, and an empty sink. */
  finish(): Buffer {
    const own = Buffer.allocUnsafe(this.#pos)
    this.#bytes.copy(own, 0, 0, this.#pos)
    this.clear()
    return own
  }

  clear(): void {
    this.#pos = 0
    if (this.#bytes.length > KEPT) this.#resize(FIRST)
  }

  byte(byte: number): void {
    this.#reserve(1)
    this.#bytes[this.#pos++] = byte
  }

  head8(code: number, value: number): void {
    this.#reserve(2)
    this.#bytes[this.#pos] = code
    this.#bytes[this.#pos + 1] = value
    this.#pos += 2
  }

  head16(code: number, value: number): void {
    this.#reserve(3)
    const bytes = this.#bytes
    const pos = this.#pos
    bytes[pos] = code
    bytes[pos + 1] = value >>> 8
    bytes[pos + 2] = value
    this.#pos = pos + 3
  }

  head32(code: number, value: number): void {
    this.#reserve(5)
    this.#bytes[this.#pos] = code
    this.#view.setUint32(this.#pos + 1, value)
    this.#pos += 5
  }

  /** A safe integer, signed or not: its two halves are the same. */
  head64(code: number, value: number): void {
    this.byte(code)
    this.uint32(Math.floor(value / TWO_32))
    this.uint32(value % TWO_32)
  }

  headBig64(code: number, value: bigint): void {
    this.#reserve(9)
    this.#bytes[this.#pos] = code
    this.#view.setBigUint64(this.#pos + 1, BigInt.asUintN(64, value))
    this.#pos += 9
  }

  /** Rounds to the nearest of 32 bits; beyond them to infinity. */
  float32(value: number): void {
    this.#reserve(5)
    this.#bytes[this.#pos] = 0xca
    this.#view.setFloat32(this.#pos + 1, value)
    this.#pos += 5
  }

  float64(value: number): void {
    this.#reserve(9)
    this.#bytes[this.#pos] = 0xcb
    this.#view.setFloat64(this.#pos + 1, value)
    this.#pos += 9
  }

  uint32(value: number): void {
    this.#reserve(4)
    this.#view.setUint32(this.#pos, value)
    this.#pos += 4
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#pos)
    this.#pos += bytes.length
  }

  /** Writes over what is already written. */
  patch8(at: number, value: number): void {
    this.#bytes[at] = value
  }

  patch16(at: number, value: number): void {
    this.#view.setUint16(at, value)
  }

  patch32(at: number, value: number): void {
    this.#view.setUint32(at, value)
  }

  /** @throws Refusal at a lone surrogate. */
  string(value: string): void {
    const length = value.length
    if (length < SHORT_STRING) {
      this.#reserve(length + 2)
      const bytes = this.#bytes
      let pos = this.#pos
      if (length < 0x20) bytes[pos++] = 0xa0 | length
      else {
        bytes[pos++] = 0xd9
        bytes[pos++] = length
      }
      let seen = 0
      for (let i = 0; i < length; i++) {
        const code = value.charCodeAt(i)
        seen |= code
        bytes[pos++] = code
      }
      // Only now is it known to be ASCII; if it is not, it is written over.
      if (seen < 0x80) {
        this.#pos = pos
        return
      }
    }
    this.#utf8(value)
  }

  #utf8(value: string): void {
    if (!value.isWellFormed()) {
      throw new Refusal('a string with a lone surrogate, which UTF-8 cannot carry')
    }
    const size = Buffer.byteLength(value)
    if (size < 0x20) this.byte(0xa0 | size)
    else if (size < 0x100) this.head8(0xd9, size)
    else if (size < 0x1_0000) this.head16(0xda, size)
    else this.head32(0xdb, size)
    this.#reserve(size)
    this.#pos += this.#bytes.write(value, this.#pos, size, 'utf8')
  }

  #reserve(size: number): void {
    if (this.#pos + size > this.#bytes.length) this.#grow(this.#pos + size)
  }

  #grow(needed: number): void {
    if (needed > MOST) throw new Refusal(`more than ${MOST} bytes`)
    const written = this.#bytes.subarray(0, this.#pos)
    this.#resize(Math.min(needed * 2, MOST))
    written.copy(this.#bytes)
  }

  #resize(size: number): void {
    this.#bytes = Buffer.allocUnsafeSlow(size)
    this.#view = viewOf(this.#bytes)
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}
