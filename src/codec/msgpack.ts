import { CacheDecodeError } from '../model/errors.ts'
import type { Codec } from './codec.ts'
import { copyPlain } from './copy.ts'
import { MsgpackReader } from './msgpack-decode.ts'
import { MsgpackWriter } from './msgpack-encode.ts'
import { Refusal } from './refusal.ts'

export interface MsgpackOptions {
  /**
   * Called for every class instance; what it returns is written in its place, and comes back
   * without the class. What it throws reaches the caller of the write.
   *
   * @default none: a class instance is refused with its path
   */
  readonly toPlain?: (value: object) => unknown
  /**
   * The names of the Go struct fields tagged `msgpack:",intern"`. Go writes their repeated strings
   * as numbers that only the list of these fields gives a meaning.
   *
   * @default none: a value with such a number is refused
   */
  readonly internedFields?: readonly string[]
}

/** jetcache-go's last byte: the bytes before it are msgpack as it is. */
const RAW = 0x00

/**
 * The default codec: MessagePack in jetcache-go's framing. Keeps null, booleans, numbers (-0, NaN and
 * infinities too), strings, bigint, Date (to the millisecond), Uint8Array (a Buffer comes back as
 * one), Map, Set, arrays and plain objects, nested up to 512 deep. A property that is undefined is
 * dropped, as are symbol keys; a hole in an array comes back as undefined. The kinds that Go lacks
 * travel as extensions that Go refuses: see `msgpack-extensions.ts`.
 *
 * Go's integers come back as numbers, and as bigints where a number would not be exact.
 */
export function msgpack(options: MsgpackOptions = {}): Codec {
  const writer = new MsgpackWriter(options)
  const reader = new MsgpackReader({
    internedFields: options.internedFields && new Set(options.internedFields),
  })
  return {
    name: 'msgpack',
    emptyIsNotFound: true,
    encode(value: unknown): Uint8Array {
      try {
        // A getter or toPlain may encode with this very codec.
        return (writer.busy ? new MsgpackWriter(options) : writer).write(value, RAW)
      } catch (error) {
        throw error instanceof Refusal ? error.toEncodeError('msgpack') : error
      }
    },
    decode(bytes: Uint8Array): unknown {
      const end = bytes.length - 1
      if (end < 0) throw new CacheDecodeError('msgpack', 'there are none')
      if (bytes[end] !== RAW) throw new CacheDecodeError('msgpack', unknownTrailer(bytes[end]))
      return reader.read(asBuffer(bytes), end)
    },
    copy: copyPlain,
  }
}

function unknownTrailer(trailer: number | undefined): string {
  return `their last byte, 0x${trailer?.toString(16).padStart(2, '0')}, names no compression. Were they written as raw text, or by another codec?`
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
