import { NOT_FOUND } from '../model/entry.ts'
import { CacheDecodeError, CacheEncodeError, shown } from '../model/errors.ts'
import type { Codec } from './codec.ts'

/** `*`: jetcache-go's byte for a record known not to exist. */
const PLACEHOLDER = 0x2a

/** The bytes of the not-found placeholder; never written into. */
export const PLACEHOLDER_BYTES: Uint8Array = Uint8Array.of(PLACEHOLDER)

/** Whether these bytes stand for "not found" whatever the codec is. */
export function isPlaceholder(bytes: Uint8Array): boolean {
  return bytes.length === 1 && bytes[0] === PLACEHOLDER
}

/**
 * Writes a value.
 *
 * @throws CacheEncodeError with the key and the path of what cannot be written.
 */
export function encodePayload(codec: Codec, key: string, value: unknown): Uint8Array {
  try {
    const bytes: unknown = codec.encode(value)
    if (bytes instanceof Uint8Array) return bytes
    throw new TypeError(`encode must return a Uint8Array, but returned ${shown(bytes)}`)
  } catch (cause) {
    if (cause instanceof CacheEncodeError) {
      throw new CacheEncodeError(codec.name, cause.path, cause.reason, { key, cause: cause.cause })
    }
    throw new CacheEncodeError(codec.name, '$', reasonOf(cause), { key, cause })
  }
}

/**
 * Reads a value, or `NOT_FOUND`: the placeholder, a top-level nil, and empty bytes where the codec
 * has no value for them.
 *
 * @throws CacheDecodeError with the key, whatever the codec threw.
 */
export function decodePayload(codec: Codec, key: string, bytes: Uint8Array): unknown {
  if (isPlaceholder(bytes) || (bytes.length === 0 && codec.emptyIsNotFound === true)) {
    return NOT_FOUND
  }
  return decodeBody(codec, key, bytes) ?? NOT_FOUND
}

/**
 * Reads bytes whatever they stand for.
 *
 * @throws CacheDecodeError with the key, whatever the codec threw.
 */
export function decodeBody(codec: Codec, key: string, bytes: Uint8Array): unknown {
  try {
    return codec.decode(bytes)
  } catch (cause) {
    const reason = cause instanceof CacheDecodeError ? cause.reason : reasonOf(cause)
    throw new CacheDecodeError(codec.name, reason, { key, cause })
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
