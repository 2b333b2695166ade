import { createHash } from 'node:crypto'
import type { RemoteRead } from '../remote/remote-store.ts'

/**
 * The layout, format 2. Everything stands in one LMDB tree; the first byte of a key says what it is:
 *
 *     00                            -> u32 format, f64 bytes in use
 *     01 <key>                      -> f64 expiresAt, value
 *     02 <sha-256 of the key>       -> f64 expiresAt, u32 length of the key, key, value
 *     03 <f64 expiresAt> <01.. 02..> -> nothing: the entries by the moment their life is over
 *     04 <01.. 02..>                -> f64 expiresAt, u8 1 if somebody waits, token: the entry's lease
 *     05 <f64 expiresAt> <01.. 02..> -> nothing: the leases by the moment their life is over
 *     06                            -> f64 first number, f64 last number, f64 bytes: the log of messages
 *     07 <f64 number>               -> f64 sentAt, u32 length of the channel, channel, text
 *
 * Numbers are big-endian, so that positive ones sort as bytes do; instants are in wall-clock epoch
 * milliseconds. Two long keys of equal hash would share a lease, and one of them would wait for nothing.
 *
 * A process that knows only format 1 would do no harm to 04 to 07. But its changes would void no lease
 * and tell nobody, so that others stored what it has just outdated: it must not share the directory.
 */
export const FORMAT = 2

export const META_KEY: Buffer = Buffer.of(0x00)

const DIRECT = 0x01
const HASHED = 0x02
const DUE = 0x03
const LEASE = 0x04
const LEASE_DUE = 0x05
const LOG = 0x06
const MESSAGE = 0x07

const EXPIRY_BYTES = 8
const KEY_LENGTH_BYTES = 4
const DUE_PREFIX_BYTES = 1 + EXPIRY_BYTES

/**
 * LMDB takes keys of 1,978 bytes, and the longest of ours is that of a direct entry in the order of
 * expiry. Never leave the check to LMDB: after a put that it refused, `close()` kills the process.
 */
const LONGEST_DIRECT_KEY = 1978 - DUE_PREFIX_BYTES - 1

/** Where an entry stands. */
export interface Place {
  readonly key: Buffer
  /** What a record there begins with after its expiry: for a hashed key, the key itself. */
  readonly owner: Buffer
}

const NO_OWNER = Buffer.alloc(0)

export function placeOf(key: string): Place {
  const bytes = Buffer.from(key)
  if (bytes.length <= LONGEST_DIRECT_KEY) {
    return { key: Buffer.concat([Buffer.of(DIRECT), bytes]), owner: NO_OWNER }
  }
  const digest = createHash('sha256').update(bytes).digest()
  const owner = Buffer.alloc(KEY_LENGTH_BYTES + bytes.length)
  owner.writeUInt32BE(bytes.length)
  owner.set(bytes, KEY_LENGTH_BYTES)
  return { key: Buffer.concat([Buffer.of(HASHED), digest]), owner }
}

/** A record without its expiry, which is known only once it is written. */
export function newRecord(place: Place, value: Uint8Array): Buffer {
  return Buffer.concat([Buffer.alloc(EXPIRY_BYTES), place.owner, value])
}

export function stampExpiry(record: Buffer, expiresAt: number): void {
  record.writeDoubleBE(expiresAt)
}

export function expiryOf(record: Buffer): number {
  return record.readDoubleBE()
}

/** The value, as a view of the record; `undefined` if the record is another key's of equal hash. */
function valueIn(place: Place, record: Buffer): Uint8Array | undefined {
  const start = EXPIRY_BYTES + place.owner.length
  const owner = record.subarray(EXPIRY_BYTES, start)
  if (place.owner.length > 0 && Buffer.compare(owner, place.owner) !== 0) return undefined
  return new Uint8Array(record.buffer, record.byteOffset + start, record.byteLength - start)
}

/** The value, if its life is not over. */
export function liveValue(
  place: Place,
  record: Buffer | undefined,
  now: number,
): Uint8Array | undefined {
  return record === undefined || expiryOf(record) <= now ? undefined : valueIn(place, record)
}

export function toRead(
  place: Place,
  record: Buffer | undefined,
  now: number,
): RemoteRead | undefined {
  const bytes = liveValue(place, record, now)
  if (record === undefined || bytes === undefined) return undefined
  return { bytes, ttlLeft: expiryOf(record) - now }
}

export function sameBytes(held: Uint8Array | undefined, expected: Uint8Array | undefined): boolean {
  if (held === undefined || expected === undefined) return held === expected
  return Buffer.compare(held, expected) === 0
}

/** What has an order of expiry. */
export type Mortal = 'entry' | 'lease'

const DUE_KINDS = { entry: DUE, lease: LEASE_DUE }

export function dueKeyOf(expiresAt: number, entryKey: Buffer, mortal: Mortal = 'entry'): Buffer {
  const due = Buffer.allocUnsafe(DUE_PREFIX_BYTES + entryKey.length)
  due[0] = DUE_KINDS[mortal]
  due.writeDoubleBE(expiresAt, 1)
  due.set(entryKey, DUE_PREFIX_BYTES)
  return due
}

/** Where the order of expiry begins, and what is behind all of it. */
export function dueRange(mortal: Mortal): { start: Buffer; end: Buffer } {
  return { start: Buffer.of(DUE_KINDS[mortal]), end: Buffer.of(DUE_KINDS[mortal] + 1) }
}

export function dueAt(dueKey: Buffer): number {
  return dueKey.readDoubleBE(1)
}

export function entryKeyOf(dueKey: Buffer): Buffer {
  return dueKey.subarray(DUE_PREFIX_BYTES)
}

export function leaseKeyOf(entryKey: Buffer): Buffer {
  return Buffer.concat([Buffer.of(LEASE), entryKey])
}

/** The first and the last number of the log of messages. */
export const LOG_KEY: Buffer = Buffer.of(LOG)

export function messageKeyOf(number: number): Buffer {
  const key = Buffer.allocUnsafe(1 + 8)
  key[0] = MESSAGE
  key.writeDoubleBE(number, 1)
  return key
}

const PAGE = 4096
/** Above half a page LMDB moves a record to pages of its own. */
const LONGEST_INLINE = 2000
/** Heads and offsets of two tree nodes, and a page that random inserts leave two thirds full. */
const OVERHEAD = 96

/** What an entry counts towards `maxBytes`: an estimate, a little high, of what it takes in the file. */
export function costOf(entryKey: Buffer, recordBytes: number): number {
  const stored =
    recordBytes <= LONGEST_INLINE ? recordBytes : Math.ceil((recordBytes + 16) / PAGE) * PAGE
  return stored + 2 * entryKey.length + OVERHEAD
}
