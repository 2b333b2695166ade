import type { Clock } from '../model/clock.ts'
import { DueWheel, type Planned } from './due-wheel.ts'
import { Line, Place } from './line.ts'
import { type Runnable, RunSlots } from './run-slots.ts'

/*
 * When a key is due again, in intervals since its value was last made, as far as this process knows:
 *
 *   1.00 .. 1.01   this process made it
 *   1.02 .. 1.10   another one did, or was at it
 *
 * So of many processes the one that made it last goes first again; the others hear of it before
 * their turn comes, and begin anew. If it has died, the first of them takes over, a little later.
 * What keeps two from making it at once is a lock, elsewhere; this keeps them from trying.
 *
 * A run under way stands under its key, not in its task: the key may be dropped and touched again
 * meanwhile, which makes another task, and that one waits until the run is over.
 */

/** What became of one run. */
export type RefreshOutcome =
  /** This process has stored a new value. */
  | 'refreshed'
  /** Another process is doing it, or has done it in this interval. */
  | 'elsewhere'
  /** The loader failed, or the remote could not be asked. */
  | 'failed'
  /** There was nothing to refresh any more: the task leaves the table. */
  | 'gone'

/** Lengths of time are milliseconds. */
export interface RefreshPolicy {
  readonly interval: number
  readonly stopAfterLastAccess: number
  /** Runs that hold a slot at once. */
  readonly concurrency: number
  readonly maxTasks: number
}

interface RefreshTableParts<Work> {
  readonly policy: RefreshPolicy
  readonly clock: Clock
  /** From 0, below 1. */
  readonly random?: (() => number) | undefined
  /** To reject counts as `failed`. */
  readonly run: (key: string, work: Work) => Promise<RefreshOutcome>
  /** A task has left because the table was full. */
  readonly evicted?: (() => void) | undefined
}

/** Intervals between two attempts of a loader that keeps failing. */
const MOST_BACKOFF = 8

const TICKS_PER_INTERVAL = 50
const SHORTEST_TICK = 5
const LONGEST_TICK = 100

/** When a key is due again, in intervals. */
interface Turn {
  readonly least: number
  readonly most: number
}

const OWN_TURN: Turn = { least: 1, most: 1.01 }
const OTHERS_TURN: Turn = { least: 1.02, most: 1.1 }

class Task<Work> implements Planned, Runnable<Task<Work>> {
  readonly key: string
  work: Work
  touchedAt: number
  /** Runs that failed since the last good one. */
  failures = 0
  slot: number | undefined
  slow = false
  readonly recency: Place<Task<Work>> = new Place<Task<Work>>(this)
  readonly waiting: Place<Task<Work>> = new Place<Task<Work>>(this)

  constructor(key: string, work: Work, touchedAt: number) {
    this.key = key
    this.work = work
    this.touchedAt = touchedAt
  }
}

/** Which keys are refreshed in the background, and when. */
export class RefreshTable<Work> {
  readonly #policy: RefreshPolicy
  readonly #clock: Clock
  readonly #random: () => number
  readonly #run: (key: string, work: Work) => Promise<RefreshOutcome>
  readonly #evicted: (() => void) | undefined
  readonly #tasks = new Map<string, Task<Work>>()
  /** Touched longest ago first. */
  readonly #recency = new Line<Task<Work>>()
  readonly #wheel: DueWheel<Task<Work>>
  readonly #slots: RunSlots<Task<Work>, RefreshOutcome>
  #closed = false

  constructor(parts: RefreshTableParts<Work>) {
    const { policy, clock } = parts
    this.#policy = policy
    this.#clock = clock
    this.#random = parts.random ?? Math.random
    this.#run = parts.run
    this.#evicted = parts.evicted
    this.#slots = new RunSlots({
      clock,
      slots: policy.concurrency,
      run: (task) => this.#outcomeOf(task),
      ended: (task, outcome) => this.#ended(task, outcome),
    })
    this.#wheel = new DueWheel(clock, tickOf(policy.interval), (due) => {
      for (const task of due) this.#fallDue(task)
      this.#slots.fill()
    })
  }

  get size(): number {
    return this.#tasks.size
  }

  get(key: string): Work | undefined {
    return this.#tasks.get(key)?.work
  }

  /** An access: the key is refreshed from now on, or for longer, by this work. */
  touch(key: string, work: Work): void {
    const task = this.#tasks.get(key)
    if (task === undefined) {
      this.#add(key, work)
      return
    }
    task.work = work
    task.touchedAt = this.#clock.monotonic()
    this.#recency.join(task.recency)
  }

  /**
   * The key is refreshed no more, unless it is touched again. A run under way is not stopped.
   *
   * @returns Whether there was a task.
   */
  drop(key: string): boolean {
    const task = this.#tasks.get(key)
    if (task === undefined) return false
    this.#remove(task)
    return true
  }

  /** Another process has refreshed it just now. A run under way will tell more than that. */
  learned(key: string): void {
    const task = this.#tasks.get(key)
    if (task === undefined || this.#slots.isRunning(key)) return
    task.failures = 0
    task.waiting.leave()
    // While others refresh it in time it never falls due here, and would stay for ever.
    if (this.#isIdle(task)) this.#remove(task)
    else this.#planAfter(task, OTHERS_TURN)
  }

  /** Nothing is refreshed from now on. */
  clear(): void {
    this.#closed = true
    this.#tasks.clear()
    this.#recency.clear()
    this.#wheel.clear()
    this.#slots.clear()
  }

  #add(key: string, work: Work): void {
    if (this.#closed) return
    if (this.#tasks.size >= this.#policy.maxTasks) this.#evict()
    const task = new Task(key, work, this.#clock.monotonic())
    this.#tasks.set(key, task)
    this.#recency.join(task.recency)
    // Keys that are first read together, as at a start, are not loaded together ever after.
    this.#wheel.plan(task, this.#policy.interval * (1 - this.#random()))
  }

  #evict(): void {
    const oldest = this.#recency.first
    if (oldest === undefined) return
    this.#remove(oldest)
    this.#evicted?.()
  }

  #remove(task: Task<Work>): void {
    this.#tasks.delete(task.key)
    task.recency.leave()
    task.waiting.leave()
    this.#wheel.cancel(task)
  }

  #isIdle(task: Task<Work>): boolean {
    return this.#clock.monotonic() - task.touchedAt > this.#policy.stopAfterLastAccess
  }

  #planAfter(task: Task<Work>, { least, most }: Turn): void {
    this.#wheel.plan(task, this.#policy.interval * (least + this.#random() * (most - least)))
  }

  #fallDue(task: Task<Work>): void {
    if (this.#isIdle(task)) this.#remove(task)
    // Else the end of the run under way asks again.
    else if (!this.#slots.isRunning(task.key)) this.#slots.add(task)
  }

  /** Whatever the work does, its slot comes back. */
  async #outcomeOf({ key, work }: Task<Work>): Promise<RefreshOutcome> {
    try {
      return await this.#run(key, work)
    } catch {
      return 'failed'
    }
  }

  #ended(task: Task<Work>, outcome: RefreshOutcome): void {
    const current = this.#tasks.get(task.key)
    if (current === task) {
      this.#settle(task, outcome)
    } else if (current !== undefined) {
      current.slow = task.slow
      if (current.slot === undefined) this.#fallDue(current)
    }
  }

  #settle(task: Task<Work>, outcome: RefreshOutcome): void {
    if (outcome === 'gone') {
      this.#remove(task)
    } else if (outcome === 'failed') {
      const backoff = Math.min(2 ** task.failures++, MOST_BACKOFF)
      this.#wheel.plan(task, this.#policy.interval * backoff)
    } else if (outcome === 'elsewhere') {
      // Tells nothing of the loader: the other one may be failing as well.
      this.#planAfter(task, OTHERS_TURN)
    } else {
      task.failures = 0
      this.#planAfter(task, OWN_TURN)
    }
  }
}

function tickOf(interval: number): number {
  const tick = Math.round(interval / TICKS_PER_INTERVAL)
  return Math.min(LONGEST_TICK, Math.max(SHORTEST_TICK, tick))
}
