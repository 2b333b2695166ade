import { whenAborted } from './leaving.ts'
import type { Load } from './load.ts'
import type { Loaded } from './loaded-value.ts'

/**
 * A load that callers of one key and epoch share, and the count of those who still wait for it.
 * A caller leaves by its signal; with the last one the load is abandoned.
 */
export class LoadFlight {
  readonly load: Load
  readonly #abandon: (reason: unknown) => void
  readonly #result: Promise<Loaded>
  #land: (result: Promise<Loaded>) => void = () => undefined
  #callers = 0

  /** @param abandon Called once when the last caller has left, with that caller's reason. */
  constructor(load: Load, abandon: (reason: unknown) => void) {
    this.load = load
    this.#abandon = abandon
    this.#result = new Promise((resolve) => {
      this.#land = resolve
    })
  }

  /** All callers, present and to come, get this result. */
  lands(result: Promise<Loaded>): void {
    this.#land(result)
  }

  /** One more caller waits, until the load settles or its signal aborts. */
  join(signal: AbortSignal | undefined): Promise<Loaded> {
    this.#callers++
    return signal === undefined ? this.#result : this.#untilAborted(signal)
  }

  #untilAborted(signal: AbortSignal): Promise<Loaded> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        stopWaiting()
        reject(signal.reason)
        if (--this.#callers === 0) this.#abandon(signal.reason)
      }
      const stopWaiting = whenAborted(signal, leave)
      this.#result.finally(stopWaiting).then(resolve, reject)
      // The loader's first part has run already, and may have aborted it.
      if (signal.aborted) leave()
    })
  }
}
