/** Milliseconds after the first failure in which a stale value is answered without another try. */
const FIRST_PAUSE = 1000

/** The most: twice as long each time, up to here. */
const LONGEST_PAUSE = 30_000

/** Milliseconds before this process looks again whether another one that loads the key is done. */
const ELSEWHERE_PAUSE = 250

/** Keys remembered; the oldest is forgotten first, and loaded once too often. */
const MOST = 10_000

/** Why a key is not loaded for the moment. */
type Reason = 'failed' | 'elsewhere'

interface Pause {
  readonly until: number
  readonly reason: Reason
  readonly failures: number
}

/** When a key that has a stale value to be answered is next loaded: not by every call. */
export class Pace {
  readonly #pauses = new Map<string, Pause>()

  /** @param now On the monotonic clock, here and below. */
  pause(key: string, now: number): Reason | undefined {
    const pause = this.#pauses.get(key)
    return pause !== undefined && now < pause.until ? pause.reason : undefined
  }

  failed(key: string, now: number): void {
    const failures = (this.#pauses.get(key)?.failures ?? 0) + 1
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(failures - 1, 10))
    this.#put(key, { until: now + pause, reason: 'failed', failures })
  }

  elsewhere(key: string, now: number): void {
    if (this.pause(key, now) === 'failed') return
    const failures = this.#pauses.get(key)?.failures ?? 0
    this.#put(key, { until: now + ELSEWHERE_PAUSE, reason: 'elsewhere', failures })
  }

  /** It was loaded, or changed: what was known of it is over. */
  forget(key: string): void {
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
