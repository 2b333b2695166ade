import { classNameOf, kindOf } from './kinds.ts'
import {
  bigintToBytes,
  EXT_BIGINT,
  EXT_MAP,
  EXT_SET,
  EXT_TIMESTAMP,
  EXT_UNDEFINED,
  nanosOf,
  splitTime,
} from './msgpack-extensions.ts'
import type { ResolvedMsgpackOptions } from './msgpack-options.ts'
import { Ancestry, Refusal, within } from './refusal.ts'

type WriterOptions = Pick<ResolvedMsgpackOptions, 'toPlain' | 'forGo' | 'omitNull'>

/** Results are cut from chunks of this size; a result of more than a quarter gets its own memory. */
const CHUNK = 16_384

/** Redis' limit for a value. */
const MAX_BYTES = 512 * 1024 * 1024

/** Below this, a loop over the characters beats a call into the runtime. */
const SHORT_STRING = 48

const TWO_32 = 2 ** 32

/**
 * Writes msgpack. The bytes given out are never written again: they are cut from a chunk that is
 * then used from there on. Not to be entered again while it writes, which a getter could try.
 */
export class MsgpackWriter {
  readonly #toPlain: ((value: object) => unknown) | undefined
  readonly #forGo: boolean
  readonly #omitNull: ReadonlySet<string> | undefined
  readonly #ancestry = new Ancestry()
  #chunk: Buffer = Buffer.allocUnsafeSlow(CHUNK)
  #view: DataView = viewOf(this.#chunk)
  #start = 0
  #pos = 0
  #busy = false

  constructor(options: WriterOptions) {
    this.#toPlain = options.toPlain
    this.#forGo = options.forGo
    this.#omitNull = options.omitNull
  }

  get busy(): boolean {
    return this.#busy
  }

  /** @throws Refusal at what cannot be written; whatever a getter or `toPlain` throws. */
  write(value: unknown, trailer: number): Buffer {
    this.#busy = true
    try {
      if (this.#forGo) refuseRaw(value)
      this.#value(value, 0)
      this.#reserve(1)
      this.#chunk[this.#pos++] = trailer
      return this.#take()
    } catch (error) {
      this.#pos = this.#start
      if (this.#chunk.length > CHUNK) this.#renew(CHUNK)
      throw error
    } finally {
      this.#ancestry.clear()
      this.#busy = false
    }
  }

  #take(): Buffer {
    const start = this.#start
    const end = this.#pos
    if (end - start > CHUNK / 4) {
      const own = Buffer.allocUnsafeSlow(end - start)
      this.#chunk.copy(own, 0, start, end)
      this.#pos = start
      if (this.#chunk.length > CHUNK) this.#renew(CHUNK)
      return own
    }
    this.#start = end
    return this.#chunk.subarray(start, end)
  }

  /** Makes room for `size` more bytes. */
  #reserve(size: number): void {
    if (this.#pos + size > this.#chunk.length) this.#grow(size)
  }

  #grow(size: number): void {
    const written = this.#chunk.subarray(this.#start, this.#pos)
    const needed = written.length + size
    if (needed > MAX_BYTES) throw new Refusal(`more than ${MAX_BYTES} bytes`)
    this.#renew(Math.max(CHUNK, Math.min(needed * 2, MAX_BYTES)))
    written.copy(this.#chunk)
    this.#pos = written.length
  }

  #renew(size: number): void {
    this.#chunk = Buffer.allocUnsafeSlow(size)
    this.#view = viewOf(this.#chunk)
    this.#start = 0
    this.#pos = 0
  }

  #value(value: unknown, depth: number): void {
    switch (typeof value) {
      case 'string':
        this.#string(value)
        return
      case 'number':
        this.#number(value)
        return
      case 'object':
        if (value === null) this.#byte(0xc0)
        else this.#object(value, depth)
        return
      case 'boolean':
        this.#byte(value ? 0xc3 : 0xc2)
        return
      case 'undefined':
        if (this.#forGo) throw new Refusal('undefined, which Go has no word for. Store null')
        this.#extensionHeader(EXT_UNDEFINED, 0)
        return
      case 'bigint':
        this.#bigint(value)
        return
      default:
        throw new Refusal(`a ${typeof value}`)
    }
  }

  #byte(byte: number): void {
    this.#reserve(1)
    this.#chunk[this.#pos++] = byte
  }

  /** Safe integers as integers, since Go reads no float into an integer; -0 is none of them. */
  #number(value: number): void {
    this.#reserve(9)
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      this.#chunk[this.#pos] = 0xcb
      this.#view.setFloat64(this.#pos + 1, value)
      this.#pos += 9
    } else if (value >= 0) {
      if (value < 0x80) this.#chunk[this.#pos++] = value
      else if (value < 0x100) this.#head8(0xcc, value)
      else if (value < 0x1_0000) this.#head16(0xcd, value)
      else if (value < TWO_32) this.#head32(0xce, value)
      else this.#int64(0xcf, value)
    } else if (value >= -0x20) this.#chunk[this.#pos++] = value & 0xff
    else if (value >= -0x80) this.#head8(0xd0, value & 0xff)
    else if (value >= -0x8000) this.#head16(0xd1, value & 0xffff)
    else if (value >= -0x8000_0000) this.#head32(0xd2, value)
    else this.#int64(0xd3, value)
  }

  #head8(code: number, value: number): void {
    this.#reserve(2)
    this.#chunk[this.#pos] = code
    this.#chunk[this.#pos + 1] = value
    this.#pos += 2
  }

  #head16(code: number, value: number): void {
    this.#reserve(3)
    const chunk = this.#chunk
    const pos = this.#pos
    chunk[pos] = code
    chunk[pos + 1] = value >>> 8
    chunk[pos + 2] = value
    this.#pos = pos + 3
  }

  #head32(code: number, value: number): void {
    this.#reserve(5)
    this.#chunk[this.#pos] = code
    this.#view.setUint32(this.#pos + 1, value)
    this.#pos += 5
  }

  #int64(code: number, value: number): void {
    this.#chunk[this.#pos] = code
    this.#view.setInt32(this.#pos + 1, Math.floor(value / TWO_32))
    this.#view.setUint32(this.#pos + 5, value % TWO_32)
    this.#pos += 9
  }

  #string(value: string): void {
    const length = value.length
    if (length < SHORT_STRING) {
      this.#reserve(length + 2)
      const chunk = this.#chunk
      const start = this.#pos
      let pos = start
      if (length < 0x20) chunk[pos++] = 0xa0 | length
      else {
        chunk[pos] = 0xd9
        chunk[pos + 1] = length
        pos += 2
      }
      let seen = 0
      for (let i = 0; i < length; i++) {
        const code = value.charCodeAt(i)
        seen |= code
        chunk[pos++] = code
      }
      if (seen < 0x80) {
        this.#pos = pos
        return
      }
    }
    this.#longString(value)
  }

  #longString(value: string): void {
    if (!value.isWellFormed())
      throw new Refusal('a string with a lone surrogate, which UTF-8 cannot carry')
    const size = Buffer.byteLength(value)
    this.#reserve(size + 5)
    if (size < 0x20) this.#chunk[this.#pos++] = 0xa0 | size
    else if (size < 0x100) this.#head8(0xd9, size)
    else if (size < 0x1_0000) this.#head16(0xda, size)
    else this.#head32(0xdb, size)
    this.#pos += this.#chunk.write(value, this.#pos, size, 'utf8')
  }

  #object(value: object, depth: number): void {
    switch (kindOf(value)) {
      case 'plain':
        this.#plain(value as Readonly<Record<string, unknown>>, depth)
        return
      case 'array':
        this.#array(value as readonly unknown[], value, depth)
        return
      case 'date':
        this.#date(value as Date)
        return
      case 'bytes':
        this.#bytes(value as Uint8Array)
        return
      case 'map':
        this.#map(value as ReadonlyMap<unknown, unknown>, depth)
        return
      case 'set':
        this.#set(value as ReadonlySet<unknown>, depth)
        return
      default:
        this.#foreign(value, depth)
    }
  }

  #plain(value: Readonly<Record<string, unknown>>, depth: number): void {
    this.#ancestry.enter(value, depth)
    const keys = Object.keys(value)
    const at = this.#pos - this.#start
    this.#containerHeader(keys.length, 0x80, 0xde)
    let dropped = 0
    let key = ''
    try {
      for (key of keys) {
        const part = value[key]
        if (part === undefined || (part === null && this.#omitNull?.has(key) === true)) {
          dropped++
        } else {
          this.#string(key)
          this.#value(part, depth + 1)
        }
      }
    } catch (error) {
      throw within(error, key, value)
    }
    if (dropped > 0) this.#correctCount(at, keys.length, keys.length - dropped)
  }

  /** Writes the count of a map that lost its undefined properties into a header of the same size. */
  #correctCount(at: number, declared: number, count: number): void {
    const pos = this.#start + at
    if (declared < 0x10) this.#chunk[pos] = 0x80 | count
    else if (declared < 0x1_0000) this.#view.setUint16(pos + 1, count)
    else this.#view.setUint32(pos + 1, count)
  }

  #array(value: readonly unknown[], container: object, depth: number): void {
    this.#ancestry.enter(container, depth)
    const length = value.length
    this.#containerHeader(length, 0x90, 0xdc)
    let i = 0
    try {
      for (; i < length; i++) this.#value(value[i], depth + 1)
    } catch (error) {
      throw within(error, i, container)
    }
  }

  /** `short` is the code of up to 15 parts, `code16` that of up to 65,535; the next one is of 32 bits. */
  #containerHeader(length: number, short: number, code16: number): void {
    if (length < 0x10) this.#byte(short | length)
    else if (length < 0x1_0000) this.#head16(code16, length)
    else this.#head32(code16 + 1, length)
  }

  #date(value: Date): void {
    const time = value.getTime()
    if (Number.isNaN(time)) throw new Refusal('an invalid Date')
    const { seconds, millis } = splitTime(time)
    const nanos = nanosOf(millis)
    this.#reserve(15)
    if (nanos === 0 && seconds >= 0 && seconds < TWO_32) {
      this.#extensionHeader(EXT_TIMESTAMP, 4)
      this.#uint32(seconds)
    } else if (seconds >= 0 && seconds < 2 ** 34) {
      this.#extensionHeader(EXT_TIMESTAMP, 8)
      // 30 bits of nanoseconds above 34 bits of seconds.
      this.#uint32(nanos * 4 + Math.floor(seconds / TWO_32))
      this.#uint32(seconds % TWO_32)
    } else {
      this.#extensionHeader(EXT_TIMESTAMP, 12)
      this.#uint32(nanos)
      this.#uint32(Math.floor(seconds / TWO_32))
      this.#uint32(seconds % TWO_32)
    }
  }

  #uint32(value: number): void {
    this.#reserve(4)
    this.#view.setUint32(this.#pos, value)
    this.#pos += 4
  }

  #extensionHeader(type: number, size: number): void {
    if (size === 4) this.#head8(0xd6, type)
    else if (size === 8) this.#head8(0xd7, type)
    else {
      if (size < 0x100) this.#head8(0xc7, size)
      else if (size < 0x1_0000) this.#head16(0xc8, size)
      else this.#head32(0xc9, size)
      this.#byte(type)
    }
  }

  #bytes(value: Uint8Array): void {
    const size = value.length
    if (size < 0x100) this.#head8(0xc4, size)
    else if (size < 0x1_0000) this.#head16(0xc5, size)
    else this.#head32(0xc6, size)
    this.#raw(value)
  }

  #raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#chunk.set(bytes, this.#pos)
    this.#pos += bytes.length
  }

  #bigint(value: bigint): void {
    if (this.#forGo) {
      this.#bigint64(value)
      return
    }
    const body = bigintToBytes(value)
    this.#extensionHeader(EXT_BIGINT, body.length)
    this.#raw(body)
  }

  #bigint64(value: bigint): void {
    this.#reserve(9)
    if (value >= 0n && value < 2n ** 64n) {
      this.#chunk[this.#pos] = 0xcf
      this.#view.setBigUint64(this.#pos + 1, value)
    } else if (value < 0n && value >= -(2n ** 63n)) {
      this.#chunk[this.#pos] = 0xd3
      this.#view.setBigInt64(this.#pos + 1, value)
    } else throw new Refusal('a bigint of more than 64 bits, which Go has no word for')
    this.#pos += 9
  }

  /** A msgpack map whose first key is a string reads back as an object, an empty one as `{}`. */
  #map(value: ReadonlyMap<unknown, unknown>, depth: number): void {
    const [first] = value.keys()
    if (this.#forGo || (value.size > 0 && typeof first !== 'string')) this.#mapBody(value, depth)
    else this.#wrapped(EXT_MAP, () => this.#mapBody(value, depth))
  }

  #mapBody(value: ReadonlyMap<unknown, unknown>, depth: number): void {
    this.#ancestry.enter(value, depth)
    this.#containerHeader(value.size, 0x80, 0xde)
    let at: unknown
    try {
      for (const [key, part] of value) {
        at = key
        this.#value(key, depth + 1)
        this.#value(part, depth + 1)
      }
    } catch (error) {
      throw within(error, mapStep(at), value)
    }
  }

  #set(value: ReadonlySet<unknown>, depth: number): void {
    if (this.#forGo) throw new Refusal('a Set, which Go has no word for. Store an array')
    this.#wrapped(EXT_SET, () => this.#array([...value], value, depth))
  }

  /** An extension around what `body` writes; its size is not known before, so the header is of 32 bits. */
  #wrapped(type: number, body: () => void): void {
    this.#head32(0xc9, 0)
    this.#byte(type)
    const from = this.#pos - this.#start
    body()
    this.#view.setUint32(this.#start + from - 5, this.#pos - this.#start - from)
  }

  #foreign(value: object, depth: number): void {
    if (this.#toPlain === undefined) {
      throw new Refusal(
        `an instance of ${classNameOf(value)}. Store plain values, or give msgpack({ toPlain })`,
      )
    }
    this.#ancestry.enter(value, depth)
    const plain = this.#toPlain(value)
    try {
      this.#value(plain, depth + 1)
    } catch (error) {
      throw within(error, undefined, value)
    }
  }
}

/** What msgpack writes as text or bytes is not what jetcache-go reads as a string or []byte. */
function refuseRaw(value: unknown): void {
  if (typeof value === 'string') throw new Refusal('a string, which Go keeps raw. Use codec text')
  if (value instanceof Uint8Array) throw new Refusal('bytes, which Go keeps raw. Use codec bytes')
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

function mapStep(key: unknown): string | number {
  if (typeof key === 'string' || typeof key === 'number') return key
  return typeof key === 'object' ? '(an object as key)' : String(key)
}
