import { Sequence } from '../flight/sequence.ts'
import type { Clock } from '../model/clock.ts'
import { CacheRemoteError, type RemoteOperation, type RemoteOutcome } from '../model/errors.ts'
import type { Counters } from '../stats/counters.ts'
import { Breaker, type BreakerState } from './breaker.ts'
import type { RemoteRead, RemoteStore, RemoteWriteOptions } from './remote-store.ts'
import { Repairs } from './repairs.ts'

/**
 * The time that all remote work of one call may take together, waiting for a turn to write included.
 * Time spent in a loader is not counted.
 */
export class Budget {
  #left: number

  /** @param total Milliseconds. */
  constructor(total: number) {
    this.#left = total
  }

  get left(): number {
    return this.#left
  }

  spend(ms: number): void {
    this.#left -= ms
  }
}

const yes = (): boolean => true
const no = (): boolean => false

/** Milliseconds between two questions whether the remote is there. */
const ASK_EVERY = 50

/**
 * Operations that the store has not settled, those past their deadline included. Beyond it calls are
 * refused, so that a remote that has stopped answering cannot fill the memory.
 */
const MOST_IN_FLIGHT = 10_000

/**
 * The remote tier: a store with a deadline on each operation, one error type, a breaker that keeps
 * calls from a store that is down or slow, and a bound on what is under way. The only place that
 * catches what a store throws.
 *
 * An operation that misses its deadline may still take effect later: its outcome is unknown.
 */
export class RemoteTier {
  readonly #store: RemoteStore
  readonly #timeout: number
  readonly #clock: Clock
  readonly #counters: Counters
  readonly #writes = new Sequence()
  readonly #breaker: Breaker
  readonly #repairs: Repairs
  #inFlight = 0
  /** The breaker's period that `#inFlight` counts. */
  #counted = 0
  #closed = false

  /** @param timeout Milliseconds for all remote work of one call. */
  constructor(store: RemoteStore, timeout: number, clock: Clock, counters: Counters) {
    this.#store = store
    this.#timeout = timeout
    this.#clock = clock
    this.#counters = counters
    this.#breaker = new Breaker(
      clock,
      () => this.#ping(this.budget()),
      () => {
        counters.breakerOpened++
      },
      () => this.#repairs.resume(),
    )
    this.#repairs = new Repairs(
      clock,
      (keys) => this.#guard('repair', undefined, this.budget(), () => this.#store.delete(keys)),
      () => {
        counters.repairsGivenUp++
      },
    )
    store.open()
  }

  get breaker(): BreakerState {
    return this.#breaker.state
  }

  /** Keys whose change the remote did not take and which are not repaired yet. */
  get repairsPending(): number {
    return this.#repairs.pending
  }

  budget(): Budget {
    return new Budget(this.#timeout)
  }

  get(key: string, budget: Budget): Promise<RemoteRead | undefined> {
    return this.#guard('get', key, budget, () => this.#store.get(key))
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
    const write = async () => {
      if (!mayStill()) return 'fenced'
      return (await this.#store.compareAndSet(key, expected, bytes, ttl)) ? 'took' : 'refused'
    }
    return this.#changing(key, () => this.#guard('fill', key, budget, write))
  }

  set(
    key: string,
    bytes: Uint8Array,
    options: RemoteWriteOptions,
    budget: Budget,
  ): Promise<boolean> {
    const write = () => this.#store.set(key, bytes, options)
    const set = () => this.#guard('set', key, budget, write)
    // Whoever asked for "only if absent" has nothing old to be undone.
    return options.when === 'absent' ? set() : this.#changing(key, set)
  }

  delete(key: string, budget: Budget): Promise<number> {
    const erase = () => this.#store.delete([key])
    return this.#changing(key, () => this.#guard('delete', key, budget, erase))
  }

  /** Asks until the store answers or `timeout` milliseconds are over; tells which. */
  async ready(timeout: number): Promise<boolean> {
    const startedAt = this.#clock.monotonic()
    const left = () => timeout - (this.#clock.monotonic() - startedAt)
    while (!this.#closed && left() > 0) {
      const budget = new Budget(Math.min(this.#timeout, left()))
      if (await this.#ping(budget).then(yes, no)) {
        this.#breaker.answered()
        return true
      }
      await this.#pause(Math.min(ASK_EVERY, left()))
    }
    return false
  }

  close(): Promise<void> {
    this.#closed = true
    this.#breaker.stop()
    this.#repairs.stop()
    return this.#store.close()
  }

  /** Remembers the key of a change that the remote did not take. */
  async #changing<T>(key: string, change: () => Promise<T>): Promise<T> {
    const connection = this.#store.connection?.()
    try {
      return await change()
    } catch (error) {
      const { operation, outcome } = error as CacheRemoteError
      const unknown = outcome === 'unknown'
      const mayLand = () =>
        unknown && (connection === undefined || this.#store.connection?.() !== connection)
      // A fill that was not sent, or was refused, has changed nothing that was right before.
      if (operation !== 'fill' || unknown) this.#repairs.add(key, mayLand)
      throw error
    }
  }

  #ping(budget: Budget): Promise<void> {
    return this.#guard('ping', undefined, budget, () => this.#store.ping())
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.setTimer(ms, resolve))
  }

  /**
   * Calls the store in the same turn of the event loop, so that what a ticket said a moment ago still
   * holds; a write waits until those before it on its key have settled, and is not sent any more if
   * its time is over by then.
   */
  #guard<T>(
    operation: RemoteOperation,
    key: string | undefined,
    budget: Budget,
    call: () => Promise<T>,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (outcome: RemoteOutcome, reason: string, cause?: unknown) =>
        reject(new CacheRemoteError(operation, outcome, reason, { key, cause }))
      const refusal = this.#refusal(operation, key, budget)
      if (refusal !== undefined) {
        fail('not sent', `${refusal}, it was not sent`)
        return
      }
      const startedAt = this.#clock.monotonic()
      const period = this.#breaker.period
      let settled = false
      let sent = false
      let endTurn = (): void => undefined
      const settle = () => {
        if (settled) return false
        settled = true
        timer.cancel()
        budget.spend(this.#clock.monotonic() - startedAt)
        endTurn()
        return true
      }
      const timer = this.#clock.setTimer(budget.left, () => {
        if (!settle()) return
        this.#failed(operation, sent ? period : undefined)
        const reason = sent ? 'no answer' : 'its turn did not come, and it was not sent,'
        const within = `within remoteTimeout (${this.#timeout} ms)`
        fail(sent ? 'unknown' : 'not sent', `${reason} ${within}`)
      })
      const send = () => {
        sent = true
        this.#sent(call, period).then(
          (result) => {
            this.#clock.observe?.()
            if (!settle()) return
            this.#breaker.succeeded(period)
            resolve(result)
          },
          (cause: unknown) => {
            if (!settle()) return
            const refused = this.#store.isAnswer?.(cause) === true
            this.#failed(operation, refused ? undefined : period)
            const reason = cause instanceof Error ? cause.message : String(cause)
            fail(refused ? 'refused' : 'unknown', reason, cause)
          },
        )
      }
      if (key === undefined || operation === 'get') {
        send()
        return
      }
      this.#writes.run(key, () => {
        if (settled) return Promise.resolve()
        const late = this.#refusal(operation, key, budget)
        if (late !== undefined) {
          settle()
          fail('not sent', `${late}, it was not sent`)
          return Promise.resolve()
        }
        send()
        return new Promise((resolve) => {
          endTurn = resolve
        })
      })
    })
  }

  /** Why an operation must not go out now. */
  #refusal(
    operation: RemoteOperation,
    key: string | undefined,
    budget: Budget,
  ): string | undefined {
    if (this.#closed) return 'the cache is closed'
    if (budget.left <= 0) {
      this.#counters.remoteErrors++
      return 'no time was left for it'
    }
    if (operation === 'ping') return undefined
    if (this.#breaker.state !== 'closed') {
      this.#counters.remoteSkipped++
      return 'the remote is held to be down'
    }
    if (operation === 'get' && this.#repairs.has(key ?? '')) {
      this.#counters.remoteSkipped++
      return 'an earlier change of the key has not reached the remote yet'
    }
    if (this.#inFlight >= MOST_IN_FLIGHT) {
      this.#counters.remoteShed++
      return `${MOST_IN_FLIGHT} operations are under way`
    }
    return undefined
  }

  /** @param period When it was sent; `undefined`: the failure says nothing about the remote. */
  #failed(operation: RemoteOperation, period: number | undefined): void {
    // A ping that fails is an answer: it asks whether the remote is there.
    if (operation === 'ping') return
    this.#counters.remoteErrors++
    if (period !== undefined) this.#breaker.failed(period)
  }

  /** A store that throws instead of rejecting, or returns no promise, is treated alike. */
  async #sent<T>(call: () => Promise<T>, period: number): Promise<T> {
    if (this.#counted !== period) {
      // What was under way when the remote went down may never settle.
      this.#counted = period
      this.#inFlight = 0
    }
    this.#inFlight++
    try {
      return await call()
    } finally {
      if (this.#counted === period) this.#inFlight--
    }
  }
}
