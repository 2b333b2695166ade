import { COMPARE_EVERY, SteadyWallClock } from './steady-wall-clock.ts'
import { setQueuedTimer } from './timer-queue.ts'

/**
 * Time, as the cache sees it. Everything that reads a clock or waits gets one of these handed in,
 * so that a test can move time by hand.
 */
export interface Clock {
  /** Wall-clock time in epoch milliseconds. May jump forward; steps back by a second at most. */
  now(): number
  /** Milliseconds since some fixed moment; never goes back and ignores changes of the wall clock. */
  monotonic(): number
  /** Calls back once after `ms` milliseconds (any length), without keeping the process alive. */
  setTimer(ms: number, callback: () => void): Timer
  /** Called at each reply of a remote: a cheap moment to compare the two clocks. */
  observe?(): void
  /** A cache has opened; the returned function says that it closed. Starts and stops timers. */
  hold?(): () => void
}

export interface Timer {
  cancel(): void
}

// Taken at import: fake timers that a user's test installs later must not stop our deadlines.
const wallClock = Date.now
const monotonicClock = performance.now.bind(performance)
const startTimeout = setTimeout
const stopTimeout = clearTimeout
const startInterval = setInterval
const stopInterval = clearInterval

/** The longest delay of one Node.js timer; a longer one would fire at once. */
const LONGEST_TIMEOUT = 2 ** 31 - 1

/** Longer ones are few, and need not be precise: they are timers of Node.js. */
const QUEUED_AT_MOST = 60_000

class SystemClock implements Clock {
  readonly #steady = new SteadyWallClock(wallClock, monotonicClock)
  #holders = 0
  #interval: ReturnType<typeof setInterval> | undefined

  now(): number {
    return this.#steady.now()
  }

  monotonic(): number {
    return monotonicClock()
  }

  setTimer(ms: number, callback: () => void): Timer {
    return ms <= QUEUED_AT_MOST ? setQueuedTimer(ms, callback) : new SystemTimer(ms, callback)
  }

  observe(): void {
    this.#steady.compare()
  }

  hold(): () => void {
    if (this.#holders++ === 0) {
      // Idle processes read no clock, and a step back during a pause must be seen before the next read.
      this.#interval = startInterval(() => this.#steady.compare(), COMPARE_EVERY)
      this.#interval.unref()
    }
    let held = true
    return () => {
      if (!held) return
      held = false
      if (--this.#holders === 0) stopInterval(this.#interval)
    }
  }
}

class SystemTimer implements Timer {
  #handle: ReturnType<typeof setTimeout> | undefined

  constructor(ms: number, callback: () => void) {
    this.#start(ms, callback)
  }

  cancel(): void {
    stopTimeout(this.#handle)
  }

  #start(ms: number, callback: () => void): void {
    const step = Math.min(ms, LONGEST_TIMEOUT)
    const next = ms > step ? () => this.#start(ms - step, callback) : callback
    this.#handle = startTimeout(next, step)
    this.#handle.unref()
  }
}

/** The clock of the machine; one for the process. */
export const systemClock: Clock = new SystemClock()
