import type { Waiter, Waiters } from '../flight/waiters.ts'
import type { Clock } from '../model/clock.ts'
import type { CacheRemoteError } from '../model/errors.ts'
import type { Budget } from '../remote/budget.ts'
import { Lease } from '../remote/lease.ts'
import type { Leases } from '../remote/leases.ts'
import type { LeaseHeld } from '../remote/remote-store.ts'
import type { RemoteTier } from '../remote/remote-tier.ts'
import type { Counters } from '../stats/counters.ts'
import type { RemoteAnswer, TierStack } from '../tiers/tier-stack.ts'
import type { ValueForm } from '../tiers/value-form.ts'
import { heldRemotely } from './held.ts'
import type { CacheFlights } from './joinable.ts'
import type { LoadFlight } from './load-flight.ts'
import type { Replaced } from './loaded-value.ts'
import type { Pace } from './pace.ts'

/*
 * Which process loads a key, and why what another one loaded before a change is never stored after it
 * (promises P1, P2).
 *
 * The read that finds nothing takes the LEASE of the key in the same step, unless somebody has it. The
 * one who has it loads, and fills the key only while it has it. A change takes the lease away in the
 * same step in which it changes the key. Whatever the order of the steps, the key ends up right:
 *
 *   A reads: nothing, granted    A loads v1 .................. A fills: took
 *     B reads: held by A         B waits ....................... told, or looks: v1
 *
 *   A reads: granted   A loads v1            A fills: lost, its callers get v1, no tier does
 *     database: v2, B deletes: lease gone
 *       C reads: nothing, granted - C loads v2 - C fills: took
 *
 *   A reads: granted   A hangs, or is stopped, or dies: no renewal, the lease expires after 3 s
 *     B was told so: looks then, granted     A goes on: renewal or fill find it lost
 *
 *   A reads: granted, but the answer comes after A's deadline: A has gone on without the remote and
 *     fills nothing; the lease is given back by its token when the answer comes (`remote/leases.ts`)
 *
 *   A reads: granted   the epoch ends by a change of A's own process: the change took the lease away.
 *     By an event of a writer who knows of no leases: it is given back at once. A's next load does not
 *     wait for it in either case: a lease is granted to whoever has the same owner.
 *
 *   A fills, the answer is lost: nobody knows. Nothing is to be repaired: if the fill comes late, it
 *     finds the lease gone, or nobody has changed the key.
 *
 *   The key is changed while a load looks or waits: what it looked at is dropped, and it looks again, as
 *     a load of the new epoch. So those who waited for a load that a change has outdated do not all load
 *     in vain. A load whose loader has begun stays in its epoch.
 *
 *   A reads: stale, takes the lease besides. The bytes that it found are what its fill replaces, so that a
 *     change between the two steps makes it fail as one after them does. A's callers who take the stale
 *     value have it from then on. If B has the lease, and nobody waits for A any more, A gives up: B's
 *     value is there soon.
 *
 * Those who wait hear of the end by a message, if there is a bus that carries such (only a lease that
 * somebody was refused makes one), else they look again and again: after 10, 20, 40 ... 250 ms. They
 * look too when the life they were told is over, since a lease that expires tells nobody, after half a
 * second in any case, since not everybody may have a bus, and when the bus or the remote is lost. After a holder that failed they wait for one more; then, and when
 * `maxWait` is over, they load without a lease and store nothing: in the worst case each process loads
 * once, in three rounds.
 */

/** The milliseconds of the first look; each waits twice as long as the one before, up to the last. */
const FIRST_LOOK = 10
const LAST_LOOK = 250

/** Processes that are waited for: the one that was met, and one that came after it. */
const MOST_HOLDERS = 2

/** A lease is over a moment after the life that was told: the server counts from its own clock. */
const AFTER_LIFE = 5

/** Times that a load looks again because the key was changed while it looked. */
const MOST_RESTARTS = 3

/** Milliseconds until a look where the end of the lease is told: the one who has it may have no voice. */
const LOOK_AFTER_ALL = 500

/** What a load has to do. */
type Turn =
  | Extract<RemoteAnswer, { kind: 'value' | 'error' }>
  /** To load, and to fill under the lease; over what is replaced, if something was there. */
  | { readonly kind: 'load'; readonly lease: Lease; readonly replaced: Replaced | undefined }
  /** To load, and to leave the remote as it is: another writer overwrites it in another codec. */
  | { readonly kind: 'contested' }
  /** To load and to store nothing. */
  | { readonly kind: 'alone' }
  /** Nothing, since nobody waits: another process loads it, or it has just failed. */
  | { readonly kind: 'elsewhere' }
  /** Nothing: what was to be replaced is not there any more. */
  | { readonly kind: 'gone' }
  /** To have what this one brings, which began after the change that ended our epoch. */
  | { readonly kind: 'join'; readonly other: LoadFlight }

interface LoadTurnsParts {
  readonly stack: TierStack
  readonly flights: CacheFlights
  readonly waiters: Waiters
  readonly clock: Clock
  readonly counters: Counters
  /** Milliseconds, from a load's arrival. */
  readonly maxWait: number
  /** Whether the end of a lease that is waited for is told. */
  readonly hearsWakeUps: () => boolean
  /** Whether the bytes that cannot be read will be back if they are replaced. */
  readonly contested: (key: string) => boolean
  readonly pace: Pace
}

/** A load that asks for its turn. */
interface Arrival {
  readonly remote: RemoteTier
  readonly leases: Leases
  readonly key: string
  readonly form: ValueForm
  readonly flight: LoadFlight
  /** Milliseconds; `undefined`: the cache's, or not known yet. */
  readonly ttl: number | undefined
}

interface Taken {
  readonly turn: Turn
  /** What is left of the time for the remote. */
  readonly budget: Budget
}

/** Lets one process load a key, and the others wait for it. */
export class LoadTurns {
  readonly #parts: LoadTurnsParts

  constructor(parts: LoadTurnsParts) {
    this.#parts = parts
  }

  /** Never rejects. */
  async take(arrival: Arrival): Promise<Taken> {
    const { waiters, hearsWakeUps } = this.#parts
    const waiter = hearsWakeUps() ? waiters.listen(arrival.key) : undefined
    const budget = arrival.remote.budget()
    const turn = await this.#look(arrival, budget)
    if (turn.kind === 'held') {
      return this.#wait(arrival, turn, waiter ?? waiters.listen(arrival.key))
    }
    waiter?.leave()
    return { turn, budget }
  }

  async #wait(arrival: Arrival, first: LeaseHeld, waiter: Waiter): Promise<Taken> {
    const { clock, counters, maxWait, hearsWakeUps, pace } = this.#parts
    const { remote, flight, key } = arrival
    if (flight.isWaitedFor) counters.leasesWaited++
    flight.onAbandon = () => waiter.wake()
    flight.onHurry = flight.onAbandon
    let held = first
    let looks = 0
    for (let holders = 1; holders <= MOST_HOLDERS; ) {
      const left = maxWait - (clock.monotonic() - flight.arrivedAt)
      if (left <= 0 || flight.load.abandoned) break
      if (!flight.isWaitedFor) {
        waiter.leave()
        pace.elsewhere(key, clock.monotonic())
        return { turn: { kind: 'elsewhere' }, budget: remote.budget() }
      }
      const pause = hearsWakeUps() ? LOOK_AFTER_ALL : pauseBefore(looks++)
      await waiter.pause(Math.min(left, held.left + AFTER_LIFE, pause))
      if (flight.load.abandoned) break
      const budget = remote.budget()
      const turn = await this.#look(arrival, budget)
      if (turn.kind !== 'held') {
        if (turn.kind === 'load') counters.leasesTakenOver++
        waiter.leave()
        return { turn, budget }
      }
      if (turn.by !== held.by) {
        holders++
        looks = 0
      }
      held = turn
    }
    waiter.leave()
    if (!flight.load.abandoned) counters.loadsAlone++
    return { turn: { kind: 'alone' }, budget: remote.budget() }
  }

  /** Never rejects. */
  async #look(arrival: Arrival, budget: Budget): Promise<Turn | LeaseHeld> {
    const { key, flight } = arrival
    for (let restarts = 0; ; restarts++) {
      if (!flight.isWaitedFor && !flight.ticket.mayStore()) return { kind: 'gone' }
      const other = this.#renew(key, flight)
      if (other !== undefined) return { kind: 'join', other }
      const turn = await this.#ask(arrival, budget)
      const outdated = turn.kind === 'load' && !flight.ticket.mayStore()
      if (!outdated || flight.load.abandoned || restarts === MOST_RESTARTS) return turn
      turn.lease.release()
    }
  }

  /** Moves a load that a change has overlapped to the epoch that is now, unless that has one. */
  #renew(key: string, flight: LoadFlight): LoadFlight | undefined {
    const { flights } = this.#parts
    const outdated = flight.ticket
    if (outdated.mayStore() || flight.load.abandoned) return undefined
    const other = flights.load(key)
    if (other !== undefined && other !== flight) return other
    flight.renew(flights.open(key))
    outdated.close()
    flights.offerLoad(key, flight)
    return undefined
  }

  /** Asks the remote; those who only look may join. Never rejects. */
  async #ask(arrival: Arrival, budget: Budget): Promise<Turn | LeaseHeld> {
    const { stack, flights } = this.#parts
    const { leases, key, form, flight } = arrival
    const read = { form, answer: stack.readForLoad(leases, key, form, budget) }
    flights.offerRead(key, read)
    const answer = await read.answer
    flights.withdrawRead(key, read)
    switch (answer.kind) {
      case 'granted':
        flight.holdsNothing()
        if (flight.purpose === 'refresh') {
          answer.lease.release()
          return { kind: 'gone' }
        }
        return { kind: 'load', lease: answer.lease, replaced: undefined }
      case 'value':
        if (isEnough(flight, key, answer, stack, arrival.ttl)) return answer
        return this.#replaceValue(arrival, answer, budget)
      case 'corrupt':
        flight.holdsNothing()
        if (this.#parts.contested(key)) return { kind: 'contested' }
        return this.#takeOver(arrival, { bytes: answer.bytes, corrupt: true }, budget)
      default:
        return answer
    }
  }

  /** Whoever takes what is there has it; for the others, or behind them, it is loaded. */
  #replaceValue(
    arrival: Arrival,
    answer: Extract<RemoteAnswer, { kind: 'value' }>,
    budget: Budget,
  ): Promise<Turn | LeaseHeld> | Turn {
    const { key, flight } = arrival
    flight.holds(heldRemotely(answer))
    if (shouldWait(flight, key, this.#parts)) return { kind: 'elsewhere' }
    return this.#takeOver(arrival, { bytes: answer.bytes, corrupt: false }, budget)
  }

  async #takeOver(
    { leases, key }: Arrival,
    replaced: Replaced,
    budget: Budget,
  ): Promise<Turn | LeaseHeld> {
    try {
      const taken = await leases.take(key, budget)
      return taken instanceof Lease ? { kind: 'load', lease: taken, replaced } : taken
    } catch (error) {
      return { kind: 'error', error: error as CacheRemoteError }
    }
  }
}

/** Whether a value of the remote is what the load is for. */
export function isEnough(
  { purpose }: LoadFlight,
  key: string,
  answer: Extract<RemoteAnswer, { kind: 'value' }>,
  stack: TierStack,
  ttl: number | undefined,
): boolean {
  if (purpose === 'answer') return answer.freshLeft > 0
  return purpose === 'ahead' && answer.freshLeft > 0 && !stack.isLate(key, answer, ttl)
}

/** Whether its callers all have an answer, and it is too soon to try to load the key once more. */
export function shouldWait(
  flight: LoadFlight,
  key: string,
  { pace, clock }: { readonly pace: Pace; readonly clock: Clock },
): boolean {
  if (flight.purpose === 'refresh') return false
  const reason = pace.pause(key, clock.monotonic())
  if (reason === 'failed') flight.fails()
  return reason !== undefined && !flight.isWaitedFor
}

/** Milliseconds: twice as long each time, by up to a half less, so that those who wait spread. */
function pauseBefore(look: number): number {
  const longest = Math.min(LAST_LOOK, FIRST_LOOK * 2 ** Math.min(look, 10))
  return longest * (1 - Math.random() / 2)
}
