import { systemClock, type Timer } from '../model/clock.ts'

/** How slowly bytes pass. */
export interface Drip {
  /** At most so many bytes at a time; a whole number from 1. */
  readonly bytes: number
  /** Milliseconds between two times; from 0. */
  readonly every: number
}

/** What happens to one direction of all connections. Changed while they run. */
export interface LaneFaults {
  /** Milliseconds from arrival to departure. */
  latency: number
  drip: Drip | undefined
  held: boolean
}

/** `end`: the sender will send no more. `reset`: its connection is broken. */
export type Passage = Buffer | 'end' | 'reset'

interface Waiting {
  readonly arrivedAt: number
  passage: Passage
}

/**
 * One direction of one connection. What arrives leaves in the order of arrival, the end of the
 * connection included, so that an end cannot overtake bytes that are late.
 */
export class FaultLane {
  readonly #faults: LaneFaults
  readonly #deliver: (passage: Passage) => void
  readonly #queue: Waiting[] = []
  #timer: Timer | undefined
  /** Before this moment nothing leaves: the drip's pace. */
  #pausedUntil = 0

  constructor(faults: LaneFaults, deliver: (passage: Passage) => void) {
    this.#faults = faults
    this.#deliver = deliver
  }

  push(passage: Passage): void {
    this.#queue.push({ arrivedAt: systemClock.monotonic(), passage })
    this.pump()
  }

  /** Lets go what may leave now. Called again whenever the faults have changed. */
  pump(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      const { held, latency, drip } = this.#faults
      if (held) return
      const now = systemClock.monotonic()
      const dueAt = Math.max(head.arrivedAt + latency, drip === undefined ? 0 : this.#pausedUntil)
      const wait = dueAt - now
      if (wait > 0) {
        this.#timer = systemClock.setTimer(wait, () => this.pump())
        return
      }
      this.#pass(head, now)
    }
  }

  /** Drops what waits; answers whether there was something. */
  clear(): boolean {
    this.#timer?.cancel()
    this.#timer = undefined
    return this.#queue.splice(0).length > 0
  }

  #pass(head: Waiting, now: number): void {
    const { drip } = this.#faults
    if (drip !== undefined) this.#pausedUntil = now + drip.every
    if (drip !== undefined && head.passage instanceof Buffer && head.passage.length > drip.bytes) {
      const part = head.passage.subarray(0, drip.bytes)
      head.passage = head.passage.subarray(drip.bytes)
      this.#deliver(part)
      return
    }
    // Before the delivery, which may clear the queue.
    this.#queue.shift()
    this.#deliver(head.passage)
  }
}
