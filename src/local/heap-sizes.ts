/** What values of V8 occupy on 64 bits, without the compression of pointers that browsers use. */
const WORD = 8

export const HEAP_NUMBER: number = 2 * WORD
export const DATE: number = 14 * WORD
export const FUNCTION: number = 8 * WORD
/** Its class, and where its named and its numbered properties are; then its own room for four. */
export const OBJECT: number = 7 * WORD
/** A Uint8Array and its ArrayBuffer, without the bytes. */
export const BYTES: number = 23 * WORD
/** A text cut from another. */
export const CUT: number = 4 * WORD
/** An object's way to a class of its own, for each of its keys. */
export const OWN_KEY: number = 13 * WORD

const STRING = 2 * WORD
const ARRAY = 4 * WORD
/** Of what holds the parts of an array, or the properties that an object itself has no room for. */
const STORE = 2 * WORD
/** Of the table of a Map or Set. */
const TABLE = 5 * WORD

/** Characters looked at in a long text, to tell whether it needs two bytes for each; in a short, eight. */
const SAMPLED = 512
const SHORT = 64

export function bytesOfText(text: string): number {
  // V8 has one of each character for all.
  if (text.length < 2 && !(text > '\u00ff')) return 0
  return STRING + words(isTwoByte(text) ? 2 * text.length : text.length)
}

export function isTwoByte(text: string): boolean {
  const { length } = text
  const step = length > SHORT ? Math.ceil(length / SAMPLED) : (length >> 3) + 1
  for (let i = 0; i < length; i += step) if (text.charCodeAt(i) > 255) return true
  return false
}

export function bytesOfBigint(value: bigint): number {
  if (value === 0n) return 2 * WORD
  const is64 = BigInt.asIntN(64, value) === value
  return 2 * WORD + (is64 ? WORD : words(value.toString(16).length / 2))
}

/** Of an array that has grown part by part. */
export function bytesOfArray(length: number): number {
  let room = 0
  while (room < length) room += (room >> 1) + 17
  return room === 0 ? ARRAY : ARRAY + STORE + room * WORD
}

/** Of an object that has grown property by property. */
export function bytesOfObject(keys: number): number {
  return keys <= 4 ? OBJECT : OBJECT + STORE + Math.ceil((keys - 4) / 3) * 3 * WORD
}

/** Of an object whose keys are numbers, which have a table of their own. */
export function bytesOfNumbered(keys: number): number {
  return OBJECT + TABLE + 3 * WORD * powerOfTwo(keys * 1.5)
}

export function bytesOfMap(size: number): number {
  return ARRAY + TABLE + 3.5 * WORD * powerOfTwo(Math.max(4, size))
}

export function bytesOfSet(size: number): number {
  return ARRAY + TABLE + 2.5 * WORD * powerOfTwo(Math.max(4, size))
}

export function words(bytes: number): number {
  return Math.ceil(bytes / WORD) * WORD
}

function powerOfTwo(atLeast: number): number {
  return 2 ** Math.ceil(Math.log2(atLeast))
}
