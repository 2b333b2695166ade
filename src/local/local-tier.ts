import type { Clock } from '../model/clock.ts'
import { freshness, NOT_FOUND } from '../model/entry.ts'
import type { Keeper } from './keeper.ts'
import type { LocalEntry, LocalLife, LocalStore, RemovalCause } from './local-store.ts'

/** What every caller gets whose record is known not to exist. */
const ABSENT: Promise<null> = Promise.resolve(null)

/** The local tier: a store with the lives of its entries and the isolation of their readers. */
export class LocalTier {
  readonly #store: LocalStore
  readonly #keeper: Keeper
  readonly #clock: Clock

  constructor(store: LocalStore, keeper: Keeper, clock: Clock) {
    this.#store = store
    this.#keeper = keeper
    this.#clock = clock
  }

  get size(): number {
    return this.#store.size
  }

  /** Entries that the store has refused so far. */
  get refused(): number {
    return this.#store.refused ?? 0
  }

  /** A fresh entry; one clock reading, one use. An entry that may not even be kept is dropped. */
  fresh(key: string): LocalEntry | undefined {
    const entry = this.#store.get(key)
    if (entry === undefined) return undefined
    const state = freshness(entry, this.#clock.now())
    if (state === 'fresh') return entry
    if (state === 'expired') this.#store.delete(key, 'expired')
    return undefined
  }

  /** The same without counting as a use. */
  peek(key: string): LocalEntry | undefined {
    const entry = this.#store.peek(key)
    return entry && freshness(entry, this.#clock.now()) === 'fresh' ? entry : undefined
  }

  /** Whether it would answer; counts as no use. */
  isFresh(key: string): boolean {
    return this.#freshnessOf(key) === 'fresh'
  }

  /** What may be answered where a stale value is permitted, fresh or not; counts as no use. */
  kept(key: string): LocalEntry | undefined {
    const entry = this.#store.peek(key)
    return entry && freshness(entry, this.#clock.now()) !== 'expired' ? entry : undefined
  }

  /** Drops an entry that is not fresh. */
  dropStale(key: string): void {
    if (this.#freshnessOf(key) === 'stale') this.#store.delete(key, 'expired')
  }

  /** What one caller of a hit gets; `null` where the record is known not to exist. */
  answer(entry: LocalEntry): Promise<unknown> {
    if (entry.answer !== undefined) return entry.answer
    const kept = entry.kept
    if (kept === NOT_FOUND) return ABSENT
    if (!this.#keeper.givesOne(kept)) return Promise.resolve(this.#keeper.give(kept))
    entry.answer = Promise.resolve(kept)
    return entry.answer
  }

  /** A life already over is not stored. */
  put(key: string, kept: unknown, { freshUntil, keptUntil, aheadAt }: LocalLife): void {
    if (keptUntil > this.#clock.now()) {
      this.#store.set(key, { kept, freshUntil, keptUntil, aheadAt, answer: undefined })
    } else {
      this.#store.delete(key, 'replaced')
    }
  }

  /** Its freshness is over, and it is kept for so many milliseconds at the most; a placeholder is not. */
  expire(key: string, retain: number): void {
    const entry = this.kept(key)
    if (entry === undefined) return
    const now = this.#clock.now()
    const keptUntil = entry.kept === NOT_FOUND ? now : Math.min(entry.keptUntil, now + retain)
    if (keptUntil <= now) {
      this.#store.delete(key, 'expired')
      return
    }
    const freshUntil = Math.min(entry.freshUntil, now)
    this.put(key, entry.kept, { freshUntil, keptUntil, aheadAt: Infinity })
  }

  /** Returns whether a fresh entry was there. */
  delete(key: string, cause: RemovalCause = 'invalidated'): boolean {
    const held = this.isFresh(key)
    this.#store.delete(key, cause)
    return held
  }

  clear(cause: RemovalCause = 'invalidated'): void {
    this.#store.clear(cause)
  }

  #freshnessOf(key: string): ReturnType<typeof freshness> | undefined {
    const life = this.#store.life === undefined ? this.#store.peek(key) : this.#store.life(key)
    return life && freshness(life, this.#clock.now())
  }
}
