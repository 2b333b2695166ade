import type { Clock } from '../model/clock.ts'
import type { CacheRemoteError } from '../model/errors.ts'
import type { Counters } from '../stats/counters.ts'
import { Acknowledged } from './acknowledged.ts'
import type { BreakerState } from './breaker.ts'
import type { Budget } from './budget.ts'
import { Failure } from './failure.ts'
import { Guard } from './guard.ts'
import type { RemoteRead, RemoteStore, RemoteWriteOptions } from './remote-store.ts'
import { Repairs } from './repairs.ts'
import { SentWrite } from './sent-write.ts'
import { TickReads } from './tick-reads.ts'

/** What a remote tier is built from. */
interface RemoteTierParts {
  readonly store: RemoteStore
  /** Milliseconds for all remote work of one call. */
  readonly timeout: number
  /** Milliseconds before a server's end for which acknowledged changes are made again; 0: none. */
  readonly replay: number
  readonly clock: Clock
  readonly counters: Counters
  /** Another server answers than before; what was read from the last one may be gone there. */
  readonly onReplaced: () => void
  /** Something that somebody should look at. */
  readonly warn: (message: string) => void
}

/** The tiers of each store: what one of them could not change, none of them reads. */
const tiersOf = new WeakMap<RemoteStore, Set<RemoteTier>>()

/**
 * The remote tier: a store behind a guard, and what is remembered of the changes sent to it: those
 * that it did not take, to be repaired, and those of its last seconds, to be replayed if it is lost.
 */
export class RemoteTier {
  readonly #store: RemoteStore
  readonly #counters: Counters
  readonly #onReplaced: () => void
  readonly #warn: (message: string) => void
  readonly #guard: Guard
  readonly #reads: TickReads
  readonly #repairs: Repairs
  readonly #acknowledged: Acknowledged
  readonly #unwatch: (() => void) | undefined
  /** The caches on this store, this one included. */
  readonly #siblings: Set<RemoteTier>
  #overflowed = false

  constructor(parts: RemoteTierParts) {
    const { store, timeout, clock, counters } = parts
    this.#store = store
    this.#counters = counters
    this.#onReplaced = parts.onReplaced
    this.#warn = parts.warn
    const onBack = () => this.#repairs.resume()
    this.#guard = new Guard({ store, timeout, clock, counters, onBack })
    this.#reads = new TickReads({
      store,
      guard: this.#guard,
      refusal: (key) => this.#refusal(key),
    })
    this.#repairs = new Repairs(
      clock,
      (keys) => this.#repair(keys),
      // One key may be forbidden, or its server be down while the others are not.
      (error) =>
        this.#guard.breaker === 'closed' &&
        (store.spread === true || (error as CacheRemoteError).outcome === 'refused'),
      () => this.#overflow(),
    )
    this.#acknowledged = new Acknowledged(parts.replay, store.spread === true, () =>
      this.#overflow(),
    )
    this.#unwatch = store.watch?.({
      reachable: () => this.#reachable(),
      replaced: () => this.#replaced(),
      forbidden: (commands) =>
        this.#warn(
          `the remote (${store.name}) does not allow ${commands.join(', ')}: see docs/outages.md for what is done without`,
        ),
    })
    this.#siblings = tiersOf.get(store) ?? new Set()
    tiersOf.set(store, this.#siblings.add(this))
    store.open()
  }

  get breaker(): BreakerState {
    return this.#guard.breaker
  }

  /** Keys whose change the remote did not take and which are not repaired yet. */
  get repairsPending(): number {
    return this.#repairs.pending
  }

  budget(): Budget {
    return this.#guard.budget()
  }

  /**
   * Together with the other reads of this turn of the event loop, after its promises.
   *
   * @throws CacheRemoteError (as a rejection)
   */
  get(key: string, budget: Budget): Promise<RemoteRead | undefined> {
    return this.#reads.read(key, budget)
  }

  /**
   * Writes what a load brought, over exactly what the load was told is there.
   *
   * @param mayStill Asked when its turn has come.
   */
  fill(
    key: string,
    expected: Uint8Array | undefined,
    bytes: Uint8Array,
    ttl: number,
    budget: Budget,
    mayStill: () => boolean,
  ): Promise<'took' | 'refused' | 'fenced'> {
    const write = async (signal: AbortSignal) => {
      if (!mayStill()) return 'fenced'
      const took = await this.#store.compareAndSet(key, expected, bytes, ttl, signal)
      return took ? 'took' : 'refused'
    }
    return this.#write('fill', key, budget, write)
  }

  set(
    key: string,
    bytes: Uint8Array,
    options: RemoteWriteOptions,
    budget: Budget,
  ): Promise<boolean> {
    const write = (signal: AbortSignal) => this.#store.set(key, bytes, { ...options, signal })
    // Whoever asked for "only if absent" has nothing old to be undone.
    return this.#write('set', key, budget, write, options.when !== 'absent')
  }

  delete(key: string, budget: Budget): Promise<number> {
    return this.#write('delete', key, budget, (signal) => this.#store.delete([key], signal))
  }

  /** Asks until the store answers or `timeout` milliseconds are over; tells which. */
  ready(timeout: number): Promise<boolean> {
    return this.#guard.ready(timeout)
  }

  close(): Promise<void> {
    this.#guard.close()
    this.#repairs.stop()
    this.#unwatch?.()
    this.#siblings.delete(this)
    return this.#store.close()
  }

  /**
   * Writes one key. Remembers it if the remote did not take what changes it, and for a while if it did.
   *
   * @param lasting Whether something old is left, or comes back, where the write is lost.
   */
  async #write<T>(
    operation: 'fill' | 'set' | 'delete',
    key: string,
    budget: Budget,
    write: (signal: AbortSignal) => Promise<T>,
    lasting = true,
  ): Promise<T> {
    const withdrawal = new AbortController()
    const sent = new SentWrite()
    const send = () => {
      const connection = this.#store.connection?.()
      if (connection !== undefined) sent.sentOn(connection)
      return sent.follow(write(withdrawal.signal), (error) => this.#store.judge?.(error))
    }
    const result = await this.#guard.run({ operation, turnOf: key, budget, send, withdrawal })
    if (!(result instanceof Failure)) {
      if (lasting && operation !== 'fill') this.#acknowledged.add(key, this.#guard.lastReplyAt)
      return result
    }
    const unknown = result.outcome === 'unknown'
    // A fill that was not sent, or was refused, has changed nothing that was right before.
    if (lasting && (operation !== 'fill' || unknown)) {
      this.#repairs.add(key, unknown ? sent : undefined)
    }
    throw result.error(key)
  }

  async #repair(keys: readonly string[]): Promise<void> {
    const result = await this.#guard.run({
      operation: 'repair',
      budget: this.budget(),
      send: () => this.#store.delete(keys),
    })
    if (result instanceof Failure) throw result.error()
    for (const key of keys) this.#acknowledged.add(key, this.#guard.lastReplyAt)
  }

  #reachable(): void {
    this.#guard.nudge()
    if (this.#guard.breaker === 'closed') this.#repairs.resume()
  }

  /** In the very turn in which it is heard of: reads of these keys skip the remote from now on. */
  #replaced(): void {
    const keys = this.#acknowledged.take(this.#guard.lastReplyAt)
    for (const key of keys) this.#repairs.add(key)
    this.#counters.remoteReplaced++
    this.#counters.replayed += keys.length
    this.#onReplaced()
    this.#warn(
      `the remote (${this.#store.name}) is another server than before, or has begun anew: ${keys.length} changes are made again as deletions, and local was cleared`,
    )
  }

  #overflow(): void {
    this.#counters.repairsGivenUp++
    if (this.#overflowed) return
    this.#overflowed = true
    this.#warn(
      'more keys were changed than the remote could be told of: of the oldest, other processes may read the old value until its ttl ends',
    )
  }

  #refusal(key: string): Failure | undefined {
    if (!this.#isWrong(key)) return undefined
    this.#counters.remoteSkipped++
    return new Failure(
      'get',
      'not sent',
      'an earlier change of the key has not reached the remote yet, it was not sent',
    )
  }

  /** Whether this process knows that what the key holds there may be wrong. */
  #isWrong(key: string): boolean {
    for (const tier of this.#siblings) if (tier.#repairs.has(key)) return true
    return false
  }
}
