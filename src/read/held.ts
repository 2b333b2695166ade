import type { LocalEntry } from '../local/local-store.ts'
import { NOT_FOUND } from '../model/entry.ts'
import type { Tier } from '../model/outcome.ts'
import type { RemoteAnswer } from '../tiers/tier-stack.ts'

/** What a tier holds while its key is loaded anew. Instants in epoch milliseconds of the cache's clock. */
export interface Held {
  /** `NOT_FOUND` for a placeholder. */
  readonly kept: unknown
  /** As the remote holds it; `undefined` of local. */
  readonly bytes: Uint8Array | undefined
  readonly tier: Tier
  readonly freshUntil: number
  readonly keptUntil: number
}

/** What a caller takes instead of what a load brings. Milliseconds. */
export interface Permission {
  /** A value that is fresh, while it is loaded anew for other reasons. */
  readonly fresh: boolean
  /** One that has been stale for less than this. */
  readonly staleWhileRevalidate: number
  /** The same, if the load fails or the remote is gone. */
  readonly staleIfError: number
}

/** Whoever has it waits for what the load brings. */
export const TAKES_NOTHING: Permission = {
  fresh: false,
  staleWhileRevalidate: 0,
  staleIfError: 0,
}

/** How a caller stands at this moment. */
export interface Standing {
  /** Its `softTimeout` is over. */
  readonly impatient: boolean
  /** The load has failed, or has just failed before, or the remote is gone. */
  readonly failing: boolean
}

/** Freshness decides from the life that is left, and from nothing else. */
export function permits(
  permission: Permission,
  { freshUntil, keptUntil }: Held,
  { impatient, failing }: Standing,
  now: number,
): boolean {
  if (now >= keptUntil) return false
  if (now < freshUntil || impatient) return permission.fresh
  const age = now - freshUntil
  return age < permission.staleWhileRevalidate || (failing && age < permission.staleIfError)
}

/** Whether it is a value that a loader may be asked to compare with. */
export function isValue(held: Held | undefined): held is Held {
  return held !== undefined && held.kept !== NOT_FOUND
}

export function heldLocally({ kept, freshUntil, keptUntil }: LocalEntry): Held {
  return { kept, bytes: undefined, tier: 'local', freshUntil, keptUntil }
}

export function heldRemotely(answer: Extract<RemoteAnswer, { kind: 'value' }>): Held {
  const { kept, bytes, askedAt, ttlLeft, freshLeft } = answer
  return {
    kept,
    bytes,
    tier: 'remote',
    freshUntil: askedAt + freshLeft,
    keptUntil: askedAt + ttlLeft,
  }
}
