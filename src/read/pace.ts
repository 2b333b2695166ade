/** Milliseconds after the first failure in which a stale value is answered without another try. */
const FIRST_PAUSE = 1000

/** The most: twice as long each time, up to here. */
const LONGEST_PAUSE = 30_000

/** Milliseconds before this process looks again whether another one that loads the key is done. */
const ELSEWHERE_PAUSE = 250

/** Keys remembered; the oldest is forgotten first, and loaded once too often. */
const MOST = 10_000

interface Pause {
  readonly until: number
  readonly failures: number
}

/** When a key that has a stale value to be answered is next loaded: not by every call. */
export class Pace {
  readonly #pauses = new Map<string, Pause>()

  /** @param now On the monotonic clock, here and below. */
  pauses(key: string, now: number): boolean {
    const pause = this.#pauses.get(key)
    return pause !== undefined && now < pause.until
  }

  failed(key: string, now: number): void {
    const failures = (this.#pauses.get(key)?.failures ?? 0) + 1
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(failures - 1, 10))
    this.#put(key, { until: now + pause, failures })
  }

  elsewhere(key: string, now: number): void {
    const failures = this.#pauses.get(key)?.failures ?? 0
    this.#put(key, { until: now + ELSEWHERE_PAUSE, failures })
  }

  succeeded(key: string): void {
    this.#pauses.delete(key)
  }

  #put(key: string, pause: Pause): void {
    this.#pauses.delete(key)
    this.#pauses.set(key, pause)
    if (this.#pauses.size <= MOST) return
    for (const oldest of this.#pauses.keys()) {
      this.#pauses.delete(oldest)
      break
    }
  }
}
