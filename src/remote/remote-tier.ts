import type { GoEventType } from '../bus/go-event.ts'
import type { Clock } from '../model/clock.ts'
import type { CacheRemoteError } from '../model/errors.ts'
import type { Counters } from '../stats/counters.ts'
import { Acknowledged } from './acknowledged.ts'
import type { Announcer, FillEvent, Filling, Ride } from './announcer.ts'
import type { BreakerState } from './breaker.ts'
import type { Budget } from './budget.ts'
import { Failure } from './failure.ts'
import { Guard } from './guard.ts'
import type { Lease } from './lease.ts'
import { Leases } from './leases.ts'
import type { LeaseFill, RemoteChangeOptions, RemoteRead, RemoteStore } from './remote-store.ts'
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
  /** Whether loads take leases, where the store has them. */
  readonly leasing: boolean
  /** Told of what is changed here; without it nobody is. */
  readonly announcer: Announcer | undefined
  /** It is held to be down from now on. */
  readonly onDown: () => void
  /** Another server answers than before; what was read from the last one may be gone there. */
  readonly onReplaced: () => void
  /** Something that somebody should look at. */
  readonly warn: (message: string) => void
}

/** What a load brought, and what it found before. */
interface Fill {
  readonly key: string
  /** What the key must hold still; `undefined`: nothing. */
  readonly expected: Uint8Array | undefined
  readonly bytes: Uint8Array
  /** Whole milliseconds, from 1. */
  readonly ttl: number
  /** Under which it is written; without one the compare alone protects it. */
  readonly lease: Lease | undefined
  /** Asked when its turn has come. */
  readonly mayStill: () => boolean
  /** What others are told of it, if it replaces something. */
  readonly event: FillEvent
  /** `bytes` are there already, and are only given another life. */
  readonly unchanged: boolean
}

/** A change on its way to the store. */
interface Write<T> {
  readonly operation: 'fill' | 'set' | 'delete' | 'expire'
  readonly key: string
  readonly budget: Budget
  readonly send: (options: RemoteChangeOptions) => Promise<T>
  /** Whether a lease keeps it out if it comes late. */
  readonly held?: boolean
  /** Whether something old is left, or comes back, where the write is lost. */
  readonly lasting: boolean
  /** Whether others must hear of it, and whether a message may go with it. */
  readonly announced: 'with it' | 'after it' | 'not'
  readonly event: GoEventType
  /** Whether it has changed what the key holds. */
  readonly took: (result: T) => boolean
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
  readonly #reads: TickReads<RemoteRead | undefined>
  readonly #announcer: Announcer | undefined
  /** `undefined`: loads take none. */
  readonly leases: Leases | undefined
  readonly #repairs: Repairs
  readonly #acknowledged: Acknowledged
  readonly #unwatch: (() => void) | undefined
  /** The caches on this store, this one included. */
  readonly #siblings: Set<RemoteTier>
  #overflowed = false
  /** Servers that have been replaced. */
  #era = 0

  constructor(parts: RemoteTierParts) {
    const { store, timeout, clock, counters } = parts
    this.#store = store
    this.#counters = counters
    this.#onReplaced = parts.onReplaced
    this.#warn = parts.warn
    const onBack = () => this.#repairs.resume()
    const guard = new Guard({ store, timeout, clock, counters, onBack, onDown: parts.onDown })
    const refusal = (key: string) => this.#refusal(key)
    const era = () => this.#era
    this.#guard = guard
    this.#announcer = parts.announcer
    this.#reads = new TickReads({
      ask: (keys) => this.#ask(keys),
      groupOf: (key) => store.groupOf?.(key) ?? 0,
      era,
      repeats: true,
      guard,
      refusal,
    })
    const { announcer } = parts
    if (parts.leasing && store.leases !== undefined) {
      const { leases } = store
      this.leases = new Leases({
        store,
        leases,
        guard,
        clock,
        counters,
        announcer,
        era,
        refusal,
      })
    }
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

  /** Writes what a load brought, over exactly what it was told is there, and only under its lease. */
  async fill(fill: Fill, budget: Budget): Promise<LeaseFill | 'fenced'> {
    const { key, expected, bytes, lease } = fill
    let filling: Filling | undefined
    // Who found nothing cannot hold a copy of something. Who holds a copy of the same is right, and has
    // to know of a refresh all the same: it would try one itself.
    const silent = expected === undefined || (fill.unchanged && fill.event !== 'setByRefresh')
    const news = lease === undefined ? 'after it' : 'with it'
    try {
      const outcome = await this.#write<LeaseFill | 'fenced'>({
        operation: 'fill',
        key,
        budget,
        send: (options) => {
          if (!fill.mayStill()) return FENCED
          filling = this.#announcer?.filling(key, bytes, lease !== undefined)
          return lease === undefined
            ? this.#fillBare(fill, options)
            : this.#fillUnder(lease, fill, options)
        },
        held: lease !== undefined,
        // What its lease does not let in is stopped there, however late it comes.
        lasting: lease === undefined,
        announced: silent ? 'not' : news,
        event: fill.event,
        took: (result) => result === 'took',
      })
      filling?.settle(outcome === 'took')
      return outcome
    } catch (error) {
      // What is undone now might come before it.
      if (filling?.settle(undefined)) this.#repairs.add(key)
      throw error
    }
  }

  set(
    key: string,
    bytes: Uint8Array,
    { ttl, when }: { readonly ttl: number; readonly when?: 'absent' | 'present' | undefined },
    budget: Budget,
  ): Promise<boolean> {
    return this.#write({
      operation: 'set',
      key,
      budget,
      send: (options) => this.#store.set(key, bytes, { ttl, when, ...options }),
      // Whoever asked for "only if absent" has nothing old to be undone.
      lasting: when !== 'absent',
      announced: 'with it',
      event: 'delete',
      took: (took) => took,
    })
  }

  delete(key: string, budget: Budget): Promise<number> {
    return this.#write({
      operation: 'delete',
      key,
      budget,
      send: (options) => this.#store.delete([key], options),
      lasting: true,
      announced: 'with it',
      event: 'delete',
      took: () => true,
    })
  }

  /**
   * Leaves what the key holds no more than `left` milliseconds; deletes it where the store cannot do
   * that. Resolves whether it held a value.
   */
  async shorten(key: string, left: number, budget: Budget): Promise<boolean> {
    const store = this.#store
    if (store.shorten === undefined) return (await this.delete(key, budget)) > 0
    return this.#write({
      operation: 'expire',
      key,
      budget,
      // biome-ignore lint/style/noNonNullAssertion: seen above
      send: (options) => store.shorten!(key, left, options),
      lasting: true,
      announced: 'with it',
      event: 'delete',
      took: () => true,
    })
  }

  /**
   * Takes a lock that no change of a key voids: one that jetcache-go's processes look for as well.
   * Resolves whether it took; `undefined`: the remote cannot be asked, or nobody knows.
   *
   * @param text What it holds.
   */
  async lock(name: string, text: string, life: number): Promise<boolean | undefined> {
    const locked = await this.#guard.run({
      operation: 'lease',
      budget: this.budget(),
      send: () => this.#store.set(name, Buffer.from(text), { ttl: life, when: 'absent' }),
    })
    return locked instanceof Failure ? undefined : locked
  }

  /** Gives it back, if it still holds that text. Never rejects. */
  async unlock(name: string, text: string): Promise<void> {
    await this.#guard.run({
      operation: 'lease',
      budget: this.budget(),
      send: () => this.#store.compareAndDelete(name, Buffer.from(text)),
    })
  }

  /**
   * Deletes what a fill of this process has left, if it is there still: a writer that knows of no
   * leases has changed the key meanwhile. Resolves whether it did; never rejects.
   */
  async undo(key: string, isOurs: (bytes: Uint8Array) => boolean): Promise<boolean> {
    const send = async () => {
      const read = await this.#store.get(key)
      return (
        read !== undefined &&
        isOurs(read.bytes) &&
        (await this.#store.compareAndDelete(key, read.bytes))
      )
    }
    const undone = await this.#guard.run({ operation: 'repair', budget: this.budget(), send })
    // Nobody knows whether it did: to delete is right in any case.
    if (undone instanceof Failure) this.#repairs.add(key)
    return undone === true
  }

  /** Asks until the store answers or `timeout` milliseconds are over; tells which. */
  ready(timeout: number): Promise<boolean> {
    return this.#guard.ready(timeout)
  }

  async close(): Promise<void> {
    await this.leases?.close()
    this.#guard.close()
    this.#repairs.stop()
    this.#unwatch?.()
    this.#siblings.delete(this)
    return this.#store.close()
  }

  async #fillBare(fill: Fill, { signal }: RemoteChangeOptions): Promise<LeaseFill> {
    const { key, expected, bytes, ttl } = fill
    const took = await this.#store.compareAndSet(key, expected, bytes, ttl, signal)
    return took ? 'took' : 'refused'
  }

  #fillUnder(lease: Lease, fill: Fill, options: RemoteChangeOptions): Promise<LeaseFill> {
    if (lease.isOver) return LOST
    const { key, expected, bytes, ttl, unchanged } = fill
    const { signal, announce } = options
    const wake = this.#announcer?.wake(key)
    // biome-ignore lint/style/noNonNullAssertion: a lease is granted by nobody else
    const leases = this.#store.leases!
    const filling =
      unchanged && leases.touch !== undefined && expected !== undefined
        ? leases.touch(key, lease.token, { expected, ttl, wake, signal, announce })
        : leases.fill(key, lease.token, { expected, bytes, ttl, wake, signal, announce })
    return filling.then((outcome) => {
      // Given back meanwhile, because nobody waited for this any more.
      const given = lease.isOver
      lease.end()
      if (outcome === 'lost' && !given) this.#counters.leasesLost++
      return outcome
    })
  }

  /** Writes one key. Remembers it if the remote did not take what changes it, and for a while if it did. */
  async #write<T>(write: Write<T>): Promise<T> {
    const { operation, key, budget } = write
    // What its lease does not let in need not be held back: a controller costs as much as a small load.
    const withdrawal = write.held ? undefined : new AbortController()
    const sent = new SentWrite()
    let ride: Ride | undefined
    const send = () => {
      const connection = this.#store.connection?.()
      if (connection !== undefined) sent.sentOn(connection)
      if (write.announced === 'with it') ride = this.#announcer?.ride(key, write.event)
      const sending = write.send({ signal: withdrawal?.signal, announce: ride?.announcement })
      return sent.follow(sending, (error) => this.#store.judge?.(error))
    }
    const result = await this.#guard.run({ operation, turnOf: key, budget, send, withdrawal })
    if (!(result instanceof Failure)) {
      const took = write.took(result)
      ride?.settle(took)
      if (took && write.announced !== 'not' && ride === undefined) {
        this.#announcer?.changed([key], write.event)
      }
      if (write.lasting && operation !== 'fill') {
        this.#acknowledged.add(key, this.#guard.lastReplyAt)
      }
      return result
    }
    const unknown = result.outcome === 'unknown'
    ride?.settle(unknown ? undefined : false)
    // A fill that was not sent, or was refused, has changed nothing that was right before.
    if (write.lasting && (operation !== 'fill' || unknown)) {
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
    this.#announcer?.changed(keys)
  }

  #ask(keys: readonly string[]): Promise<readonly (RemoteRead | undefined)[]> {
    const [first] = keys
    return first !== undefined && keys.length === 1
      ? this.#store.get(first).then(asList)
      : this.#store.getMany(keys)
  }

  #reachable(): void {
    this.#guard.nudge()
    if (this.#guard.breaker === 'closed') this.#repairs.resume()
  }

  /** In the very turn in which it is heard of: reads of these keys skip the remote from now on. */
  #replaced(): void {
    const keys = this.#acknowledged.take(this.#guard.lastReplyAt)
    for (const key of keys) this.#repairs.add(key)
    // It may not know of the changes that have taken some of them away.
    this.leases?.forget()
    this.#era++
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

const FENCED: Promise<'fenced'> = Promise.resolve('fenced')
const LOST: Promise<'lost'> = Promise.resolve('lost')

function asList(read: RemoteRead | undefined): readonly (RemoteRead | undefined)[] {
  return [read]
}
