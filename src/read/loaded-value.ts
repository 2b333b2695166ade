import type { Ticket } from '../flight/flights.ts'
import type { Clock } from '../model/clock.ts'
import type { Budget } from '../remote/budget.ts'
import type { Lease } from '../remote/lease.ts'
import type { RemoteTier } from '../remote/remote-tier.ts'
import type { Counters } from '../stats/counters.ts'
import type { Filled, StoreLives, TierStack } from '../tiers/tier-stack.ts'
import { FORMED_NOT_FOUND, type Formed } from '../tiers/value-form.ts'
import type { OnceCall } from './call.ts'
import { CodecConflicts } from './codec-conflicts.ts'

/** A value whose remote copy another writer keeps overwriting lives locally for this long at most. */
const CONTESTED_LIFE = 1000

/** What a load brought to its callers. */
export interface Loaded {
  /** As the tiers keep it; each caller is given theirs from it. `NOT_FOUND`: no such record. */
  readonly kept: unknown
  /** The loader's error that said so, where it was an error. */
  readonly cause: unknown
}

/** What a loader returned, for whom, and under which right to be stored. */
export interface Landing {
  readonly key: string
  /** `null`: there is no such record. */
  readonly value: unknown
  readonly cause: unknown
  readonly call: OnceCall
  readonly ticket: Ticket
}

/** What becomes of a loaded value: it gets its one shape, and is stored where it may be. */
export class LoadedValues {
  readonly #stack: TierStack
  readonly #clock: Clock
  readonly #counters: Counters
  readonly #conflicts = new CodecConflicts()

  constructor(stack: TierStack, clock: Clock, counters: Counters) {
    this.#stack = stack
    this.#clock = clock
    this.#counters = counters
  }

  /** Stores nothing. */
  handOver(landing: Landing): Loaded {
    return { kept: this.#form(landing).formed.kept, cause: landing.cause }
  }

  /** Stores in local alone: there is no remote, or it was not to be asked. */
  keepLocally(landing: Landing): Loaded {
    const { formed, lives } = this.#form(landing)
    if (lives !== undefined) this.#keep(landing, formed, lives)
    return { kept: formed.kept, cause: landing.cause }
  }

  /** The same for a moment: another writer keeps overwriting what is stored in the remote. */
  keepContested(landing: Landing): Loaded {
    const { formed, lives } = this.#form(landing)
    this.#counters.codecConflicts++
    if (lives !== undefined) this.#keep(landing, formed, lives, CONTESTED_LIFE)
    return { kept: formed.kept, cause: landing.cause }
  }

  /** The same while the remote cannot be asked. */
  keepUnconfirmed(landing: Landing): Loaded {
    const { formed, lives } = this.#form(landing)
    if (lives !== undefined && !lives.skipLocal) {
      const { key, ticket } = landing
      this.#count(this.#stack.keepUnconfirmed(key, formed.kept, lives, ticket))
    }
    return { kept: formed.kept, cause: landing.cause }
  }

  /** Whether the bytes of the key that cannot be read will be back if they are replaced. */
  contested(key: string): boolean {
    return this.#conflicts.contested(key, this.#clock.now())
  }

  /**
   * Stores over what the remote answered: nothing, or bytes that the codec cannot read.
   *
   * @param lease Under which it was loaded, where the store has leases.
   */
  async fill(
    landing: Landing,
    remote: RemoteTier,
    corrupt: Uint8Array | undefined,
    lease: Lease | undefined,
    budget: Budget,
  ): Promise<Loaded> {
    const { formed, lives } = this.#form(landing)
    const loaded: Loaded = { kept: formed.kept, cause: landing.cause }
    if (lives === undefined) return loaded
    const { key, ticket } = landing
    const fill = { key, expected: corrupt, formed, lives, lease, ticket }
    const filled = await this.#stack.fill(remote, fill, budget)
    this.#count(filled.outcome)
    if (filled.outcome === 'took' && corrupt !== undefined) {
      this.#conflicts.replaced(key, filled.expiresAt)
    }
    return loaded
  }

  /** Gives the value its one shape; without `lives` it may not be stored. */
  #form(landing: Landing): { readonly formed: Formed; readonly lives: StoreLives | undefined } {
    const { key, value, call } = landing
    const { localTtl, skipLocal } = call
    if (value === null) {
      const ttl = typeof call.ttl === 'function' ? undefined : call.ttl
      return { formed: FORMED_NOT_FOUND, lives: { ttl, localTtl, skipLocal } }
    }
    const formed = this.#stack.forms.of(call.codec).form(key, value)
    if (formed.reserved) this.#counters.uncacheable++
    const given = (): unknown => this.#stack.forms.give(formed.kept)
    const wanted = call.cacheIf === undefined || call.cacheIf(given())
    if (formed.reserved || !wanted) return { formed, lives: undefined }
    const ttl = typeof call.ttl === 'function' ? call.ttl(given()) : call.ttl
    return { formed, lives: { ttl, localTtl, skipLocal } }
  }

  #keep(landing: Landing, formed: Formed, lives: StoreLives, most?: number): void {
    if (lives.skipLocal) return
    const { key, ticket } = landing
    this.#count(this.#stack.keepLocally(key, formed.kept, lives, ticket, most))
  }

  #count(outcome: Filled['outcome']): void {
    if (outcome !== 'took' && outcome !== 'unknown') this.#counters.fillsFenced++
  }
}
