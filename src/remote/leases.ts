import { randomBytes } from 'node:crypto'
import type { Clock } from '../model/clock.ts'
import type { Counters } from '../stats/counters.ts'
import type { Announcer } from './announcer.ts'
import type { Budget } from './budget.ts'
import { Failure } from './failure.ts'
import type { Guard } from './guard.ts'
import { LEASE_LIFE, Lease, type LeaseCalls } from './lease.ts'
import type { LeaseHeld, RemoteLeases, RemoteRead, RemoteStore } from './remote-store.ts'
import { TickReads } from './tick-reads.ts'

/** What a read for a load has found. */
export type LeaseAnswer =
  | { readonly kind: 'value'; readonly read: RemoteRead }
  | { readonly kind: 'granted'; readonly lease: Lease }
  | LeaseHeld

interface LeasesParts {
  readonly store: RemoteStore
  readonly leases: RemoteLeases
  readonly guard: Guard
  readonly clock: Clock
  readonly counters: Counters
  readonly announcer: Announcer | undefined
  /** Changes when the server is replaced. */
  readonly era: () => number
  /** Why a key must not be read now. */
  readonly refusal: (key: string) => Failure | undefined
}

/**
 * The leases of one cache. A request for one that nobody waits for any more when it is granted, and
 * one whose load is over without a fill, is given back by its token; what cannot be given back ends
 * after `LEASE_LIFE`.
 */
export class Leases {
  readonly #leases: RemoteLeases
  readonly #guard: Guard
  readonly #clock: Clock
  readonly #counters: Counters
  readonly #announcer: Announcer | undefined
  readonly #reads: TickReads<LeaseAnswer>
  /** Unique among all caches of all processes. */
  readonly #owner: string = randomBytes(9).toString('base64url')
  #tokens = 0
  readonly #calls: LeaseCalls
  readonly #held = new Set<Lease>()
  readonly #releasing = new Set<Promise<unknown>>()

  constructor(parts: LeasesParts) {
    const { store, leases, guard } = parts
    this.#leases = leases
    this.#guard = guard
    this.#clock = parts.clock
    this.#counters = parts.counters
    this.#announcer = parts.announcer
    this.#calls = {
      renew: (key, token) => this.#renew(key, token),
      release: (key, token) => this.#release(key, token),
      lost: () => {
        this.#counters.leasesLost++
      },
      over: (lease) => void this.#held.delete(lease),
    }
    this.#reads = new TickReads({
      ask: (keys) => this.#read(keys),
      groupOf: (key) => store.groupOf?.(key) ?? 0,
      era: parts.era,
      // All leases of a request have one token.
      repeats: false,
      guard,
      refusal: parts.refusal,
      unused: (_, answer) => {
        if (answer.kind === 'granted') answer.lease.release()
      },
    })
  }

  /**
   * Reads a key for a load: its value, or else its lease, if nobody has it. Together with the other
   * such reads of this turn.
   *
   * @throws CacheRemoteError (as a rejection)
   */
  read(key: string, budget: Budget): Promise<LeaseAnswer> {
    return this.#reads.read(key, budget)
  }

  /**
   * Takes the lease of a key that holds something.
   *
   * @throws CacheRemoteError (as a rejection)
   */
  async take(key: string, budget: Budget): Promise<Lease | LeaseHeld> {
    const token = this.#newToken()
    let waits = true
    const send = async () => {
      const held = await this.#leases.take(key, token, LEASE_LIFE)
      if (held !== undefined) return held
      const lease = this.#newLease(key, token)
      if (!waits) lease.release()
      return lease
    }
    const taken = await this.#guard.run({ operation: 'lease', budget, send })
    waits = false
    if (taken instanceof Failure) throw taken.error(key)
    return taken
  }

  /** What is held counts no more: nobody knows what the server that answers now knows of it. */
  forget(): void {
    for (const lease of this.#held) lease.lose()
  }

  /** Gives back what is still held; resolves when no release is under way. */
  async close(): Promise<void> {
    for (const lease of this.#held) lease.release()
    await Promise.all(this.#releasing)
  }

  async #read(keys: readonly string[]): Promise<LeaseAnswer[]> {
    const token = this.#newToken()
    const answers = await this.#leases.read(keys, token, LEASE_LIFE)
    return answers.map((answer, i) =>
      answer.kind === 'granted'
        ? { kind: 'granted', lease: this.#newLease(keys[i] ?? '', token) }
        : answer,
    )
  }

  #newLease(key: string, token: string): Lease {
    this.#counters.leasesGranted++
    const lease = new Lease(key, token, this.#clock, this.#calls)
    this.#held.add(lease)
    return lease
  }

  #newToken(): string {
    return `${this.#owner}.${++this.#tokens}`
  }

  async #renew(key: string, token: string): Promise<boolean | undefined> {
    const renewed = await this.#guard.run({
      operation: 'lease',
      budget: this.#guard.budget(),
      send: () => this.#leases.renew(key, token, LEASE_LIFE),
    })
    return renewed instanceof Failure ? undefined : renewed
  }

  #release(key: string, token: string): void {
    const releasing = this.#guard.run({
      operation: 'lease',
      budget: this.#guard.budget(),
      send: () => this.#leases.release(key, token, this.#announcer?.wake(key)),
    })
    this.#releasing.add(releasing)
    void releasing.then(() => this.#releasing.delete(releasing))
  }
}
