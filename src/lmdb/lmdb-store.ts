import { isPlaceholder } from '../codec/payload.ts'
import { type Duration, parseDuration } from '../model/duration.ts'
import { optionRangeError, shown } from '../model/errors.ts'
import type {
  RemoteChangeOptions,
  RemoteConnection,
  RemoteLeases,
  RemoteRead,
  RemoteStore,
  RemoteVerdict,
  RemoteWriteOptions,
} from '../remote/remote-store.ts'
import { Environment, NotCommittedError } from './environment.ts'
import { LmdbLeases } from './lmdb-leases.ts'
import { refuseUnknown, requirePath } from './option-checks.ts'
import { DirectoryOrigin } from './origin.ts'
import {
  costOf,
  expiryOf,
  liveValue,
  newRecord,
  type Place,
  placeOf,
  sameBytes,
  toRead,
} from './records.ts'
import type { Space } from './space.ts'

export interface LmdbOptions {
  /**
   * The directory, made if it is missing. All processes of one machine that name the same one share
   * the cache; it must be on a local disk.
   */
  readonly path: string
  /**
   * The most bytes that entries take, as an estimate of what each needs in the file: its value (in
   * pages of 4,096 bytes once it is over 2,000), its key twice and 96 bytes. From 65,536 to 2^53 - 1.
   * A write that would go above it first removes the entries whose lives end soonest. The file may
   * become about twice as large and never shrinks. All who share a path should agree on it. Leases and
   * the messages of `lmdbBus()` do not count.
   *
   * @default 268,435,456 (256 MiB)
   */
  readonly maxBytes?: number | undefined
  /**
   * How often entries whose life is over are removed. They are never read, and are the first to make
   * room, so this only gives their space back sooner. From 1 ms.
   *
   * @default '30s'
   */
  readonly sweepInterval?: Duration | undefined
}

const DEFAULT_MAX_BYTES = 256 * 2 ** 20
const LEAST_MAX_BYTES = 65_536
const OPTIONS: ReadonlySet<string> = new Set<keyof LmdbOptions>([
  'path',
  'maxBytes',
  'sweepInterval',
])

/**
 * A remote tier on LMDB (the package `lmdb`, an optional peer): a file that the processes of one
 * machine share, without a server. A write resolves once every process sees it.
 *
 * Of a bus made by `lmdbBus()` for the same path, changes and their messages are one step.
 *
 * It survives the death of any process, also in the middle of a write. One that is stopped there
 * (SIGSTOP, a debugger, a frozen container) costs the others their writes until it goes on or is
 * killed: they are refused, after 0.4 s and then at once, while reads go on; nothing is kept for later.
 * A process that starts meanwhile cannot read either.
 *
 * On Linux nothing is forced to disk and the cache starts empty after the machine has restarted;
 * elsewhere each commit is flushed. Lives are counted on the wall clock of the machine: setting it
 * back lengthens them by that much. Processes in containers share a directory only if they share the
 * process and the network namespace.
 *
 * The directory is opened, synchronously, when the first cache uses the store, or with the first
 * operation if another process is in the way at that moment. Waiting for others blocks no event loop
 * and no thread; a commit itself does block, for as long as the system takes to copy its bytes (about
 * 1 ms for 300 KB). A value larger than `maxBytes` is refused with a `RangeError`. Fake timers do no
 * harm if they are installed after this module was imported; each read then leaves a fake timer of no
 * consequence behind.
 *
 * @throws TypeError or RangeError (`code: 'CACHE_OPTION'`) for wrong options. `open()` throws an
 * Error if the directory cannot be used or is of another format; where it could not be opened at once,
 * the operations reject with that.
 */
export function lmdb(options: LmdbOptions): RemoteStore {
  refuseUnknown('lmdb', options, OPTIONS)
  const { path, maxBytes = DEFAULT_MAX_BYTES, sweepInterval = '30s' } = options
  requirePath(path)
  if (!Number.isSafeInteger(maxBytes) || maxBytes < LEAST_MAX_BYTES) {
    throw optionRangeError(
      `maxBytes must be a whole number from ${LEAST_MAX_BYTES}, but is ${shown(maxBytes)}`,
      'Give a number of bytes.',
    )
  }
  return new LmdbStore(path, maxBytes, parseDuration(sweepInterval, 'sweepInterval'))
}

// Taken at import: fake timers installed later must not change lives or stop the sweep.
const wallClock = Date.now
const startInterval = setInterval
const stopInterval = clearInterval

/** The longest delay of a Node.js timer. */
const LONGEST_INTERVAL = 2 ** 31 - 1

/** A write of a value. */
interface Put extends RemoteChangeOptions {
  readonly ttl: number
  readonly mayPut: (held: Uint8Array | undefined) => boolean
  /** Whether it voids the lease. */
  readonly isChange: boolean
}

class LmdbStore implements RemoteStore {
  readonly name = 'lmdb'
  readonly leases: RemoteLeases
  readonly origin: object
  readonly #path: string
  readonly #maxBytes: number
  readonly #sweepInterval: number
  readonly #writes = new Set<Promise<unknown>>()
  #environment: Environment | undefined
  #holders = 0
  #timer: ReturnType<typeof setInterval> | undefined
  #sweeping = false

  constructor(path: string, maxBytes: number, sweepInterval: number) {
    this.#path = path
    this.#maxBytes = maxBytes
    this.#sweepInterval = Math.min(sweepInterval, LONGEST_INTERVAL)
    this.origin = new DirectoryOrigin(path)
    this.leases = new LmdbLeases({
      opened: () => this.#opened(),
      write: (run, bytes, signal) => this.#write(run, bytes, signal),
      checkFits: (place, record) => this.#checkFits(place, record),
      maxBytes,
    })
  }

  open(): void {
    this.#environment ??= Environment.acquire(this.#path)
    if (this.#holders++ > 0) return
    this.#timer = startInterval(() => void this.#sweep(), this.#sweepInterval)
    this.#timer.unref()
  }

  async close(): Promise<void> {
    if (this.#holders === 0 || --this.#holders > 0) return
    stopInterval(this.#timer)
    const environment = this.#opened()
    this.#environment = undefined
    await Promise.allSettled(this.#writes)
    await environment.release()
  }

  async get(key: string): Promise<RemoteRead | undefined> {
    const place = placeOf(key)
    const environment = this.#opened()
    if (!environment.isOpen) await environment.opened()
    const record = environment.read((get) => get(place.key))
    return toRead(place, record, wallClock())
  }

  async getMany(keys: readonly string[]): Promise<(RemoteRead | undefined)[]> {
    const places = keys.map(placeOf)
    const environment = this.#opened()
    if (!environment.isOpen) await environment.opened()
    const records = environment.read((get) => places.map((place) => get(place.key)))
    const now = wallClock()
    return places.map((place, i) => toRead(place, records[i], now))
  }

  async set(key: string, bytes: Uint8Array, options: RemoteWriteOptions): Promise<boolean> {
    const { when } = options
    const mayPut = (held: Uint8Array | undefined) =>
      when === undefined || (when === 'present') === (held !== undefined)
    return this.#put(key, bytes, { ...options, mayPut, isChange: true })
  }

  async compareAndSet(
    key: string,
    expected: Uint8Array | undefined,
    bytes: Uint8Array,
    ttl: number,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const old = expected && Uint8Array.from(expected)
    const mayPut = (held: Uint8Array | undefined) => sameBytes(held, old)
    return this.#put(key, bytes, { ttl, signal, mayPut, isChange: false })
  }

  async compareAndDelete(
    key: string,
    expected: Uint8Array,
    options?: RemoteChangeOptions,
  ): Promise<boolean> {
    const old = Uint8Array.from(expected)
    return this.#remove(placeOf(key), (held) => sameBytes(held, old), options)
  }

  async delete(keys: readonly string[], options?: RemoteChangeOptions): Promise<number> {
    const remove = (key: string) => this.#remove(placeOf(key), () => true, options)
    // Those of one turn are committed together.
    const held = await Promise.all(keys.map(remove))
    return held.filter((each) => each).length
  }

  async shorten(
    key: string,
    left: number,
    { signal, announce }: RemoteChangeOptions = {},
  ): Promise<boolean> {
    const place = placeOf(key)
    const shorten = (space: Space) => {
      const now = wallClock()
      const record = space.read(place.key)
      const held = liveValue(place, record, now)
      const isKept = held !== undefined && !isPlaceholder(held)
      if (record !== undefined && held !== undefined) {
        if (!isKept) space.remove(place.key, record)
        else if (expiryOf(record) > now + left) space.expireAt(place.key, record, now + left)
      }
      space.changed(place.key, announce, now)
      return isKept
    }
    return this.#write(shorten, this.#lengthOf(place), signal)
  }

  async ping(): Promise<void> {
    const environment = this.#opened()
    if (!environment.isOpen) await environment.opened()
    environment.soonestDue()
  }

  /** What is rejected has not been written; where writes are refused, reads go on. */
  judge(error: unknown): RemoteVerdict {
    return error instanceof NotCommittedError || error instanceof RangeError
      ? 'refused'
      : 'unavailable'
  }

  /** A write is committed in its turn or not at all. */
  connection(): RemoteConnection {
    return { lingers: false }
  }

  async #put(key: string, bytes: Uint8Array, put: Put): Promise<boolean> {
    const place = placeOf(key)
    const record = newRecord(place, bytes)
    this.#checkFits(place, record)
    const write = (space: Space) => {
      const now = wallClock()
      const old = space.read(place.key)
      if (!put.mayPut(liveValue(place, old, now))) return false
      if (!space.put(place.key, old, record, now + put.ttl, this.#maxBytes)) return 'no room yet'
      if (put.isChange) space.changed(place.key, put.announce, now)
      return true
    }
    for (;;) {
      const took = await this.#write(write, record.length, put.signal)
      if (took !== 'no room yet') return took
    }
  }

  /** Resolves whether it held something. */
  #remove(
    place: Place,
    mayRemove: (held: Uint8Array | undefined) => boolean,
    { signal, announce }: RemoteChangeOptions = {},
  ): Promise<boolean> {
    const remove = (space: Space) => {
      const now = wallClock()
      const record = space.read(place.key)
      const held = liveValue(place, record, now)
      if (!mayRemove(held)) return false
      if (record !== undefined && held !== undefined) space.remove(place.key, record)
      space.changed(place.key, announce, now)
      return held !== undefined
    }
    return this.#write(remove, 0, signal)
  }

  /** About how many bytes are written where a record is written again. */
  #lengthOf(place: Place): number {
    const environment = this.#opened()
    return environment.isOpen ? environment.read((get) => get(place.key)?.length ?? 0) : 0
  }

  #checkFits(place: Place, record: Buffer): void {
    const cost = costOf(place.key, record.length)
    if (cost <= this.#maxBytes) return
    throw new RangeError(`lmdb: ${cost} bytes do not fit into maxBytes, ${this.#maxBytes}`)
  }

  async #write<T>(run: (space: Space) => T, bytes: number, signal?: AbortSignal): Promise<T> {
    const writing = this.#opened().write(run, bytes, signal)
    this.#writes.add(writing)
    try {
      return await writing
    } finally {
      this.#writes.delete(writing)
    }
  }

  /** Some hundred entries and leases in a transaction, a turn for others in between. */
  async #sweep(): Promise<void> {
    if (this.#sweeping) return
    this.#sweeping = true
    try {
      while (this.#isAnyOver() && (await this.#write((space) => space.sweep(wallClock()), 0)));
    } catch {
      // Nobody waits for it, and what failed here fails, and is reported, in the next write as well.
    } finally {
      this.#sweeping = false
    }
  }

  /** Asked first, so that processes with nothing to sweep take no write lock. */
  #isAnyOver(): boolean {
    const environment = this.#opened()
    return environment.isOpen && environment.soonestDue() <= wallClock()
  }

  #opened(): Environment {
    if (this.#environment !== undefined) return this.#environment
    throw new Error('lmdb: the store is not open')
  }
}
