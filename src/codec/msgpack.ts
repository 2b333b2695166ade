import { CacheDecodeError } from '../model/errors.ts'
import type { Codec } from './codec.ts'
import { copyPlain } from './copy.ts'
import { MsgpackReader } from './msgpack-decode.ts'
import { MsgpackWriter } from './msgpack-encode.ts'
import { type MsgpackOptions, resolveMsgpackOptions } from './msgpack-options.ts'
import { Refusal } from './refusal.ts'
import { s2Decode } from './s2-decode.ts'
import { s2Encode } from './s2-encode.ts'

/** jetcache-go's last byte: the bytes before it are msgpack as it is, or an S2 block of it. */
const RAW = 0x00
const S2 = 0x01

/**
 * The default codec: MessagePack in jetcache-go's framing. Keeps null, booleans, numbers (-0, NaN and
 * infinities too), strings, bigint, Date (to the millisecond), Uint8Array (a Buffer comes back as
 * one), Map, Set, arrays and plain objects, nested up to 512 deep. A property that is undefined is
 * dropped, as are symbol keys; a hole in an array comes back as undefined. The kinds that Go lacks
 * travel as extensions that Go refuses: see `msgpack-extensions.ts`.
 *
 * Go's integers come back as numbers, and as bigints where a number would not be exact.
 *
 * @throws TypeError or RangeError (`code: 'CACHE_OPTION'`) at an option it does not know or allow.
 */
export function msgpack(options: MsgpackOptions = {}): Codec {
  const resolved = resolveMsgpackOptions(options)
  const writer = new MsgpackWriter(resolved)
  const reader = new MsgpackReader(resolved)
  return {
    name: 'msgpack',
    emptyIsNotFound: true,
    detached: true,
    encode(value: unknown): Uint8Array {
      // A getter or toPlain may encode with this very codec.
      const free = writer.busy ? new MsgpackWriter(resolved) : writer
      try {
        const raw = free.write(value, RAW)
        return raw.length <= resolved.compressFrom ? raw : smaller(raw, resolved.maxDecodedBytes)
      } catch (error) {
        throw error instanceof Refusal ? error.toEncodeError('msgpack') : error
      }
    },
    decode(bytes: Uint8Array): unknown {
      const buffer = asBuffer(bytes)
      const end = buffer.length - 1
      switch (buffer[end]) {
        case RAW:
          return reader.read(buffer, end)
        case S2: {
          const body = decompress(buffer.subarray(0, end), resolved.maxDecodedBytes)
          return reader.read(body, body.length)
        }
        default:
          throw new CacheDecodeError('msgpack', unknownTrailer(buffer[end]))
      }
    },
    copy: copyPlain,
  }
}

/** Compressed, if that saves an eighth: less is not worth the reader's time. */
function smaller(raw: Buffer, maxDecodedBytes: number): Buffer {
  const body = raw.subarray(0, -1)
  if (body.length > maxDecodedBytes) return raw
  const block = s2Encode(body, S2)
  if (block.length > raw.length - (raw.length >>> 3)) return raw
  return block
}

function decompress(block: Buffer, maxDecodedBytes: number): Buffer {
  try {
    return s2Decode(block, maxDecodedBytes)
  } catch (cause) {
    throw new CacheDecodeError('msgpack', (cause as RangeError).message, { cause })
  }
}

function unknownTrailer(trailer: number | undefined): string {
  if (trailer === undefined) return 'there are none'
  const shown = `0x${trailer.toString(16).padStart(2, '0')}`
  return `their last byte, ${shown}, names no compression. Were they written as raw text, or by another codec?`
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
