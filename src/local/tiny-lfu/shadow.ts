import { NONE, Policy } from './policy.ts'
import type { FrequencySketch } from './sketch.ts'

/** A small cache that holds nothing: it tells what a setting would bring on a sample of the keys. */
export class Shadow {
  readonly #policy: Policy
  /** Slots by hash. */
  readonly #slots = new Map<number, number>()
  #hits = 0

  /** @param sketch Of the cache that it stands beside. */
  constructor(capacity: number, sketch: FrequencySketch, window: number, trusting: boolean) {
    this.#policy = new Policy(capacity, sketch, capacity, false)
    this.#policy.setWindow(window)
    this.#policy.trust(trusting)
  }

  access(hash: number): void {
    const slot = this.#slots.get(hash)
    if (slot !== undefined) {
      this.#hits++
      this.#policy.touch(slot)
      return
    }
    this.#slots.set(hash, this.#policy.insert(hash, 1))
    for (let left = this.#policy.victim(); left !== NONE; left = this.#policy.victim()) {
      this.#slots.delete(this.#policy.hashOf(left))
    }
  }

  /** Hits since it was asked last. */
  takeHits(): number {
    const hits = this.#hits
    this.#hits = 0
    return hits
  }
}
