import type { LocalLife } from '../local-store.ts'
import type { KeyBytes } from './key-bytes.ts'

/** Records begin and end at multiples of so many bytes. */
export const UNIT = 8

/** Where the words of a record's header stand. */
const ROOM = 0
const HASH = 1
const NEXT = 2
const SHAPE = 3
const VALUE_LENGTH = 4
const USED = 5
const HEADER_WORDS = 6

/** In the word of the room. */
const DEAD = 2 ** 31

/** In the word of the shape, above the length of the key (16 bits) and the form (8). */
const FORM_AT = 16
const PLACEHOLDER = 1 << 24
const KEPT = 1 << 25
const AHEAD = 1 << 26

/** What a record says of its entry, besides its lives. */
interface RecordShape extends LocalLife {
  readonly hash: number
  /** When it was used last: a number of `UseClock`. */
  readonly used: number
  readonly form: number
  readonly placeholder: boolean
}

/** How many units a record takes. Two of its three instants are only there if they say something. */
export function unitsOf(keyLength: number, valueLength: number, lives: LocalLife): number {
  const bytes = headerBytes(shapeBits(lives)) + keyLength + valueLength
  return Math.ceil(bytes / UNIT)
}

function shapeBits({ freshUntil, keptUntil, aheadAt }: LocalLife): number {
  return (keptUntil === freshUntil ? 0 : KEPT) | (aheadAt === Infinity ? 0 : AHEAD)
}

function headerBytes(shape: number): number {
  const instants = 1 + ((shape & KEPT) === 0 ? 0 : 1) + ((shape & AHEAD) === 0 ? 0 : 1)
  return HEADER_WORDS * 4 + instants * UNIT
}

/**
 * A stretch of memory outside the JavaScript heap, and how records lie in it: a header of six words and
 * one to three instants, the key, the value, and what is left of its room. `at` is the word that a
 * record begins with.
 */
export class Chunk {
  readonly bytes: Buffer
  readonly #words: Uint32Array
  readonly #instants: Float64Array

  /** @throws RangeError if there is no memory for it. */
  constructor(units: number) {
    const memory = new ArrayBuffer(units * UNIT)
    this.bytes = Buffer.from(memory)
    this.#words = new Uint32Array(memory)
    this.#instants = new Float64Array(memory)
  }

  /** Some of its bytes, which are written over in time. */
  view(from: number, length: number): Uint8Array {
    return new Uint8Array(this.bytes.buffer, from, length)
  }

  /** In units; of dead space too. */
  room(at: number): number {
    return (this.#words[at + ROOM] as number) & (DEAD - 1)
  }

  isDead(at: number): boolean {
    return (this.#words[at + ROOM] as number) >= DEAD
  }

  /** Makes dead space of so many units, of which the first word is all that is written. */
  bury(at: number, units: number): void {
    this.#words[at + ROOM] = DEAD + units
  }

  resize(at: number, units: number): void {
    this.#words[at + ROOM] = units
  }

  hash(at: number): number {
    return this.#words[at + HASH] as number
  }

  /** The record after it in its chain, as `HashIndex` writes it. */
  next(at: number): number {
    return this.#words[at + NEXT] as number
  }

  link(at: number, next: number): void {
    this.#words[at + NEXT] = next
  }

  used(at: number): number {
    return this.#words[at + USED] as number
  }

  use(at: number, used: number): void {
    this.#words[at + USED] = used
  }

  form(at: number): number {
    return ((this.#words[at + SHAPE] as number) >>> FORM_AT) & 0xff
  }

  isPlaceholder(at: number): boolean {
    return ((this.#words[at + SHAPE] as number) & PLACEHOLDER) !== 0
  }

  keyLength(at: number): number {
    return (this.#words[at + SHAPE] as number) & 0xffff
  }

  valueLength(at: number): number {
    return this.#words[at + VALUE_LENGTH] as number
  }

  /** The byte of this chunk that the key begins at. */
  keyFrom(at: number): number {
    return at * 4 + headerBytes(this.#words[at + SHAPE] as number)
  }

  freshUntil(at: number): number {
    return this.#instants[(at + HEADER_WORDS) >> 1] as number
  }

  keptUntil(at: number): number {
    const kept = (this.#words[at + SHAPE] as number) & KEPT
    return this.#instants[((at + HEADER_WORDS) >> 1) + (kept === 0 ? 0 : 1)] as number
  }

  aheadAt(at: number): number {
    const shape = this.#words[at + SHAPE] as number
    if ((shape & AHEAD) === 0) return Infinity
    return this.#instants[((at + HEADER_WORDS) >> 1) + ((shape & KEPT) === 0 ? 1 : 2)] as number
  }

  /** The units that a record would take if it were written now: its room may be more. */
  needs(at: number): number {
    const shape = this.#words[at + SHAPE] as number
    const bytes = headerBytes(shape) + (shape & 0xffff) + this.valueLength(at)
    return Math.ceil(bytes / UNIT)
  }

  hasKey(at: number, key: KeyBytes): boolean {
    const shape = this.#words[at + SHAPE] as number
    const { words, bytes, length } = key
    if ((shape & 0xffff) !== length) return false
    const from = at + (headerBytes(shape) >> 2)
    const whole = length >> 2
    for (let i = 0; i < whole; i++) if (this.#words[from + i] !== words[i]) return false
    for (let i = whole * 4; i < length; i++) {
      if (this.bytes[from * 4 + i] !== bytes[i]) return false
    }
    return true
  }

  /** Writes a whole record, all but its room and its link. */
  write(at: number, entry: RecordShape, key: KeyBytes, value: Uint8Array): void {
    const words = this.#words
    const bits = shapeBits(entry)
    words[at + HASH] = entry.hash
    words[at + SHAPE] =
      key.length | (entry.form << FORM_AT) | (entry.placeholder ? PLACEHOLDER : 0) | bits
    words[at + VALUE_LENGTH] = value.length
    words[at + USED] = entry.used
    let instant = (at + HEADER_WORDS) >> 1
    this.#instants[instant++] = entry.freshUntil
    if ((bits & KEPT) !== 0) this.#instants[instant++] = entry.keptUntil
    if ((bits & AHEAD) !== 0) this.#instants[instant++] = entry.aheadAt
    const from = instant * 2
    const keyWords = (key.length + 3) >> 2
    for (let i = 0; i < keyWords; i++) words[from + i] = key.words[i] as number
    if (value.length > 0) this.bytes.set(value, from * 4 + key.length)
  }
}
