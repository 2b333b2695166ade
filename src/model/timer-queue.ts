import type { Timer } from './clock.ts'

// Taken at import: fake timers that a user's test installs later must not stop our deadlines.
const monotonicClock = performance.now.bind(performance)
const startTimeout = setTimeout
const nextTurn = setImmediate

/** A timer so many milliseconds late was held up by something that held up all else as well. */
const STALL = 20

class QueuedTimer implements Timer {
  readonly dueAt: number
  before: QueuedTimer | undefined
  after: QueuedTimer | undefined
  isQueued = true
  readonly #queue: TimerQueue
  #callback: (() => void) | undefined

  constructor(queue: TimerQueue, dueAt: number, callback: () => void) {
    this.#queue = queue
    this.dueAt = dueAt
    this.#callback = callback
  }

  cancel(): void {
    this.#callback = undefined
    if (this.isQueued) this.#queue.remove(this)
  }

  fire(now: number): void {
    // After a stall, timers fire before what has arrived meanwhile is read: an answer that came in
    // time would be taken for one that did not come. One turn of the loop lets it in.
    if (now - this.dueAt >= STALL) nextTurn(() => this.#call())
    else this.#call()
  }

  #call(): void {
    const callback = this.#callback
    this.#callback = undefined
    callback?.()
  }
}

/**
 * Timers of one duration, with one timer of Node.js for all: they fall due in the order in which they were
 * set. Nearly all are cancelled, since what they bound is done in time: to set and to cancel one costs a
 * link in a list, where Node.js' own cost a cold load 8 us together.
 */
class TimerQueue {
  readonly #ms: number
  readonly #onEmpty: () => void
  #first: QueuedTimer | undefined
  #last: QueuedTimer | undefined
  #running = false

  constructor(ms: number, onEmpty: () => void) {
    this.#ms = ms
    this.#onEmpty = onEmpty
  }

  add(callback: () => void): Timer {
    const timer = new QueuedTimer(this, monotonicClock() + this.#ms, callback)
    timer.before = this.#last
    if (this.#last === undefined) this.#first = timer
    else this.#last.after = timer
    this.#last = timer
    if (!this.#running) this.#start(this.#ms)
    return timer
  }

  remove(timer: QueuedTimer): void {
    const { before, after } = timer
    timer.isQueued = false
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
  }

  #start(ms: number): void {
    this.#running = true
    startTimeout(() => this.#look(), ms).unref()
  }

  /** It may be early: the timer that it was started for has been cancelled. */
  #look(): void {
    this.#running = false
    const now = monotonicClock()
    try {
      for (let next = this.#first; next !== undefined && next.dueAt <= now; next = this.#first) {
        this.remove(next)
        next.fire(now)
      }
    } finally {
      // One whose callback throws, which ends most processes, holds up none of the others.
      if (this.#first === undefined) this.#onEmpty()
      else if (!this.#running) this.#start(Math.max(1, this.#first.dueAt - now))
    }
  }
}

/** By duration, in whole milliseconds. A queue leaves once it is found empty. */
const queues = new Map<number, TimerQueue>()

/** Calls back once after `ms` milliseconds, up to one more, without keeping the process alive. */
export function setQueuedTimer(ms: number, callback: () => void): Timer {
  const whole = Math.max(1, Math.ceil(ms))
  let queue = queues.get(whole)
  if (queue === undefined) {
    const added = new TimerQueue(whole, () => {
      if (queues.get(whole) === added) queues.delete(whole)
    })
    queue = added
    queues.set(whole, queue)
  }
  return queue.add(callback)
}
