import type { Announcement } from '../remote/remote-store.ts'
import { LeaseRecords } from './lease-records.ts'
import { MessageLog } from './message-log.ts'
import {
  costOf,
  dueAt,
  dueKeyOf,
  dueRange,
  entryKeyOf,
  expiryOf,
  FORMAT,
  META_KEY,
  type Mortal,
  stampExpiry,
} from './records.ts'

/** What is used of a database of `lmdb`; structural, so that our declarations do not need its own. */
export interface Bytes {
  getBinary(key: Buffer): Buffer | undefined
  getKeys(range: { start: Buffer; end: Buffer; limit: number }): Iterable<Buffer>
  put(key: Buffer, value: Buffer): PromiseLike<boolean>
  remove(key: Buffer): PromiseLike<boolean>
}

/** Entries, and leases, that one transaction sweeps at most: some milliseconds. */
const SWEPT_AT_ONCE = 500
/** Entries looked up together to make room: a write of the usual size needs the place of a few. */
const ROOM_STEP = 8
/** Such steps in one transaction at most. */
const ROOM_STEPS = 64

interface Meta {
  readonly format: number
  readonly used: number
}

/** What stands under the meta key; `undefined` in a new environment. */
export function readMeta(db: Bytes): Meta | undefined {
  const bytes = db.getBinary(META_KEY)
  if (bytes === undefined || bytes.length < 4) return undefined
  return { format: bytes.readUInt32BE(), used: bytes.length < 12 ? 0 : bytes.readDoubleBE(4) }
}

/**
 * What is stored, within one write transaction. The bytes of the entries are counted: all processes
 * add to one counter, in the transaction that changes what it counts, so that they agree. Leases and
 * messages do not count: both are small, short-lived, and bounded by themselves.
 */
export class Space {
  readonly leases: LeaseRecords
  readonly log: MessageLog
  readonly #db: Bytes
  readonly #before: number | undefined
  #used: number

  constructor(db: Bytes) {
    this.#db = db
    this.leases = new LeaseRecords(db)
    this.log = new MessageLog(db)
    this.#before = readMeta(db)?.used
    this.#used = this.#before ?? 0
  }

  /** The record as it stands, its life over or not. */
  read(key: Buffer): Buffer | undefined {
    return this.#db.getBinary(key)
  }

  /**
   * Writes a record, in place of `old`, which is what `read` gave.
   *
   * @returns `false` if there was not room enough; some has been made, and nothing written.
   */
  put(
    key: Buffer,
    old: Buffer | undefined,
    record: Buffer,
    expiresAt: number,
    maxBytes: number,
  ): boolean {
    const cost = costOf(key, record.length)
    const freed = old === undefined ? 0 : costOf(key, old.length)
    if (!this.#makeRoom(key, freed, maxBytes - cost)) return false
    if (old !== undefined) this.remove(key, old)
    stampExpiry(record, expiresAt)
    void this.#db.put(dueKeyOf(expiresAt, key), NOTHING)
    void this.#db.put(key, record)
    this.#used += cost
    return true
  }

  /** Gives a record another life, which takes no room; `record` is what `read` gave. */
  expireAt(key: Buffer, record: Buffer, expiresAt: number): void {
    void this.#db.remove(dueKeyOf(expiryOf(record), key))
    stampExpiry(record, expiresAt)
    void this.#db.put(dueKeyOf(expiresAt, key), NOTHING)
    void this.#db.put(key, record)
  }

  remove(key: Buffer, record: Buffer): void {
    void this.#db.remove(key)
    void this.#db.remove(dueKeyOf(expiryOf(record), key))
    this.#used = Math.max(0, this.#used - costOf(key, record.length))
  }

  /** Whoever changes an entry ends its lease, and tells of it, in the same step. */
  changed(key: Buffer, announcement: Announcement | undefined, now: number): void {
    this.leases.void(key)
    if (announcement !== undefined) this.log.append(announcement, now)
  }

  /** Removes what expired until `now`; whether there may be more. */
  sweep(now: number): boolean {
    const over = (mortal: Mortal) =>
      soonestDue(this.#db, SWEPT_AT_ONCE, mortal).filter((each) => dueAt(each) <= now)
    const entries = over('entry')
    for (const due of entries) this.#removeDue(due)
    const leases = over('lease')
    for (const due of leases) this.leases.removeDue(due)
    return entries.length === SWEPT_AT_ONCE || leases.length === SWEPT_AT_ONCE
  }

  save(): void {
    this.log.save()
    if (this.#used === this.#before) return
    const meta = Buffer.alloc(12)
    meta.writeUInt32BE(FORMAT)
    meta.writeDoubleBE(this.#used, 4)
    void this.#db.put(META_KEY, meta)
  }

  /**
   * Brings the bytes in use, without the `own` ones of the entry about to be replaced, down to
   * `most`. Lets go of those whose life is over soonest: to tell which were used last, reads would
   * have to write. What has expired goes first, and among equal lives the oldest.
   */
  #makeRoom(ownKey: Buffer, own: number, most: number): boolean {
    for (let step = 0; step < ROOM_STEPS; step++) {
      if (this.#used - own <= most) return true
      const soonest = soonestDue(this.#db, ROOM_STEP, 'entry')
      for (const due of soonest) {
        if (this.#used - own <= most) return true
        if (!entryKeyOf(due).equals(ownKey)) this.#removeDue(due)
      }
      if (soonest.length < ROOM_STEP) {
        // All others are gone: if the counter says anything else, it is the counter that is wrong.
        this.#used = own
      }
    }
    return this.#used - own <= most
  }

  #removeDue(due: Buffer): void {
    const key = entryKeyOf(due)
    const record = this.#db.getBinary(key)
    if (record !== undefined && expiryOf(record) === dueAt(due)) this.remove(key, record)
    else void this.#db.remove(due)
  }
}

const NOTHING = Buffer.alloc(0)

/** Keys of the order of expiry, from its beginning. */
export function soonestDue(db: Bytes, limit: number, mortal: Mortal): Buffer[] {
  const keys = db.getKeys({ ...dueRange(mortal), limit })
  return Array.from(keys, (key) => Buffer.from(key.buffer, key.byteOffset, key.byteLength))
}
