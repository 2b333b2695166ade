import type { Flights, Ticket } from '../flight/flights.ts'
import type { LocalEntry } from '../local/local-store.ts'
import type { Clock } from '../model/clock.ts'
import { NOT_FOUND } from '../model/entry.ts'
import { CacheLoadTimeoutError } from '../model/errors.ts'
import type { Lookup } from '../model/outcome.ts'
import type { Policy } from '../model/policy.ts'
import type { Budget } from '../remote/budget.ts'
import type { RemoteTier } from '../remote/remote-tier.ts'
import type { Counters } from '../stats/counters.ts'
import type { RemoteAnswer, TierStack } from '../tiers/tier-stack.ts'
import type { ValueForm } from '../tiers/value-form.ts'
import type { AnyLoader, GetCall, OnceCall } from './call.ts'
import { Load } from './load.ts'
import { LoadFlight } from './load-flight.ts'
import { type Loaded, LoadedValues } from './loaded-value.ts'

/** A read of the remote that others may join who want it in the same form. */
export interface JoinableRead {
  readonly form: ValueForm
  readonly answer: Promise<RemoteAnswer>
}

export type CacheFlights = Flights<LoadFlight, JoinableRead>

/** What the read path is built from. */
interface ReadParts {
  readonly stack: TierStack
  readonly flights: CacheFlights
  readonly policy: Policy
  readonly clock: Clock
  readonly counters: Counters
  /** Whether a loader's error says that the record does not exist. */
  readonly isNotFound: (error: unknown) => boolean
}

/**
 * Reading, with a loader (`once`) and without (`get`, `lookup`).
 *
 * The life of one `once` that finds nothing: local, then join a load of this key if one is under
 * way, else lead one: remote, loader, codec, fill of remote, fill of local, answer. The order of what
 * may race is explained in `flight/flights.ts`.
 */
export class ReadPath {
  readonly #stack: TierStack
  readonly #flights: CacheFlights
  readonly #policy: Policy
  readonly #clock: Clock
  readonly #counters: Counters
  readonly #isNotFound: (error: unknown) => boolean
  readonly #values: LoadedValues

  constructor(parts: ReadParts) {
    this.#stack = parts.stack
    this.#flights = parts.flights
    this.#policy = parts.policy
    this.#clock = parts.clock
    this.#counters = parts.counters
    this.#isNotFound = parts.isNotFound
    this.#values = new LoadedValues(parts.stack, parts.clock, parts.counters)
  }

  /** A fresh local entry, counted; the part of every read that must be cheap. */
  localHit(key: string): LocalEntry | undefined {
    const entry = this.#stack.local?.fresh(key)
    if (entry !== undefined) {
      this.#counters.hit++
      this.#counters.localHit++
    }
    return entry
  }

  /** Joins or leads the load of a key that local did not answer. */
  load(key: string, loader: AnyLoader, call: OnceCall): Promise<Loaded> {
    const joinable = this.#flights.load(key)
    if (joinable !== undefined) {
      this.#counters.coalesced++
      return joinable.join(call.signal)
    }
    return this.#lead(key, loader, call).join(call.signal)
  }

  /** Asks the tiers, without a loader. */
  async find<T>(key: string, call: GetCall): Promise<Lookup<T>> {
    const entry = call.skipLocal ? undefined : this.localHit(key)
    if (entry !== undefined) {
      return this.#found(entry.kept, 'local', entry.freshUntil - this.#clock.now())
    }
    this.#missedLocally(call)
    const remote = this.#remoteOf(call)
    if (remote === undefined) {
      this.#counters.miss++
      return { status: 'miss' }
    }
    const ticket = this.#flights.open(key)
    try {
      const read = this.#ask(remote, key, remote.budget(), call)
      const answer = await read.answer
      this.#take(key, read, answer, call, ticket)
      if (answer.kind === 'value') {
        const left = answer.askedAt + answer.ttlLeft - this.#clock.now()
        return this.#found(answer.kept, 'remote', left)
      }
      if (answer.kind === 'miss') return { status: 'miss' }
      return { status: 'error', error: answer.error }
    } finally {
      ticket.close()
    }
  }

  #lead(key: string, loader: AnyLoader, call: OnceCall): LoadFlight {
    const ticket = this.#flights.open(key)
    const load = new Load(key, () => {
      ticket.revoke()
      this.#flights.withdrawLoad(key, flight)
    })
    const flight: LoadFlight = new LoadFlight(load, (reason) => load.abandon(reason))
    this.#flights.offerLoad(key, flight)
    flight.lands(this.#fly(key, loader, call, flight, ticket))
    return flight
  }

  async #fly(
    key: string,
    loader: AnyLoader,
    call: OnceCall,
    flight: LoadFlight,
    ticket: Ticket,
  ): Promise<Loaded> {
    try {
      this.#missedLocally(call)
      const remote = this.#remoteOf(call)
      if (remote === undefined) {
        this.#counters.miss++
        const landed = await this.#run(loader, call, flight.load)
        return this.#values.keepLocally({ key, call, ticket, ...landed })
      }
      const budget = remote.budget()
      const read = this.#ask(remote, key, budget, call)
      const answer = await read.answer
      this.#take(key, read, answer, call, ticket)
      if (answer.kind === 'value') return { kept: answer.kept, cause: undefined }
      const landing = { key, call, ticket, ...(await this.#run(loader, call, flight.load)) }
      if (answer.kind === 'error') return this.#values.keepLocally(landing)
      return await this.#values.fill(landing, remote, answer, budget)
    } finally {
      // Before anybody hears the result, so that who asks next does not join what is over.
      this.#flights.withdrawLoad(key, flight)
      ticket.close()
    }
  }

  /** Calls the loader; a value of `null` says that there is no such record. */
  async #run(
    loader: AnyLoader,
    call: OnceCall,
    load: Load,
  ): Promise<{ readonly value: unknown; readonly cause: unknown }> {
    if (!load.abandoned) this.#counters.query++
    try {
      const value = await load.run(
        loader,
        call.loadTimeout ?? this.#policy.loadTimeout,
        this.#clock,
      )
      return { value: value ?? null, cause: undefined }
    } catch (error) {
      if (load.abandoned) {
        if (error instanceof CacheLoadTimeoutError) this.#counters.queryFail++
        throw error
      }
      if (this.#saysNotFound(error)) return { value: null, cause: error }
      this.#counters.queryFail++
      throw error
    }
  }

  /** A predicate that throws has not recognised it: the loader's own error is what callers need. */
  #saysNotFound(error: unknown): boolean {
    try {
      return this.#isNotFound(error)
    } catch {
      return false
    }
  }

  #found<T>(kept: unknown, tier: 'local' | 'remote', ttlLeft: number): Lookup<T> {
    const left = Math.max(0, ttlLeft)
    if (kept === NOT_FOUND) return { status: 'absent', tier, ttlLeft: left }
    return { status: 'hit', value: this.#stack.forms.give(kept) as T, tier, ttlLeft: left }
  }

  #remoteOf(call: GetCall): RemoteTier | undefined {
    return call.skipRemote ? undefined : this.#stack.remote
  }

  #missedLocally(call: GetCall): void {
    if (this.#stack.local !== undefined && !call.skipLocal) this.#counters.localMiss++
  }

  /** Asks the remote once for all who ask in one epoch. */
  #ask(remote: RemoteTier, key: string, budget: Budget, call: GetCall): JoinableRead {
    const form = this.#stack.forms.of(call.codec)
    const asked = this.#flights.read(key)
    if (asked?.form === form) return { form, answer: this.#join(asked, budget) }
    const read = { form, answer: this.#stack.readRemote(remote, key, form, budget) }
    this.#flights.offerRead(key, read)
    return read
  }

  async #join(asked: JoinableRead, budget: Budget): Promise<RemoteAnswer> {
    const joinedAt = this.#clock.monotonic()
    const answer = await asked.answer
    budget.spend(this.#clock.monotonic() - joinedAt)
    return answer
  }

  /** In the turn of the answer: nobody joins it from now on. Counts, and promotes. */
  #take(
    key: string,
    read: JoinableRead,
    answer: RemoteAnswer,
    call: GetCall,
    ticket: Ticket,
  ): void {
    this.#flights.withdrawRead(key, read)
    if (answer.kind === 'value') {
      this.#counters.hit++
      this.#counters.remoteHit++
      if (!call.skipLocal) this.#stack.promote(key, answer, call.localTtl, ticket)
    } else if (answer.kind === 'miss') {
      this.#counters.miss++
      this.#counters.remoteMiss++
    }
  }
}
