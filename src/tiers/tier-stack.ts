import type { Change, Ticket } from '../flight/flights.ts'
import type { LocalTier } from '../local/local-tier.ts'
import type { Clock } from '../model/clock.ts'
import { NOT_FOUND } from '../model/entry.ts'
import type { CacheDecodeError, CacheRemoteError } from '../model/errors.ts'
import { jittered, type Policy } from '../model/policy.ts'
import type { Budget } from '../remote/budget.ts'
import type { Lease } from '../remote/lease.ts'
import type { LeaseAnswer, Leases } from '../remote/leases.ts'
import type { LeaseHeld, RemoteRead } from '../remote/remote-store.ts'
import type { RemoteTier } from '../remote/remote-tier.ts'
import type { Counters } from '../stats/counters.ts'
import type { Formed, ValueForm } from './value-form.ts'
import type { ValueForms } from './value-forms.ts'

const random = Math.random

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
    localTtl: number | undefined,
    ticket: Ticket,
  ): void {
    if (this.local === undefined || !ticket.mayStoreLocally()) return
    const life = Math.min(this.#localLife(answer.kept, localTtl), answer.ttlLeft)
    const known = life === Infinity ? this.#policy.ttl : life
    this.#put(key, answer.kept, answer.askedAt + known)
  }

  /** Stores what a load brought in remote, and then in local. Never rejects. */
  async fill(remote: RemoteTier, fill: StackFill, budget: Budget): Promise<Filled> {
    const { key, expected, formed, lives, lease, ticket } = fill
    if (!ticket.mayStore()) return { outcome: 'fenced', expiresAt: 0 }
    const bytes = bytesOf(formed)
    const ttl = this.#remoteLife(formed.kept, lives)
    const sentAt = this.#clock.now()
    let outcome: FillOutcome
    try {
      const mayStill = () => ticket.mayStore()
      outcome = await remote.fill({ key, expected, bytes, ttl, lease, mayStill }, budget)
    } catch {
      outcome = 'unknown'
    }
    if ((outcome === 'took' || outcome === 'unknown') && !lives.skipLocal) {
      const life = Math.min(ttl, this.#localLife(formed.kept, lives.localTtl))
      const most = outcome === 'took' ? Infinity : this.#trust.provisional
      this.#keepFor(key, formed.kept, sentAt, Math.min(life, most), ticket)
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
    const ttl = Math.min(this.#localLife(kept, lives.localTtl), this.#remoteLife(kept, lives), most)
    return this.#keepFor(key, kept, this.#clock.now(), ttl, ticket) ? 'took' : 'fenced'
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
    const ttl = this.#remoteLife(formed.kept, lives)
    const sentAt = this.#clock.now()
    let took = false
    try {
      took = await remote.set(key, bytes, { ttl, when }, remote.budget())
    } finally {
      if (took && !lives.skipLocal && change.alone()) {
        const life = Math.min(ttl, this.#localLife(formed.kept, lives.localTtl))
        this.#put(key, formed.kept, sentAt + life)
      } else {
        this.local?.delete(key)
      }
    }
    return took
  }

  /** Writes to local alone what a caller set. */
  writeLocally(key: string, kept: unknown, lives: Lives): void {
    const ttl = Math.min(this.#localLife(kept, lives.localTtl), this.#remoteLife(kept, lives))
    this.#put(key, kept, this.#clock.now() + ttl)
  }

  /**
   * Deletes from the remote. Resolves whether it held something.
   *
   * @throws CacheRemoteError
   */
  async erase(remote: RemoteTier, key: string): Promise<boolean> {
    return (await remote.delete(key, remote.budget())) > 0
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
      return { kind: 'value', kept, askedAt, ttlLeft: read.ttlLeft }
    } catch (error) {
      this.#counters.decodeFailures++
      return { kind: 'corrupt', bytes: read.bytes, error: error as CacheDecodeError }
    }
  }

  #keepFor(key: string, kept: unknown, from: number, ttl: number, ticket: Ticket): boolean {
    const may = ticket.mayStoreLocally()
    if (may) this.#put(key, kept, from + ttl)
    return may
  }

  #put(key: string, kept: unknown, freshUntil: number): void {
    const limit = this.#trust.limit()
    const until = limit === Infinity ? freshUntil : Math.min(freshUntil, this.#clock.now() + limit)
    this.local?.put(key, kept, until)
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
