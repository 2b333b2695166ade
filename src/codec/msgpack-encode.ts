import { ByteSink } from './byte-sink.ts'
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

type WriterOptions = Pick<
  ResolvedMsgpackOptions,
  'toPlain' | 'forGo' | 'omitNull' | 'float32Fields'
>

const TWO_32 = 2 ** 32

/** Writes msgpack, one value at a time: a getter that wants another while it writes needs another writer. */
export class MsgpackWriter {
  readonly #toPlain: ((value: object) => unknown) | undefined
  readonly #forGo: boolean
  readonly #omitNull: ReadonlySet<string> | undefined
  readonly #float32Fields: ReadonlySet<string> | undefined
  readonly #ancestry = new Ancestry()
  readonly #sink = new ByteSink()
  #busy = false
  /** Whether what is being written is, but for arrays, a property of `float32Fields`. */
  #inFloat32 = false

  constructor(options: WriterOptions) {
    this.#toPlain = options.toPlain
    this.#forGo = options.forGo
    this.#omitNull = options.omitNull
    this.#float32Fields = options.float32Fields
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
      this.#sink.byte(trailer)
      return this.#sink.finish()
    } catch (error) {
      this.#sink.clear()
      throw error
    } finally {
      this.#ancestry.clear()
      this.#inFloat32 = false
      this.#busy = false
    }
  }

  #value(value: unknown, depth: number): void {
    switch (typeof value) {
      case 'string':
        this.#sink.string(value)
        return
      case 'number':
        this.#number(value)
        return
      case 'object':
        if (value === null) this.#sink.byte(0xc0)
        else this.#object(value, depth)
        return
      case 'boolean':
        this.#sink.byte(value ? 0xc3 : 0xc2)
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

  /** Safe integers as integers, since Go reads no float into an integer; -0 is none of them. */
  #number(value: number): void {
    const sink = this.#sink
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) this.#float(value)
    else if (value >= 0) {
      if (value < 0x80) sink.byte(value)
      else if (value < 0x100) sink.head8(0xcc, value)
      else if (value < 0x1_0000) sink.head16(0xcd, value)
      else if (value < TWO_32) sink.head32(0xce, value)
      else sink.head64(0xcf, value)
    } else if (value >= -0x20) sink.byte(value)
    else if (value >= -0x80) sink.head8(0xd0, value)
    else if (value >= -0x8000) sink.head16(0xd1, value)
    else if (value >= -0x8000_0000) sink.head32(0xd2, value)
    else sink.head64(0xd3, value)
  }

  #float(value: number): void {
    if (!this.#inFloat32) this.#sink.float64(value)
    else if (Number.isFinite(value) && !Number.isFinite(Math.fround(value))) {
      throw new Refusal(`${value}, which no float32 can hold. Check float32Fields`)
    } else this.#sink.float32(value)
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
    const at = this.#sink.length
    this.#containerHeader(keys.length, 0x80, 0xde)
    const outer = this.#inFloat32
    const float32Fields = this.#float32Fields
    let dropped = 0
    let key = ''
    try {
      for (key of keys) {
        const part = value[key]
        if (part === undefined || (part === null && this.#omitNull?.has(key) === true)) {
          dropped++
        } else {
          if (float32Fields !== undefined) this.#inFloat32 = float32Fields.has(key)
          this.#sink.string(key)
          this.#value(part, depth + 1)
        }
      }
    } catch (error) {
      throw within(error, key, value)
    }
    this.#inFloat32 = outer
    if (dropped > 0) this.#correctCount(at, keys.length, keys.length - dropped)
  }

  /** Writes the count of a map that lost its undefined properties into a header of the same size. */
  #correctCount(at: number, declared: number, count: number): void {
    if (declared < 0x10) this.#sink.patch8(at, 0x80 | count)
    else if (declared < 0x1_0000) this.#sink.patch16(at + 1, count)
    else this.#sink.patch32(at + 1, count)
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
    if (length < 0x10) this.#sink.byte(short | length)
    else if (length < 0x1_0000) this.#sink.head16(code16, length)
    else this.#sink.head32(code16 + 1, length)
  }

  #date(value: Date): void {
    const time = value.getTime()
    if (Number.isNaN(time)) throw new Refusal('an invalid Date')
    const { seconds, millis } = splitTime(time)
    const nanos = nanosOf(millis)
    if (nanos === 0 && seconds >= 0 && seconds < TWO_32) {
      this.#extensionHeader(EXT_TIMESTAMP, 4)
      this.#sink.uint32(seconds)
    } else if (seconds >= 0 && seconds < 2 ** 34) {
      this.#extensionHeader(EXT_TIMESTAMP, 8)
      // 30 bits of nanoseconds above 34 bits of seconds.
      this.#sink.uint32(nanos * 4 + Math.floor(seconds / TWO_32))
      this.#sink.uint32(seconds % TWO_32)
    } else {
      this.#extensionHeader(EXT_TIMESTAMP, 12)
      this.#sink.uint32(nanos)
      this.#sink.uint32(Math.floor(seconds / TWO_32))
      this.#sink.uint32(seconds % TWO_32)
    }
  }

  #extensionHeader(type: number, size: number): void {
    if (size === 4) this.#sink.head8(0xd6, type)
    else if (size === 8) this.#sink.head8(0xd7, type)
    else {
      if (size < 0x100) this.#sink.head8(0xc7, size)
      else if (size < 0x1_0000) this.#sink.head16(0xc8, size)
      else this.#sink.head32(0xc9, size)
      this.#sink.byte(type)
    }
  }

  #bytes(value: Uint8Array): void {
    const size = value.length
    if (size < 0x100) this.#sink.head8(0xc4, size)
    else if (size < 0x1_0000) this.#sink.head16(0xc5, size)
    else this.#sink.head32(0xc6, size)
    this.#sink.raw(value)
  }

  #bigint(value: bigint): void {
    if (this.#forGo) {
      this.#bigint64(value)
      return
    }
    const body = bigintToBytes(value)
    this.#extensionHeader(EXT_BIGINT, body.length)
    this.#sink.raw(body)
  }

  #bigint64(value: bigint): void {
    if (value >= 0n && value < 2n ** 64n) this.#sink.headBig64(0xcf, value)
    else if (value < 0n && value >= -(2n ** 63n)) this.#sink.headBig64(0xd3, value)
    else throw new Refusal('a bigint of more than 64 bits, which Go has no word for')
  }

  /** A msgpack map whose first key is a string reads back as an object, an empty one as `{}`. */
  #map(value: ReadonlyMap<unknown, unknown>, depth: number): void {
    const [first] = value.keys()
    if (this.#forGo || (value.size > 0 && typeof first !== 'string')) {
      this.#containerHeader(value.size, 0x80, 0xde)
      this.#mapParts(value, depth)
      return
    }
    this.#wrapped(EXT_MAP, () => {
      this.#containerHeader(value.size * 2, 0x90, 0xdc)
      this.#mapParts(value, depth)
    })
  }

  #mapParts(value: ReadonlyMap<unknown, unknown>, depth: number): void {
    this.#ancestry.enter(value, depth)
    const outer = this.#inFloat32
    this.#inFloat32 = false
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
    this.#inFloat32 = outer
  }

  #set(value: ReadonlySet<unknown>, depth: number): void {
    if (this.#forGo) throw new Refusal('a Set, which Go has no word for. Store an array')
    this.#wrapped(EXT_SET, () => this.#array([...value], value, depth))
  }

  /** An extension around what `body` writes; its size is not known before, so the header is of 32 bits. */
  #wrapped(type: number, body: () => void): void {
    this.#sink.head32(0xc9, 0)
    this.#sink.byte(type)
    const from = this.#sink.length
    body()
    this.#sink.patch32(from - 5, this.#sink.length - from)
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

function mapStep(key: unknown): string | number {
  if (typeof key === 'string' || typeof key === 'number') return key
  return typeof key === 'object' ? '(an object as key)' : String(key)
}
