/** A tier that answered. */
export type Tier = 'local' | 'remote'

/**
 * What `lookup` found.
 * - `hit`: a fresh value.
 * - `stale`: a value past its freshness that is kept for the stale permissions.
 * - `absent`: a not-found placeholder: the record is known not to exist.
 * - `miss`: nothing is stored.
 * - `error`: the remote tier could not be asked, or holds bytes that the codec cannot read.
 */
export type Lookup<T> =
  | {
      readonly status: 'hit' | 'stale'
      readonly value: T
      readonly tier: Tier
      /** Milliseconds the entry has left in that tier; `Infinity` for a remote entry without expiry. */
      readonly ttlLeft: number
    }
  | { readonly status: 'absent'; readonly tier: Tier; readonly ttlLeft: number }
  | { readonly status: 'miss' }
  | { readonly status: 'error'; readonly error: Error }
