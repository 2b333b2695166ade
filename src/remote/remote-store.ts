/** A value as the remote tier holds it, with the life it has left, both read at one instant. */
export interface RemoteRead {
  /** Owned by the caller: not part of a buffer that the store uses again. */
  readonly bytes: Uint8Array
  /** Milliseconds, above 0; `Infinity` if the value was written without expiry. */
  readonly ttlLeft: number
}

export interface RemoteWriteOptions {
  /** Whole milliseconds, from 1. */
  readonly ttl: number
  /** `absent`: only if the key holds nothing; `present`: only if it holds something. */
  readonly when?: 'absent' | 'present' | undefined
}

/**
 * What the cache needs of a shared store: bytes under keys, each with a life of its own.
 *
 * An implementation reports each failure by rejecting, never by a value that means something else;
 * it does not retry, does not queue for a connection that is not there, and sets no deadline of its
 * own: the remote tier does. Operations of one caller on one key that do not overlap in time take
 * effect in order. `jetcache-ts/testing` holds the conformance suite.
 */
export interface RemoteStore {
  /** Names it in errors and counters. */
  readonly name: string
  get(key: string): Promise<RemoteRead | undefined>
  /** One answer per key, in order. */
  getMany(keys: readonly string[]): Promise<(RemoteRead | undefined)[]>
  /** Resolves whether it took: always `true` without `when`. */
  set(key: string, bytes: Uint8Array, options: RemoteWriteOptions): Promise<boolean>
  /**
   * Writes only if the key holds exactly `expected` (`undefined`: nothing), atomically. Resolves
   * whether it took.
   */
  compareAndSet(
    key: string,
    expected: Uint8Array | undefined,
    bytes: Uint8Array,
    ttl: number,
  ): Promise<boolean>
  /** Deletes only if the key holds exactly `expected`, atomically. Resolves whether it took. */
  compareAndDelete(key: string, expected: Uint8Array): Promise<boolean>
  /** Resolves how many of the keys held something. */
  delete(keys: readonly string[]): Promise<number>
  /** Resolves if the store can be used now. */
  ping(): Promise<void>
  /**
   * Whether a rejection is the answer of a server that is well: it refused this operation, and is
   * worth asking the next one. Without it, no rejection is.
   */
  isAnswer?(error: unknown): boolean
  /**
   * Numbers the connection that operations go out on now. While it stays the same, what was sent
   * earlier has taken effect before what is acknowledged later; without it, or after it has changed,
   * a write of unknown outcome is taken to be possible for some seconds more.
   */
  connection?(): number
  /** A cache has begun to use it; each such call is followed by one `close()`. */
  open(): void
  /** After the last `close()`: ends what the store itself opened, and nothing that it was handed. */
  close(): Promise<void>
}
