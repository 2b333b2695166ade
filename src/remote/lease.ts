import type { Clock, Timer } from '../model/clock.ts'

/** Milliseconds for which a lease is taken, each time. */
export const LEASE_LIFE = 3000

/** Milliseconds between two renewals: one may be lost without the lease. */
const RENEW_EVERY = 1000

/** What a lease does to the remote. Neither rejects. */
export interface LeaseCalls {
  /** Resolves whether the token still had it; `undefined`: nobody knows. */
  renew(key: string, token: string): Promise<boolean | undefined>
  release(key: string, token: string): void
  /** It was gone, though nobody had ended it. */
  lost(): void
  /** It is over, whatever the reason. */
  over(lease: Lease): void
}

/**
 * The right to fill a key that holds nothing, from when the remote granted it until it is released,
 * used, or lost.
 */
export class Lease {
  readonly key: string
  readonly token: string
  readonly #clock: Clock
  readonly #calls: LeaseCalls
  #timer: Timer | undefined
  #over = false

  constructor(key: string, token: string, clock: Clock, calls: LeaseCalls) {
    this.key = key
    this.token = token
    this.#clock = clock
    this.#calls = calls
  }

  get isOver(): boolean {
    return this.#over
  }

  /** Renews it from now on, until it is over. */
  keep(): void {
    this.#timer = this.#clock.setTimer(RENEW_EVERY, () => void this.#renew())
  }

  /**
   * Asks whether it has been taken away, and renews it. Resolves `false` also where nobody can tell.
   */
  async stillHeld(): Promise<boolean> {
    if (this.#over) return false
    const held = await this.#calls.renew(this.key, this.token)
    if (held === false) this.lose()
    return held === true && !this.#over
  }

  /** It ended by its fill, or with a change. */
  end(): void {
    if (this.#over) return
    this.#over = true
    this.#timer?.cancel()
    this.#calls.over(this)
  }

  /** Gives it up, so that somebody else may have it at once; nothing if it is over. */
  release(): void {
    if (this.#over) return
    this.end()
    this.#calls.release(this.key, this.token)
  }

  async #renew(): Promise<void> {
    // At once: one that is not answered must not put off the next.
    this.keep()
    if ((await this.#calls.renew(this.key, this.token)) === false) this.lose()
  }

  /** It is gone, though nobody here has ended it. */
  lose(): void {
    if (this.#over) return
    this.end()
    this.#calls.lost()
  }
}
