import { optionRangeError, optionTypeError, shown } from '../model/errors.ts'

interface CommonOptions {
  /**
   * Called for every class instance; what it returns is written in its place, and comes back
   * without the class. What it throws reaches the caller of the write.
   *
   * @default none: a class instance is refused with its path
   */
  readonly toPlain?: ((value: object) => unknown) | undefined
  /**
   * The names of the Go struct fields tagged `msgpack:",intern"`. Go writes their repeated strings
   * as numbers that only the list of these fields gives a meaning.
   *
   * @default none: a value with such a number is refused
   */
  readonly internedFields?: readonly string[] | undefined
  /**
   * From how many bytes on a value is compressed, where that saves an eighth. Any reader takes
   * either form, so services that share keys need not agree. `Infinity` never compresses.
   *
   * @default 1024
   */
  readonly compressFrom?: number | undefined
  /**
   * The most bytes a compressed value may have when decompressed, from 1 KiB to 4 GiB; a few bytes can
   * claim gigabytes. A larger value is refused on reading, and left uncompressed on writing.
   *
   * @default 64 MiB
   */
  readonly maxDecodedBytes?: number | undefined
}

/** Options of `msgpack`. */
export type MsgpackOptions = CommonOptions &
  (
    | {
        readonly interop?: undefined
        readonly omitNull?: undefined
        readonly float32Fields?: undefined
      }
    | {
        /**
         * Writes only what Go's vmihailenco/msgpack reads: a bigint as a 64-bit integer (which comes back as
         * a number where that is exact), a Map as a map (of strings: back as an object). Refused are
         * Sets, undefined in arrays, larger bigints, and a top-level string or bytes, which
         * jetcache-go keeps raw (codecs `text` and `bytes`).
         *
         * @default none: these kinds are kept, in extensions that Go refuses
         */
        readonly interop: 'go'
        /**
         * Properties of these names are left out when null, at any depth. Go panics at a nil for a
         * `time.Time` that is no pointer. Only with `interop: 'go'`.
         *
         * @default none
         */
        readonly omitNull?: readonly string[] | undefined
        /**
         * Properties of these names are `float32` in Go, which reads no float64 into one: a number there,
         * or in an array there, nested ones too, is rounded to 32 bits, for every reader, the loader's
         * caller included. Safe integers are kept as they are (Go rounds those beyond 2^24 itself). At
         * any depth, so a float64 of Go under the same name is rounded too. Refused is what no float32
         * can hold, such as 1e39. Only with `interop: 'go'`.
         *
         * @default none: all but safe integers are written in 64 bits
         */
        readonly float32Fields?: readonly string[] | undefined
      }
  )

/** Options with their defaults, in the form the writer and the reader want. */
export interface ResolvedMsgpackOptions {
  readonly toPlain: ((value: object) => unknown) | undefined
  readonly internedFields: ReadonlySet<string> | undefined
  readonly compressFrom: number
  readonly maxDecodedBytes: number
  readonly forGo: boolean
  readonly omitNull: ReadonlySet<string> | undefined
  readonly float32Fields: ReadonlySet<string> | undefined
}

const NAMES: ReadonlySet<string> = new Set<keyof ResolvedMsgpackOptions | 'interop'>([
  'toPlain',
  'internedFields',
  'compressFrom',
  'maxDecodedBytes',
  'interop',
  'omitNull',
  'float32Fields',
])

const ONLY_FOR_GO = ['omitNull', 'float32Fields'] as const

/**
 * Below it a value fits into one network packet either way, and orders of this size lose less than
 * half (bench/threshold.js: 17 % at 224 bytes, 41 % at 884, 46 % at 1,327) for several microseconds.
 */
const COMPRESS_FROM = 1024

const MAX_DECODED_BYTES = 64 * 1024 * 1024

/** @throws TypeError or RangeError (`code: 'CACHE_OPTION'`) naming the option. */
export function resolveMsgpackOptions(options: MsgpackOptions): ResolvedMsgpackOptions {
  const { toPlain, interop, compressFrom, maxDecodedBytes } = options
  const unknown = Object.keys(options).find((name) => !NAMES.has(name))
  if (unknown !== undefined) {
    throw optionTypeError(
      `msgpack knows no option ${shown(unknown)}`,
      `It has ${[...NAMES].join(', ')}.`,
    )
  }
  if (toPlain !== undefined && typeof toPlain !== 'function') {
    throw optionTypeError(`toPlain must be a function, but is ${shown(toPlain)}`, 'Leave it out.')
  }
  if (interop !== undefined && interop !== 'go') {
    throw optionTypeError(`interop must be 'go', but is ${shown(interop)}`, 'Leave it out.')
  }
  for (const name of ONLY_FOR_GO) {
    if (options[name] !== undefined && interop === undefined) {
      throw optionTypeError(`${name} has no effect without interop: 'go'`, 'Give both, or neither.')
    }
  }
  return {
    toPlain,
    internedFields: namesOf('internedFields', options.internedFields),
    compressFrom: inRange('compressFrom', compressFrom ?? COMPRESS_FROM, 0, Infinity),
    maxDecodedBytes: inRange(
      'maxDecodedBytes',
      maxDecodedBytes ?? MAX_DECODED_BYTES,
      1024,
      2 ** 32,
    ),
    forGo: interop === 'go',
    omitNull: namesOf('omitNull', options.omitNull),
    float32Fields: namesOf('float32Fields', options.float32Fields),
  }
}

function namesOf(option: string, names: unknown): ReadonlySet<string> | undefined {
  if (names === undefined) return undefined
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return new Set(names)
  throw optionTypeError(
    `${option} must be a list of names, but is ${shown(names)}`,
    'Leave it out.',
  )
}

function inRange(option: string, value: unknown, least: number, most: number): number {
  if (typeof value !== 'number') {
    throw optionTypeError(
      `${option} must be a number of bytes, but is ${shown(value)}`,
      'Leave it out.',
    )
  }
  if (value >= least && value <= most) return value
  throw optionRangeError(
    `${option} must be from ${least} to ${most}, but is ${value}`,
    'Leave it out.',
  )
}
