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
  readonly signal?: AbortSignal | undefined
}

/**
 * What is certain of an operation that was rejected.
 * - `refused`: not carried out, by a server that is well and worth asking the next one.
 * - `unavailable`: not carried out; the server cannot serve now.
 * - `not sent`: not carried out; it never left this process.
 */
export type RemoteVerdict = 'refused' | 'unavailable' | 'not sent'

/** A connection that operations have gone out on. */
export interface RemoteConnection {
  /**
   * Whether what was sent on it and not answered may still take effect after what is sent now: it has
   * been lost, and nobody has made sure that its server has forgotten it.
   */
  readonly lingers: boolean
}

/** Told by a store what it learns of its server. */
export interface RemoteWatcher {
  /** It can be reached, after it could not: worth asking whether it answers. */
  reachable(): void
  /**
   * Another server answers than before, or the same began anew, or nobody can say: what the last one
   * acknowledged in its last seconds may be gone. Called before any operation goes to the new one.
   */
  replaced(): void
  /** Commands that the server does not let this user run; what is done without them is in the docs. */
  forbidden(commands: readonly string[]): void
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
  /** Whether several servers share the keys, so that one may fail while others answer. */
  readonly spread?: boolean
  get(key: string): Promise<RemoteRead | undefined>
  /**
   * Where several servers share the keys, and keys of different ones must not share a request: the
   * group of a key. The cache asks for no more than one group at a time, so that one whose server is
   * down does not take reads of the others with it. Never throws.
   */
  groupOf?(key: string): number
  /** One answer per key, in order. The cache asks for 256 keys at a time at most. */
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
    signal?: AbortSignal,
  ): Promise<boolean>
  /** Deletes only if the key holds exactly `expected`, atomically. Resolves whether it took. */
  compareAndDelete(key: string, expected: Uint8Array): Promise<boolean>
  /** Resolves how many of the keys held something. */
  delete(keys: readonly string[], signal?: AbortSignal): Promise<number>
  /** Resolves if the store can be used now. */
  ping(): Promise<void>
  /** What is certain of a rejection; `undefined`: nothing is. Without it, nothing ever is. */
  judge?(error: unknown): RemoteVerdict | undefined
  /**
   * The connection that operations go out on now, if each goes out after all those before it, on one.
   * Without it a write of unknown outcome is taken to be possible for some seconds more.
   */
  connection?(): RemoteConnection | undefined
  /** Takes back everything that has not left the process: it rejects, and never does. */
  withdraw?(): void
  /** Begins to tell a watcher; the returned function ends it. */
  watch?(watcher: RemoteWatcher): () => void
  /** A cache has begun to use it; each such call is followed by one `close()`. */
  open(): void
  /** After the last `close()`: ends what the store itself opened, and nothing that it was handed. */
  close(): Promise<void>
}
