import { CacheEncodeError, shown } from '../model/errors.ts'
import type { Codec } from './codec.ts'
import { kindOf } from './kinds.ts'

/**
 * Strings as they are, in UTF-8: how jetcache-go stores a Go `string`, whatever its codec. Takes
 * strings only; bytes that are no UTF-8 are read with the replacement character. Empty bytes are `''`.
 */
export function text(): Codec {
  return {
    name: 'text',
    emptyIsNotFound: false,
    detached: true,
    encode(value: unknown): Uint8Array {
      if (typeof value !== 'string') {
        throw new CacheEncodeError('text', '$', `a string is expected, but it is ${shown(value)}`)
      }
      if (!value.isWellFormed()) {
        throw new CacheEncodeError('text', '$', 'a lone surrogate, which UTF-8 cannot carry')
      }
      return Buffer.from(value)
    },
    decode(bytes: Uint8Array): string {
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
    },
    copy: (value) => value,
  }
}

/**
 * Bytes as they are: how jetcache-go stores a Go `[]byte`, whatever its codec. Takes a `Uint8Array`
 * or a `Buffer`, and gives a `Uint8Array` with memory of its own. Empty bytes are an empty array.
 */
export function bytes(): Codec {
  return {
    name: 'bytes',
    emptyIsNotFound: false,
    detached: true,
    encode(value: unknown): Uint8Array {
      if (typeof value === 'object' && value !== null && kindOf(value) === 'bytes') {
        return Buffer.from(value as Uint8Array)
      }
      throw new CacheEncodeError(
        'bytes',
        '$',
        `a Uint8Array is expected, but it is ${shown(value)}`,
      )
    },
    decode: (value) => new Uint8Array(value),
    copy: (value) => new Uint8Array(value as Uint8Array),
  }
}
