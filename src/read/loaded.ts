import type { Tier } from '../model/outcome.ts'
import type { Held } from './held.ts'

/** What a caller of a load gets. */
export interface Loaded {
  /** As the tiers keep it; each caller is given theirs from it. `NOT_FOUND`: no such record. */
  readonly kept: unknown
  /** The loader's error that said so, where it was an error. */
  readonly cause: unknown
  /**
   * Where it comes from: a tier's fresh value, a stale one, or the loader. `none`: the load has ended
   * without a result, since nobody waited for it any more; who has joined since asks again.
   */
  readonly from: 'fresh' | 'stale' | 'loader' | 'none'
  /** Of a loader's: whether a tier has it now, or the loader did not want that. */
  readonly stored: 'stored' | 'skipped' | 'not stored'
  /** Of a tier's. */
  readonly tier: Tier | undefined
  /** When its freshness ends there, or, of a stale one, its life; epoch milliseconds. */
  readonly until: number
}

export const NONE: Loaded = {
  kept: undefined,
  cause: undefined,
  from: 'none',
  stored: 'not stored',
  tier: undefined,
  until: 0,
}

export function fromLoader(kept: unknown, cause: unknown, stored: Loaded['stored']): Loaded {
  return { kept, cause, from: 'loader', stored, tier: undefined, until: 0 }
}

/** @param fresh Whether it was when the tier was asked. */
export function fromTier({ kept, tier, freshUntil, keptUntil }: Held, fresh: boolean): Loaded {
  const from = fresh ? 'fresh' : 'stale'
  const until = fresh ? freshUntil : keptUntil
  return { kept, cause: undefined, from, stored: 'stored', tier, until }
}
