/** Milliseconds between two comparisons at the most. */
export const COMPARE_EVERY = 1000

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
