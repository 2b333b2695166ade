/**
 * Runs the remote writes of one key one after the other. A store need only keep the order of
 * operations that do not overlap; without this, a fill sent before a delete could take effect after
 * it. Different keys never wait for each other.
 */
export class Sequence {
  readonly #last = new Map<string, Promise<void>>()

  /** Calls `operation` at once if nothing of this key is running, in the same turn. */
  run<T>(key: string, operation: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key)
    const running = before === undefined ? operation() : before.then(operation)
    const settled: Promise<void> = running.then(
      () => this.#forget(key, settled),
      () => this.#forget(key, settled),
    )
    this.#last.set(key, settled)
    return running
  }

  #forget(key: string, settled: Promise<void>): void {
    if (this.#last.get(key) === settled) this.#last.delete(key)
  }
}
