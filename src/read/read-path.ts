import type { Ticket } from '../flight/flights.ts'
import type { Waiters } from '../flight/waiters.ts'
import type { LocalEntry } from '../local/local-store.ts'
import type { Clock } from '../model/clock.ts'
import { NOT_FOUND } from '../model/entry.ts'
import { CacheClosedError, CacheLoadTimeoutError } from '../model/errors.ts'
import type { Lookup } from '../model/outcome.ts'
import type { Policy } from '../model/policy.ts'
import type { Budget } from '../remote/budget.ts'
import type { Leases } from '../remote/leases.ts'
import type { RemoteTier } from '../remote/remote-tier.ts'
import type { Counters } from '../stats/counters.ts'
import type { LoadAnswer, RemoteAnswer, TierStack } from '../tiers/tier-stack.ts'
import type { AnyLoader, GetCall, LoadReason, OnceCall } from './call.ts'
import { type Held, isValue, type Permission, TAKES_NOTHING } from './held.ts'
import type { CacheFlights, JoinableRead } from './joinable.ts'
import { unlessAborted } from './leaving.ts'
import { Load } from './load.ts'
import { type Caller, LoadFlight, type Purpose } from './load-flight.ts'
import { heldFrom, isEnough, LoadTurns, shouldWait } from './load-turn.ts'
import { fromTier, type Loaded, NONE } from './loaded.ts'
import { type Landing, LoadedValues } from './loaded-value.ts'
import { NOT_MODIFIED } from './loader-run.ts'
import { Pace } from './pace.ts'

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

/** When a caller asked first, and whether it has been counted as one who joined. */
export interface Asked {
  /** On the monotonic clock. */
  readonly at: number
  coalesced: boolean
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
  readonly #pace = new Pace()
  /** Whether a load may be answered by something else than its result. */
  readonly #mayHold: boolean
  #closed = false

  constructor(parts: ReadParts) {
    this.#stack = parts.stack
    this.#flights = parts.flights
    this.#policy = parts.policy
    this.#clock = parts.clock
    this.#counters = parts.counters
    this.#isNotFound = parts.isNotFound
    this.#values = new LoadedValues(parts.stack, parts.clock, parts.counters, (key) =>
      parts.flights.fence(key),
    )
    this.#turns = new LoadTurns({
      ...parts,
      maxWait: parts.policy.leaseMaxWait,
      contested: (key) => this.#values.contested(key),
      pace: this.#pace,
    })
    const { retain, softTimeout, hardTimeout } = parts.policy
    this.#mayHold = retain > 0 || softTimeout !== undefined || hardTimeout !== undefined
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

  /**
   * Joins or leads the load of a key that local did not answer. What it resolves to may be `NONE`: then it
   * is to be asked again.
   */
  load(key: string, loader: AnyLoader, call: OnceCall, asked?: Asked): Promise<Loaded> {
    const joinable = this.#flights.load(key)
    if (joinable?.doubt !== undefined) {
      const since = asked ?? this.#asked()
      return this.#settled(key, joinable.doubt, call, since).then(() =>
        this.load(key, loader, call, since),
      )
    }
    if (joinable !== undefined && !joinable.isOvertaken) {
      if (asked?.coalesced !== true) this.#counters.coalesced++
      if (asked !== undefined) asked.coalesced = true
      return this.#join(joinable, call, asked)
    }
    const lead = this.#lead(key, loader, call, 'answer')
    const answer = this.#join(lead.flight, call, asked)
    this.#takeOff(lead)
    return answer
  }

  /**
   * Loads whatever the tiers hold, and replaces that; joins a load that is under way. What it resolves to
   * may be no loader's: then it is to be asked again.
   */
  reload(key: string, loader: AnyLoader, call: OnceCall, asked: Asked): Promise<Loaded> {
    const joinable = this.#flights.load(key)
    if (joinable?.doubt !== undefined) {
      return this.#settled(key, joinable.doubt, call, asked).then(() =>
        this.reload(key, loader, call, asked),
      )
    }
    const caller = this.#callerOf(call, asked, TAKES_NOTHING)
    if (joinable !== undefined) {
      if (!asked.coalesced) this.#counters.coalesced++
      asked.coalesced = true
      return joinable.join(caller)
    }
    const lead = this.#lead(key, loader, call, 'by hand')
    const answer = lead.flight.join(caller)
    this.#takeOff(lead)
    return answer
  }

  /** A hit on an entry that is late in its life: one load behind it. */
  ahead(key: string, loader: AnyLoader, call: OnceCall): void {
    if (this.#closed || this.#flights.load(key) !== undefined) return
    if (this.#pace.pause(key, this.#clock.monotonic()) !== undefined) return
    this.#takeOff(this.#lead(key, loader, call, 'ahead'))
  }

  /** A load for nobody, of a value that is to be replaced at its time. Never rejects. */
  async refresh(key: string, loader: AnyLoader, call: OnceCall): Promise<LoadFlight['outcome']> {
    if (this.#closed || this.#flights.load(key) !== undefined) return 'elsewhere'
    const lead = this.#lead(key, loader, call, 'refresh')
    this.#takeOff(lead)
    await lead.flight.settled
    return lead.flight.outcome
  }

  /** Copies the remote's value to local, where another process has just refreshed it. Never rejects. */
  async copy(key: string, call: OnceCall): Promise<void> {
    const remote = this.#remoteOf(call)
    if (remote === undefined || this.#stack.local?.kept(key) === undefined) return
    const ticket = this.#flights.open(key)
    const form = this.#stack.forms.of(call.codec)
    const answer = await this.#stack.readRemote(remote, key, form, remote.budget())
    if (answer.kind === 'value') this.#stack.promote(key, answer, livesOf(call), ticket)
    ticket.close()
  }

  /** A caller asks now. */
  #asked(): Asked {
    return { at: this.#clock.monotonic(), coalesced: false }
  }

  /** What was known of the loads of a key is over: it has been changed. */
  changed(key: string): void {
    this.#pace.forget(key)
  }

  /** No load begins in the background from now on. */
  close(): void {
    this.#closed = true
  }

  /** Asks the tiers, without a loader. */
  async find<T>(key: string, call: GetCall): Promise<Lookup<T>> {
    const entry = call.skipLocal ? undefined : this.localHit(key)
    if (entry !== undefined) return this.#found(this.#heldLocally(entry), true)
    this.#missedLocally(call)
    const remote = this.#remoteOf(call)
    if (remote === undefined) {
      this.#counters.miss++
      const local = this.#keptLocally(key, call)
      return local === undefined ? { status: 'miss' } : this.#found(this.#heldLocally(local), false)
    }
    const ticket = this.#flights.open(key)
    try {
      const read = this.#ask(remote, key, remote.budget(), call)
      const answer = await read.answer
      this.#flights.withdrawRead(key, read)
      if (answer.kind === 'error' || answer.kind === 'corrupt') {
        const held = answer.kind === 'error' ? this.#keptLocally(key, call) : undefined
        if (held !== undefined) return this.#found(this.#heldLocally(held), false)
        return { status: 'error', error: answer.error }
      }
      if (answer.kind !== 'value') {
        this.#countMiss()
        if (!call.skipLocal) this.#stack.local?.dropStale(key)
        return { status: 'miss' }
      }
      if (answer.freshLeft > 0) this.#take(key, answer, call, ticket)
      else {
        this.#countMiss()
        if (!call.skipLocal) this.#stack.promote(key, answer, livesOf(call), ticket)
      }
      return this.#found(heldFrom(answer), answer.freshLeft > 0)
    } finally {
      ticket.close()
    }
  }

  /** A load that may be joined from now on; `#takeOff` begins it. */
  #lead(key: string, loader: AnyLoader, call: OnceCall, purpose: Purpose): Lead {
    const load = new Load(key, () => {
      // Before its right to store is gone, by which is known whether what is held has been changed.
      flight.fails()
      flight.ticket.revoke()
      this.#flights.withdrawLoad(key, flight)
      flight.onAbandon()
    })
    const flight: LoadFlight = new LoadFlight({
      key,
      purpose,
      load,
      ticket: this.#flights.open(key),
      clock: this.#clock,
      abandon: (reason) => load.abandon(reason),
      onStale: () => {
        this.#counters.staleServed++
      },
    })
    this.#flights.offerLoad(key, flight)
    return { key, loader, call, flight }
  }

  /** Once its first caller has joined: who waits decides whether it runs in the background. */
  #takeOff(lead: Lead): void {
    lead.flight.lands(this.#fly(lead))
  }

  #join(flight: LoadFlight, call: OnceCall, asked: Asked | undefined): Promise<Loaded> {
    const plain = !this.#mayHold && flight.purpose === 'answer'
    const { signal, softTimeout, hardTimeout } = call
    if (plain && signal === undefined && !softTimeout && !hardTimeout) return flight.joinPlainly()
    const policy = this.#policy
    const takes: Permission = {
      fresh: true,
      staleWhileRevalidate: call.staleWhileRevalidate ?? policy.staleWhileRevalidate,
      staleIfError: call.staleIfError ?? policy.staleIfError,
    }
    return flight.join(this.#callerOf(call, asked, takes))
  }

  /** Patience counts from when the caller asked, be it for the second time. */
  #callerOf(call: OnceCall, asked: Asked | undefined, takes: Permission): Caller {
    const spent = asked === undefined ? 0 : this.#clock.monotonic() - asked.at
    return {
      signal: call.signal,
      softTimeout: leftOf(call.softTimeout ?? this.#policy.softTimeout, spent),
      hardTimeout: leftOf(call.hardTimeout ?? this.#policy.hardTimeout, spent),
      takes,
    }
  }

  /** Waits until it is known whether a load may be joined, within the caller's patience. */
  #settled(key: string, doubt: Promise<void>, call: OnceCall, asked: Asked): Promise<void> {
    const { hardTimeout } = this.#callerOf(call, asked, TAKES_NOTHING)
    const settled = unlessAborted(doubt, call.signal)
    if (!hardTimeout) return settled
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(hardTimeout, () =>
        reject(new CacheLoadTimeoutError(key, hardTimeout, 'hardTimeout')),
      )
      settled.finally(() => timer.cancel()).then(resolve, reject)
    })
  }

  async #fly(lead: Lead): Promise<Loaded> {
    const { key, call, flight } = lead
    try {
      if (flight.purpose === 'answer') this.#missedLocally(call)
      const remote = this.#remoteOf(call)
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
      this.#flights.withdrawLoad(key, flight)
      flight.ticket.close()
      if (flight.foundLate) this.ahead(key, lead.loader, call)
    }
  }

  async #loadLocally(lead: Lead): Promise<Loaded> {
    const { key, call, flight } = lead
    if (flight.purpose === 'answer') this.#counters.miss++
    const local = this.#keptLocally(key, call)
    if (local === undefined && flight.inBackground) return this.#ends(flight, 'gone')
    if (local !== undefined) flight.holds(this.#heldLocally(local))
    if (shouldWait(flight, key, { pace: this.#pace, clock: this.#clock })) {
      return this.#ends(flight, 'elsewhere')
    }
    return this.#ended(lead, this.#values.keepLocally(await this.#run(lead)))
  }

  async #loadLeased(lead: Lead, remote: RemoteTier, leases: Leases): Promise<Loaded> {
    const { key, call, flight } = lead
    const form = this.#stack.forms.of(call.codec)
    const { ttl } = livesOf(call)
    const { turn, budget } = await this.#turns.take({ remote, leases, key, form, flight, ttl })
    switch (turn.kind) {
      case 'value':
        return this.#take(key, turn, call, flight.ticket, flight)
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
    const read = this.#ask(remote, key, budget, call)
    const answer = await read.answer
    this.#flights.withdrawRead(key, read)
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
      return this.#take(key, answer, call, flight.ticket, flight)
    }
    flight.holds(heldFrom(answer))
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
    const local = this.#keptLocally(key, call)
    if (flight.held === undefined && local !== undefined) flight.holds(this.#heldLocally(local))
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
    if (flight.purpose === 'answer') this.#countMiss()
    if (holdsNothing && !call.skipLocal) this.#stack.local?.dropStale(key)
  }

  #keptLocally(key: string, call: GetCall): LocalEntry | undefined {
    return call.skipLocal ? undefined : this.#stack.local?.kept(key)
  }

  #heldLocally({ kept, freshUntil, keptUntil }: LocalEntry): Held {
    return { kept, bytes: undefined, tier: 'local', freshUntil, keptUntil }
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
        timeout: call.loadTimeout ?? this.#policy.loadTimeout,
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
      return this.#isNotFound(error)
    } catch {
      return false
    }
  }

  #found<T>(held: Held, fresh: boolean): Lookup<T> {
    const { kept, tier, freshUntil, keptUntil } = held
    const ttlLeft = Math.max(0, (fresh ? freshUntil : keptUntil) - this.#clock.now())
    if (kept === NOT_FOUND) return { status: 'absent', tier, ttlLeft }
    const status = fresh ? 'hit' : 'stale'
    return { status, value: this.#stack.forms.give(kept) as T, tier, ttlLeft }
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
    if (asked?.form === form) return { form, answer: this.#joinRead(asked, budget) }
    const read = { form, answer: this.#stack.readRemote(remote, key, form, budget) }
    this.#flights.offerRead(key, read)
    return read
  }

  async #joinRead(asked: JoinableRead, budget: Budget): Promise<RemoteAnswer | LoadAnswer> {
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
    flight?: LoadFlight,
  ): Loaded {
    if (flight === undefined || flight.purpose === 'answer') {
      this.#counters.hit++
      this.#counters.remoteHit++
      if (flight !== undefined)
        flight.foundLate = this.#stack.isLate(key, answer, livesOf(call).ttl)
    }
    if (!call.skipLocal) this.#stack.promote(key, answer, livesOf(call), ticket)
    return fromTier(heldFrom(answer), true)
  }

  #countMiss(): void {
    this.#counters.miss++
    this.#counters.remoteMiss++
  }
}

/** At least a moment, if there was any: it is over at once. */
function leftOf(timeout: number | undefined, spent: number): number | undefined {
  return timeout ? Math.max(1, timeout - spent) : timeout
}

/** What a call asks for; a ttl that depends on the value is not known before there is one. */
function livesOf(call: GetCall & Partial<Pick<OnceCall, 'ttl'>>): {
  readonly ttl: number | undefined
  readonly localTtl: number | undefined
} {
  const { ttl, localTtl } = call
  return { ttl: typeof ttl === 'number' ? ttl : undefined, localTtl }
}
