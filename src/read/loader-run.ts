import { parseDuration } from '../model/duration.ts'
import { optionTypeError } from '../model/errors.ts'
import type { LoaderContext, LoadReason } from './call.ts'

/** What `notModified()` returns: the value that is held is still right. */
export const NOT_MODIFIED: unique symbol = Symbol('not modified')

/** What a loader's context is made of. */
interface RunParts {
  readonly key: string
  readonly reason: LoadReason
  readonly hasStale: boolean
  /** A copy for the loader. */
  readonly stale: () => unknown
  readonly signal: () => AbortSignal
}

/**
 * What a loader is told in one run, and what it has said. Parts that few loaders ask for are made when
 * they do; methods work without their object, as loaders take the context apart.
 */
export class LoaderRun implements LoaderContext {
  readonly #parts: RunParts
  #ttl: number | undefined
  #skips = false

  constructor(parts: RunParts) {
    this.#parts = parts
  }

  get key(): string {
    return this.#parts.key
  }

  get reason(): LoadReason {
    return this.#parts.reason
  }

  get signal(): AbortSignal {
    return this.#parts.signal()
  }

  get stale(): unknown {
    return this.#parts.hasStale ? this.#parts.stale() : undefined
  }

  get setTtl(): LoaderContext['setTtl'] {
    return (ttl) => {
      this.#ttl = parseDuration(ttl, 'setTtl(ttl)')
    }
  }

  get skipStore(): LoaderContext['skipStore'] {
    return () => {
      this.#skips = true
    }
  }

  /** Its type makes a loader that returns it one of the values it else returns. */
  get notModified(): LoaderContext['notModified'] {
    return () => {
      if (this.#parts.hasStale) return NOT_MODIFIED as never
      throw optionTypeError(
        'notModified() was called by a loader without a stale value',
        'Ask the source for the whole value where context.stale is undefined.',
      )
    }
  }

  /** Milliseconds; `undefined`: it has set none. */
  get ttl(): number | undefined {
    return this.#ttl
  }

  get skips(): boolean {
    return this.#skips
  }
}
