import type { Clock, Timer } from '../model/clock.ts'

/** Who listens for news of one key. */
export interface Waiter {
  /**
   * Resolves when there are news, or have been since it began to listen or last paused, or after `ms`.
   */
  pause(ms: number): Promise<void>
  /** Ends a pause, present or to come. */
  wake(): void
  /** It listens no more. */
  leave(): void
}

/**
 * Those who wait for what another process does with a key. They listen before they ask how the key
 * stands: the news may come by another connection, and before the answer.
 */
export class Waiters {
  readonly #clock: Clock
  readonly #listening = new Map<string, Set<Waiter>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Keys that somebody listens for. */
  get size(): number {
    return this.#listening.size
  }

  listen(key: string): Waiter {
    const all = this.#listening.get(key) ?? new Set()
    const waiter = newWaiter(this.#clock, () => {
      all.delete(waiter)
      if (all.size === 0 && this.#listening.get(key) === all) this.#listening.delete(key)
    })
    this.#listening.set(key, all.add(waiter))
    return waiter
  }

  /** There are news of the key. */
  wake(key: string): void {
    for (const waiter of this.#listening.get(key) ?? []) waiter.wake()
  }

  /** There may be news of any. */
  wakeAll(): void {
    for (const all of this.#listening.values()) for (const waiter of all) waiter.wake()
  }
}

function newWaiter(clock: Clock, leave: () => void): Waiter {
  let news = false
  let timer: Timer | undefined
  let go: (() => void) | undefined
  const end = () => {
    news = false
    timer?.cancel()
    const resolve = go
    go = undefined
    resolve?.()
  }
  return {
    pause: (ms) =>
      new Promise((resolve) => {
        go = resolve
        if (news) end()
        else timer = clock.setTimer(ms, end)
      }),
    wake: () => {
      news = true
      if (go !== undefined) end()
    },
    leave,
  }
}
