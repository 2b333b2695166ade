import type { Clock, Timer } from '../model/clock.ts'
import { Line, type Place } from './line.ts'

/** What waits for a slot to run in. */
export interface Runnable<T> {
  readonly key: string
  /** Its place among those who wait. */
  readonly waiting: Place<T>
  /** Its last run took too long: it waits behind all that are not slow. */
  slow: boolean
}

interface RunSlotsParts<T, Outcome> {
  readonly clock: Clock
  /** Runs that hold a slot at once. */
  readonly slots: number
  /** Never rejects. */
  readonly run: (item: T) => Promise<Outcome>
  /** The run is over, its slot not yet given to the next. */
  readonly ended: (item: T, outcome: Outcome) => void
}

/** Milliseconds after which a run gives its slot back: loaders that hang must not stop the others. */
const SLOW_AFTER = 1000

/**
 * How many run at once. A run that takes long goes on without a slot. So one that hangs costs the
 * others a second, and that once: later its key takes only what they leave.
 */
export class RunSlots<T extends Runnable<T>, Outcome> {
  readonly #parts: RunSlotsParts<T, Outcome>
  readonly #ready = new Line<T>()
  readonly #slowReady = new Line<T>()
  /** Keys with a run under way, and what takes its slot away. */
  readonly #running = new Map<string, Timer>()
  #free: number

  constructor(parts: RunSlotsParts<T, Outcome>) {
    this.#parts = parts
    this.#free = parts.slots
  }

  /** Whether its key has a run under way, of this item or of an earlier one. */
  isRunning(key: string): boolean {
    return this.#running.has(key)
  }

  /** Waits from now on; only where its key is not running. Nothing starts before `fill`. */
  add(item: T): void {
    const line = item.slow ? this.#slowReady : this.#ready
    line.join(item.waiting)
  }

  /** Gives the free slots to those who wait, first come first. */
  fill(): void {
    while (this.#free > 0) {
      const item = this.#ready.first ?? this.#slowReady.first
      if (item === undefined) return
      item.waiting.leave()
      void this.#start(item)
    }
  }

  /** Nobody waits any more, and runs under way take their time. */
  clear(): void {
    this.#ready.clear()
    this.#slowReady.clear()
    for (const timer of this.#running.values()) timer.cancel()
  }

  async #start(item: T): Promise<void> {
    const { clock, run, ended } = this.#parts
    let holds = true
    this.#free--
    const timer = clock.setTimer(SLOW_AFTER, () => {
      holds = false
      this.#free++
      this.fill()
    })
    this.#running.set(item.key, timer)
    const outcome = await run(item)
    timer.cancel()
    this.#running.delete(item.key)
    item.slow = !holds
    if (holds) this.#free++
    ended(item, outcome)
    this.fill()
  }
}
