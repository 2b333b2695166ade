import type { Flights } from '../flight/flights.ts'
import type { Waiters } from '../flight/waiters.ts'
import type { LocalTier } from '../local/local-tier.ts'

/** A load as far as a change of another process touches it. */
interface Leased {
  readonly lease: { release(): void } | undefined
}

/** What this process does when it hears that others have changed something. */
export class ApplyInvalidation {
  readonly #flights: Flights<Leased, unknown>
  readonly #waiters: Waiters
  readonly #local: LocalTier | undefined

  constructor(flights: Flights<Leased, unknown>, waiters: Waiters, local: LocalTier | undefined) {
    this.#flights = flights
    this.#waiters = waiters
    this.#local = local
  }

  /**
   * A process has changed the key: what is under way stores nothing, and is not joined any more.
   *
   * @param foreign It knows of no leases, and has taken none away.
   */
  changed(key: string, foreign: boolean): void {
    const ended = this.#flights.invalidate(key)
    this.#local?.delete(key)
    if (foreign) ended?.lease?.release()
    this.#waiters.wake(key)
  }

  /** Somebody has changed the keys, this process perhaps, or they have expired: local is left without. */
  dropped(keys: readonly string[]): void {
    for (const key of keys) {
      this.#flights.fence(key)
      this.#local?.delete(key)
      this.#waiters.wake(key)
    }
  }

  /** Any key may have been changed: what lies in local, or is on its way there, is not to be trusted. */
  flush(): void {
    this.#flights.fenceAll()
    this.#local?.clear()
    this.#waiters.wakeAll()
  }

  /** Leases that were waited for have ended; `undefined`: any may have. */
  woken(keys: readonly string[] | undefined): void {
    if (keys === undefined) this.#waiters.wakeAll()
    else for (const key of keys) this.#waiters.wake(key)
  }
}
