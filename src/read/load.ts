import { AsyncLocalStorage } from 'node:async_hooks'
import type { Clock, Timer } from '../model/clock.ts'
import { CacheLoadTimeoutError } from '../model/errors.ts'
import type { AnyLoader, LoaderContext, LoadReason } from './call.ts'
import { LoaderRun } from './loader-run.ts'

// Taken at import, outside of any request: what runs in the background must not belong to the one
// whose call happened to start it.
const outside = AsyncLocalStorage.snapshot()

/** How a loader is run. */
interface LoadRun {
  /** Milliseconds until it rejects with `CacheLoadTimeoutError`. */
  readonly timeout: number
  readonly clock: Clock
  readonly reason: LoadReason
  readonly hasStale: boolean
  readonly stale: () => unknown
  /** Nobody waits for it. */
  readonly background: boolean
}

/**
 * One run of a loader. It settles with the loader, at its deadline, or when it is abandoned,
 * whichever is first; what the loader does after that is dropped.
 */
export class Load {
  readonly #key: string
  readonly #onAbandon: () => void
  #controller: AbortController | undefined
  #timer: Timer | undefined
  #settled = false
  #abort: { readonly reason: unknown } | undefined
  #reject: ((reason: unknown) => void) | undefined
  #context: LoaderRun | undefined

  /** @param onAbandon Called first when it is abandoned, before anything hears of it. */
  constructor(key: string, onAbandon: () => void = () => undefined) {
    this.#key = key
    this.#onAbandon = onAbandon
  }

  /** Whether there is no use in starting it, or in going on. */
  get abandoned(): boolean {
    return this.#abort !== undefined
  }

  /** The life that the loader has chosen, in milliseconds; `undefined`: none. */
  get ttl(): number | undefined {
    return this.#context?.ttl
  }

  /** The loader wants its result stored nowhere. */
  get skips(): boolean {
    return this.#context?.skips === true
  }

  run(loader: AnyLoader, run: LoadRun): Promise<unknown> {
    const { timeout, clock, background } = run
    return new Promise((resolve, reject) => {
      if (this.#abort !== undefined) {
        reject(this.#abort.reason)
        return
      }
      this.#reject = reject
      this.#timer = clock.setTimer(timeout, () =>
        this.abandon(new CacheLoadTimeoutError(this.#key, timeout)),
      )
      const { reason, hasStale, stale } = run
      const context = new LoaderRun({
        key: this.#key,
        reason,
        hasStale,
        stale,
        signal: () => this.#signal(),
      })
      this.#context = context
      const result = background ? outside(resultOf, loader, context) : resultOf(loader, context)
      // Not `finally`, which takes three promises more.
      result.then(
        (value) => {
          this.#end()
          resolve(value)
        },
        (error: unknown) => {
          this.#end()
          reject(error)
        },
      )
    })
  }

  /** Rejects, and aborts the loader's signal. */
  abandon(reason: unknown): void {
    if (this.#abort !== undefined) return
    this.#abort = { reason }
    this.#timer?.cancel()
    this.#onAbandon()
    // First, so that a loader that rejects because of its signal does not choose the error.
    this.#reject?.(reason)
    this.#controller?.abort(reason)
  }

  /** What the loader made depend on its signal may be in use by others once it has settled. */
  #end(): void {
    this.#timer?.cancel()
    this.#controller = undefined
    this.#settled = true
  }

  /** The signal costs about as much as a small load: it is made when a loader asks for it. */
  #signal(): AbortSignal {
    if (this.#controller !== undefined) return this.#controller.signal
    const controller = new AbortController()
    if (this.#abort !== undefined) controller.abort(this.#abort.reason)
    if (!this.#settled) this.#controller = controller
    return controller.signal
  }
}

/** A loader that throws before it returns a promise has failed like any other. */
async function resultOf(loader: AnyLoader, context: LoaderContext): Promise<unknown> {
  return loader(context)
}
