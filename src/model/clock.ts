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

const COMPARE_EVERY = 1000

/** Below this the two clocks are taken to agree: `Date.now()` counts whole milliseconds. */
const TOLERANCE = 2

/**
 * A wall clock corrected by an offset, so that lives measured on it are never lengthened by more
 * than a second when the system's clock is set back.
 *
 * At each comparison the time that passed on the wall clock is held against the monotonic clock.
 * Wall behind: the clock was set back, and the difference goes into the offset. Wall ahead: it was
 * set forward, or the machine was suspended; the new reading stands, since that only shortens
 * lives, and becomes the base, so that setting it back again is noticed as well.
 */
export class SteadyWallClock {
  readonly #wall: () => number
  readonly #monotonic: () => number
  #baseWall: number
  #baseMonotonic: number
  #comparedAt: number
  #offset = 0

  constructor(wall: () => number, monotonic: () => number) {
    this.#wall = wall
    this.#monotonic = monotonic
    this.#baseWall = this.#comparedAt = wall()
    this.#baseMonotonic = monotonic()
  }

  now(): number {
    const wall = this.#wall()
    if (wall - this.#comparedAt >= COMPARE_EVERY || wall < this.#comparedAt) this.#compare(wall)
    return wall + this.#offset
  }

  compare(): void {
    this.#compare(this.#wall())
  }

  #compare(wall: number): void {
    const monotonic = this.#monotonic()
    const behind = monotonic - this.#baseMonotonic - (wall - this.#baseWall)
    this.#comparedAt = wall
    if (Math.abs(behind) <= TOLERANCE) return
    if (behind > 0) this.#offset += behind
    this.#baseWall = wall
    this.#baseMonotonic = monotonic
  }
}

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
    return new SystemTimer(ms, callback)
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
