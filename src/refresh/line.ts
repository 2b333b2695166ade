/** A place for one item, in one line at a time. */
export class Place<T> {
  readonly item: T | undefined
  before: Place<T> = this
  after: Place<T> = this

  constructor(item: T | undefined) {
    this.item = item
  }

  /** Out of its line; nothing happens if it is in none. */
  leave(): void {
    this.before.after = this.after
    this.after.before = this.before
    this.before = this
    this.after = this
  }
}

/**
 * Items in the order in which they joined. A Map or Set keeps the gaps of what has left until it is
 * rebuilt, and whoever asks for the first goes through them: 6 microseconds of 10,000 items, half a
 * millisecond of a million.
 */
export class Line<T> {
  /** Before the first, and after the last. */
  readonly #ends = new Place<T>(undefined)

  get first(): T | undefined {
    return this.#ends.after.item
  }

  /** It is the last now, wherever it was before. */
  join(place: Place<T>): void {
    place.leave()
    const last = this.#ends.before
    place.before = last
    place.after = this.#ends
    last.after = place
    this.#ends.before = place
  }

  clear(): void {
    this.#ends.leave()
  }
}
