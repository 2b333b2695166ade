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
  #settle: ((run: HeldLoad<T>) => void) | undefined

  readonly load = (context: LoaderContext): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      const run = { context, resolve, reject }
      this.runs.push(run)
      this.#settle?.(run)
      for (const wake of this.#waiting.splice(0)) wake()
    })

  /** Settles every run, those to come as well: a load too many fails a test instead of hanging it. */
  settleAll(settle: (run: HeldLoad<T>) => void): void {
    this.#settle = settle
    for (const run of this.runs) settle(run)
  }

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
