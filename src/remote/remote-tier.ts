import { Sequence } from '../flight/sequence.ts'
import type { Clock } from '../model/clock.ts'
import { CacheRemoteError, type RemoteOperation } from '../model/errors.ts'
import type { Counters } from '../stats/counters.ts'
import type { RemoteRead, RemoteStore, RemoteWriteOptions } from './remote-store.ts'

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
 * The remote tier: a store with a deadline on each operation and one error type. The only place
 * that catches what a store throws.
 *
 * An operation that misses its deadline may still take effect later: its outcome is unknown.
 */
export class RemoteTier {
  readonly #store: RemoteStore
  readonly #timeout: number
  readonly #clock: Clock
  readonly #counters: Counters
  readonly #writes = new Sequence()
  #closed = false

  /** @param timeout Milliseconds for all remote work of one call. */
  constructor(store: RemoteStore, timeout: number, clock: Clock, counters: Counters) {
    this.#store = store
    this.#timeout = timeout
    this.#clock = clock
    this.#counters = counters
    store.open()
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
    return this.#guard('fill', key, budget, async () => {
      if (!mayStill()) return 'fenced'
      return (await this.#store.compareAndSet(key, expected, bytes, ttl)) ? 'took' : 'refused'
    })
  }

  set(
    key: string,
    bytes: Uint8Array,
    options: RemoteWriteOptions,
    budget: Budget,
  ): Promise<boolean> {
    return this.#guard('set', key, budget, () => this.#store.set(key, bytes, options))
  }

  delete(key: string, budget: Budget): Promise<number> {
    return this.#guard('delete', key, budget, () => this.#store.delete([key]))
  }

  /** Asks until the store answers or `timeout` milliseconds are over; tells which. */
  async ready(timeout: number): Promise<boolean> {
    const startedAt = this.#clock.monotonic()
    const left = () => timeout - (this.#clock.monotonic() - startedAt)
    while (!this.#closed && left() > 0) {
      const budget = new Budget(Math.min(this.#timeout, left()))
      const answered = this.#guard('ping', undefined, budget, () => this.#store.ping())
      if (await answered.then(yes, no)) return true
      await this.#pause(Math.min(ASK_EVERY, left()))
    }
    return false
  }

  close(): Promise<void> {
    this.#closed = true
    return this.#store.close()
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
      const fail = (reason: string, cause?: unknown) => {
        // A ping that fails is an answer: it asks whether the remote is there.
        if (operation !== 'ping') this.#counters.remoteErrors++
        reject(new CacheRemoteError(operation, reason, { key, cause }))
      }
      if (this.#closed || budget.left <= 0) {
        fail(`${this.#closed ? 'the cache is closed' : 'no time was left for it'}, it was not sent`)
        return
      }
      const startedAt = this.#clock.monotonic()
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
        const reason = sent ? 'no answer' : 'its turn did not come, and it was not sent,'
        if (settle()) fail(`${reason} within remoteTimeout (${this.#timeout} ms)`)
      })
      const send = () => {
        sent = true
        started(call).then(
          (result) => {
            this.#clock.observe?.()
            if (settle()) resolve(result)
          },
          (cause: unknown) => {
            if (settle()) fail(cause instanceof Error ? cause.message : String(cause), cause)
          },
        )
      }
      if (key === undefined || operation === 'get') {
        send()
        return
      }
      this.#writes.run(key, () => {
        if (this.#closed && settle()) fail('the cache is closed, it was not sent')
        if (settled) return Promise.resolve()
        send()
        return new Promise((resolve) => {
          endTurn = resolve
        })
      })
    })
  }
}

/** A store that throws instead of rejecting, or returns no promise, is treated alike. */
async function started<T>(call: () => Promise<T>): Promise<T> {
  return call()
}
