import type { Clock, Timer } from '../model/clock.ts'

/** A clock that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /**
   * Moves both clocks on by `ms` milliseconds (0 or more) and fires the timers that come due, in
   * the order in which they are due, each at its own moment; timers set meanwhile included. What a
   * callback throws comes out here, with the clock at that callback's moment.
   *
   * @throws RangeError if `ms` is negative or not finite.
   */
  advance(ms: number): void
  /**
   * As `advance`, but lets promises settle before the first timer, after each timer and at the end:
   * all reactions that are ready run, and those which they make ready, until none is left. Input
   * and output, and timers of the machine, are not waited for.
   *
   * @throws RangeError (as a rejection) if `ms` is negative or not finite.
   */
  advanceAsync(ms: number): Promise<void>
  /** Sets the wall clock alone forward, or back if `ms` is below 0. Fires no timer. */
  stepWall(ms: number): void
  /** Timers neither fired nor cancelled. */
  readonly pendingTimers: number
}

export interface ManualClockOptions {
  /** Where the wall clock starts, in epoch milliseconds. Default 1,700,000,000,000 (November 2023). */
  readonly now?: number | undefined
}

/** Makes a clock for tests. Its monotonic reading starts at 0. */
export function manualClock(options: ManualClockOptions = {}): ManualClock {
  return new SteppedClock(options.now ?? 1_700_000_000_000)
}

// Taken at import, so that fake timers installed later do not stop `advanceAsync`.
const nextTurn = setImmediate

/** The next turn comes when no further reaction is ready, and none that waits for the end of this one. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    nextTurn(resolve)
  })
}

interface PendingTimer {
  readonly dueAt: number
  readonly callback: () => void
}

class SteppedClock implements ManualClock {
  #wall: number
  #monotonic = 0
  /** In the order in which they were set, which decides between timers due at one moment. */
  readonly #timers = new Set<PendingTimer>()

  constructor(now: number) {
    this.#wall = now
  }

  get pendingTimers(): number {
    return this.#timers.size
  }

  now(): number {
    return this.#wall
  }

  monotonic(): number {
    return this.#monotonic
  }

  setTimer(ms: number, callback: () => void): Timer {
    const timer = { dueAt: this.#monotonic + Math.max(0, ms), callback }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  advance(ms: number): void {
    const until = this.#end(ms)
    while (this.#fireNext(until));
    this.#moveTo(until)
  }

  async advanceAsync(ms: number): Promise<void> {
    const until = this.#end(ms)
    do await settle()
    while (this.#fireNext(until))
    this.#moveTo(until)
    await settle()
  }

  stepWall(ms: number): void {
    this.#wall += ms
  }

  #end(ms: number): number {
    if (ms >= 0 && Number.isFinite(ms)) return this.#monotonic + ms
    throw new RangeError(`a clock is advanced by 0 ms or more, but ms is ${ms}`)
  }

  #fireNext(until: number): boolean {
    let next: PendingTimer | undefined
    for (const timer of this.#timers) {
      if (next === undefined || timer.dueAt < next.dueAt) next = timer
    }
    if (next === undefined || next.dueAt > until) return false
    this.#timers.delete(next)
    this.#moveTo(next.dueAt)
    next.callback()
    return true
  }

  /** Never back: a callback may have advanced the clock itself. */
  #moveTo(monotonic: number): void {
    const passed = Math.max(0, monotonic - this.#monotonic)
    this.#monotonic += passed
    this.#wall += passed
  }
}
