import type { LoaderContext } from '../../src/read/call.ts'

/** One run of a loader, which the test settles. */
export interface HeldLoad<T> {
  readonly context: LoaderContext
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

/** A loader whose every run waits for the test. */
export class HeldLoader<T> {
  readonly runs: HeldLoad<T>[] = []
  readonly #waiting: (() => void)[] = []

  readonly load = (context: LoaderContext): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      this.runs.push({ context, resolve, reject })
      for (const wake of this.#waiting.splice(0)) wake()
    })

  /** The run of that number, counted from 0, as soon as it has begun. */
  async run(index: number): Promise<HeldLoad<T>> {
    for (;;) {
      const run = this.runs[index]
      if (run !== undefined) return run
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }
}

const nextTurn = setImmediate

/** Lets all promise reactions run that need nothing from outside the process. */
export function reactions(): Promise<void> {
  return new Promise((resolve) => nextTurn(resolve))
}
