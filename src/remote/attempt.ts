import type { Clock, Timer } from '../model/clock.ts'
import type { RemoteOperation } from '../model/errors.ts'
import type { Budget } from './budget.ts'
import type { Failure } from './failure.ts'

const never = (): void => undefined

/** What is asked of the store. */
export interface Asked<T> {
  readonly operation: RemoteOperation
  /** A write of it takes its turn among those of the same key. */
  readonly turnOf?: string | undefined
  /** How many calls it serves. Default 1. */
  readonly calls?: number | undefined
  readonly budget: Budget
  readonly send: () => Promise<T>
  /** Aborted when the time of the operation is over. */
  readonly withdrawal?: AbortController | undefined
}

export function callsOf(asked: Asked<unknown>): number {
  return asked.calls ?? 1
}

/** An operation that was not refused; it settles once, within its budget. */
export class Attempt<T> {
  readonly asked: Asked<T>
  /** The breaker's period. */
  sentIn: number | undefined
  settled = false
  onSettled: () => void = never
  readonly #clock: Clock
  readonly #startedAt: number
  readonly #resolve: (result: T | Failure) => void
  readonly #timer: Timer

  constructor(
    asked: Asked<T>,
    clock: Clock,
    resolve: (result: T | Failure) => void,
    onLate: () => void,
  ) {
    this.asked = asked
    this.#clock = clock
    this.#startedAt = clock.monotonic()
    this.#resolve = resolve
    this.#timer = clock.setTimer(asked.budget.left, onLate)
  }

  /** Whether it had not settled before. */
  settle(result: T | Failure): boolean {
    if (this.settled) return false
    this.settled = true
    this.#timer.cancel()
    this.asked.budget.spend(this.#clock.monotonic() - this.#startedAt)
    this.onSettled()
    this.#resolve(result)
    return true
  }
}
