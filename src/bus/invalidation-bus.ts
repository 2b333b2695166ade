/*
 * What a bus is, seen from a cache. How lost messages are noticed is explained in `numbers.ts`, when
 * the local tier may be trusted in `sync/arming.ts`.
 */

/** Told by a bus what it hears. None of its methods throws. */
export interface BusListener {
  /** A message that some cache has published, this one included. */
  message(text: string): void
  /** Keys that somebody has changed, or that have expired; `undefined`: any may have. */
  changed(keys: readonly string[] | undefined): void
  /** It listens, and did not before: what was said in between it has not heard. */
  up(): void
  /** It does not listen any more. Also told of an attempt that failed, which does no harm. */
  down(): void
}

/** A bus in use by one cache. */
export interface BusSession {
  /**
   * One round on the way that news take: resolves when everything that was said before the call has
   * been handed to the listener. Rejects if that cannot be told; may also stay silent.
   */
  beat(): Promise<void>
  /**
   * Tells all others. Resolves whether it went out: `false`: certainly not. Rejects if nobody knows.
   * Never called where the bus hears of changes by itself.
   */
  publish(text: string): Promise<boolean>
  /**
   * The channel, if messages can be published by the store made of `origin` in the same step as a
   * change; nobody needs to publish them afterwards then.
   */
  channelOn?(origin: object): string | undefined
  /** Stops listening, and closes what it opened itself. Nothing is told after the call. */
  close(): Promise<void>
}

/**
 * How caches of several processes hear of each other's changes.
 *
 * It connects, subscribes and comes back by itself after a loss, and tells of each in `up` and `down`;
 * it does not store, retry or number messages: the cache does. `jetcache-ts/testing` holds the
 * conformance suite.
 */
export interface InvalidationBus {
  /** Names it in warnings. */
  readonly name: string
  /**
   * - `messages`: caches publish what they change, and hear what others publish.
   * - `notices`: the store itself tells which keys were changed, by whomever; nothing is published.
   */
  readonly kind: 'messages' | 'notices'
  /** Begins to listen; may tell `up` during the call. One bus serves any number of caches. */
  open(listener: BusListener, cache: { readonly name: string }): BusSession
}
