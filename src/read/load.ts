import type { Clock } from '../model/clock.ts'
import { CacheLoadTimeoutError } from '../model/errors.ts'
import type { AnyLoader, LoaderContext } from './call.ts'

/**
 * One run of a loader. It settles with the loader, at its deadline, or when it is abandoned,
 * whichever is first; what the loader does after that is dropped.
 */
export class Load {
  readonly #key: string
  #controller: AbortController | undefined
  #abort: { readonly reason: unknown } | undefined
  #reject: ((reason: unknown) => void) | undefined

  constructor(key: string) {
    this.#key = key
  }

  /** Whether there is no use in starting it, or in going on. */
  get abandoned(): boolean {
    return this.#abort !== undefined
  }

  /** @param timeout Milliseconds until it rejects with `CacheLoadTimeoutError`. */
  run(loader: AnyLoader, timeout: number, clock: Clock): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#abort !== undefined) {
        reject(this.#abort.reason)
        return
      }
      this.#reject = reject
      const timer = clock.setTimer(timeout, () =>
        this.abandon(new CacheLoadTimeoutError(this.#key, timeout)),
      )
      started(loader, this.#context())
        .finally(() => timer.cancel())
        .then(resolve, reject)
    })
  }

  /** Rejects, and aborts the loader's signal. */
  abandon(reason: unknown): void {
    if (this.#abort !== undefined) return
    this.#abort = { reason }
    // First, so that a loader that rejects because of its signal does not choose the error.
    this.#reject?.(reason)
    this.#controller?.abort(reason)
  }

  /** The signal costs about as much as a small load: it is made when a loader asks for it. */
  #context(): LoaderContext {
    const signal = () => this.#signal()
    return {
      key: this.#key,
      get signal(): AbortSignal {
        return signal()
      },
    }
  }

  #signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#abort !== undefined) this.#controller.abort(this.#abort.reason)
    }
    return this.#controller.signal
  }
}

/** A loader that throws before it returns a promise has failed like any other. */
async function started(loader: AnyLoader, context: LoaderContext): Promise<unknown> {
  return loader(context)
}
