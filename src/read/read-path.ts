import type { Ticket } from '../flight/flights.ts'
import type { Waiters } from '../flight/waiters.ts'
import type { LocalEntry } from '../local/local-store.ts'
import type { Clock } from '../model/clock.ts'
import { NOT_FOUND } from '../model/entry.ts'
import { CacheLoadTimeoutError } from '../model/errors.ts'
import type { Lookup } from '../model/outcome.ts'
import type { Policy } from '../model/policy.ts'
import type { Budget } from '../remote/budget.ts'
import type { Leases } from '../remote/leases.ts'
import type { RemoteTier } from '../remote/remote-tier.ts'
import type { Counters } from '../stats/counters.ts'
import type { LoadAnswer, RemoteAnswer, TierStack } from '../tiers/tier-stack.ts'
import type { AnyLoader, GetCall, OnceCall } from './call.ts'
import type { CacheFlights, JoinableRead } from './joinable.ts'
import { unlessAborted } from './leaving.ts'
import { Load } from './load.ts'
import { LoadFlight } from './load-flight.ts'
import { LoadTurns } from './load-turn.ts'
import { type Landing, type Loaded, LoadedValues } from './loaded-value.ts'

/** What the read path is built from. */
interface ReadParts {
  readonly stack: TierStack
  readonly flights: CacheFlights
  readonly waiters: Waiters
  /** Whether the end of a lease that is waited for is told. */
  readonly hearsWakeUps: () => boolean
  readonly policy: Policy
  readonly clock: Clock
  readonly counters: Counters
  /** Whether a loader's error says that the record does not exist. */
  readonly isNotFound: (error: unknown) => boolean
}

/** A load, and the one who leads it. */
interface Lead {
  readonly key: string
  readonly loader: AnyLoader
  readonly call: OnceCall
  readonly flight: LoadFlight
}

/**
 * Reading, with a loader (`once`) and without (`get`, `lookup`).
 *
 * The life of one `once` that finds nothing: local, then join a load of this key if one is under
 * way, else lead one: remote, loader, codec, fill of remote, fill of local, answer. The order of what
 * may race in this process is explained in `flight/flights.ts`, across processes in `load-turn.ts`.
 */
export class ReadPath {
  readonly #stack: TierStack
  readonly #flights: CacheFlights
  readonly #policy: Policy
  readonly #clock: Clock
  readonly #counters: Counters
  readonly #isNotFound: (error: unknown) => boolean
  readonly #values: LoadedValues
  readonly #turns: LoadTurns

  constructor(parts: ReadParts) {
    this.#stack = parts.stack
    this.#flights = parts.flights
    this.#policy = parts.policy
    this.#clock = parts.clock
    this.#counters = parts.counters
    this.#isNotFound = parts.isNotFound
    this.#values = new LoadedValues(parts.stack, parts.clock, parts.counters)
    this.#turns = new LoadTurns({
      ...parts,
      maxWait: parts.policy.leaseMaxWait,
      contested: (key) => this.#values.contested(key),
    })
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
    if (joinable?.doubt !== undefined) {
      return unlessAborted(joinable.doubt, call.signal).then(() => this.load(key, loader, call))
    }
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
      this.#flights.withdrawRead(key, read)
      if (answer.kind === 'error' || answer.kind === 'corrupt') {
        return { status: 'error', error: answer.error }
      }
      if (answer.kind !== 'value') {
        this.#countMiss()
        return { status: 'miss' }
      }
      this.#take(key, answer, call, ticket)
      const left = answer.askedAt + answer.ttlLeft - this.#clock.now()
      return this.#found(answer.kept, 'remote', left)
    } finally {
      ticket.close()
    }
  }

  #lead(key: string, loader: AnyLoader, call: OnceCall): LoadFlight {
    const load = new Load(key, () => {
      flight.ticket.revoke()
      this.#flights.withdrawLoad(key, flight)
      flight.onAbandon()
    })
    const ticket = this.#flights.open(key)
    const arrivedAt = this.#clock.monotonic()
    const flight: LoadFlight = new LoadFlight(load, ticket, arrivedAt, (reason) =>
      load.abandon(reason),
    )
    this.#flights.offerLoad(key, flight)
    flight.lands(this.#fly({ key, loader, call, flight }))
    return flight
  }

  async #fly(lead: Lead): Promise<Loaded> {
    const { key, call, flight } = lead
    try {
      this.#missedLocally(call)
      const remote = this.#remoteOf(call)
      if (remote === undefined) {
        this.#counters.miss++
        return this.#values.keepLocally(await this.#run(lead))
      }
      const { leases } = remote
      if (leases === undefined) return await this.#loadUnleased(lead, remote)
      return await this.#loadLeased(lead, remote, leases)
    } finally {
      flight.lease?.release()
      // Before anybody hears the result, so that who asks next does not join what is over.
      this.#flights.withdrawLoad(key, flight)
      flight.ticket.close()
    }
  }

  async #loadLeased(lead: Lead, remote: RemoteTier, leases: Leases): Promise<Loaded> {
    const { key, call, flight } = lead
    const form = this.#stack.forms.of(call.codec)
    const { turn, budget } = await this.#turns.take({ remote, leases, key, form, flight })
    if (turn.kind === 'value') return this.#take(key, turn, call, flight.ticket)
    if (turn.kind === 'join') return flight.joins(turn.other)
    if (turn.kind !== 'error') this.#countMiss()
    if (turn.kind === 'load') flight.begin(turn.lease)
    const landing = await this.#run(lead)
    switch (turn.kind) {
      case 'load':
        return this.#values.fill(landing, remote, turn.corrupt, turn.lease, budget)
      case 'contested':
        return this.#values.keepContested(landing)
      case 'error':
        return this.#values.keepUnconfirmed(landing)
      case 'alone':
        return this.#values.handOver(landing)
    }
  }

  /** On a store without leases: the fill compares with what the remote held before. */
  async #loadUnleased(lead: Lead, remote: RemoteTier): Promise<Loaded> {
    const { key, call, flight } = lead
    const budget = remote.budget()
    const read = this.#ask(remote, key, budget, call)
    const answer = await read.answer
    this.#flights.withdrawRead(key, read)
    if (answer.kind === 'value') return this.#take(key, answer, call, flight.ticket)
    if (answer.kind === 'error') return this.#values.keepUnconfirmed(await this.#run(lead))
    if (answer.kind !== 'corrupt') {
      this.#countMiss()
      return this.#values.fill(await this.#run(lead), remote, undefined, undefined, budget)
    }
    if (this.#values.contested(key)) return this.#values.keepContested(await this.#run(lead))
    return this.#values.fill(await this.#run(lead), remote, answer.bytes, undefined, budget)
  }

  /** Calls the loader; a value of `null` says that there is no such record. */
  async #run({ key, loader, call, flight }: Lead): Promise<Landing> {
    const { load, ticket } = flight
    if (!load.abandoned) this.#counters.query++
    try {
      const timeout = call.loadTimeout ?? this.#policy.loadTimeout
      const value = await load.run(loader, timeout, this.#clock)
      return { key, value: value ?? null, cause: undefined, call, ticket }
    } catch (error) {
      if (load.abandoned) {
        if (error instanceof CacheLoadTimeoutError) this.#counters.queryFail++
        throw error
      }
      if (this.#saysNotFound(error)) return { key, value: null, cause: error, call, ticket }
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

  async #join(asked: JoinableRead, budget: Budget): Promise<RemoteAnswer | LoadAnswer> {
    const joinedAt = this.#clock.monotonic()
    const answer = await asked.answer
    budget.spend(this.#clock.monotonic() - joinedAt)
    return answer
  }

  /** Counts what the remote held, and promotes it. */
  #take(
    key: string,
    answer: Extract<RemoteAnswer, { kind: 'value' }>,
    call: GetCall,
    ticket: Ticket,
  ): Loaded {
    this.#counters.hit++
    this.#counters.remoteHit++
    if (!call.skipLocal) this.#stack.promote(key, answer, call.localTtl, ticket)
    return { kept: answer.kept, cause: undefined }
  }

  #countMiss(): void {
    this.#counters.miss++
    this.#counters.remoteMiss++
  }
}
