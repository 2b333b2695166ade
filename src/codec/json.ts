import { CacheDecodeError } from '../model/errors.ts'
import type { Codec } from './codec.ts'
import { copyPlain } from './copy.ts'
import { classNameOf, kindOf } from './kinds.ts'
import { Ancestry, MAX_DEPTH, Refusal, within } from './refusal.ts'

/**
 * JSON text, as jetcache-go's `json` and `sonic` write it. Keeps JSON's kinds: null, booleans, finite
 * numbers, strings, arrays and plain objects, nested up to 512 deep. A Date becomes its ISO string and
 * -0 becomes 0, for every caller; a property that is undefined is dropped. What JSON would lose is
 * refused with its path: bigint, Map, Set, bytes, NaN, infinities, undefined in arrays.
 *
 * Numbers are read as JavaScript reads them: an integer of Go beyond 2^53 arrives rounded. `msgpack`
 * reads it as a bigint; in JSON Go keeps its digits in a field tagged `json:",string"`.
 */
export function json(): Codec {
  return {
    name: 'json',
    emptyIsNotFound: true,
    detached: true,
    encode(value: unknown): Uint8Array {
      const ancestry = new Ancestry()
      try {
        check(value, ancestry, 0)
      } catch (error) {
        throw error instanceof Refusal ? error.toEncodeError('json') : error
      }
      return Buffer.from(JSON.stringify(value))
    },
    decode(bytes: Uint8Array): unknown {
      const text = Buffer.isBuffer(bytes)
        ? bytes.toString()
        : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
      const value: unknown = parse(text)
      if (mayNestTooDeep(text) && !isWithinDepth(value, 0)) {
        throw new CacheDecodeError('json', `nested more than ${MAX_DEPTH} deep`)
      }
      return value
    },
    copy: copyPlain,
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new CacheDecodeError('json', (cause as Error).message, { cause })
  }
}

function check(value: unknown, ancestry: Ancestry, depth: number): void {
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed())
        throw new Refusal('a string with a lone surrogate, which UTF-8 cannot carry')
      return
    case 'number':
      if (!Number.isFinite(value)) throw new Refusal(`${value}, which JSON has no word for`)
      return
    case 'boolean':
      return
    case 'object':
      if (value !== null) checkObject(value, ancestry, depth)
      return
    default:
      throw new Refusal(typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`)
  }
}

function checkObject(value: object, ancestry: Ancestry, depth: number): void {
  switch (kindOf(value)) {
    case 'plain':
      checkProperties(value as Readonly<Record<string, unknown>>, ancestry, depth)
      return
    case 'array':
      checkParts(value as readonly unknown[], ancestry, depth)
      return
    case 'date':
      if (Number.isNaN((value as Date).getTime())) throw new Refusal('an invalid Date')
      return
    default:
      throw new Refusal(`an instance of ${classNameOf(value)}. Store plain values, or use msgpack`)
  }
}

function checkProperties(
  value: Readonly<Record<string, unknown>>,
  ancestry: Ancestry,
  depth: number,
): void {
  ancestry.enter(value, depth)
  let key = ''
  try {
    for (key of Object.keys(value)) {
      const part = value[key]
      if (part === undefined) continue
      check(key, ancestry, depth)
      check(part, ancestry, depth + 1)
    }
  } catch (error) {
    throw within(error, key, value)
  }
}

function checkParts(value: readonly unknown[], ancestry: Ancestry, depth: number): void {
  ancestry.enter(value, depth)
  let i = 0
  try {
    for (; i < value.length; i++) check(value[i], ancestry, depth + 1)
  } catch (error) {
    throw within(error, i, value)
  }
}

/** Whether there are enough brackets for it. Most texts have few, and then this is all that is done. */
function mayNestTooDeep(text: string): boolean {
  let count = 0
  for (const bracket of ['[', '{']) {
    let at = text.indexOf(bracket)
    while (at !== -1 && count <= MAX_DEPTH) {
      count++
      at = text.indexOf(bracket, at + 1)
    }
  }
  return count > MAX_DEPTH
}

function isWithinDepth(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (depth >= MAX_DEPTH) return false
  return Object.values(value).every((part) => isWithinDepth(part, depth + 1))
}
