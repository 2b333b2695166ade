import type { Clock, Timer } from '../model/clock.ts'

/**
 * - `closed`: calls go out.
 * - `open`: none does; the remote is asked from time to time whether it is there again.
 * - `half-open`: it is being asked at this moment.
 */
export type BreakerState = 'closed' | 'open' | 'half-open'

/** As many failures without a success between them, and the remote is held to be down. */
const IN_A_ROW = 3

/** Calls that are remembered; half of them failed, and the remote is held to be down as well. */
const REMEMBERED = 20

/**
 * Where several servers share the keys: so many of those remembered. One server of three that is gone
 * must not keep calls from the others.
 */
const OF_SEVERAL = 15

/** Milliseconds between two probes. A remote that is back is used again within two of them. */
const PROBE_EVERY = 500

/**
 * Keeps calls from a remote that fails or is too slow: while it is open, a call costs nothing
 * instead of a deadline. A failure is an answer that did not come in time as well as one that says
 * no; so slowness opens it, and since a probe has the same deadline as a call, only speed closes it.
 *
 * After it has closed it is on trial: the next failure opens it again at once, a success ends the
 * trial. Outcomes of calls sent before it opened tell nothing about now and are not counted.
 *
 * Circuit breaker: M. Nygard, Release It!, 2007.
 */
export class Breaker {
  readonly #clock: Clock
  readonly #probe: () => Promise<void>
  readonly #onOpen: () => void
  readonly #onClose: () => void
  readonly #spread: boolean
  #state: BreakerState = 'closed'
  /** One bit per call, the last one lowest; 1: it failed. */
  #outcomes = 0
  #onTrial = false
  #timer: Timer | undefined
  #stopped = false
  #period = 0

  /**
   * @param probe Asks the remote whether it is there; rejects if it does not answer in time.
   * @param spread Whether several servers share the keys.
   */
  constructor(
    clock: Clock,
    probe: () => Promise<void>,
    onOpen: () => void,
    onClose: () => void,
    spread: boolean,
  ) {
    this.#clock = clock
    this.#spread = spread
    this.#probe = probe
    this.#onOpen = onOpen
    this.#onClose = onClose
  }

  get state(): BreakerState {
    return this.#state
  }

  /** Numbers the times it was closed: what was sent in an earlier one is told from what is sent now. */
  get period(): number {
    return this.#period
  }

  /** @param period When the call was sent. */
  succeeded(period: number): void {
    if (this.#state !== 'closed' || period !== this.#period) return
    this.#onTrial = false
    this.#outcomes <<= 1
  }

  /** @param period When the call was sent. */
  failed(period: number): void {
    if (this.#state !== 'closed' || period !== this.#period) return
    this.#outcomes = (this.#outcomes << 1) | 1
    if (this.#isDown()) this.#open()
  }

  /** It may be there again: asks at once. */
  nudge(): void {
    if (this.#state !== 'open' || this.#stopped) return
    this.#timer?.cancel()
    this.#ask()
  }

  /** The remote has answered somebody who asked apart from the probes. */
  answered(): void {
    if (this.#state !== 'closed') this.#close()
  }

  /** Ends the probes. */
  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #isDown(): boolean {
    const failed = bitsIn(this.#outcomes & ALL)
    if (this.#spread) return failed >= OF_SEVERAL
    const inARow = (this.#outcomes & LAST_ONES) === LAST_ONES
    return this.#onTrial || inARow || failed * 2 >= REMEMBERED
  }

  #open(): void {
    this.#state = 'open'
    this.#onOpen()
    this.#wait()
  }

  #wait(): void {
    if (this.#stopped) return
    this.#timer = this.#clock.setTimer(PROBE_EVERY, () => this.#ask())
  }

  #ask(): void {
    this.#state = 'half-open'
    const period = this.#period
    this.#probe().then(
      () => {
        if (period === this.#period) this.#close()
      },
      () => {
        if (period !== this.#period) return
        this.#state = 'open'
        this.#wait()
      },
    )
  }

  #close(): void {
    this.#timer?.cancel()
    this.#state = 'closed'
    this.#outcomes = 0
    this.#onTrial = true
    this.#period++
    this.#onClose()
  }
}

const LAST_ONES = (1 << IN_A_ROW) - 1
const ALL = (1 << REMEMBERED) - 1

function bitsIn(word: number): number {
  let bits = 0
  for (let rest = word; rest !== 0; rest &= rest - 1) bits++
  return bits
}
