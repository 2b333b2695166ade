import type { RemoteRead } from '../remote/remote-store.ts'

type Answer = RemoteRead | undefined

// Taken at import: fake timers that a user's test installs later must not hold reads back.
const nextTick = process.nextTick

/** The request to come: what is asked for, and how to tell those who asked. */
interface Batch {
  readonly answers: Map<string, Promise<Answer>>
  /** One per key, in the order of the map. */
  readonly readers: { resolve(answer: Answer): void; reject(error: unknown): void }[]
}

/**
 * Reads that are asked for in one turn of the event loop travel together: one request where there
 * would be one for each, which costs the client and the server less.
 *
 * They leave when the promises of the turn have run (`process.nextTick`) and before the client
 * writes to its socket. A microtask would leave behind those whose promises are a step further away,
 * `setImmediate` waits for another round of the event loop: a lone read would pay for it. So a read
 * may be sent after a write that was asked for later; order is promised only of operations that do
 * not overlap.
 *
 * A request that fails rejects each of its reads. Each reader goes on in its own async context; the
 * request runs in that of the first.
 */
export class TickReads {
  readonly #readMany: (keys: string[]) => Promise<Answer[]>
  readonly #mostKeys: number
  #batch: Batch | undefined

  /**
   * @param readMany Reads distinct keys: one answer per key, in order.
   * @param mostKeys The most keys that it is handed, from 1.
   */
  constructor(readMany: (keys: string[]) => Promise<Answer[]>, mostKeys: number) {
    this.#readMany = readMany
    this.#mostKeys = mostKeys
  }

  read(key: string): Promise<Answer> {
    const batch = this.#roomyBatch()
    const asked = batch.answers.get(key)
    if (asked !== undefined) return asked.then(copied)
    const answer = new Promise<Answer>((resolve, reject) => {
      batch.readers.push({ resolve, reject })
    })
    batch.answers.set(key, answer)
    return answer
  }

  #roomyBatch(): Batch {
    const open = this.#batch
    if (open !== undefined && open.readers.length < this.#mostKeys) return open
    const batch: Batch = { answers: new Map(), readers: [] }
    this.#batch = batch
    nextTick(() => {
      this.#batch = undefined
      void this.#send(batch)
    })
    return batch
  }

  /** Never rejects: what fails is told to the readers. */
  async #send({ answers, readers }: Batch): Promise<void> {
    try {
      const found = await this.#readMany([...answers.keys()])
      for (const [i, { resolve }] of readers.entries()) resolve(found[i])
    } catch (error) {
      for (const { reject } of readers) reject(error)
    }
  }
}

/** Bytes belong to whoever gets them. */
function copied(answer: Answer): Answer {
  return answer === undefined ? undefined : { ...answer, bytes: answer.bytes.slice() }
}
