import type { Clock, Timer } from '../model/clock.ts'

/*
 * A change that the remote did not take leaves something wrong behind: the old value. A write whose
 * outcome nobody knows may even leave it behind later, when it has lain on a dead connection for a
 * while. So the key is remembered, and deleted as soon as the remote can be reached:
 *
 *   set(v2) fails ----- remembered: reads of the key skip the remote, loads of it fill local only
 *        remote is back  --- DEL ----.
 *                                    |-- it had certainly not been sent: forgotten, done
 *                                    |-- or it went out on the connection that the DEL came back on:
 *                                    |   what was sent earlier is over, forgotten, done
 *                                    '-- it may land late: GRACE --- DEL again -- forgotten, done
 *
 * To delete is right whatever happened: it costs a load, and never shows an old value. That is why
 * a repair need not be ordered with later writes of the same key: at worst it undoes a new value.
 */

/** Keys remembered; beyond it the oldest is given up, and its old value lives for its ttl. */
const MOST_KEYS = 100_000

/** Keys deleted by one command. */
const AT_ONCE = 256

/** Milliseconds for which a write of a lost connection may still take effect. */
const GRACE = 5000

/** Milliseconds until a repair that failed is tried again, if nothing tells earlier. */
const TRY_AGAIN = 500

/** Whether a write may still take effect, asked when a deletion has been acknowledged. */
type MayLand = () => boolean

interface Wrong {
  mayLand: MayLand
  /** When it may be deleted for good, on the monotonic clock; before the first deletion: now. */
  dueAt: number
  deletedOnce: boolean
}

/** The keys whose change the remote did not take, and their deletion. */
export class Repairs {
  readonly #clock: Clock
  readonly #remove: (keys: readonly string[]) => Promise<unknown>
  readonly #onOverflow: () => void
  /** In the order of their last failure. */
  readonly #wrong = new Map<string, Wrong>()
  #running = false
  #stopped = false
  #timer: Timer | undefined

  /** @param remove Deletes from the remote; rejects if it did not, or nobody knows. */
  constructor(
    clock: Clock,
    remove: (keys: readonly string[]) => Promise<unknown>,
    onOverflow: () => void,
  ) {
    this.#clock = clock
    this.#remove = remove
    this.#onOverflow = onOverflow
  }

  /** Keys not repaired yet. */
  get pending(): number {
    return this.#wrong.size
  }

  has(key: string): boolean {
    return this.#wrong.size > 0 && this.#wrong.has(key)
  }

  /** @param mayLand Of the write that failed. */
  add(key: string, mayLand: MayLand): void {
    const before = this.#wrong.get(key)?.mayLand
    this.#wrong.delete(key)
    this.#wrong.set(key, {
      mayLand: before === undefined ? mayLand : () => mayLand() || before(),
      dueAt: this.#clock.monotonic(),
      deletedOnce: false,
    })
    if (this.#wrong.size > MOST_KEYS) this.#giveUpOldest()
    if (!this.#running) this.#wait(TRY_AGAIN)
  }

  /** The remote can be reached. */
  resume(): void {
    if (this.#wrong.size > 0) void this.#run()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #giveUpOldest(): void {
    for (const oldest of this.#wrong.keys()) {
      this.#wrong.delete(oldest)
      break
    }
    this.#onOverflow()
  }

  async #run(): Promise<void> {
    if (this.#running || this.#stopped) return
    this.#running = true
    this.#timer?.cancel()
    try {
      for (let due = this.#due(); due.length > 0 && !this.#stopped; due = this.#due()) {
        await this.#remove(due.map(([key]) => key))
        const deletedAt = this.#clock.monotonic()
        for (const [key, wrong] of due) this.#deleted(key, wrong, deletedAt)
      }
      this.#waitForNext()
    } catch {
      // Counted where it failed. What was not deleted is still remembered.
      this.#wait(TRY_AGAIN)
    } finally {
      this.#running = false
    }
  }

  #due(): [string, Wrong][] {
    const now = this.#clock.monotonic()
    const due: [string, Wrong][] = []
    for (const entry of this.#wrong) {
      if (entry[1].dueAt <= now) due.push(entry)
      if (due.length === AT_ONCE) break
    }
    return due
  }

  #waitForNext(): void {
    let next = Infinity
    for (const { dueAt } of this.#wrong.values()) next = Math.min(next, dueAt)
    if (next !== Infinity) this.#wait(Math.max(1, next - this.#clock.monotonic()))
  }

  #deleted(key: string, wrong: Wrong, at: number): void {
    // It has failed again meanwhile: that is another one.
    if (this.#wrong.get(key) !== wrong) return
    if (wrong.deletedOnce || !wrong.mayLand()) {
      this.#wrong.delete(key)
      return
    }
    wrong.deletedOnce = true
    wrong.dueAt = at + GRACE
  }

  #wait(ms: number): void {
    if (this.#stopped) return
    this.#timer?.cancel()
    this.#timer = this.#clock.setTimer(ms, () => void this.#run())
  }
}
