import type { Ticket } from '../flight/flights.ts'
import type { Clock } from '../model/clock.ts'
import type { FillEvent } from '../remote/announcer.ts'
import type { Budget } from '../remote/budget.ts'
import type { Lease } from '../remote/lease.ts'
import type { RemoteTier } from '../remote/remote-tier.ts'
import type { Counters } from '../stats/counters.ts'
import type { Filled, StoreLives, TierStack } from '../tiers/tier-stack.ts'
import { FORMED_NOT_FOUND, type Formed } from '../tiers/value-form.ts'
import type { OnceCall } from './call.ts'
import { CodecConflicts } from './codec-conflicts.ts'
import type { Held } from './held.ts'
import { fromLoader, type Loaded } from './loaded.ts'

/** A value whose remote copy another writer keeps overwriting lives locally for this long at most. */
const CONTESTED_LIFE = 1000

/** What a loader returned, for whom, and under which right to be stored. */
export interface Landing {
  readonly key: string
  /** `null`: there is no such record. */
  readonly value: unknown
  readonly cause: unknown
  readonly call: OnceCall
  readonly ticket: Ticket
  /** What the loader has chosen itself, in milliseconds. */
  readonly ttl: number | undefined
  /** The loader wants it stored nowhere. */
  readonly skips: boolean
  /** The loader says that this is still right; `undefined`: it brought `value`. */
  readonly unchanged: Held | undefined
  readonly event: FillEvent
}

/** What a fill finds in the remote, and replaces. */
export interface Replaced {
  readonly bytes: Uint8Array
  /** The codec cannot read it. */
  readonly corrupt: boolean
}

/** What becomes of a loaded value: it gets its one shape, and is stored where it may be. */
export class LoadedValues {
  readonly #stack: TierStack
  readonly #clock: Clock
  readonly #counters: Counters
  readonly #conflicts = new CodecConflicts()
  readonly #fence: (key: string) => void

  /** @param fence Keeps what is on its way to local from getting there. */
  constructor(stack: TierStack, clock: Clock, counters: Counters, fence: (key: string) => void) {
    this.#fence = fence
    this.#stack = stack
    this.#clock = clock
    this.#counters = counters
  }

  /** Stores nothing. */
  handOver(landing: Landing): Loaded {
    return fromLoader(this.#form(landing).formed.kept, landing.cause, 'not stored')
  }

  /** Stores in local alone: there is no remote, or it was not to be asked. */
  keepLocally(landing: Landing): Loaded {
    const { formed, lives } = this.#form(landing)
    if (lives !== undefined) this.#keep(landing, formed, lives)
    return fromLoader(formed.kept, landing.cause, lives === undefined ? 'skipped' : 'stored')
  }

  /** The same for a moment: another writer keeps overwriting what is stored in the remote. */
  keepContested(landing: Landing): Loaded {
    const { formed, lives } = this.#form(landing)
    this.#counters.codecConflicts++
    if (lives !== undefined) this.#keep(landing, formed, lives, CONTESTED_LIFE)
    return fromLoader(formed.kept, landing.cause, lives === undefined ? 'skipped' : 'stored')
  }

  /** The same while the remote cannot be asked. */
  keepUnconfirmed(landing: Landing): Loaded {
    const { formed, lives } = this.#form(landing)
    if (lives !== undefined && !lives.skipLocal) {
      const { key, ticket } = landing
      this.#count(this.#stack.keepUnconfirmed(key, formed.kept, lives, ticket))
    }
    return fromLoader(formed.kept, landing.cause, lives === undefined ? 'skipped' : 'stored')
  }

  /** Whether the bytes of the key that cannot be read will be back if they are replaced. */
  contested(key: string): boolean {
    return this.#conflicts.contested(key, this.#clock.now())
  }

  /**
   * Stores over what the remote answered: nothing, a value that is to be replaced, or bytes that the
   * codec cannot read.
   *
   * @param lease Under which it was loaded, where the store has leases.
   */
  async fill(
    landing: Landing,
    remote: RemoteTier,
    replaced: Replaced | undefined,
    lease: Lease | undefined,
    budget: Budget,
  ): Promise<Loaded> {
    const { formed, lives } = this.#form(landing)
    if (lives === undefined) return fromLoader(formed.kept, landing.cause, 'skipped')
    const { key, ticket, event } = landing
    const expected = replaced?.bytes
    // Whose bytes are not those of the remote now has to send them.
    const unchanged = landing.unchanged !== undefined && formed.bytes === expected
    const fence = () => this.#fence(key)
    const fill = { key, expected, formed, lives, lease, ticket, event, unchanged, fence }
    const filled = await this.#stack.fill(remote, fill, budget)
    this.#count(filled.outcome)
    if (filled.outcome === 'took' && replaced?.corrupt) {
      this.#conflicts.replaced(key, filled.expiresAt)
    }
    const stored = filled.outcome === 'took' ? 'stored' : 'not stored'
    return fromLoader(formed.kept, landing.cause, stored)
  }

  /** Gives the value its one shape; without `lives` it may not be stored. */
  #form(landing: Landing): { readonly formed: Formed; readonly lives: StoreLives | undefined } {
    const { key, value, call, skips, unchanged } = landing
    const { localTtl, skipLocal } = call
    if (unchanged === undefined && value === null) {
      const ttl = landing.ttl ?? (typeof call.ttl === 'function' ? undefined : call.ttl)
      const lives = skips ? undefined : { ttl, localTtl, skipLocal }
      return { formed: FORMED_NOT_FOUND, lives }
    }
    const formed =
      unchanged === undefined
        ? this.#stack.forms.of(call.codec).form(key, value)
        : this.#heldForm(landing, unchanged)
    if (formed.reserved) this.#counters.uncacheable++
    const given = (): unknown => this.#stack.forms.give(formed.kept)
    const wanted = !skips && (call.cacheIf === undefined || call.cacheIf(given()))
    if (formed.reserved || !wanted) return { formed, lives: undefined }
    const ttl = landing.ttl ?? (typeof call.ttl === 'function' ? call.ttl(given()) : call.ttl)
    return { formed, lives: { ttl, localTtl, skipLocal } }
  }

  /** What local held has no bytes, and the remote may be asked to take it. */
  #heldForm({ key, call }: Landing, { kept, bytes }: Held): Formed {
    if (bytes !== undefined || this.#stack.remote === undefined) {
      return { kept, bytes, reserved: false }
    }
    return this.#stack.forms.of(call.codec).form(key, this.#stack.forms.give(kept))
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
