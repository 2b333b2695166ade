import type { Clock } from '../model/clock.ts'
import { CacheClosedError, CacheLoadTimeoutError } from '../model/errors.ts'
import type { Policy } from '../model/policy.ts'
import type { Leases } from '../remote/leases.ts'
import type { RemoteTier } from '../remote/remote-tier.ts'
import type { Counters } from '../stats/counters.ts'
import type { TierStack } from '../tiers/tier-stack.ts'
import type { AnyLoader, LoadReason, OnceCall } from './call.ts'
import { heldLocally, heldRemotely, isValue } from './held.ts'
import type { CacheFlights } from './joinable.ts'
import type { LoadFlight } from './load-flight.ts'
import { isEnough, type LoadTurns, shouldWait } from './load-turn.ts'
import { type Loaded, NONE } from './loaded.ts'
import type { Landing, LoadedValues } from './loaded-value.ts'
import { NOT_MODIFIED } from './loader-run.ts'
import type { Pace } from './pace.ts'
import { livesOf, type TierReads } from './tier-reads.ts'

interface LoadingParts {
  readonly stack: TierStack
  readonly flights: CacheFlights
  readonly reads: TierReads
  readonly turns: LoadTurns
  readonly values: LoadedValues
  readonly pace: Pace
  readonly policy: Policy
  readonly clock: Clock
  readonly counters: Counters
  /** Whether a loader's error says that the record does not exist. */
  readonly isNotFound: (error: unknown) => boolean
  /** It was answered by a value that is late in its life. */
  readonly onLate: (lead: Lead) => void
}

/** A load, and the one who leads it. */
export interface Lead {
  readonly key: string
  readonly loader: AnyLoader
  readonly call: OnceCall
  readonly flight: LoadFlight
}

/** The way of one load: the remote, the loader, and what becomes of its result. */
export class Loading {
  readonly #parts: LoadingParts
  readonly #stack: TierStack
  readonly #reads: TierReads
  readonly #values: LoadedValues
  readonly #pace: Pace
  readonly #clock: Clock
  readonly #counters: Counters
  #closed = false

  constructor(parts: LoadingParts) {
    this.#parts = parts
    this.#stack = parts.stack
    this.#reads = parts.reads
    this.#values = parts.values
    this.#pace = parts.pace
    this.#clock = parts.clock
    this.#counters = parts.counters
  }

  /** No loader begins in the background from now on. */
  close(): void {
    this.#closed = true
  }

  /** Rejects with what its callers get. */
  async fly(lead: Lead): Promise<Loaded> {
    const { key, call, flight } = lead
    try {
      if (flight.purpose === 'answer') this.#reads.missedLocally(call)
      const remote = this.#reads.remoteOf(call)
      if (remote === undefined) return await this.#loadLocally(lead)
      const { leases } = remote
      if (leases === undefined) return await this.#loadUnleased(lead, remote)
      return await this.#loadLeased(lead, remote, leases)
    } catch (error) {
      flight.outcome = 'failed'
      flight.fails()
      if (flight.held !== undefined) this.#pace.failed(key, this.#clock.monotonic())
      throw error
    } finally {
      flight.lease?.release()
      // Before anybody hears the result, so that who asks next does not join what is over.
      this.#parts.flights.withdrawLoad(key, flight)
      flight.ticket.close()
      if (flight.foundLate) this.#parts.onLate(lead)
    }
  }

  async #loadLocally(lead: Lead): Promise<Loaded> {
    const { key, call, flight } = lead
    if (flight.purpose === 'answer') this.#counters.miss++
    const local = this.#reads.keptLocally(key, call)
    if (local === undefined && flight.inBackground) return this.#ends(flight, 'gone')
    if (local !== undefined) flight.holds(heldLocally(local))
    if (shouldWait(flight, key, { pace: this.#pace, clock: this.#clock })) {
      return this.#ends(flight, 'elsewhere')
    }
    return this.#ended(lead, this.#values.keepLocally(await this.#run(lead)))
  }

  async #loadLeased(lead: Lead, remote: RemoteTier, leases: Leases): Promise<Loaded> {
    const { key, call, flight } = lead
    const form = this.#stack.forms.of(call.codec)
    const { ttl } = livesOf(call)
    const { turn, budget } = await this.#parts.turns.take({
      remote,
      leases,
      key,
      form,
      flight,
      ttl,
    })
    switch (turn.kind) {
      case 'value':
        return this.#reads.take(key, turn, call, flight.ticket, flight)
      case 'join':
        return flight.joins(turn.other)
      case 'gone':
        return this.#gone(lead)
      case 'elsewhere':
        return this.#ends(flight, 'elsewhere')
      case 'error':
        return this.#loadWithoutRemote(lead)
      case 'load': {
        this.#missedThere(lead, turn.replaced === undefined)
        flight.begin(turn.lease)
        const landing = await this.#run(lead)
        const filled = await this.#values.fill(landing, remote, turn.replaced, turn.lease, budget)
        return this.#ended(lead, filled)
      }
      case 'contested':
        this.#missedThere(lead, false)
        return this.#values.keepContested(await this.#run(lead))
      case 'alone':
        this.#missedThere(lead, false)
        return this.#values.handOver(await this.#run(lead))
    }
  }

  /** On a store without leases: the fill compares with what the remote held before. */
  async #loadUnleased(lead: Lead, remote: RemoteTier): Promise<Loaded> {
    const { key, call, flight } = lead
    const budget = remote.budget()
    const read = this.#reads.ask(remote, key, budget, call)
    const answer = await read.answer
    this.#parts.flights.withdrawRead(key, read)
    if (answer.kind === 'error') return this.#loadWithoutRemote(lead)
    if (answer.kind === 'corrupt') {
      if (this.#values.contested(key)) return this.#values.keepContested(await this.#run(lead))
      const replaced = { bytes: answer.bytes, corrupt: true }
      return this.#values.fill(await this.#run(lead), remote, replaced, undefined, budget)
    }
    if (answer.kind !== 'value') {
      if (flight.purpose === 'refresh') return this.#gone(lead)
      this.#missedThere(lead, true)
      const landing = await this.#run(lead)
      const filled = await this.#values.fill(landing, remote, undefined, undefined, budget)
      return this.#ended(lead, filled)
    }
    if (isEnough(flight, key, answer, this.#stack, livesOf(call).ttl)) {
      return this.#reads.take(key, answer, call, flight.ticket, flight)
    }
    flight.holds(heldRemotely(answer))
    if (shouldWait(flight, key, { pace: this.#pace, clock: this.#clock })) {
      return this.#ends(flight, 'elsewhere')
    }
    this.#missedThere(lead, false)
    const replaced = { bytes: answer.bytes, corrupt: false }
    const landing = await this.#run(lead)
    const filled = await this.#values.fill(landing, remote, replaced, undefined, budget)
    return this.#ended(lead, filled)
  }

  /** The remote is gone: who takes what is stale has local's, and the rest is loaded. */
  async #loadWithoutRemote(lead: Lead): Promise<Loaded> {
    const { key, call, flight } = lead
    if (flight.purpose === 'refresh') return this.#ends(flight, 'unreachable')
    // Asked now: it may have been changed since the load began. What the remote has told is newer.
    const local = this.#reads.keptLocally(key, call)
    if (flight.held === undefined && local !== undefined) flight.holds(heldLocally(local))
    flight.fails()
    if (shouldWait(flight, key, { pace: this.#pace, clock: this.#clock })) {
      return this.#ends(flight, 'elsewhere')
    }
    return this.#ended(lead, this.#values.keepUnconfirmed(await this.#run(lead)))
  }

  /** What becomes of a load whose loader has brought something. */
  #ended({ key, flight }: Lead, loaded: Loaded): Loaded {
    flight.outcome = loaded.stored === 'not stored' ? 'failed' : 'refreshed'
    // Else each hit on a value that is late in its life would have it loaded once more.
    if (flight.purpose === 'ahead' && loaded.stored !== 'stored') {
      this.#pace.failed(key, this.#clock.monotonic())
    }
    return loaded
  }

  /** The remote holds nothing to be refreshed, and local must not either. */
  #gone({ key, call, flight }: Lead): Loaded {
    if (flight.ticket.mayStore() && !call.skipLocal) this.#stack.local?.delete(key)
    return this.#ends(flight, 'gone')
  }

  /** Nobody waits for what it brings. */
  #ends(flight: LoadFlight, outcome: LoadFlight['outcome']): Loaded {
    flight.outcome = outcome
    return NONE
  }

  /** @param holdsNothing Local must not answer with what is not there any more. */
  #missedThere({ key, call, flight }: Lead, holdsNothing: boolean): void {
    if (flight.purpose === 'answer') this.#reads.countMiss()
    if (holdsNothing && !call.skipLocal) this.#stack.local?.dropStale(key)
  }

  /** Calls the loader; a value of `null` says that there is no such record. */
  async #run({ key, loader, call, flight }: Lead): Promise<Landing> {
    const { load, ticket, purpose, held } = flight
    const hasStale = isValue(held)
    const reason = purpose !== 'answer' ? 'refresh' : hasStale ? 'revalidate' : 'miss'
    // What callers have left behind is not begun while the cache closes.
    if (this.#closed && !flight.isWaitedFor) throw new CacheClosedError()
    if (!load.abandoned) this.#countLoad(reason)
    const event = reason === 'refresh' ? 'setByRefresh' : 'setByOnce'
    // Written out, here and below: to spread one object into another costs a cold load 17 us.
    const land = (value: unknown, cause: unknown): Landing => ({
      key,
      call,
      ticket,
      event,
      value,
      cause,
      ttl: load.ttl,
      skips: load.skips,
      unchanged: value === NOT_MODIFIED ? held : undefined,
    })
    try {
      const value = await load.run(loader, {
        timeout: call.loadTimeout ?? this.#parts.policy.loadTimeout,
        clock: this.#clock,
        reason,
        hasStale,
        stale: () => (hasStale ? this.#stack.forms.give(held.kept) : undefined),
        background: !flight.isWaitedFor,
      })
      this.#pace.forget(key)
      return land(value ?? null, undefined)
    } catch (error) {
      if (load.abandoned) {
        if (error instanceof CacheLoadTimeoutError) this.#counters.queryFail++
        throw error
      }
      if (this.#saysNotFound(error)) {
        this.#pace.forget(key)
        return land(null, error)
      }
      this.#counters.queryFail++
      throw error
    }
  }

  #countLoad(reason: LoadReason): void {
    this.#counters.query++
    if (reason === 'revalidate') this.#counters.revalidations++
    if (reason === 'refresh') this.#counters.refreshes++
  }

  /** A predicate that throws has not recognised it: the loader's own error is what callers need. */
  #saysNotFound(error: unknown): boolean {
    try {
      return this.#parts.isNotFound(error)
    } catch {
      return false
    }
  }
}
