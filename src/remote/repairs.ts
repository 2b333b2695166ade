import type { Clock, Timer } from '../model/clock.ts'

/*
 * A change that the remote did not take leaves something wrong behind: the old value. A write whose
 * outcome nobody knows may even leave it behind later, when it has lain on a dead connection for a
 * while. So the key is remembered, and deleted as soon as the remote can be reached:
 *
 *   set(v2) fails ----- remembered: reads of the key skip the remote, loads of it fill local only
 *        remote is back  --- DEL ----.
 *                                    |-- it had certainly not been sent: forgotten, done
 *                                    |-- or its connection does not linger (the DEL came back on
 *                                    |   it, or its server has ended it): forgotten, done
 *                                    |-- it may land late: GRACE --- DEL again -- forgotten, done
 *                                    '-- it has not settled (it lies on one of several connections):
 *                                        DEL again after each GRACE, until it has
 *
 * To delete is right whatever happened: it costs a load, and never shows an old value. That is why
 * a repair need not be ordered with later writes of the same key: at worst it undoes a new value.
 */

/** Keys remembered; beyond it the oldest is given up, and its old value lives for its ttl. */
const MOST_KEYS = 100_000

/** Keys deleted by one command. */
const AT_ONCE = 256

/** Commands under way at once. */
const COMMANDS = 8

/** Milliseconds for which a write of a lost connection may still take effect. */
const GRACE = 5000

/** Linux gives up a connection that has gone silent after some 15 minutes: none settles later. */
const MOST_PENDING = 20 * 60_000

/** Milliseconds until a repair that failed is tried again, if nothing tells earlier. */
const TRY_AGAIN = 500

/** A write that failed, as far as it matters for the deletion that mends it. */
export interface FailedWrite {
  /** What it was sent on; `undefined`: nobody knows. */
  readonly lane: object | undefined
  /** It has certainly taken effect, or never will. */
  readonly over: boolean
  /** Nobody knows whether it is over: a deletion sent now may come before it. */
  readonly pending: boolean
  /** Its connection was lost: it may lie in a buffer, and take effect some time after it failed. */
  readonly lingers: boolean
}

interface Wrong {
  readonly writes: readonly FailedWrite[]
  /** When the last of them failed, on the monotonic clock. */
  readonly since: number
  /** When it may be deleted for good, on the monotonic clock; before the first deletion: now. */
  dueAt: number
  deletedOnce: boolean
}

/** The keys whose change the remote did not take, and their deletion. */
export class Repairs {
  readonly #clock: Clock
  readonly #remove: (keys: readonly string[]) => Promise<unknown>
  readonly #someKeys: (error: unknown) => boolean
  readonly #onOverflow: () => void
  /** In the order of their last failure. */
  readonly #wrong = new Map<string, Wrong>()
  #running = false
  #stopped = false
  #timer: Timer | undefined
  #runsAt = 0

  /** @param remove Deletes from the remote; rejects if it did not, or nobody knows. */
  constructor(
    clock: Clock,
    remove: (keys: readonly string[]) => Promise<unknown>,
    someKeys: (error: unknown) => boolean,
    onOverflow: () => void,
  ) {
    this.#clock = clock
    this.#remove = remove
    this.#someKeys = someKeys
    this.#onOverflow = onOverflow
  }

  /** Keys not repaired yet. */
  get pending(): number {
    return this.#wrong.size
  }

  has(key: string): boolean {
    return this.#wrong.size > 0 && this.#wrong.has(key)
  }

  /** @param write What failed; left out where nothing can take effect any more. */
  add(key: string, write?: FailedWrite): void {
    // Of those that lie on one connection the last stands for all: a key may fail a million times.
    const earlier = this.#wrong.get(key)?.writes ?? []
    const writes = earlier.filter(
      (one) => one.pending || (!one.over && (write === undefined || one.lane !== write.lane)),
    )
    if (write !== undefined) writes.push(write)
    this.#wrong.delete(key)
    this.#wrong.set(key, {
      writes,
      since: this.#clock.monotonic(),
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
    this.#timer = undefined
    try {
      let allWell = true
      while (allWell && !this.#stopped) {
        const due = this.#due()
        if (due.length === 0) break
        const commands: Promise<boolean>[] = []
        for (let from = 0; from < due.length; from += AT_ONCE) {
          commands.push(this.#delete(due.slice(from, from + AT_ONCE)))
        }
        allWell = (await Promise.all(commands)).every(Boolean)
      }
      if (allWell) this.#waitForNext()
      else this.#wait(TRY_AGAIN)
    } finally {
      this.#running = false
    }
  }

  /** Tells whether it did. What was not deleted is still remembered; it was counted where it failed. */
  async #delete(due: readonly [string, Wrong][]): Promise<boolean> {
    // What is pending when the deletion is sent may come after it.
    const pending = new Set(due.filter(([, wrong]) => some(wrong, isPending)))
    try {
      await this.#remove(due.map(([key]) => key))
    } catch (error) {
      if (due.length > 1 && this.#someKeys(error)) {
        const half = due.length >> 1
        const halves = [this.#delete(due.slice(0, half)), this.#delete(due.slice(half))]
        return (await Promise.all(halves)).every(Boolean)
      }
      // Behind the others, so that keys which cannot be deleted hold up none that can.
      for (const [key, wrong] of due) this.#putBack(key, wrong)
      return false
    }
    const deletedAt = this.#clock.monotonic()
    for (const entry of due) this.#deleted(...entry, deletedAt, pending.has(entry))
    return true
  }

  #putBack(key: string, wrong: Wrong): void {
    if (this.#wrong.get(key) !== wrong) return
    this.#wrong.delete(key)
    this.#wrong.set(key, wrong)
  }

  #due(): [string, Wrong][] {
    const now = this.#clock.monotonic()
    const due: [string, Wrong][] = []
    for (const entry of this.#wrong) {
      if (entry[1].dueAt <= now) due.push(entry)
      if (due.length === AT_ONCE * COMMANDS) break
    }
    return due
  }

  #waitForNext(): void {
    let next = Infinity
    for (const { dueAt } of this.#wrong.values()) next = Math.min(next, dueAt)
    if (next !== Infinity) this.#wait(Math.max(1, next - this.#clock.monotonic()))
  }

  #deleted(key: string, wrong: Wrong, at: number, wasPending: boolean): void {
    // It has failed again meanwhile: that is another one.
    if (this.#wrong.get(key) !== wrong) return
    const mayCome = wasPending && at - wrong.since < MOST_PENDING
    if (!mayCome && (wrong.deletedOnce || !some(wrong, lingers))) {
      this.#wrong.delete(key)
      return
    }
    wrong.deletedOnce = !mayCome
    wrong.dueAt = at + GRACE
  }

  /** A run that comes sooner stays: failures that keep coming must not put it off. */
  #wait(ms: number): void {
    if (this.#stopped) return
    const at = this.#clock.monotonic() + ms
    if (this.#timer !== undefined && this.#runsAt <= at) return
    this.#timer?.cancel()
    this.#runsAt = at
    this.#timer = this.#clock.setTimer(ms, () => void this.#run())
  }
}

function some({ writes }: Wrong, holds: (write: FailedWrite) => boolean): boolean {
  return writes.some(holds)
}

function isPending(write: FailedWrite): boolean {
  return write.pending
}

function lingers(write: FailedWrite): boolean {
  return write.lingers
}
