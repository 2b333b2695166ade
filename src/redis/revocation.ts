/**
 * As much of an `AbortSignal` as the client uses of the one it is handed with a command. A listener
 * costs a Set entry here; on a real signal it costs some microseconds, and more with each that is there
 * already, since all are walked past.
 */
export class Revocation {
  readonly #listeners = new Set<() => void>()
  #aborted = false

  get aborted(): boolean {
    return this.#aborted
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.add(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.delete(listener)
  }

  /** Takes back the commands that it was handed with, unless they have been sent. */
  revoke(): void {
    if (this.#aborted) return
    this.#aborted = true
    for (const listener of [...this.#listeners]) listener()
    this.#listeners.clear()
  }
}
