/** What stands in a tier, and in answers inside the cache, for a record known not to exist. */
export const NOT_FOUND: unique symbol = Symbol('not found')

/** How long an entry lives, in epoch milliseconds of the cache's clock. */
export interface Life {
  /** Until then it answers at once. */
  readonly freshUntil: number
  /** Until then it may answer where a stale value is permitted. Never before `freshUntil`. */
  readonly keptUntil: number
}

type Freshness = 'fresh' | 'stale' | 'expired'

export function freshness(life: Life, now: number): Freshness {
  if (now < life.freshUntil) return 'fresh'
  return now < life.keptUntil ? 'stale' : 'expired'
}
