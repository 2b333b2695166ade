/**
 * Extension types. Two are known to Go's vmihailenco/msgpack; the rest are our own, for kinds that
 * Go has no word for. Go stops with "unknown ext id" at those, rather than read something else.
 *
 * | type | kind | body |
 * | --- | --- | --- |
 * | -128 | a string said before | its number, big-endian, 1, 2 or 4 bytes; read only |
 * | -1 | Date | seconds and nanoseconds, 4, 8 or 12 bytes, as the msgpack specification has them |
 * | 106 | undefined | empty |
 * | 107 | bigint | one byte, 0 or 1 for a negative one, then the magnitude, big-endian |
 * | 108 | Set | one msgpack array |
 * | 109 | Map that a msgpack map would not bring back | one msgpack array: key, value, key, value ... |
 *
 * A Map's body is no msgpack map, since Go passes over the extension in front of one when it fills a
 * Go map.
 */
export const EXT_INTERNED = -128
export const EXT_TIMESTAMP = -1
export const EXT_UNDEFINED = 106
export const EXT_BIGINT = 107
export const EXT_SET = 108
export const EXT_MAP = 109

const NANOS_PER_MS = 1_000_000

/** Seconds from 1970 rounded down, and the milliseconds above them. */
export function splitTime(time: number): { readonly seconds: number; readonly millis: number } {
  const seconds = Math.floor(time / 1000)
  return { seconds, millis: time - seconds * 1000 }
}

/** A Date of seconds and nanoseconds, cut to milliseconds; undefined if there is no such Date. */
export function dateOf(seconds: number, nanos: number): Date | undefined {
  if (nanos >= 1000 * NANOS_PER_MS) return undefined
  const date = new Date(seconds * 1000 + Math.floor(nanos / NANOS_PER_MS))
  return Number.isNaN(date.getTime()) ? undefined : date
}

export function nanosOf(millis: number): number {
  return millis * NANOS_PER_MS
}

/** The body of a bigint extension. */
export function bigintToBytes(value: bigint): Uint8Array {
  const magnitude = value < 0n ? -value : value
  const digits = magnitude.toString(16)
  const sign = value < 0n ? '01' : '00'
  return Buffer.from(sign + (digits.length % 2 === 0 ? digits : `0${digits}`), 'hex')
}

export function bigintFromBytes(body: Buffer): bigint {
  const magnitude = BigInt(`0x0${body.toString('hex', 1)}`)
  return body[0] === 1 ? -magnitude : magnitude
}
