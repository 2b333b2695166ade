import type { Clock, Timer } from '../model/clock.ts'

/** What waits in a wheel; it belongs to one alone, which keeps `slot`. */
export interface Planned {
  /** The tick at which it is due; `undefined`: it is not planned. */
  slot: number | undefined
}

/** Ticks that are gone through one by one; a machine that was away for longer has no order to keep. */
const MOST_STEPS = 1000

/**
 * Says when things are due, with one timer for all of them, which runs while anything is planned.
 * They lie in slots of one tick each, so that to plan one costs the same however many there are.
 * Nothing is due early, and nothing later than by one tick.
 *
 * Hashed timing wheel: G. Varghese and T. Lauck, 1987; a Map of slots in place of the ring.
 */
export class DueWheel<T extends Planned> {
  readonly #clock: Clock
  readonly #tick: number
  readonly #onDue: (due: readonly T[]) => void
  readonly #slots = new Map<number, Set<T>>()
  /** The last tick whose slot was taken. */
  #reached = 0
  #timer: Timer | undefined

  /**
   * @param tick Whole milliseconds: with a fraction, rounding could make a tick of none.
   * @param onDue Gets all that is due at one moment, first due first.
   */
  constructor(clock: Clock, tick: number, onDue: (due: readonly T[]) => void) {
    this.#clock = clock
    this.#tick = tick
    this.#onDue = onDue
  }

  /** It is due in `ms` milliseconds, and not when it was before. */
  plan(item: T, ms: number): void {
    this.#remove(item)
    const now = this.#clock.monotonic()
    if (this.#timer === undefined) {
      this.#reached = Math.floor(now / this.#tick)
      this.#wait(now)
    }
    const slot = Math.max(Math.ceil((now + ms) / this.#tick), this.#reached + 1)
    const others = this.#slots.get(slot)
    if (others === undefined) this.#slots.set(slot, new Set([item]))
    else others.add(item)
    item.slot = slot
  }

  cancel(item: T): void {
    this.#remove(item)
    if (this.#slots.size === 0) this.#stop()
  }

  clear(): void {
    this.#slots.clear()
    this.#stop()
  }

  #remove(item: T): void {
    if (item.slot === undefined) return
    const items = this.#slots.get(item.slot)
    items?.delete(item)
    if (items?.size === 0) this.#slots.delete(item.slot)
    item.slot = undefined
  }

  #wait(now: number): void {
    const ms = (this.#reached + 1) * this.#tick - now
    this.#timer = this.#clock.setTimer(ms, () => this.#turn())
  }

  #stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #turn(): void {
    const now = this.#clock.monotonic()
    // A timer of Node.js may come a fraction of a millisecond early; its tick counts all the same.
    const until = Math.max(this.#reached + 1, Math.floor(now / this.#tick))
    const due: T[] = []
    if (until - this.#reached > MOST_STEPS) {
      for (const slot of this.#slots.keys()) if (slot <= until) this.#take(slot, due)
    } else {
      for (let slot = this.#reached + 1; slot <= until; slot++) this.#take(slot, due)
    }
    this.#reached = until
    this.#timer = undefined
    if (this.#slots.size > 0) this.#wait(now)
    if (due.length > 0) this.#onDue(due)
  }

  #take(slot: number, due: T[]): void {
    const items = this.#slots.get(slot)
    if (items === undefined) return
    this.#slots.delete(slot)
    for (const item of items) {
      item.slot = undefined
      due.push(item)
    }
  }
}
