import type { LeaseHeld } from '../remote/remote-store.ts'
import { dueAt, dueKeyOf, entryKeyOf, leaseKeyOf } from './records.ts'
import type { Bytes } from './space.ts'

/** A lease as it stands. */
interface LeaseRecord {
  readonly token: string
  readonly expiresAt: number
  /** Whether somebody has found it held. */
  readonly marked: boolean
}

const EXPIRY_BYTES = 8

/** The lease, if its life is not over. */
export function liveLease(record: Buffer | undefined, now: number): LeaseRecord | undefined {
  if (record === undefined || record.readDoubleBE() <= now) return undefined
  return decode(record)
}

/** Why a lease is not granted; `undefined`: it is free, or its owner asks again. */
export function heldFrom(
  lease: LeaseRecord | undefined,
  token: string,
  now: number,
): LeaseHeld | undefined {
  if (lease === undefined || ownerOf(lease.token) === ownerOf(token)) return undefined
  return { kind: 'held', by: lease.token, left: lease.expiresAt - now }
}

/** The leases, within one write transaction; each by the key of the entry that it is for. */
export class LeaseRecords {
  readonly #db: Bytes

  constructor(db: Bytes) {
    this.#db = db
  }

  take(entryKey: Buffer, token: string, life: number, now: number): LeaseHeld | undefined {
    const lease = this.#live(entryKey, now)
    const held = heldFrom(lease, token, now)
    if (held === undefined) {
      // Who waited for the owner's earlier one waits for this one.
      this.#put(entryKey, { token, expiresAt: now + life, marked: lease?.marked === true })
    } else if (lease?.marked === false) {
      this.#put(entryKey, { ...lease, marked: true })
    }
    return held
  }

  /** The lease, if the token has it. */
  of(entryKey: Buffer, token: string, now: number): LeaseRecord | undefined {
    const lease = this.#live(entryKey, now)
    return lease?.token === token ? lease : undefined
  }

  renew(entryKey: Buffer, token: string, life: number, now: number): boolean {
    const lease = this.of(entryKey, token, now)
    if (lease === undefined) return false
    this.#put(entryKey, { ...lease, expiresAt: now + life })
    return true
  }

  void(entryKey: Buffer): void {
    const key = leaseKeyOf(entryKey)
    const record = this.#db.getBinary(key)
    if (record === undefined) return
    void this.#db.remove(key)
    void this.#db.remove(dueKeyOf(record.readDoubleBE(), entryKey, 'lease'))
  }

  /** Ends what the order of expiry names, if it is what stands there still. */
  removeDue(due: Buffer): void {
    const entryKey = entryKeyOf(due)
    const record = this.#db.getBinary(leaseKeyOf(entryKey))
    if (record?.readDoubleBE() === dueAt(due)) this.void(entryKey)
    else void this.#db.remove(due)
  }

  #live(entryKey: Buffer, now: number): LeaseRecord | undefined {
    return liveLease(this.#db.getBinary(leaseKeyOf(entryKey)), now)
  }

  #put(entryKey: Buffer, lease: LeaseRecord): void {
    this.void(entryKey)
    void this.#db.put(leaseKeyOf(entryKey), encode(lease))
    void this.#db.put(dueKeyOf(lease.expiresAt, entryKey, 'lease'), NOTHING)
  }
}

const NOTHING = Buffer.alloc(0)

function encode({ token, expiresAt, marked }: LeaseRecord): Buffer {
  const record = Buffer.alloc(EXPIRY_BYTES + 1 + token.length)
  record.writeDoubleBE(expiresAt)
  record.writeUInt8(marked ? 1 : 0, EXPIRY_BYTES)
  record.write(token, EXPIRY_BYTES + 1, 'latin1')
  return record
}

function decode(record: Buffer): LeaseRecord {
  return {
    token: record.toString('latin1', EXPIRY_BYTES + 1),
    expiresAt: record.readDoubleBE(),
    marked: record.readUInt8(EXPIRY_BYTES) === 1,
  }
}

function ownerOf(token: string): string {
  return token.slice(0, token.lastIndexOf('.'))
}
