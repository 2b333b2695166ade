/** Keys remembered; beyond it the oldest is given up, and what a failover brings back lives for its ttl. */
const MOST_KEYS = 100_000

/**
 * Milliseconds for which changes are kept in addition where several servers share the keys: the others
 * acknowledge while one is dying, and a failover takes less than a minute.
 */
const WHILE_ONE_DIES = 60_000

/**
 * The changes that the remote has acknowledged lately. A server that takes over may never have heard
 * of them, and one that began anew may have lost them.
 *
 * It does not age while nothing is acknowledged: what counts is the time before the old server's last
 * reply. Fills are not kept: without them a key holds nothing, or what another change has left.
 */
export class Acknowledged {
  readonly #keep: number
  readonly #spread: boolean
  readonly #onOverflow: () => void
  /** When each was acknowledged, on the monotonic clock; in that order. */
  readonly #changes = new Map<string, number>()

  /**
   * @param keep Milliseconds; 0: nothing is kept.
   * @param spread Whether several servers share the keys.
   */
  constructor(keep: number, spread: boolean, onOverflow: () => void) {
    this.#keep = keep
    this.#spread = spread
    this.#onOverflow = onOverflow
  }

  add(key: string, at: number): void {
    if (this.#keep === 0) return
    this.#changes.delete(key)
    this.#changes.set(key, at)
    const old = at - this.#keep - (this.#spread ? WHILE_ONE_DIES : 0)
    for (const [oldest, acknowledgedAt] of this.#changes) {
      const over = this.#changes.size > MOST_KEYS
      if (acknowledgedAt >= old && !over) break
      this.#changes.delete(oldest)
      if (acknowledgedAt >= old) this.#onOverflow()
    }
  }

  /**
   * Hands over the keys whose change may be gone, and forgets all.
   *
   * @param lastReplyAt Of the server that is gone. Where there are several, nobody knows which one it
   * was, and all are handed over.
   */
  take(lastReplyAt: number): string[] {
    const since = this.#spread ? Number.NEGATIVE_INFINITY : lastReplyAt - this.#keep
    const keys: string[] = []
    for (const [key, at] of this.#changes) if (at >= since) keys.push(key)
    this.#changes.clear()
    return keys
  }
}
