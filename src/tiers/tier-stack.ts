import type { Change, Ticket } from '../flight/flights.ts'
import type { LocalTier } from '../local/local-tier.ts'
import type { Clock } from '../model/clock.ts'
import { NOT_FOUND } from '../model/entry.ts'
import type { CacheDecodeError, CacheRemoteError } from '../model/errors.ts'
import { jittered, type Policy } from '../model/policy.ts'
import type { FillEvent } from '../remote/announcer.ts'
import type { Budget } from '../remote/budget.ts'
import type { Lease } from '../remote/lease.ts'
import type { LeaseAnswer, Leases } from '../remote/leases.ts'
import type { LeaseHeld, RemoteRead } from '../remote/remote-store.ts'
import type { RemoteTier } from '../remote/remote-tier.ts'
import type { Counters } from '../stats/counters.ts'
import type { Formed, ValueForm } from './value-form.ts'
import type { ValueForms } from './value-forms.ts'

const random = Math.random

/** The oldest is forgotten first: its value may be loaded ahead once too often. */
const MOST_TTLS = 10_000

/** What the remote tier answered. */
export type RemoteAnswer =
  | {
      readonly kind: 'value'
      /** `NOT_FOUND` for a placeholder. */
      readonly kept: unknown
      /** When the question was sent, in epoch milliseconds of the cache's clock. */
      readonly askedAt: number
      /** Milliseconds, from then; `Infinity` without expiry. */
      readonly ttlLeft: number
      /** Milliseconds of freshness, from then; not above 0: it is stale. */
      readonly freshLeft: number
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'miss' }
  /** `bytes` that the codec cannot read, as they lie there. */
  | { readonly kind: 'corrupt'; readonly bytes: Uint8Array; readonly error: CacheDecodeError }
  | { readonly kind: 'error'; readonly error: CacheRemoteError }

/** What the remote tier answered to a load: where it has no value, whose the lease is. */
export type LoadAnswer =
  | Exclude<RemoteAnswer, { kind: 'miss' }>
  | { readonly kind: 'granted'; readonly lease: Lease }
  | LeaseHeld

/** Lives a call asks for, in milliseconds; what is `undefined` comes from the policy. */
export interface Lives {
  readonly ttl: number | undefined
  readonly localTtl: number | undefined
}

/** The lives of what is stored, and whether in local too. */
export interface StoreLives extends Lives {
  readonly skipLocal: boolean
}

/**
 * What became of a fill.
 * - `took`: stored.
 * - `fenced`: not sent, since the key changed meanwhile.
 * - `refused`: another writer was there first.
 * - `lost`: its lease was gone: it had expired, or another process has changed the key.
 * - `unknown`: the remote failed or did not answer.
 */
type FillOutcome = 'took' | 'fenced' | 'refused' | 'lost' | 'unknown'

export interface Filled {
  readonly outcome: FillOutcome
  /** When its life in the remote ends, if it took. */
  readonly expiresAt: number
}

/** How far local may be trusted: without a bus, as far as its ttl goes. */
interface LocalTrust {
  /** The most milliseconds that what is stored now may live there; `Infinity`: its ttl. */
  readonly limit: () => number
  /** The same, of what the remote has not confirmed. */
  readonly provisional: number
}

/** What a load brought, and the right to store it. */
interface StackFill {
  readonly key: string
  /** The bytes that the flight found; `undefined`: nothing. */
  readonly expected: Uint8Array | undefined
  readonly formed: Formed
  readonly lives: StoreLives
  readonly lease: Lease | undefined
  readonly ticket: Ticket
  /** What others are told of it, where it replaces a value. */
  readonly event: FillEvent
  /** What is there is still right, and is given another life. */
  readonly unchanged: boolean
  /** Called when it has replaced a value: what others are bringing to local is older. */
  readonly fence: () => void
}

/** Milliseconds from some moment. */
interface Span {
  readonly fresh: number
  readonly kept: number
  readonly ahead: number
}

/**
 * The order of the tiers and the rule of promotion live here and nowhere else:
 *
 * - Local is asked before remote. What remote holds is promoted to local.
 * - Local never outlives remote: the life of a local copy is the smaller of the local ttl and of what
 *   the remote entry has left, counted from the moment the remote was ASKED. Its answer is older by
 *   some part of the round trip, and nobody knows which part.
 * - Remote is written before local, and local only once the remote has taken it, or could not.
 */
export class TierStack {
  readonly local: LocalTier | undefined
  readonly remote: RemoteTier | undefined
  readonly forms: ValueForms
  readonly #policy: Policy
  readonly #clock: Clock
  readonly #counters: Counters
  readonly #trust: LocalTrust
  /** Of values with a ttl of their own, as far as loads here have shown them; only for `refreshAheadRatio`. */
  readonly #ttls = new Map<string, number>()

  constructor(parts: {
    readonly local: LocalTier | undefined
    readonly remote: RemoteTier | undefined
    readonly forms: ValueForms
    readonly policy: Policy
    readonly clock: Clock
    readonly counters: Counters
    readonly trust: LocalTrust
  }) {
    this.local = parts.local
    this.remote = parts.remote
    this.forms = parts.forms
    this.#policy = parts.policy
    this.#clock = parts.clock
    this.#counters = parts.counters
    this.#trust = parts.trust
  }

  /** Reads the remote. Never rejects: what failed is in the answer. */
  readRemote(
    remote: RemoteTier,
    key: string,
    form: ValueForm,
    budget: Budget,
  ): Promise<RemoteAnswer> {
    const askedAt = this.#clock.now()
    return remote
      .get(key, budget)
      .then(
        (read) => (read === undefined ? MISS : this.#answered(key, form, read, askedAt)),
        toError,
      )
  }

  /** Reads the remote for a load. Never rejects: what failed is in the answer. */
  readForLoad(leases: Leases, key: string, form: ValueForm, budget: Budget): Promise<LoadAnswer> {
    const askedAt = this.#clock.now()
    return leases
      .read(key, budget)
      .then(
        (found: LeaseAnswer) =>
          found.kind === 'value' ? this.#answered(key, form, found.read, askedAt) : found,
        toError,
      )
  }

  /** Copies a remote value to local, unless something overlapped the flight that brought it. */
  promote(
    key: string,
    answer: Extract<RemoteAnswer, { kind: 'value' }>,
    lives: Lives,
    ticket: Ticket,
  ): void {
    if (this.local === undefined || !ticket.mayStoreLocally()) return
    const { kept, askedAt, ttlLeft, freshLeft } = answer
    const life = this.#localLife(kept, lives.localTtl)
    // Without expiry it has no time to be stale in.
    const endless = ttlLeft === Infinity
    const known = endless && life === Infinity ? this.#policy.ttl : life
    this.#put(key, kept, askedAt, {
      fresh: Math.min(known, freshLeft),
      kept: endless ? known : Math.min(life + this.#retainOf(kept), ttlLeft),
      ahead: endless ? Infinity : this.#aheadIn(kept, freshLeft, this.#ttlOf(key, lives.ttl)),
    })
  }

  /** Whether a remote value is so late in its life that a hit has it loaded anew. */
  isLate(
    key: string,
    answer: Extract<RemoteAnswer, { kind: 'value' }>,
    ttl: number | undefined,
  ): boolean {
    return this.#aheadIn(answer.kept, answer.freshLeft, this.#ttlOf(key, ttl)) <= 0
  }

  /** Ends the freshness of the local copy. */
  expireLocally(key: string): void {
    this.local?.expire(key, this.#policy.retain)
  }

  /** Stores what a load brought in remote, and then in local. Never rejects. */
  async fill(remote: RemoteTier, fill: StackFill, budget: Budget): Promise<Filled> {
    const { key, expected, formed, lives, lease, ticket, event, unchanged } = fill
    if (!ticket.mayStore()) return { outcome: 'fenced', expiresAt: 0 }
    const bytes = bytesOf(formed)
    const fresh = this.#remoteLife(formed.kept, lives)
    const ttl = fresh + this.#retainOf(formed.kept)
    const sentAt = this.#clock.now()
    let outcome: FillOutcome
    try {
      const mayStill = () => ticket.mayStore()
      const write = { key, expected, bytes, ttl, lease, mayStill, event, unchanged }
      outcome = await remote.fill(write, budget)
    } catch {
      outcome = 'unknown'
    }
    const may = ticket.mayStoreLocally()
    if (outcome === 'took' && expected !== undefined) fill.fence()
    if (outcome === 'took' || outcome === 'unknown') {
      const most = outcome === 'took' ? Infinity : this.#trust.provisional
      const span = this.#span(key, formed.kept, lives, fresh, most)
      if (may && !lives.skipLocal) this.#put(key, formed.kept, sentAt, span)
      // What another read has brought there meanwhile may be what has just been replaced.
      else this.local?.delete(key)
    }
    return { outcome, expiresAt: sentAt + ttl }
  }

  /**
   * Stores what a load brought in local alone: there is no remote, or it was not to be asked.
   *
   * @param most Milliseconds it may live at the most.
   */
  keepLocally(
    key: string,
    kept: unknown,
    lives: Lives,
    ticket: Ticket,
    most: number = Infinity,
  ): FillOutcome {
    const span = this.#span(key, kept, lives, this.#remoteLife(kept, lives), most)
    return this.#keepFor(key, kept, this.#clock.now(), span, ticket) ? 'took' : 'fenced'
  }

  /** The same: the remote could not be asked. */
  keepUnconfirmed(key: string, kept: unknown, lives: Lives, ticket: Ticket): FillOutcome {
    return this.keepLocally(key, kept, lives, ticket, this.#trust.provisional)
  }

  /**
   * Writes what a caller set, to remote and then to local. Resolves whether it took; where it did
   * not, or another change came meanwhile, local is left without the key.
   *
   * @throws CacheRemoteError
   */
  async write(
    remote: RemoteTier,
    key: string,
    formed: Formed,
    lives: StoreLives,
    when: 'absent' | 'present' | undefined,
    change: Change,
  ): Promise<boolean> {
    const bytes = bytesOf(formed)
    const fresh = this.#remoteLife(formed.kept, lives)
    const ttl = fresh + this.#retainOf(formed.kept)
    const sentAt = this.#clock.now()
    let took = false
    try {
      took = await remote.set(key, bytes, { ttl, when }, remote.budget())
    } finally {
      if (took && !lives.skipLocal && change.alone()) {
        this.#put(key, formed.kept, sentAt, this.#span(key, formed.kept, lives, fresh))
      } else {
        this.local?.delete(key)
      }
    }
    return took
  }

  /** Writes to local alone what a caller set. */
  writeLocally(key: string, kept: unknown, lives: Lives): void {
    const span = this.#span(key, kept, lives, this.#remoteLife(kept, lives))
    this.#put(key, kept, this.#clock.now(), span)
  }

  /**
   * Deletes from the remote. Resolves whether it held something.
   *
   * @throws CacheRemoteError
   */
  async erase(remote: RemoteTier, key: string): Promise<boolean> {
    return (await remote.delete(key, remote.budget())) > 0
  }

  /**
   * Ends the freshness of what the remote holds; deletes it where nothing stale is kept. Resolves
   * whether it held a value.
   *
   * @throws CacheRemoteError
   */
  async expire(remote: RemoteTier, key: string): Promise<boolean> {
    const { retain } = this.#policy
    if (retain === 0) return this.erase(remote, key)
    return remote.shorten(key, retain, remote.budget())
  }

  #answered(
    key: string,
    form: ValueForm,
    read: RemoteRead,
    askedAt: number,
  ): Extract<RemoteAnswer, { kind: 'value' | 'corrupt' }> {
    if (read.ttlLeft === Infinity) this.#counters.remoteWithoutExpiry++
    try {
      const kept = form.read(key, read.bytes)
      const { bytes, ttlLeft } = read
      const freshLeft = ttlLeft === Infinity ? Infinity : ttlLeft - this.#retainOf(kept)
      return { kind: 'value', kept, bytes, askedAt, ttlLeft, freshLeft }
    } catch (error) {
      this.#counters.decodeFailures++
      return { kind: 'corrupt', bytes: read.bytes, error: error as CacheDecodeError }
    }
  }

  #keepFor(key: string, kept: unknown, from: number, span: Span, ticket: Ticket): boolean {
    const may = ticket.mayStoreLocally()
    if (may) this.#put(key, kept, from, span)
    return may
  }

  #put(key: string, kept: unknown, from: number, span: Span): void {
    const limit = this.#trust.limit()
    const most = limit === Infinity ? Infinity : this.#clock.now() + limit
    this.local?.put(key, kept, {
      freshUntil: Math.min(from + span.fresh, most),
      keptUntil: Math.min(from + span.kept, most),
      aheadAt: from + span.ahead,
    })
  }

  /**
   * The lives of a local copy of what is stored now.
   *
   * @param fresh Its freshness in the remote.
   * @param most It may live at the most.
   */
  #span(key: string, kept: unknown, lives: Lives, fresh: number, most = Infinity): Span {
    const life = Math.min(fresh, this.#localLife(kept, lives.localTtl))
    const ttl = lives.ttl ?? this.#policy.ttl
    this.#notesTtl(key, ttl)
    // Alone, the local tier's life is all there is.
    const alone = this.remote === undefined
    const whole = alone ? Math.min(ttl, lives.localTtl ?? this.#policy.localTtl) : ttl
    return {
      fresh: Math.min(life, most),
      kept: Math.min(life + this.#retainOf(kept), most),
      ahead: this.#aheadIn(kept, alone ? life : fresh, whole),
    }
  }

  /** Of a value that another process has stored, its whole life cannot be told from what is left. */
  #notesTtl(key: string, ttl: number): void {
    if (this.#policy.refreshAheadRatio === undefined) return
    this.#ttls.delete(key)
    if (ttl === this.#policy.ttl) return
    this.#ttls.set(key, ttl)
    if (this.#ttls.size <= MOST_TTLS) return
    for (const oldest of this.#ttls.keys()) {
      this.#ttls.delete(oldest)
      break
    }
  }

  /** How long it is kept after its freshness: nobody is told of an absence that is stale. */
  #retainOf(kept: unknown): number {
    return kept === NOT_FOUND ? 0 : this.#policy.retain
  }

  /** Milliseconds until it is late in its life; of which `freshLeft` are left. */
  #aheadIn(kept: unknown, freshLeft: number, ttl: number): number {
    const { refreshAheadRatio } = this.#policy
    if (refreshAheadRatio === undefined || kept === NOT_FOUND) return Infinity
    return freshLeft - Math.round((1 - refreshAheadRatio) * ttl)
  }

  #ttlOf(key: string, asked: number | undefined): number {
    return this.#ttls.get(key) ?? asked ?? this.#policy.ttl
  }

  #remoteLife(kept: unknown, lives: Lives): number {
    const policy = this.#policy
    const ttl = lives.ttl ?? policy.ttl
    return kept === NOT_FOUND
      ? jittered(Math.min(ttl, policy.notFoundTtl), policy.notFoundJitterRatio, random)
      : jittered(ttl, policy.jitterRatio, random)
  }

  #localLife(kept: unknown, localTtl: number | undefined): number {
    const policy = this.#policy
    const ttl = localTtl ?? policy.localTtl
    if (kept !== NOT_FOUND) return jittered(ttl, policy.jitterRatio, random)
    return jittered(Math.min(ttl, policy.notFoundTtl), policy.notFoundJitterRatio, random)
  }
}

const MISS: RemoteAnswer = { kind: 'miss' }

function toError(error: unknown): Extract<RemoteAnswer, { kind: 'error' }> {
  return { kind: 'error', error: error as CacheRemoteError }
}

function bytesOf(formed: Formed): Uint8Array {
  if (formed.bytes === undefined) throw new Error('a cache without a codec has no remote tier')
  return formed.bytes
}
