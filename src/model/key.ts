import { optionRangeError, optionTypeError, shown } from './errors.ts'

/** The most bytes of UTF-8 a key may have. */
const MAX_KEY_BYTES = 65_535

/** Of the refresh lock, jetcache-go's own: a key ending in it would be taken for a lock. */
export const REFRESH_LOCK_SUFFIX = '_#RL#'
/** Begins the names of the leases that let one process load. */
export const LEASE_PREFIX = '_#JL#'

/**
 * Refuses what cannot be a key.
 *
 * @throws TypeError (`code: 'CACHE_OPTION'`) if it is no string, or ill-formed Unicode.
 * @throws RangeError (`code: 'CACHE_OPTION'`) if it is empty, over 65,535 bytes of UTF-8, or ends
 * in a reserved suffix, or begins with a reserved prefix.
 */
export function checkKey(key: unknown): asserts key is string {
  if (typeof key !== 'string') {
    throw optionTypeError(
      `key must be a string, but is ${shown(key)}`,
      'Build the key as a string.',
    )
  }
  if (key.length === 0) {
    throw optionRangeError('key must not be empty', 'Check the parts that the key is built from.')
  }
  if (!key.isWellFormed()) {
    throw optionTypeError(
      `key must be well-formed Unicode, but ${shown(key)} holds a lone surrogate`,
      'It was probably cut in the middle of a character.',
    )
  }
  // One UTF-16 unit becomes three bytes at most, so short keys need no counting.
  if (key.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw optionRangeError(
      `key must be at most ${MAX_KEY_BYTES} bytes of UTF-8, but has ${Buffer.byteLength(key)}`,
      'Hash the long part of it.',
    )
  }
  if (key.endsWith(REFRESH_LOCK_SUFFIX) || key.startsWith(LEASE_PREFIX)) {
    throw optionRangeError(
      `key must not end in ${REFRESH_LOCK_SUFFIX} nor begin with ${LEASE_PREFIX}, but is ${shown(key)}`,
      'The cache keeps its locks under these names.',
    )
  }
}
