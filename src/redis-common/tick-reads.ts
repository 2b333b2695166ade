import type { RemoteRead } from '../remote/remote-store.ts'

// Taken at import: fake timers that a user's test installs later must not hold reads back.
const nextTick = process.nextTick

/** One call of `read` that waits for its answer. */
interface Reader {
  readonly resolve: (read: RemoteRead | undefined) => void
  readonly reject: (error: unknown) => void
}

/** The keys of one request to come, each with those who asked for it. */
type Batch = Map<string, Reader[]>

/**
 * Reads that are asked for in one turn of the event loop travel together: one request where there
 * would be one for each, and for the server one command instead of many.
 *
 * They leave when the turn's promises have run (`process.nextTick`), before the client writes to its
 * socket: at 64 concurrent readers a microtask leaves some behind, whose promises are a step further
 * away; `setImmediate` would wait for a round of the event loop more. So a read may be sent a little
 * later than a write that was asked for after it; only of operations that do not overlap is the order
 * promised.
 *
 * A request that fails rejects each of its reads. Each reader goes on in an async context of its own;
 * the request itself runs in that of the first.
 */
export class TickReads {
  readonly #readMany: (keys: string[]) => Promise<(RemoteRead | undefined)[]>
  readonly #mostKeys: number
  #batch: Batch | undefined

  /**
   * @param readMany Reads distinct keys, one answer per key, in order.
   * @param mostKeys The most keys that it is handed.
   */
  constructor(readMany: (keys: string[]) => Promise<(RemoteRead | undefined)[]>, mostKeys: number) {
    this.#readMany = readMany
    this.#mostKeys = mostKeys
  }

  read(key: string): Promise<RemoteRead | undefined> {
    return new Promise((resolve, reject) => {
      const batch = this.#roomyBatch()
      const reader = { resolve, reject }
      const others = batch.get(key)
      if (others === undefined) batch.set(key, [reader])
      else others.push(reader)
    })
  }

  #roomyBatch(): Batch {
    if (this.#batch !== undefined && this.#batch.size < this.#mostKeys) return this.#batch
    const batch: Batch = new Map()
    this.#batch = batch
    nextTick(() => {
      if (this.#batch === batch) this.#batch = undefined
      void this.#send(batch)
    })
    return batch
  }

  /** Never rejects: what fails is told to the readers. */
  async #send(batch: Batch): Promise<void> {
    try {
      const reads = await this.#readMany([...batch.keys()])
      let i = 0
      for (const readers of batch.values()) answer(readers, reads[i++])
    } catch (error) {
      for (const readers of batch.values()) {
        for (const { reject } of readers) reject(error)
      }
    }
  }
}

/** Bytes belong to the one who gets them: of several, each gets a copy. */
function answer(readers: readonly Reader[], read: RemoteRead | undefined): void {
  for (const [i, { resolve }] of readers.entries()) {
    resolve(i === 0 || read === undefined ? read : { ...read, bytes: read.bytes.slice() })
  }
}
