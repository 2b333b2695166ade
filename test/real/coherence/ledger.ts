/** Milliseconds of the clock that all processes of a machine share. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** What a process saw. */
export interface Answer {
  readonly worker: number
  readonly key: string
  readonly version: number
  readonly begunAt: number
  readonly settledAt: number
  /** Whether the process heard of changes when it asked. */
  readonly armed: boolean
}

/** A change, and when it was acknowledged to whoever made it. */
export interface Acknowledged {
  readonly key: string
  readonly version: number
  readonly at: number
}

/** One reading of the database by a loader. */
export interface LoadBegun {
  readonly worker: number
  readonly key: string
  readonly at: number
}

export interface Kill {
  readonly worker: number
  readonly at: number
}

/** All that the processes of a crew did, in the order in which it became known. */
export class Ledger {
  readonly startedAt: number = now()
  readonly answers: Answer[] = []
  /** By caches. */
  readonly acknowledged: Acknowledged[] = []
  readonly loads: LoadBegun[] = []
  /** By the database. */
  readonly updates: Acknowledged[] = []
  readonly kills: Kill[] = []
  /** Calls that rejected. */
  failures = 0
}
