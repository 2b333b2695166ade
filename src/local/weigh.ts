import {
  BYTES,
  bytesOfArray,
  bytesOfBigint,
  bytesOfMap,
  bytesOfNumbered,
  bytesOfObject,
  bytesOfSet,
  bytesOfText,
  CUT,
  DATE,
  FUNCTION,
  HEAP_NUMBER,
  isTwoByte,
  OBJECT,
  OWN_KEY,
  words,
} from './heap-sizes.ts'
import { Kept } from './kept.ts'

/** Parts looked at; a larger value is judged by them. */
const MOST_PARTS = 1000
/** Of an array that has more parts than may be looked at: evenly spaced ones. */
const SAMPLE = 64
/** An object of more keys is taken for one whose keys are its own. */
const MOST_SHARED_KEYS = 64

/** A text of these lengths is cut by the codec from one of up to 2 KB around it, which stays with it. */
const CUT_FROM = 13
const CUT_TO = 64
const WINDOW = 2048

/**
 * Estimates the bytes that a value occupies: of the heap, and outside of it for a `Uint8Array`. It
 * writes nothing down to find out, and changes nothing.
 *
 * It takes values for what the codec msgpack makes: part by part, so that objects and arrays have room
 * to spare, and short texts are cut from a longer one. Values made all at once (literals, JSON.parse)
 * occupy as little as half of that, large arrays of fractions a third; it is meant for a bound, and so
 * the larger is assumed. Texts count where they stand, though V8 may keep equal ones once. Names of
 * properties count only in objects of more than 64, since those of others are shared with their like: an
 * object with few keys that no other has occupies more. A part met twice counts once, so that a cycle
 * ends. Of class instances only properties are seen.
 *
 * Of 1,000 parts it looks at each; of a larger value at about as many, and takes the others of the same
 * collection for their like.
 */
export function estimateBytes(value: unknown): number {
  if (typeof value === 'string') return bytesOfText(value)
  try {
    left = MOST_PARTS
    written = 0
    cuts = 0
    const bytes = weigh(value)
    return Math.round(bytes + Math.min(written, cuts * WINDOW))
  } finally {
    firstSeen.length = 0
    if (seen.size > 0) seen.clear()
  }
}

// It runs to its end each time, so one of each is enough.
const seen = new Set<object>()
/** So few are found sooner in an array. */
const firstSeen: object[] = []
const FIRST_SEEN = 8
let left = 0
/** About how many bytes the codec would write for the parts that were looked at. */
let written = 0
/** Texts among them that it cuts when it reads them. */
let cuts = 0

/** Without the slot that refers to it. */
function weigh(value: unknown): number {
  left--
  switch (typeof value) {
    case 'string':
      return weighText(value)
    case 'number':
      return weighNumber(value)
    case 'bigint':
      return bytesOfBigint(value)
    case 'object':
      return value === null || isSeen(value) ? 0 : weighObject(value)
    case 'function':
      return FUNCTION
    default:
      return 0
  }
}

/** 32 bits stand in the slot itself. */
function weighNumber(value: number): number {
  if ((value | 0) === value && !Object.is(value, -0)) {
    written += value >= 0 && value < 128 ? 1 : 5
    return 0
  }
  written += 9
  return HEAP_NUMBER
}

function weighText(text: string): number {
  const length = text.length
  written += length + 1
  if (length < CUT_FROM || length > CUT_TO || isTwoByte(text)) return bytesOfText(text)
  cuts++
  return CUT
}

function isSeen(value: object): boolean {
  if (firstSeen.includes(value) || (seen.size > 0 && seen.has(value))) return true
  if (firstSeen.length < FIRST_SEEN) firstSeen.push(value)
  else seen.add(value)
  return false
}

function weighObject(value: object): number {
  if (Array.isArray(value)) return weighArray(value)
  if (Object.getPrototypeOf(value) === Object.prototype) return weighProperties(value)
  if (value instanceof Kept) return OBJECT + weigh(value.held)
  if (value instanceof Date) return DATE
  if (ArrayBuffer.isView(value)) return BYTES + words(value.byteLength)
  if (value instanceof Map) return bytesOfMap(value.size) + weighEntries(value, value.size)
  if (value instanceof Set) return bytesOfSet(value.size) + weighEntries(value, value.size)
  return weighProperties(value)
}

function weighArray(array: readonly unknown[]): number {
  const length = array.length
  const writtenBefore = written
  const cutsBefore = cuts
  const step = length <= left ? 1 : Math.ceil(length / SAMPLE)
  let sum = 0
  let looked = 0
  for (let i = 0; i < length && left > 0; i += step) {
    sum += weigh(array[i])
    looked++
  }
  return bytesOfArray(length) + scaled(sum, looked, length, writtenBefore, cutsBefore)
}

/** By `for ... in`, which V8 reads properties by their place in. */
function weighProperties(value: object): number {
  const writtenBefore = written
  const cutsBefore = cuts
  let count = 0
  let looked = 0
  let sum = 0
  let names = 0
  let first = ''
  for (const key in value) {
    if (count++ === 0) first = key
    if (left <= 0) continue
    written += key.length + 1
    names += key.length
    sum += weigh(partOf(value, key))
    looked++
  }
  if (count > MOST_SHARED_KEYS) sum += names + looked * (OWN_KEY + 16)
  const own = isIndex(first) ? bytesOfNumbered(count) : bytesOfObject(count)
  return own + scaled(sum, looked, count, writtenBefore, cutsBefore)
}

function partOf(value: object, key: string): unknown {
  try {
    return (value as Readonly<Record<string, unknown>>)[key]
  } catch {
    // A getter.
    return undefined
  }
}

/** Numbers come first. */
function isIndex(key: string): boolean {
  const code = key.charCodeAt(0)
  return code >= 48 && code <= 57 && String(Number(key)) === key
}

function weighEntries(parts: Iterable<unknown>, size: number): number {
  const writtenBefore = written
  const cutsBefore = cuts
  let sum = 0
  let looked = 0
  for (const part of parts) {
    if (left <= 0) break
    // A Map's pair is made for whoever asks.
    sum +=
      Array.isArray(part) && parts instanceof Map ? weigh(part[0]) + weigh(part[1]) : weigh(part)
    looked++
  }
  return scaled(sum, looked, size, writtenBefore, cutsBefore)
}

/** @param writtenBefore What stood there before the parts were looked at; so `cutsBefore`. */
function scaled(
  sum: number,
  looked: number,
  count: number,
  writtenBefore: number,
  cutsBefore: number,
): number {
  if (looked === count) return sum
  const ratio = count / Math.max(1, looked)
  written = writtenBefore + (written - writtenBefore) * ratio
  cuts = cutsBefore + (cuts - cutsBefore) * ratio
  return sum * ratio
}
