import { Sequence } from '../flight/sequence.ts'
import type { Clock } from '../model/clock.ts'
import type { Counters } from '../stats/counters.ts'
import { type Asked, Attempt, callsOf } from './attempt.ts'
import { Breaker, type BreakerState } from './breaker.ts'
import { Budget } from './budget.ts'
import { Failure, outcomeOf } from './failure.ts'
import type { RemoteStore } from './remote-store.ts'

/** Milliseconds between two questions whether the remote is there. */
const ASK_EVERY = 50

/**
 * Operations that the store has not settled, those past their deadline included; a request for several
 * keys counts for each. Beyond it calls are refused, so that a remote that has stopped answering
 * cannot fill the memory.
 */
const MOST_IN_FLIGHT = 10_000

interface GuardParts {
  readonly store: RemoteStore
  /** Milliseconds for all remote work of one call. */
  readonly timeout: number
  readonly clock: Clock
  readonly counters: Counters
  /** The remote can be used again, after it could not. */
  readonly onBack: () => void
  /** It is held to be down from now on. */
  readonly onDown: () => void
}

/**
 * What stands between the cache and a store: a deadline for each operation, one error type, a breaker
 * that keeps calls from a store that is down or slow, and a bound on what is under way. The only place
 * that catches what a store throws.
 *
 * An operation that misses its deadline may still take effect later: its outcome is unknown.
 */
export class Guard {
  readonly #store: RemoteStore
  readonly #timeout: number
  readonly #clock: Clock
  readonly #counters: Counters
  readonly #writes = new Sequence()
  readonly #breaker: Breaker
  #lastReplyAt = 0
  #inFlight = 0
  /** The breaker's period that `#inFlight` counts. */
  #counted = 0
  #closed = false

  constructor(parts: GuardParts) {
    const { store, clock, counters } = parts
    this.#store = store
    this.#timeout = parts.timeout
    this.#clock = clock
    this.#counters = counters
    const probe = async () => {
      if (!(await this.#answers(this.budget()))) throw new Error('the store does not answer')
    }
    const onOpen = () => {
      counters.breakerOpened++
      // Whoever waits for these goes on without the remote; none of them may go out later.
      store.withdraw?.()
      parts.onDown()
    }
    this.#breaker = new Breaker(clock, probe, onOpen, parts.onBack, store.spread === true)
  }

  get breaker(): BreakerState {
    return this.#breaker.state
  }

  /** When the store last did what it was asked in time, on the monotonic clock. */
  get lastReplyAt(): number {
    return this.#lastReplyAt
  }

  /** Milliseconds for all remote work of one call. */
  get timeout(): number {
    return this.#timeout
  }

  budget(): Budget {
    return new Budget(this.#timeout)
  }

  /**
   * Calls the store in the same turn of the event loop, so that what a ticket said a moment ago still
   * holds; a write waits until those before it on its key have settled, and is not sent any more if
   * its time is over by then. Never rejects.
   */
  run<T>(asked: Asked<T>): Promise<T | Failure> {
    const refusal = this.#refusal(asked)
    if (refusal !== undefined) return Promise.resolve(refusal)
    return new Promise((resolve) => {
      const onLate = () => this.#missed(attempt)
      const attempt: Attempt<T> = new Attempt(asked, this.#clock, resolve, onLate)
      if (asked.turnOf === undefined) this.#send(attempt)
      else this.#writes.run(asked.turnOf, () => this.#sendInTurn(attempt))
    })
  }

  /** Asks until the store answers or `timeout` milliseconds are over; tells which. */
  async ready(timeout: number): Promise<boolean> {
    const startedAt = this.#clock.monotonic()
    const left = () => timeout - (this.#clock.monotonic() - startedAt)
    while (!this.#closed && left() > 0) {
      const budget = new Budget(Math.min(this.#timeout, left()))
      if (await this.#answers(budget)) {
        this.#breaker.answered()
        return true
      }
      await this.#pause(Math.min(ASK_EVERY, left()))
    }
    return false
  }

  /** The store may be there again. */
  nudge(): void {
    this.#breaker.nudge()
  }

  /** Nothing is sent from now on. */
  close(): void {
    this.#closed = true
    this.#breaker.stop()
  }

  async #answers(budget: Budget): Promise<boolean> {
    const send = () => this.#store.ping()
    return !((await this.run({ operation: 'ping', budget, send })) instanceof Failure)
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.setTimer(ms, resolve))
  }

  /** Its turn has come: resolves when it is over. */
  #sendInTurn<T>(attempt: Attempt<T>): Promise<void> {
    if (attempt.settled) return Promise.resolve()
    const late = this.#refusal(attempt.asked)
    if (late !== undefined) {
      attempt.settle(late)
      return Promise.resolve()
    }
    this.#send(attempt)
    return new Promise((resolve) => {
      attempt.onSettled = resolve
    })
  }

  #send<T>(attempt: Attempt<T>): void {
    const { asked } = attempt
    const calls = callsOf(asked)
    const { period } = this.#breaker
    attempt.sentIn = period
    this.#inFlight = this.#underWay() + calls
    const leave = () => {
      if (this.#counted === period) this.#inFlight -= calls
    }
    promiseOf(asked.send).then(
      (result) => {
        leave()
        this.#clock.observe?.()
        if (!attempt.settle(result)) return
        this.#lastReplyAt = this.#clock.monotonic()
        this.#breaker.succeeded(period)
      },
      (cause: unknown) => {
        leave()
        if (!attempt.settled) attempt.settle(this.#rejected(attempt, cause))
      },
    )
  }

  #rejected<T>(attempt: Attempt<T>, cause: unknown): Failure {
    const { asked, sentIn } = attempt
    const verdict = this.#store.judge?.(cause)
    const ofSome = verdict === 'refused' && callsOf(asked) > 1
    if (!ofSome) this.#failed(asked, verdict === 'refused' ? undefined : sentIn)
    const reason = cause instanceof Error ? cause.message : String(cause)
    return new Failure(asked.operation, outcomeOf(verdict), reason, cause, ofSome)
  }

  /** Its time is over. */
  #missed<T>(attempt: Attempt<T>): void {
    const { asked, sentIn } = attempt
    const sent = sentIn !== undefined
    if (attempt.settled) return
    asked.withdrawal?.abort()
    this.#failed(asked, sentIn)
    const reason = sent ? 'no answer' : 'its turn did not come, and it was not sent,'
    const within = `within remoteTimeout (${this.#timeout} ms)`
    const outcome = sent ? 'unknown' : 'not sent'
    attempt.settle(new Failure(asked.operation, outcome, `${reason} ${within}`))
  }

  /** Why an operation must not go out now. */
  #refusal(asked: Asked<unknown>): Failure | undefined {
    const reason = this.#reasonAgainst(asked)
    if (reason === undefined) return undefined
    return new Failure(asked.operation, 'not sent', `${reason}, it was not sent`)
  }

  #reasonAgainst(asked: Asked<unknown>): string | undefined {
    if (this.#closed) return 'the cache is closed'
    const calls = callsOf(asked)
    if (asked.budget.left <= 0) {
      this.#counters.remoteErrors += calls
      return 'no time was left for it'
    }
    if (asked.operation === 'ping') return undefined
    if (this.#breaker.state !== 'closed') {
      this.#counters.remoteSkipped += calls
      return 'the remote is held to be down'
    }
    if (this.#underWay() + calls > MOST_IN_FLIGHT) {
      this.#counters.remoteShed += calls
      return `${this.#inFlight} operations are under way`
    }
    return undefined
  }

  /** @param period When it was sent; `undefined`: the failure says nothing about the remote. */
  #failed(asked: Asked<unknown>, period: number | undefined): void {
    // A ping that fails is an answer: it asks whether the remote is there.
    if (asked.operation === 'ping') return
    this.#counters.remoteErrors += callsOf(asked)
    // Keys of a server that is down would keep the calls of all users from the others.
    if (asked.operation === 'repair' && this.#store.spread === true) return
    if (period !== undefined) this.#breaker.failed(period)
  }

  /** What was under way when the remote went down may never settle, and is not counted. */
  #underWay(): number {
    const { period } = this.#breaker
    if (this.#counted !== period) {
      this.#counted = period
      this.#inFlight = 0
    }
    return this.#inFlight
  }
}

/** A store that throws instead of rejecting, or returns no promise, is treated alike. */
function promiseOf<T>(call: () => Promise<T>): Promise<T> {
  try {
    return Promise.resolve(call())
  } catch (error) {
    return Promise.reject(error)
  }
}
