import type { Clock } from '../model/clock.ts'
import { NOT_FOUND } from '../model/entry.ts'
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
    const now = this.#clock.now()
    if (now < entry.freshUntil) return entry
    if (now >= entry.keptUntil) this.#store.delete(key)
    return undefined
  }

  /** The same without counting as a use. */
  peek(key: string): LocalEntry | undefined {
    const entry = this.#store.peek(key)
    return entry !== undefined && this.#clock.now() < entry.freshUntil ? entry : undefined
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

  delete(key: string): boolean {
    return this.#store.delete(key)
  }

  clear(): void {
    this.#store.clear()
  }
}
