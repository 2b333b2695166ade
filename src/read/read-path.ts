import type { Waiters } from '../flight/waiters.ts'
import type { LocalEntry } from '../local/local-store.ts'
import type { Clock } from '../model/clock.ts'
import { NOT_FOUND } from '../model/entry.ts'
import { CacheLoadTimeoutError } from '../model/errors.ts'
import type { Lookup } from '../model/outcome.ts'
import type { Policy } from '../model/policy.ts'
import type { Counters } from '../stats/counters.ts'
import type { TierStack } from '../tiers/tier-stack.ts'
import type { AnyLoader, GetCall, OnceCall } from './call.ts'
import { type Held, heldLocally, heldRemotely, type Permission, TAKES_NOTHING } from './held.ts'
import type { CacheFlights } from './joinable.ts'
import { unlessAborted } from './leaving.ts'
import { Load } from './load.ts'
import { type Caller, LoadFlight, type Purpose } from './load-flight.ts'
import { LoadTurns } from './load-turn.ts'
import type { Loaded } from './loaded.ts'
import { LoadedValues } from './loaded-value.ts'
import { type Lead, Loading } from './loading.ts'
import { Pace } from './pace.ts'
import { livesOf, TierReads } from './tier-reads.ts'

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
interface Asked {
  /** On the monotonic clock. */
  readonly at: number
  coalesced: boolean
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
  readonly #reads: TierReads
  readonly #loading: Loading
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
    const { stack, flights, policy, clock, counters } = parts
    this.#reads = new TierReads(stack, flights, clock, counters)
    const values = new LoadedValues(stack, clock, counters, (key) => flights.fence(key))
    const turns = new LoadTurns({
      ...parts,
      maxWait: policy.leaseMaxWait,
      contested: (key) => values.contested(key),
      pace: this.#pace,
    })
    this.#loading = new Loading({
      ...parts,
      reads: this.#reads,
      turns,
      values,
      pace: this.#pace,
      onLate: ({ key, loader, call }) => this.ahead(key, loader, call),
    })
    const { retain, softTimeout, hardTimeout } = policy
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
    const remote = this.#reads.remoteOf(call)
    if (remote === undefined || this.#stack.local?.kept(key) === undefined) return
    const ticket = this.#flights.open(key)
    const form = this.#stack.forms.of(call.codec)
    try {
      const answer = await this.#stack.readRemote(remote, key, form, remote.budget())
      if (answer.kind === 'value') this.#stack.promote(key, answer, livesOf(call), ticket)
    } finally {
      ticket.close()
    }
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
    this.#loading.close()
  }

  /** Asks the tiers, without a loader. */
  async find<T>(key: string, call: GetCall): Promise<Lookup<T>> {
    const entry = call.skipLocal ? undefined : this.localHit(key)
    if (entry !== undefined) return this.#found(heldLocally(entry), true)
    this.#reads.missedLocally(call)
    const remote = this.#reads.remoteOf(call)
    if (remote === undefined) {
      this.#counters.miss++
      const local = this.#reads.keptLocally(key, call)
      return local === undefined ? { status: 'miss' } : this.#found(heldLocally(local), false)
    }
    const ticket = this.#flights.open(key)
    try {
      const read = this.#reads.ask(remote, key, remote.budget(), call)
      const answer = await read.answer
      this.#flights.withdrawRead(key, read)
      if (answer.kind === 'error' || answer.kind === 'corrupt') {
        const held = answer.kind === 'error' ? this.#reads.keptLocally(key, call) : undefined
        if (held !== undefined) return this.#found(heldLocally(held), false)
        return { status: 'error', error: answer.error }
      }
      if (answer.kind !== 'value') {
        this.#reads.countMiss()
        if (!call.skipLocal) this.#stack.local?.dropStale(key)
        return { status: 'miss' }
      }
      if (answer.freshLeft > 0) this.#reads.take(key, answer, call, ticket)
      else {
        this.#reads.countMiss()
        if (!call.skipLocal) this.#stack.promote(key, answer, livesOf(call), ticket)
      }
      return this.#found(heldRemotely(answer), answer.freshLeft > 0)
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
    lead.flight.lands(this.#loading.fly(lead))
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

  #found<T>(held: Held, fresh: boolean): Lookup<T> {
    const { kept, tier, freshUntil, keptUntil } = held
    const ttlLeft = Math.max(0, (fresh ? freshUntil : keptUntil) - this.#clock.now())
    if (kept === NOT_FOUND) return { status: 'absent', tier, ttlLeft }
    const status = fresh ? 'hit' : 'stale'
    return { status, value: this.#stack.forms.give(kept) as T, tier, ttlLeft }
  }
}

/** At least a moment, if there was any: it is over at once. */
function leftOf(timeout: number | undefined, spent: number): number | undefined {
  return timeout ? Math.max(1, timeout - spent) : timeout
}
