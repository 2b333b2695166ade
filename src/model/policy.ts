/** The lengths of time a cache works with, in milliseconds, resolved from its options. */
export interface Policy {
  /** Life of a value in the remote tier, and the most it gets in the local one. */
  readonly ttl: number
  /** The most a value lives in the local tier; `Infinity`: as long as in the remote. */
  readonly localTtl: number
  readonly jitterRatio: number
  readonly notFoundTtl: number
  readonly notFoundJitterRatio: number
  /** For how long after its freshness a value is answered while it is loaded anew; 0: not at all. */
  readonly staleWhileRevalidate: number
  /** The same where loading it anew fails, or the remote is gone. */
  readonly staleIfError: number
  /** How long a value is kept after its freshness: the longer of the two. */
  readonly retain: number
  /** The share of a value's life after which a hit has it loaded anew; `undefined`: it does not. */
  readonly refreshAheadRatio: number | undefined
  readonly remoteTimeout: number
  readonly loadTimeout: number
  /** After which a caller is given a stale value, if there is one; `undefined`: never. */
  readonly softTimeout: number | undefined
  /** After which a caller is given an error; `undefined`: never. */
  readonly hardTimeout: number | undefined
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
  return Math.max(1, Math.round(ttl - random() * spanOf(ttl, ratio)))
}

/** The shortest that jitter makes of a ttl. */
export function shortestLife(ttl: number, ratio: number): number {
  return Math.max(1, Math.round(ttl - spanOf(ttl, ratio)))
}

function spanOf(ttl: number, ratio: number): number {
  return Math.min(ttl * ratio, MOST_JITTER)
}
