import { CacheRemoteError, type RemoteOperation, type RemoteOutcome } from '../model/errors.ts'
import type { RemoteVerdict } from './remote-store.ts'

/** Why an operation did not do what it was asked. */
export class Failure {
  readonly outcome: RemoteOutcome
  /**
   * Only some of the calls that it served may be what a server that is well said no to: each is worth
   * asking by itself, and counts then.
   */
  readonly ofSome: boolean
  readonly #operation: RemoteOperation
  readonly #reason: string
  readonly #cause: unknown

  constructor(
    operation: RemoteOperation,
    outcome: RemoteOutcome,
    reason: string,
    cause?: unknown,
    ofSome = false,
  ) {
    this.#operation = operation
    this.outcome = outcome
    this.#reason = reason
    this.#cause = cause
    this.ofSome = ofSome
  }

  /** For one of those it served. */
  error(key?: string): CacheRemoteError {
    const fields = { key, cause: this.#cause }
    return new CacheRemoteError(this.#operation, this.outcome, this.#reason, fields)
  }
}

export function outcomeOf(verdict: RemoteVerdict | undefined): RemoteOutcome {
  if (verdict === undefined) return 'unknown'
  return verdict === 'not sent' ? 'not sent' : 'refused'
}
