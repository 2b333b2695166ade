/** The lengths of time a cache works with, in milliseconds, resolved from its options. */
export interface Policy {
  /** Life of a value in the remote tier, and the most it gets in the local one. */
  readonly ttl: number
  /** The most a value lives in the local tier; `Infinity`: as long as in the remote. */
  readonly localTtl: number
  readonly jitterRatio: number
  readonly notFoundTtl: number
  readonly notFoundJitterRatio: number
  readonly remoteTimeout: number
  readonly loadTimeout: number
  /** For the lease of a key that another process holds. */
  readonly leaseMaxWait: number
  /** Of acknowledged changes, before the end of a server, that are made again; 0: none. */
  readonly replay: number
}

/** However long a ttl is, jitter takes at most this much off it: spread needs no more. */
const MOST_JITTER = 10_000

/**
 * A life between `(1 - ratio) * ttl` and `ttl`, at most 10 s less, so that entries written together
 * do not expire together and none outlives its ttl.
 */
export function jittered(ttl: number, ratio: number, random: () => number): number {
  if (ratio === 0) return ttl
  const span = Math.min(ttl * ratio, MOST_JITTER)
  return Math.max(1, Math.round(ttl - random() * span))
}
