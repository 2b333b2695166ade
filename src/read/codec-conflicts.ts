/** More conflicts at a time than this are one conflict. */
const MOST = 1000

/**
 * Keys whose bytes could not be read and were replaced. One that fails again before the replacement
 * has expired was written by somebody with another codec, and replacing it again would begin a war
 * in which both sides load at each read. Bounded: the oldest is forgotten first.
 */
export class CodecConflicts {
  readonly #until = new Map<string, number>()

  /** @param until Epoch milliseconds: when our replacement expires. */
  replaced(key: string, until: number): void {
    this.#until.delete(key)
    this.#until.set(key, until)
    if (this.#until.size <= MOST) return
    for (const oldest of this.#until.keys()) {
      this.#until.delete(oldest)
      break
    }
  }

  /** Whether somebody else has written the key since we replaced it. */
  contested(key: string, now: number): boolean {
    const until = this.#until.get(key)
    if (until === undefined) return false
    if (now < until) return true
    this.#until.delete(key)
    return false
  }
}
