/** A value as the remote tier holds it, with the life it has left, both read at one instant. */
export interface RemoteRead {
  /** Owned by the caller: not part of a buffer that the store uses again. */
  readonly bytes: Uint8Array
  /** Milliseconds, above 0; `Infinity` if the value was written without expiry. */
  readonly ttlLeft: number
}

/** Text for everybody who listens on a channel of the store's server. */
export interface Announcement {
  readonly channel: string
  readonly text: string
}

/** How a change goes out. */
export interface RemoteChangeOptions {
  /** Takes it back if it has not left the process. */
  readonly signal?: AbortSignal | undefined
  /** Published in the same step as the change, if it took. Only for stores with an `origin`. */
  readonly announce?: Announcement | undefined
}

export interface RemoteWriteOptions extends RemoteChangeOptions {
  /** Whole milliseconds, from 1. */
  readonly ttl: number
  /** `absent`: only if the key holds nothing; `present`: only if it holds something. */
  readonly when?: 'absent' | 'present' | undefined
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

/** The lease of a key is another's: whose, and the milliseconds it has left, above 0. */
export interface LeaseHeld {
  readonly kind: 'held'
  readonly by: string
  readonly left: number
}

/**
 * What a read that may take a lease has found.
 * - `value`: what a plain read finds; no lease was taken.
 * - `granted`: nothing, and the lease is the reader's.
 * - `held`: nothing, and the lease is another's.
 */
export type LeaseRead =
  | { readonly kind: 'value'; readonly read: RemoteRead }
  | { readonly kind: 'granted' }
  | LeaseHeld

/**
 * - `took`: the key holds the bytes.
 * - `refused`: the key holds something else than was expected.
 * - `lost`: the lease is another's, or over: it has expired, or a change has voided it.
 */
export type LeaseFill = 'took' | 'refused' | 'lost'

/** What is written under a lease. */
export interface LeaseWrite extends RemoteChangeOptions {
  /** What the key must hold; `undefined`: nothing. */
  readonly expected: Uint8Array | undefined
  readonly bytes: Uint8Array
  /** Whole milliseconds, from 1. */
  readonly ttl: number
  /** Published if somebody has found the lease held meanwhile; whatever became of the write. */
  readonly wake?: Announcement | undefined
}

/** What gets another life under a lease. */
export interface LeaseRenewal extends RemoteChangeOptions {
  /** What the key must hold. */
  readonly expected: Uint8Array
  /** Whole milliseconds, from 1. */
  readonly ttl: number
  /** Published if somebody has found the lease held meanwhile; whatever became of the renewal. */
  readonly wake?: Announcement | undefined
}

/**
 * Leases: for each key one process may hold the right to fill it. A `set` (that takes), `delete`,
 * `shorten` or `compareAndDelete` (that takes) of the key voids its lease in the same step, so that what
 * was loaded before a change is never stored after it. A lease is no entry: it is never read, counted or
 * listed as a key.
 *
 * A token is `<owner>.<number>`, printable ASCII without blanks or `*`; the number has no dot. A lease
 * whose holder has the same owner as the asker is granted to the asker: an owner asks again only when
 * it does not need the earlier one any more.
 */
export interface RemoteLeases {
  /**
   * Reads, at one instant for each key; takes the lease of each key that holds nothing and whose
   * lease nobody else has; a lease that somebody else has is remembered as waited for. One answer per
   * key, in order; at most 256 keys, of one group (`groupOf`).
   *
   * @param life Whole milliseconds, from 1.
   */
  read(keys: readonly string[], token: string, life: number): Promise<LeaseRead[]>
  /** Takes the lease whatever the key holds; `undefined`: it is granted. */
  take(key: string, token: string, life: number): Promise<LeaseHeld | undefined>
  /** Gives it `life` again from now on. Resolves whether the token still had it. */
  renew(key: string, token: string, life: number): Promise<boolean>
  /**
   * Resolves whether the token still had it.
   *
   * @param wake Published if it had, and somebody has found it held meanwhile.
   */
  release(key: string, token: string, wake?: Announcement): Promise<boolean>
  /**
   * Writes if the token has the lease and the key holds exactly what is expected, atomically. A lease
   * that the token had is over after it, unless it rejects.
   */
  fill(key: string, token: string, write: LeaseWrite): Promise<LeaseFill>
  /**
   * Gives what the key holds another life, without its bytes being sent, if the token has the lease and
   * the key holds exactly what is expected, atomically. Ends the lease as a fill does. Without it the
   * cache fills with the same bytes.
   */
  touch?(key: string, token: string, renewal: LeaseRenewal): Promise<LeaseFill>
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
  compareAndDelete(
    key: string,
    expected: Uint8Array,
    options?: RemoteChangeOptions,
  ): Promise<boolean>
  /** Resolves how many of the keys held something. Announces in any case, and for one key only. */
  delete(keys: readonly string[], options?: RemoteChangeOptions): Promise<number>
  /**
   * Lets what the key holds live for `left` whole milliseconds more, from 1, unless it ends sooner; a
   * value without expiry gets that life. Its bytes stay. The byte `*` alone, which says that there is
   * nothing, is deleted: it is never kept stale. A change like any other: it announces in any case.
   * Resolves whether the key held something other than that byte. Without it the cache deletes.
   */
  shorten?(key: string, left: number, options?: RemoteChangeOptions): Promise<boolean>
  /** Resolves if the store can be used now. */
  ping(): Promise<void>
  /** What is certain of a rejection; `undefined`: nothing is. Without it, nothing ever is. */
  judge?(error: unknown): RemoteVerdict | undefined
  /**
   * The connection that operations go out on now, if each goes out after all those before it, on one.
   * Without it a write of unknown outcome is taken to be possible for some seconds more.
   */
  connection?(): RemoteConnection | undefined
  /** Without them each process loads for itself, and a load elsewhere may store what a change outdated. */
  readonly leases?: RemoteLeases
  /**
   * What its announcements are published by, the client that it was made of: a bus that listens to the
   * same server is made of the same one. Without it there are none.
   */
  readonly origin?: object
  /** Takes back everything that has not left the process: it rejects, and never does. */
  withdraw?(): void
  /** Begins to tell a watcher; the returned function ends it. */
  watch?(watcher: RemoteWatcher): () => void
  /** A cache has begun to use it; each such call is followed by one `close()`. */
  open(): void
  /** After the last `close()`: ends what the store itself opened, and nothing that it was handed. */
  close(): Promise<void>
}
