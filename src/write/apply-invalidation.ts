import type { Flights } from '../flight/flights.ts'
import type { Waiters } from '../flight/waiters.ts'
import type { LocalTier } from '../local/local-tier.ts'

/** A load as far as a change of another process touches it. */
interface Leased {
  readonly lease:
    | { readonly isOver: boolean; stillHeld(): Promise<boolean>; release(): void }
    | undefined
  doubt: Promise<void> | undefined
}

/**
 * What this process does when it hears that others have changed something.
 *
 * The news of a change may be late: a load that began after the change, and has the lease since, is as
 * new as can be, and to end it would load the same once more. The change has taken away every lease
 * that was older. So the remote is asked whether the load still has its own:
 *
 *   change, lease granted, news    it has: the load goes on. It fills local no more, since a change that
 *                                  came after the fill might have news that come before its answer
 *   lease granted, change, news    it has not: the epoch ends
 *
 * Who asks meanwhile waits for the answer. A writer who knows of no leases has taken none away: its news
 * end the epoch at once, and the lease is given back.
 */
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
   * A process has changed the key: what is under way stores nothing that is older.
   *
   * @param foreign It knows of no leases, and has taken none away.
   */
  changed(key: string, foreign: boolean): void {
    const load = this.#flights.load(key)
    if (!foreign && load?.lease?.isOver === false) this.#question(key, load)
    else {
      this.#flights.invalidate(key)
      if (foreign) load?.lease?.release()
    }
    this.#local?.delete(key)
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

  #question(key: string, load: Leased): void {
    this.#flights.fence(key)
    const doubt: Promise<void> = (load.lease?.stillHeld() ?? Promise.resolve(false)).then(
      (held) => {
        // There may have been other news meanwhile, which have a question of their own.
        if (load.doubt === doubt) load.doubt = undefined
        if (held) return
        this.#flights.invalidateLoad(key, load)
        // Where nobody can tell, it may have it still, and stores nothing.
        load.lease?.release()
      },
    )
    load.doubt = doubt
  }
}
