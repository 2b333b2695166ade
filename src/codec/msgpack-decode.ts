import { CacheDecodeError } from '../model/errors.ts'
import { ByteSource } from './byte-source.ts'
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

const TWO_32 = 2 ** 32

/** Go puts strings from 3 bytes on into its dictionary, and no more than 65,535 of them. */
const INTERNED_FROM = 3
const INTERNED_MOST = 65_535

/** Reads msgpack. */
export class MsgpackReader {
  readonly #internedFields: ReadonlySet<string> | undefined
  readonly #source = new ByteSource()
  #interned: string[] | undefined

  constructor(options: Pick<ResolvedMsgpackOptions, 'internedFields'>) {
    this.#internedFields = options.internedFields
  }

  /** @throws CacheDecodeError unless `bytes`, up to `end`, are exactly one value. */
  read(bytes: Buffer, end: number): unknown {
    this.#source.open(bytes, end)
    this.#interned = this.#internedFields === undefined ? undefined : []
    try {
      const value = this.#value(0)
      if (this.#source.left !== 0) throw refused(`${this.#source.left} bytes follow the value`)
      return value
    } finally {
      this.#source.close()
      this.#interned = undefined
    }
  }

  #value(depth: number): unknown {
    const code = this.#source.uint8()
    if (code < 0x80) return code
    if (code >= 0xe0) return code - 0x100
    if (code >= 0xc0) return this.#coded(code, depth)
    if (code >= 0xa0) return this.#source.text(code & 0x1f)
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
        return this.#source.binary(this.#source.uint8())
      case 0xc5:
        return this.#source.binary(this.#source.uint16())
      case 0xc6:
        return this.#source.binary(this.#source.uint32())
      case 0xc7:
        return this.#extension(this.#source.uint8(), depth)
      case 0xc8:
        return this.#extension(this.#source.uint16(), depth)
      case 0xc9:
        return this.#extension(this.#source.uint32(), depth)
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.#extension(1 << (code - 0xd4), depth)
      case 0xd9:
        return this.#source.text(this.#source.uint8())
      case 0xda:
        return this.#source.text(this.#source.uint16())
      case 0xdb:
        return this.#source.text(this.#source.uint32())
      case 0xdc:
        return this.#array(this.#source.uint16(), depth)
      case 0xdd:
        return this.#array(this.#source.uint32(), depth)
      case 0xde:
        return this.#map(this.#source.uint16(), depth)
      case 0xdf:
        return this.#map(this.#source.uint32(), depth)
      default:
        return this.#number(code)
    }
  }

  #number(code: number): number | bigint {
    const source = this.#source
    switch (code) {
      case 0xca:
        return source.float32()
      case 0xcb:
        return source.float64()
      case 0xcc:
        return source.uint8()
      case 0xcd:
        return source.uint16()
      case 0xce:
        return source.uint32()
      case 0xcf:
        return source.uint64()
      case 0xd0:
        return (source.uint8() << 24) >> 24
      case 0xd1:
        return (source.uint16() << 16) >> 16
      case 0xd2:
        return source.uint32() | 0
      case 0xd3:
        return source.int64()
      default:
        throw refused(`byte 0x${code.toString(16)} begins no value`)
    }
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
    if (parts > this.#source.left) throw refused(`${parts} parts are more than its bytes`)
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
    return this.#source.shortKey() ?? this.#value(depth + 1)
  }

  /** The value of a struct's field; Go keeps those tagged `intern` in its dictionary. */
  #fieldValue(field: string, depth: number): unknown {
    if (this.#interned === undefined || this.#internedFields?.has(field) !== true) {
      return this.#value(depth)
    }
    const from = this.#source.position
    const code = this.#source.next
    const value = this.#value(depth)
    const isSaid = typeof value === 'string' && (code < 0xd4 || code > 0xd8)
    // Below 32 bytes the header is one byte, and so it is here where it counts.
    if (
      isSaid &&
      this.#source.position - from > INTERNED_FROM &&
      this.#interned.length < INTERNED_MOST
    ) {
      this.#interned.push(value)
    }
    return value
  }

  /** The source ends where the extension does, for as long as that is read. */
  #extension(size: number, depth: number): unknown {
    const type = (this.#source.uint8() << 24) >> 24
    const outer = this.#source.narrow(size)
    const value = this.#extensionBody(type, size, depth)
    if (this.#source.left > 0) throw refused(`an extension of type ${type} is too long`)
    this.#source.widen(outer)
    return value
  }

  #extensionBody(type: number, size: number, depth: number): unknown {
    switch (type) {
      case EXT_TIMESTAMP:
        return this.#timestamp(size)
      case EXT_INTERNED:
        return this.#internedString(size)
      case EXT_UNDEFINED:
        return undefined
      case EXT_BIGINT:
        return bigintFromBytes(this.#source.rest())
      case EXT_SET:
        return new Set(this.#array(this.#partsCount('a Set'), depth))
      case EXT_MAP:
        return this.#orderedMap(depth)
      default:
        throw refused(`extension type ${type} is unknown`)
    }
  }

  #partsCount(kind: string): number {
    const code = this.#source.uint8()
    if (code >= 0x90 && code < 0xa0) return code & 0x0f
    if (code === 0xdc) return this.#source.uint16()
    if (code === 0xdd) return this.#source.uint32()
    throw refused(`${kind} holds no array`)
  }

  #orderedMap(depth: number): Map<unknown, unknown> {
    const parts = this.#partsCount('a Map')
    this.#checkContainer(parts, depth)
    if (parts % 2 !== 0) throw refused('a Map holds a key without a value')
    if (parts === 0) return new Map()
    return this.#mapFrom(this.#value(depth + 1), new Map(), parts / 2, depth)
  }

  #timestamp(size: number): Date {
    const source = this.#source
    let date: Date | undefined
    if (size === 4) date = dateOf(source.uint32(), 0)
    else if (size === 8) {
      const high = source.uint32()
      date = dateOf((high & 3) * TWO_32 + source.uint32(), high >>> 2)
    } else if (size === 12) {
      const nanos = source.uint32()
      date = dateOf(Number(source.int64()), nanos)
    }
    if (date === undefined) throw refused('a timestamp that is no Date')
    return date
  }

  #internedString(size: number): string {
    if (this.#interned === undefined) {
      throw refused(
        'a reference to an interned string. Name the fields tagged intern in msgpack({ internedFields })',
      )
    }
    const text = this.#interned[this.#internedNumber(size)]
    if (text === undefined) {
      throw refused('a reference to an interned string that was not said. Check internedFields')
    }
    return text
  }

  #internedNumber(size: number): number {
    if (size === 1) return this.#source.uint8()
    if (size === 2) return this.#source.uint16()
    if (size === 4) return this.#source.uint32()
    throw refused('a malformed reference to an interned string')
  }
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
