import { Budget } from './budget.ts'
import { Failure } from './failure.ts'
import type { Guard } from './guard.ts'

// Taken at import: fake timers that a user's test installs later must not hold reads back.
const nextTick = process.nextTick

/**
 * Keys that are asked for at once. More would save little: of 256 each bears 1/256 of what a request
 * costs, and one that fails takes no more down with it.
 */
const MOST_KEYS = 256

/** One who asked. */
interface Reader<Answer> {
  readonly key: string
  readonly budget: Budget
  resolve(answer: Answer): void
  reject(error: unknown): void
}

interface TickReadsParts<Answer> {
  /** One answer for each key, in order; at most 256 keys, of one group. */
  readonly ask: (keys: readonly string[]) => Promise<readonly Answer[]>
  /** Keys of different groups do not travel together. */
  readonly groupOf: (key: string) => number
  readonly guard: Guard
  /** Why a key must not be read now. */
  readonly refusal: (key: string) => Failure | undefined
  /**
   * Changes when the server is replaced. What was asked before may be answered by the new one, which
   * does not know of the last changes, and before those are repaired.
   */
  readonly era: () => number
  /** Whether a key may be asked for twice in one request. */
  readonly repeats: boolean
  /** An answer came when nobody waited for it any more. */
  readonly unused?: (key: string, answer: Answer) => void
}

/**
 * Reads that are asked for in one turn of the event loop travel together: one request with one
 * deadline where there would be one for each, which costs the client and the server less.
 *
 * They leave when the promises of the turn have run (`process.nextTick`) and before clients write to
 * their sockets. A microtask would leave behind those whose promises are a step further away,
 * `setImmediate` waits for another round of the event loop: a lone read would pay for it. So a read
 * may be sent after a write that was asked for later; order is promised only of operations that do
 * not overlap. Their time counts from when they are sent: until then this process has been busy, not
 * the remote. One that has less time than the others goes alone, and at once.
 *
 * A request that fails rejects each of its reads with an error of its own, unless it failed for some
 * of them only: then each is asked for by itself. Each reader goes on in its own async context; the
 * request runs in that of the first.
 */
export class TickReads<Answer> {
  readonly #parts: TickReadsParts<Answer>
  readonly #guard: Guard
  /** By their group. */
  readonly #batches = new Map<number, Reader<Answer>[]>()

  constructor(parts: TickReadsParts<Answer>) {
    this.#parts = parts
    this.#guard = parts.guard
  }

  /** @throws CacheRemoteError (as a rejection) */
  read(key: string, budget: Budget): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const reader = { key, budget, resolve, reject }
      if (budget.left === this.#guard.timeout) this.#join(reader)
      else void this.#send([reader])
    })
  }

  #join(reader: Reader<Answer>): void {
    const group = this.#parts.groupOf(reader.key)
    const open = this.#batches.get(group)
    const { repeats } = this.#parts
    const isThere = () => open?.some(({ key }) => key === reader.key)
    if (open !== undefined && open.length < MOST_KEYS && (repeats || !isThere())) {
      open.push(reader)
      return
    }
    const batch = [reader]
    this.#batches.set(group, batch)
    nextTick(() => {
      if (this.#batches.get(group) === batch) this.#batches.delete(group)
      void this.#send(batch)
    })
  }

  /** Never rejects: what fails is told to the readers. All have the same time left. */
  async #send(batch: readonly Reader<Answer>[]): Promise<void> {
    const readers = batch.filter((reader) => this.#mayAsk(reader))
    const [first] = readers
    if (first === undefined) return
    const budget = new Budget(first.budget.left)
    const era = this.#parts.era()
    let waits = true
    const send = () => {
      const asked = this.#parts.ask(readers.map(({ key }) => key))
      const { unused } = this.#parts
      // Each step costs a lone read a microsecond.
      if (readers.length === 1 && unused === undefined) return asked
      return asked.then((answers) => {
        if (answers.length !== readers.length) {
          throw new Error(`the store answered ${answers.length} of ${readers.length} keys`)
        }
        if (waits) return answers
        for (const [i, { key }] of readers.entries()) unused?.(key, answers[i] as Answer)
        return answers
      })
    }
    const heard = await this.#guard.run({ operation: 'get', calls: readers.length, budget, send })
    waits = false
    const answers = this.#parts.era() === era ? heard : this.#drop(readers, heard)
    const spent = first.budget.left - budget.left
    for (const [i, reader] of readers.entries()) {
      reader.budget.spend(spent)
      if (!(answers instanceof Failure)) reader.resolve(answers[i] as Answer)
      else if (answers.ofSome) void this.#send([reader])
      else reader.reject(answers.error(reader.key))
    }
  }

  #drop(
    readers: readonly Reader<Answer>[],
    heard: readonly Answer[] | Failure,
  ): readonly Answer[] | Failure {
    if (heard instanceof Failure) return heard
    for (const [i, { key }] of readers.entries()) this.#parts.unused?.(key, heard[i] as Answer)
    return new Failure('get', 'unknown', 'the server was replaced meanwhile')
  }

  #mayAsk({ key, reject }: Reader<Answer>): boolean {
    const refusal = this.#parts.refusal(key)
    if (refusal !== undefined) reject(refusal.error(key))
    return refusal === undefined
  }
}
