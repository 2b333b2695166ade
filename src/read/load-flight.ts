import type { Ticket } from '../flight/flights.ts'
import type { Lease } from '../remote/lease.ts'
import { whenAborted } from './leaving.ts'
import type { Load } from './load.ts'
import type { Loaded } from './loaded-value.ts'

/**
 * A load that callers of one key and epoch share, and the count of those who still wait for it.
 * A caller leaves by its signal; with the last one the load is abandoned.
 */
export class LoadFlight {
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
  /** Called when its last caller has left. */
  onAbandon: () => void = () => undefined
  /** Called when somebody has joined who came before it. */
  onHurry: () => void = () => undefined
  readonly #abandon: (reason: unknown) => void
  readonly #result: Promise<Loaded>
  #land: (result: Promise<Loaded>) => void = () => undefined
  #callers = 0

  /** @param abandon Called once when the last caller has left, with that caller's reason. */
  constructor(load: Load, ticket: Ticket, arrivedAt: number, abandon: (reason: unknown) => void) {
    this.load = load
    this.ticket = ticket
    this.arrivedAt = arrivedAt
    this.#abandon = abandon
    this.#result = new Promise((resolve) => {
      this.#land = resolve
    })
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
    return other.join(leaving.signal)
  }

  /** One more caller waits, until the load settles or its signal aborts. */
  join(signal: AbortSignal | undefined): Promise<Loaded> {
    this.#callers++
    return signal === undefined ? this.#result : this.#untilAborted(signal)
  }

  #untilAborted(signal: AbortSignal): Promise<Loaded> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        stopWaiting()
        reject(signal.reason)
        if (--this.#callers === 0) this.#abandon(signal.reason)
      }
      const stopWaiting = whenAborted(signal, leave)
      this.#result.finally(stopWaiting).then(resolve, reject)
      // The loader's first part has run already, and may have aborted it.
      if (signal.aborted) leave()
    })
  }
}
