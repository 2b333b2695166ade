/**
 * Lets the remote writes of one key take turns. A store need only keep the order of operations that
 * do not overlap; without this, a fill sent before a delete could take effect after it. Different
 * keys never wait for each other.
 */
export class Sequence {
  readonly #last = new Map<string, Promise<void>>()

  /**
   * @param turn Called when all turns of the key before it are over: in the same turn of the event
   * loop if none is running. Its promise says when it is over, and never rejects.
   */
  run(key: string, turn: () => Promise<void>): void {
    const before = this.#last.get(key)
    const over: Promise<void> = (before === undefined ? turn() : before.then(turn)).then(() => {
      if (this.#last.get(key) === over) this.#last.delete(key)
    })
    this.#last.set(key, over)
  }
}
