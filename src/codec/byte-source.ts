import { CacheDecodeError } from '../model/errors.ts'
import { KeyCache, LONGEST_CACHED_KEY } from './key-cache.ts'

const NOTHING = Buffer.alloc(0)
const TWO_32 = 2 ** 32

/** Longer texts are read one by one; for shorter ones the call would cost more than the reading. */
const SHORT_STRING = 64

/** How many bytes are read as one text, and the most that a part of it may keep alive. */
const WINDOW = 2048

/** Eight bytes to see a float in, whatever the byte order of the machine. */
const scratch = new DataView(new ArrayBuffer(8))

/**
 * The bytes being read, how far, and where they end. Every length is compared with what is left
 * before anything is made of it. Numbers are big-endian.
 */
export class ByteSource {
  readonly #keys = new KeyCache()
  #bytes: Buffer = NOTHING
  #pos = 0
  #end = 0
  #window = ''
  #windowFrom = 0
  #windowEnd = 0

  open(bytes: Buffer, end: number): void {
    this.#bytes = bytes
    this.#pos = 0
    this.#end = end
  }

  /** Lets go of the bytes. */
  close(): void {
    this.#bytes = NOTHING
    this.#window = ''
    this.#windowEnd = 0
  }

  get position(): number {
    return this.#pos
  }

  get left(): number {
    return this.#end - this.#pos
  }

  /** The next byte, without going past it; at the end, whatever is there. */
  get next(): number {
    return this.#bytes[this.#pos] as number
  }

  /**
   * Ends the bytes after the next `size`, and returns where they ended before.
   *
   * @throws CacheDecodeError if there are fewer.
   */
  narrow(size: number): number {
    if (size > this.left) throw endsEarly()
    const outer = this.#end
    this.#end = this.#pos + size
    return outer
  }

  widen(end: number): void {
    this.#end = end
  }

  uint8(): number {
    return this.#bytes[this.#take(1)] as number
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#take(2))
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  /** A number when it is exact, else a bigint. */
  uint64(): number | bigint {
    return join64(this.uint32(), this.uint32())
  }

  int64(): number | bigint {
    return join64(this.uint32() | 0, this.uint32())
  }

  float32(): number {
    return this.#bytes.readFloatBE(this.#take(4))
  }

  float64(): number {
    scratch.setUint32(0, this.uint32())
    scratch.setUint32(4, this.uint32())
    return scratch.getFloat64(0)
  }

  /** A copy: a view would keep the whole reply of the remote alive, and let callers write into it. */
  binary(length: number): Uint8Array {
    const from = this.#take(length)
    return new Uint8Array(this.#bytes.subarray(from, from + length))
  }

  /** All bytes up to the end; not a copy. */
  rest(): Buffer {
    return this.#bytes.subarray(this.#take(this.left), this.#end)
  }

  text(length: number): string {
    const from = this.#take(length)
    const bytes = this.#bytes
    if (length > SHORT_STRING) return bytes.toString('utf8', from, from + length)
    let seen = 0
    for (let i = from; i < from + length; i++) seen |= bytes[i] as number
    if (seen >= 0x80) return bytes.toString('utf8', from, from + length)
    return this.#ascii(from, length)
  }

  /** The map key that begins here with a header of one byte; undefined if none does. */
  shortKey(): string | undefined {
    const header = this.#bytes[this.#pos] as number
    const length = header & 0x1f
    if ((header & 0xe0) !== 0xa0 || length === 0 || length > LONGEST_CACHED_KEY) return undefined
    return this.#keys.read(this.#bytes, this.#take(length + 1) + 1, length)
  }

  /**
   * Cuts a short text from one of the bytes around it: that saves a call into the runtime for each.
   * The engine may keep those around it alive for as long as the part, so they are few.
   */
  #ascii(from: number, length: number): string {
    if (from < this.#windowFrom || from + length > this.#windowEnd) {
      this.#windowFrom = from
      this.#windowEnd = Math.min(this.#end, from + WINDOW)
      this.#window = this.#bytes.toString('latin1', from, this.#windowEnd)
    }
    const start = from - this.#windowFrom
    return this.#window.slice(start, start + length)
  }

  /** Moves past `size` bytes and returns where they begin. */
  #take(size: number): number {
    const from = this.#pos
    if (size > this.#end - from) throw endsEarly()
    this.#pos = from + size
    return from
  }
}

function join64(high: number, low: number): number | bigint {
  const value = high * TWO_32 + low
  return Number.isSafeInteger(value) ? value : (BigInt(high) << 32n) | BigInt(low)
}

function endsEarly(): CacheDecodeError {
  return new CacheDecodeError('msgpack', 'they end in the middle of a value')
}
