import type { Ticket } from '../flight/flights.ts'
import type { Clock, Timer } from '../model/clock.ts'
import { CacheLoadTimeoutError } from '../model/errors.ts'
import type { Lease } from '../remote/lease.ts'
import { type Held, type Permission, permits, type Standing, TAKES_NOTHING } from './held.ts'
import { whenAborted } from './leaving.ts'
import type { Load } from './load.ts'
import { fromTier, type Loaded } from './loaded.ts'

/**
 * What a load is for.
 * - `answer`: callers, who found nothing fresh.
 * - `ahead`: a value that is late in its life; without callers.
 * - `refresh`: a value, however old; without callers.
 * - `by hand`: the same, and loaded where there is none; with callers.
 */
export type Purpose = 'answer' | 'ahead' | 'refresh' | 'by hand'

/** One who waits for a load, and for how long. */
export interface Caller {
  readonly signal: AbortSignal | undefined
  /** Milliseconds; 0 or `undefined`: none. */
  readonly softTimeout: number | undefined
  readonly hardTimeout: number | undefined
  readonly takes: Permission
}

interface LoadFlightParts {
  readonly key: string
  readonly purpose: Purpose
  readonly load: Load
  readonly ticket: Ticket
  readonly clock: Clock
  /** Called once when the last caller has left, with that caller's reason. */
  readonly abandon: (reason: unknown) => void
  /** A caller has been given a stale value. */
  readonly onStale: () => void
}

/**
 * A load that callers of one key and epoch share, and the count of those who still wait for it.
 * A caller leaves by its signal; with the last one the load is abandoned.
 *
 * What the tiers hold meanwhile answers those who take it, at once or when their patience is over. They
 * are answered, and count as present all the same: the load goes on, now behind their backs. Where
 * nobody waits any more, or nobody ever did, it is in the background: it waits for no other process.
 */
export class LoadFlight {
  readonly purpose: Purpose
  readonly load: Load
  /** Its right to store; another one after `renew`. */
  ticket: Ticket
  /** When the first of its callers came, those of loads that joined it included. */
  arrivedAt: number
  /** What it loads under. */
  lease: Lease | undefined
  /**
   * A change was heard of, and nobody knows yet whether it came before the lease or after it: who
   * asks now waits until that is known.
   */
  doubt: Promise<void> | undefined
  /** What became of it, where nobody asks for its result. */
  outcome: 'refreshed' | 'elsewhere' | 'failed' | 'gone' | 'unreachable' = 'elsewhere'
  /** The value that answered it is late in its life. */
  foundLate = false
  /** Called when its last caller has left. */
  onAbandon: () => void = () => undefined
  /** Called when somebody has joined who came before it. */
  onHurry: () => void = () => undefined
  readonly #parts: LoadFlightParts
  readonly #result: Promise<Loaded>
  #land: (result: Promise<Loaded>) => void = () => undefined
  /** Who has not left. */
  #callers = 0
  /** Who has not been answered. */
  #waiting = 0
  #held: Held | undefined
  #failing = false
  /** Of callers who may be answered before it lands. */
  readonly #looks = new Set<() => void>()

  constructor(parts: LoadFlightParts) {
    this.purpose = parts.purpose
    this.load = parts.load
    this.ticket = parts.ticket
    this.arrivedAt = parts.clock.monotonic()
    this.#parts = parts
    this.#result = new Promise((resolve) => {
      this.#land = resolve
    })
    // Nobody may be there to hear how a load in the background ended.
    if (this.inBackground) this.#result.catch(() => undefined)
  }

  /** Whether it was begun without callers, to replace what is there. */
  get inBackground(): boolean {
    return this.purpose === 'ahead' || this.purpose === 'refresh'
  }

  /**
   * Whether it replaces, in the background, what it cannot answer with any more, since that was dropped
   * from local: who asks now is better served by the remote than by its loader.
   */
  get isOvertaken(): boolean {
    return this.inBackground && this.#held !== undefined && !this.ticket.mayStoreLocally()
  }

  /** Whether somebody waits for what it brings. */
  get isWaitedFor(): boolean {
    return this.#waiting > 0
  }

  /** Resolves when it is over, well or not. */
  get settled(): Promise<void> {
    return this.#result.then(
      () => undefined,
      () => undefined,
    )
  }

  /** What the tiers hold meanwhile. */
  get held(): Held | undefined {
    return this.#held
  }

  /** The tiers hold this: whoever takes it has it now. */
  holds(held: Held): void {
    this.#held = held
    this.#lookAll()
  }

  /** The tiers hold nothing, or nothing of what they held. */
  holdsNothing(): void {
    this.#held = undefined
  }

  /** It has failed, or will not be tried, or the remote is gone: whoever takes stale values then has one. */
  fails(): void {
    this.#failing = true
    this.#lookAll()
  }

  /** It begins anew, in another epoch: what was held in the one before may be over. */
  renew(ticket: Ticket): void {
    this.ticket = ticket
    this.#held = undefined
  }

  /** It loads under a lease from now on, unless it has been overlapped and may store nothing anyway. */
  begin(lease: Lease): void {
    if (this.ticket.mayStore()) {
      this.lease = lease
      lease.keep()
    } else lease.release()
  }

  /** All callers, present and to come, get this result. */
  lands(result: Promise<Loaded>): void {
    this.#land(result)
  }

  /** It has the result of another load, as one of its callers. */
  joins(other: LoadFlight): Promise<Loaded> {
    const leaving = new AbortController()
    this.onAbandon = () => leaving.abort()
    if (this.load.abandoned) leaving.abort()
    if (this.arrivedAt < other.arrivedAt) {
      other.arrivedAt = this.arrivedAt
      other.onHurry()
    }
    return other.join({
      signal: leaving.signal,
      softTimeout: undefined,
      hardTimeout: undefined,
      takes: TAKES_NOTHING,
    })
  }

  /** One more caller waits for what it brings, and for nothing less, until it settles. */
  joinPlainly(): Promise<Loaded> {
    this.#callers++
    this.#waiting++
    return this.#result
  }

  /**
   * One more caller waits, until it settles, the caller's signal aborts, or it is answered before.
   *
   * @throws CacheLoadTimeoutError (as a rejection) after `hardTimeout`.
   */
  join({ signal, softTimeout, hardTimeout, takes }: Caller): Promise<Loaded> {
    const { clock, key, abandon, onStale } = this.#parts
    this.#callers++
    this.#waiting++
    return new Promise((resolve, reject) => {
      let answered = false
      let impatient = false
      let stopWaiting: (() => void) | undefined
      const timers: Timer[] = []
      const end = () => {
        answered = true
        this.#waiting--
        this.#looks.delete(look)
        stopWaiting?.()
        for (const timer of timers) timer.cancel()
      }
      const look = () => {
        const stands = { impatient, failing: this.#failing }
        const loaded = this.#takenBy(takes, stands)
        if (answered || loaded === undefined) return
        end()
        if (loaded.from === 'stale') onStale()
        resolve(loaded)
      }
      const leave = () => {
        if (answered) return
        end()
        reject(signal?.reason)
        if (--this.#callers === 0 && !this.inBackground) abandon(signal?.reason)
      }
      this.#looks.add(look)
      if (softTimeout) {
        const soften = () => {
          impatient = true
          look()
        }
        timers.push(clock.setTimer(softTimeout, soften))
      }
      if (hardTimeout) {
        const give = () => {
          end()
          reject(new CacheLoadTimeoutError(key, hardTimeout, 'hardTimeout'))
        }
        timers.push(clock.setTimer(hardTimeout, give))
      }
      if (signal !== undefined) stopWaiting = whenAborted(signal, leave)
      this.#result.then(
        (loaded) => {
          if (answered) return
          end()
          resolve(loaded)
        },
        (error: unknown) => {
          if (answered) return
          end()
          reject(error)
        },
      )
      look()
      // One that has aborted before tells nobody any more.
      if (signal?.aborted) leave()
    })
  }

  /** What is held, if a caller takes it as things stand, and it has not been changed since. */
  #takenBy(takes: Permission, stands: Standing): Loaded | undefined {
    const held = this.#held
    if (held === undefined) return undefined
    // What was dropped from local may have been changed by somebody of whom nothing more is known.
    const holds = this.ticket.mayStoreLocally()
    const now = this.#parts.clock.now()
    if (!holds || !permits(takes, held, stands, now)) return undefined
    return fromTier(held, now < held.freshUntil)
  }

  #lookAll(): void {
    for (const look of [...this.#looks]) look()
  }
}
