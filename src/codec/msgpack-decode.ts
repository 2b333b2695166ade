import { CacheDecodeError } from '../model/errors.ts'
import { KeyCache, LONGEST_CACHED_KEY } from './key-cache.ts'
import {
  bigintFromBytes,
  dateOf,
  EXT_BIGINT,
  EXT_INTERNED,
  EXT_MAP,
  EXT_SET,
  EXT_TIMESTAMP,
  EXT_UNDEFINED,
} from './msgpack-extensions.ts'
import type { ResolvedMsgpackOptions } from './msgpack-options.ts'
import { MAX_DEPTH } from './refusal.ts'

const NOTHING = Buffer.alloc(0)
const TWO_32 = 2 ** 32

/** Go puts strings from 3 bytes on into its dictionary, and no more than 65,535 of them. */
const INTERNED_FROM = 3
const INTERNED_MOST = 65_535

/** Longer texts are read one by one; for shorter ones the call would cost more than the reading. */
const SHORT_STRING = 64

/** How many bytes are read as one text, and the most that a part of it may keep alive. */
const WINDOW = 2048

/** Eight bytes to see a float in, whatever the byte order of the machine. */
const scratch = new DataView(new ArrayBuffer(8))

/** Reads msgpack. Every length is compared with the bytes that are left before anything is made. */
export class MsgpackReader {
  readonly #keys = new KeyCache()
  readonly #internedFields: ReadonlySet<string> | undefined
  #bytes: Buffer = NOTHING
  #pos = 0
  #end = 0
  #interned: string[] | undefined
  #window = ''
  #windowFrom = 0
  #windowEnd = 0

  constructor(options: Pick<ResolvedMsgpackOptions, 'internedFields'>) {
    this.#internedFields = options.internedFields
  }

  /** @throws CacheDecodeError unless `bytes`, up to `end`, are exactly one value. */
  read(bytes: Buffer, end: number): unknown {
    this.#bytes = bytes
    this.#pos = 0
    this.#end = end
    this.#interned = this.#internedFields === undefined ? undefined : []
    try {
      const value = this.#value(0)
      if (this.#pos !== end) throw refused(`${end - this.#pos} bytes follow the value`)
      return value
    } finally {
      this.#bytes = NOTHING
      this.#window = ''
      this.#windowEnd = 0
      this.#interned = undefined
    }
  }

  /** Moves past `size` bytes and returns where they begin. */
  #take(size: number): number {
    const from = this.#pos
    if (size > this.#end - from) throw refused('they end in the middle of a value')
    this.#pos = from + size
    return from
  }

  #uint8(): number {
    return this.#bytes[this.#take(1)] as number
  }

  #uint16(): number {
    return this.#bytes.readUInt16BE(this.#take(2))
  }

  #uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  #value(depth: number): unknown {
    const code = this.#uint8()
    if (code < 0x80) return code
    if (code >= 0xe0) return code - 0x100
    if (code >= 0xc0) return this.#coded(code, depth)
    if (code >= 0xa0) return this.#string(code & 0x1f)
    return code < 0x90 ? this.#map(code & 0x0f, depth) : this.#array(code & 0x0f, depth)
  }

  #coded(code: number, depth: number): unknown {
    switch (code) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
        return this.#binary(this.#uint8())
      case 0xc5:
        return this.#binary(this.#uint16())
      case 0xc6:
        return this.#binary(this.#uint32())
      case 0xc7:
        return this.#extension(this.#uint8(), depth)
      case 0xc8:
        return this.#extension(this.#uint16(), depth)
      case 0xc9:
        return this.#extension(this.#uint32(), depth)
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.#extension(1 << (code - 0xd4), depth)
      case 0xd9:
        return this.#string(this.#uint8())
      case 0xda:
        return this.#string(this.#uint16())
      case 0xdb:
        return this.#string(this.#uint32())
      case 0xdc:
        return this.#array(this.#uint16(), depth)
      case 0xdd:
        return this.#array(this.#uint32(), depth)
      case 0xde:
        return this.#map(this.#uint16(), depth)
      case 0xdf:
        return this.#map(this.#uint32(), depth)
      default:
        return this.#number(code)
    }
  }

  #number(code: number): number | bigint {
    switch (code) {
      case 0xca:
        return this.#bytes.readFloatBE(this.#take(4))
      case 0xcb:
        return this.#float64()
      case 0xcc:
        return this.#uint8()
      case 0xcd:
        return this.#uint16()
      case 0xce:
        return this.#uint32()
      case 0xcf:
        return join64(this.#uint32(), this.#uint32())
      case 0xd0:
        return this.#bytes.readInt8(this.#take(1))
      case 0xd1:
        return this.#bytes.readInt16BE(this.#take(2))
      case 0xd2:
        return this.#uint32() | 0
      case 0xd3:
        return join64(this.#uint32() | 0, this.#uint32())
      default:
        throw refused(`byte 0x${code.toString(16)} begins no value`)
    }
  }

  #float64(): number {
    scratch.setUint32(0, this.#uint32())
    scratch.setUint32(4, this.#uint32())
    return scratch.getFloat64(0)
  }

  #string(length: number): string {
    const from = this.#take(length)
    const bytes = this.#bytes
    if (length > SHORT_STRING) return bytes.toString('utf8', from, from + length)
    let seen = 0
    for (let i = from; i < from + length; i++) seen |= bytes[i] as number
    if (seen >= 0x80) return bytes.toString('utf8', from, from + length)
    return this.#ascii(from, length)
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

  /** A copy: a view would keep the whole reply of the remote alive, and let callers write into it. */
  #binary(length: number): Uint8Array {
    const from = this.#take(length)
    return new Uint8Array(this.#bytes.subarray(from, from + length))
  }

  #array(length: number, depth: number): unknown[] {
    this.#checkContainer(length, depth)
    const array: unknown[] = []
    for (let i = 0; i < length; i++) array.push(this.#value(depth + 1))
    return array
  }

  /** Each part is at least one byte, so a count beyond the bytes left is a lie. */
  #checkContainer(parts: number, depth: number): void {
    if (depth >= MAX_DEPTH) throw refused(`nested more than ${MAX_DEPTH} deep`)
    if (parts > this.#end - this.#pos) throw refused(`${parts} parts are more than its bytes`)
  }

  /** An object, as long as all keys are strings; else a Map. */
  #map(length: number, depth: number): unknown {
    this.#checkContainer(length * 2, depth)
    const object: Record<string, unknown> = {}
    for (let i = 0; i < length; i++) {
      const key = this.#key(depth)
      if (typeof key !== 'string') {
        return this.#mapFrom(
          key,
          new Map<unknown, unknown>(Object.entries(object)),
          length - i,
          depth,
        )
      }
      const value = this.#fieldValue(key, depth + 1)
      if (key === '__proto__') defineProto(object, value)
      else object[key] = value
    }
    return object
  }

  /** The rest of a map, from the value of its first key that is no string. */
  #mapFrom(
    first: unknown,
    map: Map<unknown, unknown>,
    left: number,
    depth: number,
  ): Map<unknown, unknown> {
    map.set(first, this.#value(depth + 1))
    for (let i = 1; i < left; i++) {
      const key = this.#value(depth + 1)
      map.set(key, this.#value(depth + 1))
    }
    return map
  }

  #key(depth: number): unknown {
    const code = this.#bytes[this.#pos] as number
    const length = code & 0x1f
    if ((code & 0xe0) === 0xa0 && length > 0 && length <= LONGEST_CACHED_KEY) {
      return this.#keys.read(this.#bytes, this.#take(length + 1) + 1, length)
    }
    return this.#value(depth + 1)
  }

  /** The value of a struct's field; Go keeps those tagged `intern` in its dictionary. */
  #fieldValue(field: string, depth: number): unknown {
    if (this.#interned === undefined || this.#internedFields?.has(field) !== true) {
      return this.#value(depth)
    }
    const from = this.#pos
    const code = this.#bytes[from] as number
    const value = this.#value(depth)
    const isSaid = typeof value === 'string' && (code < 0xd4 || code > 0xd8)
    // Below 32 bytes the header is one byte, and so it is here where it counts.
    if (isSaid && this.#pos - from > INTERNED_FROM && this.#interned.length < INTERNED_MOST) {
      this.#interned.push(value)
    }
    return value
  }

  #extension(size: number, depth: number): unknown {
    const type = (this.#uint8() << 24) >> 24
    const from = this.#take(size)
    const end = from + size
    switch (type) {
      case EXT_TIMESTAMP:
        return this.#timestamp(from, size)
      case EXT_INTERNED:
        return this.#internedString(from, size)
      case EXT_UNDEFINED:
        return undefined
      case EXT_BIGINT:
        return bigintFromBytes(this.#bytes.subarray(from, end))
      case EXT_SET:
        return new Set(this.#inside(from, end, () => this.#setParts(depth)))
      case EXT_MAP:
        return this.#inside(from, end, () => this.#orderedMap(depth))
      default:
        throw refused(`extension type ${type} is unknown`)
    }
  }

  /** Reads the body of an extension that holds msgpack, to its last byte. */
  #inside<T>(from: number, end: number, read: () => T): T {
    const outerEnd = this.#end
    this.#pos = from
    this.#end = end
    const value = read()
    if (this.#pos !== end) throw refused('an extension is longer than its value')
    this.#end = outerEnd
    return value
  }

  #setParts(depth: number): unknown[] {
    const code = this.#uint8()
    if (code >= 0x90 && code < 0xa0) return this.#array(code & 0x0f, depth)
    if (code === 0xdc) return this.#array(this.#uint16(), depth)
    if (code === 0xdd) return this.#array(this.#uint32(), depth)
    throw refused('a Set holds no array')
  }

  #orderedMap(depth: number): Map<unknown, unknown> {
    const code = this.#uint8()
    let length: number
    if (code >= 0x80 && code < 0x90) length = code & 0x0f
    else if (code === 0xde) length = this.#uint16()
    else if (code === 0xdf) length = this.#uint32()
    else throw refused('a Map holds no map')
    this.#checkContainer(length * 2, depth)
    if (length === 0) return new Map()
    return this.#mapFrom(this.#value(depth + 1), new Map(), length, depth)
  }

  #timestamp(from: number, size: number): Date {
    const bytes = this.#bytes
    let date: Date | undefined
    if (size === 4) date = dateOf(bytes.readUInt32BE(from), 0)
    else if (size === 8) {
      const high = bytes.readUInt32BE(from)
      date = dateOf((high & 3) * TWO_32 + bytes.readUInt32BE(from + 4), high >>> 2)
    } else if (size === 12) {
      const seconds = bytes.readInt32BE(from + 4) * TWO_32 + bytes.readUInt32BE(from + 8)
      date = dateOf(seconds, bytes.readUInt32BE(from))
    }
    if (date === undefined) throw refused('a timestamp that is no Date')
    return date
  }

  #internedString(from: number, size: number): string {
    if (this.#interned === undefined) {
      throw refused(
        'a reference to an interned string. Name the fields tagged intern in msgpack({ internedFields })',
      )
    }
    if (size !== 1 && size !== 2 && size !== 4) throw refused('a malformed interned string')
    const text = this.#interned[this.#bytes.readUIntBE(from, size)]
    if (text === undefined) {
      throw refused('a reference to an interned string that was not said. Check internedFields')
    }
    return text
  }
}

/** A number when it is exact, else a bigint. */
function join64(high: number, low: number): number | bigint {
  const value = high * TWO_32 + low
  return Number.isSafeInteger(value) ? value : (BigInt(high) << 32n) | BigInt(low)
}

/** An own property, where assigning would set the prototype. */
function defineProto(object: object, value: unknown): void {
  Object.defineProperty(object, '__proto__', {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  })
}

function refused(reason: string): CacheDecodeError {
  return new CacheDecodeError('msgpack', reason)
}
