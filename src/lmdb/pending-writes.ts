import type { Space } from './space.ts'

/** Writes committed together at most, and how many bytes of them, the first one apart: some ms. */
const BATCH = 256
const BATCH_BYTES = 2 ** 20

export interface Write {
  /** Returns what tells its caller, once it is committed. */
  readonly run: (space: Space) => () => void
  readonly bytes: number
  readonly failed: (error: unknown) => void
}

/** Writes that no transaction has taken yet, first come, first served; each may be taken back. */
export class PendingWrites {
  readonly #writes = new Set<Write>()

  get isEmpty(): boolean {
    return this.#writes.size === 0
  }

  /** Settles when it has been committed, has failed, or has been taken back by `signal`. */
  add<T>(run: (space: Space) => T, bytes: number, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const withdraw = () => {
        this.#writes.delete(write)
        reject(signal?.reason)
      }
      const unwatch = () => signal?.removeEventListener('abort', withdraw)
      const write: Write = {
        run: (space) => {
          const value = run(space)
          return () => {
            unwatch()
            resolve(value)
          }
        },
        bytes,
        failed: (error) => {
          unwatch()
          reject(error)
        },
      }
      signal?.addEventListener('abort', withdraw)
      this.#writes.add(write)
    })
  }

  /** Those to be committed next, out of here from now on. */
  takeBatch(): Write[] {
    const batch: Write[] = []
    let bytes = 0
    for (const write of this.#writes) {
      bytes += write.bytes
      if (batch.length === BATCH || (batch.length > 0 && bytes > BATCH_BYTES)) break
      batch.push(write)
      this.#writes.delete(write)
    }
    return batch
  }

  failAll(error: unknown): void {
    for (const write of this.#writes) write.failed(error)
    this.#writes.clear()
  }
}
