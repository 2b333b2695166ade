/**
 * The time that all remote work of one call may take together, waiting for a turn to write included.
 * Time spent in a loader is not counted.
 */
export class Budget {
  #left: number

  /** @param total Milliseconds. */
  constructor(total: number) {
    this.#left = total
  }

  get left(): number {
    return this.#left
  }

  spend(ms: number): void {
    this.#left -= ms
  }
}
