import type { Clock } from '../model/clock.ts'
import { freshness, NOT_FOUND } from '../model/entry.ts'
import type { Keeper } from './keeper.ts'
import type { LocalEntry, LocalStore } from './local-store.ts'

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

  /** A fresh entry; one clock reading, one use. An entry that may not even be kept is dropped. */
  fresh(key: string): LocalEntry | undefined {
    const entry = this.#store.get(key)
    if (entry === undefined) return undefined
    const state = freshness(entry, this.#clock.now())
    if (state === 'fresh') return entry
    if (state === 'expired') this.#store.delete(key)
    return undefined
  }

  /** The same without counting as a use. */
  peek(key: string): LocalEntry | undefined {
    const entry = this.#store.peek(key)
    return entry && freshness(entry, this.#clock.now()) === 'fresh' ? entry : undefined
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

  /** @param freshUntil Epoch milliseconds of the cache's clock. A life already over is not stored. */
  put(key: string, kept: unknown, freshUntil: number): void {
    if (freshUntil > this.#clock.now()) {
      this.#store.set(key, { kept, freshUntil, keptUntil: freshUntil, answer: undefined })
    } else {
      this.#store.delete(key)
    }
  }

  /** Returns whether a fresh entry was there. */
  delete(key: string): boolean {
    const held = this.peek(key) !== undefined
    this.#store.delete(key)
    return held
  }

  clear(): void {
    this.#store.clear()
  }
}
