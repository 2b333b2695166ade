import type { Clock } from '../../model/clock.ts'
import { NOT_FOUND } from '../../model/entry.ts'
import { type KeptBytes, MOST_FORMS } from '../kept-bytes.ts'
import type { LocalEntry, LocalLife, LocalStore, RemovalCause, Removed } from '../local-store.ts'
import { type Chunk, unitsOf } from './chunk.ts'
import type { HashIndex } from './hash-index.ts'
import { KeyBytes } from './key-bytes.ts'
import type { KeyHash } from './key-hash.ts'
import { NOWHERE, type Ring } from './ring.ts'
import { MOST_SPARED, type UseClock } from './use-clock.ts'

/** What a `FreeStore` is built from. */
interface FreeStoreParts {
  readonly ring: Ring
  readonly index: HashIndex
  readonly uses: UseClock
  readonly hash: KeyHash
  /** The most units of one record. */
  readonly mostUnits: number
  readonly clock: Clock
  /** `undefined`: nobody listens. */
  readonly removed: Removed | undefined
}

const NO_BYTES = new Uint8Array(0)

/**
 * Entries as records in a ring of bytes: FreeCache's way to hold millions of them at no cost to the
 * garbage collector (coocood/freecache, MIT). Taken from there: the ring, in which a new record takes the
 * place of the oldest, which is written again at the head if it was used recently; and what "recently"
 * means (`UseClock`). Otherwise here: the index is a table of chains that grows by one bucket at a time,
 * instead of sorted arrays of pointers; there is one ring, not 256, since one thread needs no locks; hash
 * and mean age are better than whole seconds allow; and no record lies across the end of the memory.
 *
 * Nobody ever gets memory of the ring. Whoever asks for an entry may hold it for as long as a load takes,
 * while the ring is written over, so each `get` copies the bytes out: some 200 ns for a small value, of
 * about 1.5 us that the look-up and decoding cost together. To decode in place, at once, would save them,
 * but then every hit would be decoded, whether anybody wants its value or not (`exists`, `delete`, a
 * message that drops a key), and a codec that hands out views would hand out the ring.
 */
export class FreeStore implements LocalStore {
  readonly #ring: Ring
  readonly #index: HashIndex
  readonly #uses: UseClock
  readonly #hash: KeyHash
  readonly #mostUnits: number
  readonly #clock: Clock
  readonly #removed: Removed | undefined
  readonly #key = new KeyBytes()
  /** What has left during this change: it is told once the change is whole. */
  #left: { key: string; entry: LocalEntry; cause: RemovalCause }[] = []
  #refused = 0

  constructor(parts: FreeStoreParts) {
    this.#ring = parts.ring
    this.#index = parts.index
    this.#uses = parts.uses
    this.#hash = parts.hash
    this.#mostUnits = parts.mostUnits
    this.#clock = parts.clock
    this.#removed = parts.removed
  }

  get size(): number {
    return this.#index.records
  }

  get refused(): number {
    return this.#refused
  }

  get(key: string): LocalEntry | undefined {
    const position = this.#find(key)
    if (position === NOWHERE) return undefined
    const chunk = this.#ring.chunkAt(position)
    const at = this.#ring.wordAt(position)
    chunk.use(at, this.#uses.use(chunk.used(at)))
    return entryOf(chunk, at)
  }

  peek(key: string): LocalEntry | undefined {
    const position = this.#find(key)
    if (position === NOWHERE) return undefined
    return entryOf(this.#ring.chunkAt(position), this.#ring.wordAt(position))
  }

  life(key: string): LocalLife | undefined {
    const position = this.#find(key)
    if (position === NOWHERE) return undefined
    return livesOf(this.#ring.chunkAt(position), this.#ring.wordAt(position))
  }

  set(key: string, entry: LocalEntry): void {
    const isKey = this.#key.load(key)
    const hash = this.#hash(this.#key.words, this.#key.length)
    const old = isKey ? this.#locate(hash) : NOWHERE
    const placeholder = entry.kept === NOT_FOUND
    const { form, bytes } = placeholder ? NO_VALUE : (entry.kept as KeptBytes)
    const units = unitsOf(this.#key.length, bytes.length, entry)
    const fits = isKey && units <= this.#mostUnits && form < MOST_FORMS
    if (old !== NOWHERE)
      this.#note(old, 'replaced', fits ? { form, bytes, placeholder } : undefined)
    // Not to be told from the position: a record that has made room may have lain where that is.
    const inPlace = fits && old !== NOWHERE && this.#reuse(old, units)
    const position = inPlace ? old : fits ? this.#place(units) : NOWHERE
    if (position !== NOWHERE) {
      const { freshUntil, keptUntil, aheadAt } = entry
      const used = this.#uses.enter()
      const record = { hash, used, form, placeholder, freshUntil, keptUntil, aheadAt }
      const chunk = this.#ring.chunkAt(position)
      chunk.write(this.#ring.wordAt(position), record, this.#key, bytes)
      if (!inPlace) this.#index.add(hash, position)
    } else {
      if (!fits && old !== NOWHERE) this.#drop(old)
      this.#refused++
    }
    this.#tell()
  }

  delete(key: string, cause: RemovalCause): boolean {
    const position = this.#find(key)
    if (position === NOWHERE) return false
    this.#note(position, cause)
    this.#drop(position)
    this.#tell()
    return true
  }

  /** Gives the memory back. */
  clear(cause: RemovalCause): void {
    if (this.#removed !== undefined) {
      this.#ring.walk((position) => {
        const isDead = this.#ring.chunkAt(position).isDead(this.#ring.wordAt(position))
        if (!isDead) this.#note(position, cause)
      })
    }
    this.#ring.clear()
    this.#index.clear()
    this.#uses.clear()
    this.#tell()
  }

  #find(key: string): number {
    if (!this.#key.load(key)) return NOWHERE
    return this.#locate(this.#hash(this.#key.words, this.#key.length))
  }

  /** The record of the key that is loaded. */
  #locate(hash: number): number {
    let position = this.#index.first(hash)
    while (position !== NOWHERE) {
      const chunk = this.#ring.chunkAt(position)
      const at = this.#ring.wordAt(position)
      if (chunk.hash(at) === hash && chunk.hasKey(at, this.#key)) return position
      position = chunk.next(at) - 1
    }
    return NOWHERE
  }

  /** Whether the old record's room is enough; otherwise it is given up. */
  #reuse(old: number, units: number): boolean {
    const chunk = this.#ring.chunkAt(old)
    const at = this.#ring.wordAt(old)
    const fits = units <= chunk.room(at)
    if (fits) this.#uses.leave(chunk.used(at))
    else this.#drop(old)
    return fits
  }

  /**
   * Room for a record that is to be written at once. Each step either passes a record for good or spares
   * it, and no more than a few are spared in a row: the work is that of the records that leave.
   */
  #place(units: number): number {
    let now: number | undefined
    let spared = 0
    for (;;) {
      const position = this.#ring.take(units)
      if (position !== NOWHERE) return position
      const oldest = this.#ring.oldest
      if (oldest === NOWHERE) return NOWHERE
      const chunk = this.#ring.chunkAt(oldest)
      const at = this.#ring.wordAt(oldest)
      if (chunk.isDead(at)) {
        this.#ring.pass()
        continue
      }
      now ??= this.#clock.now()
      const isOver = chunk.keptUntil(at) <= now
      if (!isOver && spared < MOST_SPARED && this.#uses.isRecent(chunk.used(at))) {
        spared++
        this.#index.move(chunk.hash(at), oldest, this.#ring.renew())
      } else {
        spared = 0
        this.#note(oldest, isOver ? 'expired' : 'evicted')
        this.#drop(oldest)
        this.#ring.pass()
      }
    }
  }

  /** The room stays as dead space until the ring comes round. */
  #drop(position: number): void {
    const chunk = this.#ring.chunkAt(position)
    const at = this.#ring.wordAt(position)
    this.#index.remove(chunk.hash(at), position)
    this.#uses.leave(chunk.used(at))
    chunk.bury(at, chunk.room(at))
  }

  /** @param successor What takes its place: nobody is told where that is the same. */
  #note(
    position: number,
    cause: RemovalCause,
    successor?: KeptBytes & { readonly placeholder: boolean },
  ): void {
    if (this.#removed === undefined) return
    const chunk = this.#ring.chunkAt(position)
    const at = this.#ring.wordAt(position)
    if (successor !== undefined && isSame(chunk, at, successor)) return
    const from = chunk.keyFrom(at)
    const key = chunk.bytes.toString('utf8', from, from + chunk.keyLength(at))
    this.#left.push({ key, entry: entryOf(chunk, at), cause })
  }

  #tell(): void {
    if (this.#left.length === 0) return
    const left = this.#left
    this.#left = []
    for (const { key, entry, cause } of left) this.#removed?.(key, entry, cause)
  }
}

const NO_VALUE: KeptBytes = { form: 0, bytes: NO_BYTES }

function livesOf(chunk: Chunk, at: number): LocalLife {
  return {
    freshUntil: chunk.freshUntil(at),
    keptUntil: chunk.keptUntil(at),
    aheadAt: chunk.aheadAt(at),
  }
}

function entryOf(chunk: Chunk, at: number): LocalEntry {
  return {
    freshUntil: chunk.freshUntil(at),
    keptUntil: chunk.keptUntil(at),
    aheadAt: chunk.aheadAt(at),
    kept: chunk.isPlaceholder(at) ? NOT_FOUND : { form: chunk.form(at), bytes: bytesOf(chunk, at) },
    answer: undefined,
  }
}

/** (Half the time of `Buffer.copy`.) */
function bytesOf(chunk: Chunk, at: number): Uint8Array {
  const length = chunk.valueLength(at)
  const own = Buffer.allocUnsafe(length)
  own.set(chunk.view(chunk.keyFrom(at) + chunk.keyLength(at), length))
  return own
}

function isSame(
  chunk: Chunk,
  at: number,
  { form, bytes, placeholder }: KeptBytes & { readonly placeholder: boolean },
): boolean {
  if (chunk.isPlaceholder(at) !== placeholder || chunk.form(at) !== form) return false
  const from = chunk.keyFrom(at) + chunk.keyLength(at)
  return Buffer.compare(chunk.view(from, chunk.valueLength(at)), bytes) === 0
}
