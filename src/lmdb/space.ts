import {
  AFTER_DUE,
  costOf,
  dueAt,
  dueKeyOf,
  entryKeyOf,
  expiryOf,
  FIRST_DUE,
  FORMAT,
  META_KEY,
  stampExpiry,
} from './records.ts'

/** What is used of a database of `lmdb`; structural, so that our declarations do not need its own. */
interface Bytes {
  getBinary(key: Buffer): Buffer | undefined
  getKeys(range: { start: Buffer; end: Buffer; limit: number }): Iterable<Buffer>
  put(key: Buffer, value: Buffer): PromiseLike<boolean>
  remove(key: Buffer): PromiseLike<boolean>
}

/** Entries that one transaction sweeps at most: some milliseconds. */
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
 * The entries and the count of their bytes, within one write transaction. All processes add to one
 * counter, in the transaction that changes what it counts, so that they agree.
 */
export class Space {
  readonly #db: Bytes
  readonly #before: number | undefined
  #used: number

  constructor(db: Bytes) {
    this.#db = db
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

  remove(key: Buffer, record: Buffer): void {
    void this.#db.remove(key)
    void this.#db.remove(dueKeyOf(expiryOf(record), key))
    this.#used = Math.max(0, this.#used - costOf(key, record.length))
  }

  /** Removes what expired until `now`; whether there may be more. */
  sweep(now: number): boolean {
    const due = soonestDue(this.#db, SWEPT_AT_ONCE).filter((each) => dueAt(each) <= now)
    for (const each of due) this.#removeDue(each)
    return due.length === SWEPT_AT_ONCE
  }

  save(): void {
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
      const soonest = soonestDue(this.#db, ROOM_STEP)
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
export function soonestDue(db: Bytes, limit: number): Buffer[] {
  const keys = db.getKeys({ start: FIRST_DUE, end: AFTER_DUE, limit })
  return Array.from(keys, (key) => Buffer.from(key.buffer, key.byteOffset, key.byteLength))
}
