import type { Ticket } from '../flight/flights.ts'
import type { LocalEntry } from '../local/local-store.ts'
import type { Clock } from '../model/clock.ts'
import type { Budget } from '../remote/budget.ts'
import type { RemoteTier } from '../remote/remote-tier.ts'
import type { Counters } from '../stats/counters.ts'
import type { LoadAnswer, RemoteAnswer, TierStack } from '../tiers/tier-stack.ts'
import type { GetCall, OnceCall } from './call.ts'
import { heldRemotely } from './held.ts'
import type { CacheFlights, JoinableRead } from './joinable.ts'
import type { LoadFlight } from './load-flight.ts'
import { fromTier, type Loaded } from './loaded.ts'

/** What a read asks of the tiers, and how it counts. */
export class TierReads {
  readonly #stack: TierStack
  readonly #flights: CacheFlights
  readonly #clock: Clock
  readonly #counters: Counters

  constructor(stack: TierStack, flights: CacheFlights, clock: Clock, counters: Counters) {
    this.#stack = stack
    this.#flights = flights
    this.#clock = clock
    this.#counters = counters
  }

  remoteOf(call: GetCall): RemoteTier | undefined {
    return call.skipRemote ? undefined : this.#stack.remote
  }

  keptLocally(key: string, call: GetCall): LocalEntry | undefined {
    return call.skipLocal ? undefined : this.#stack.local?.kept(key)
  }

  missedLocally(call: GetCall): void {
    if (this.#stack.local !== undefined && !call.skipLocal) this.#counters.localMiss++
  }

  countMiss(): void {
    this.#counters.miss++
    this.#counters.remoteMiss++
  }

  /** Asks the remote once for all who ask in one epoch. */
  ask(remote: RemoteTier, key: string, budget: Budget, call: GetCall): JoinableRead {
    const form = this.#stack.forms.of(call.codec)
    const asked = this.#flights.read(key)
    if (asked?.form === form) return { form, answer: this.#joinRead(asked, budget) }
    const read = { form, answer: this.#stack.readRemote(remote, key, form, budget) }
    this.#flights.offerRead(key, read)
    return read
  }

  /** Counts what the remote held, and promotes it. */
  take(
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
    return fromTier(heldRemotely(answer), true)
  }

  async #joinRead(asked: JoinableRead, budget: Budget): Promise<RemoteAnswer | LoadAnswer> {
    const joinedAt = this.#clock.monotonic()
    const answer = await asked.answer
    budget.spend(this.#clock.monotonic() - joinedAt)
    return answer
  }
}

/** What a call asks for; a ttl that depends on the value is not known before there is one. */
export function livesOf(call: GetCall & Partial<Pick<OnceCall, 'ttl'>>): {
  readonly ttl: number | undefined
  readonly localTtl: number | undefined
} {
  const { ttl, localTtl } = call
  return { ttl: typeof ttl === 'number' ? ttl : undefined, localTtl }
}
