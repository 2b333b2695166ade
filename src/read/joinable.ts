import type { Flights } from '../flight/flights.ts'
import type { LoadAnswer, RemoteAnswer } from '../tiers/tier-stack.ts'
import type { ValueForm } from '../tiers/value-form.ts'
import type { LoadFlight } from './load-flight.ts'

/** A read of the remote that others may join who want it in the same form, and only look. */
export interface JoinableRead {
  readonly form: ValueForm
  readonly answer: Promise<RemoteAnswer | LoadAnswer>
}

export type CacheFlights = Flights<LoadFlight, JoinableRead>
