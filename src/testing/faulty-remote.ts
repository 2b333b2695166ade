import type {
  RemoteChangeOptions,
  RemoteConnection,
  RemoteLeases,
  RemoteRead,
  RemoteStore,
  RemoteVerdict,
  RemoteWatcher,
  RemoteWriteOptions,
} from '../remote/remote-store.ts'

/** The operations that can fail; `open` and `close` go straight through. */
export type StoreOperation =
  | 'get'
  | 'getMany'
  | 'set'
  | 'compareAndSet'
  | 'compareAndDelete'
  | 'delete'
  | 'shorten'
  | 'ping'
  | 'lease.read'
  | 'lease.take'
  | 'lease.renew'
  | 'lease.release'
  | 'lease.fill'
  | 'lease.touch'

/**
 * - `before`: rejects, and the store was never asked.
 * - `after`: rejects although the store has done it: what a caller sees as an unknown outcome.
 * - `hang`: never settles, and the store was never asked. (For one that takes effect and never
 *   settles, hold the gate's `after`.)
 */
export type Fault = 'before' | 'after' | 'hang'

export interface FaultyRemoteOptions {
  /** The same seed gives the same faults for the same sequence of operations. Default 1. */
  readonly seed?: number | undefined
  /** Chance of each fault per operation, 0 to 1, together at most 1. Default 0 each. */
  readonly rates?: Readonly<Partial<Record<Fault, number>>> | undefined
  /**
   * Asked once per operation, when it is called: a fault, `'none'` for certainly none, or
   * `undefined` to leave it to `rates`. `keys` is empty for `ping`.
   */
  readonly script?:
    | ((operation: StoreOperation, keys: readonly string[]) => Fault | 'none' | undefined)
    | undefined
  /**
   * Awaited before the store is asked, and again after it has answered or rejected; so that a test
   * or a scheduler decides when an operation takes effect and when its caller learns of it.
   */
  readonly gate?:
    | ((
        operation: StoreOperation,
        keys: readonly string[],
        moment: 'before' | 'after',
      ) => Promise<void>)
    | undefined
}

/** Wraps a store so that its operations fail, hang or wait as a test wants. */
export function faultyRemote(store: RemoteStore, options: FaultyRemoteOptions = {}): RemoteStore {
  return new FaultyStore(store, options)
}

class FaultyStore implements RemoteStore {
  readonly name: string
  readonly spread: boolean
  readonly origin?: object
  readonly leases?: RemoteLeases
  readonly shorten?: NonNullable<RemoteStore['shorten']>
  readonly #store: RemoteStore
  readonly #options: FaultyRemoteOptions
  readonly #random: () => number

  constructor(store: RemoteStore, options: FaultyRemoteOptions) {
    this.name = store.name
    this.spread = store.spread === true
    this.#store = store
    this.#options = options
    this.#random = seeded(options.seed ?? 1)
    if (store.origin !== undefined) this.origin = store.origin
    if (store.leases !== undefined) this.leases = this.#faulty(store.leases)
    const shorten = store.shorten?.bind(store)
    if (shorten === undefined) return
    this.shorten = (key, left, options) =>
      this.#run('shorten', [key], () => shorten(key, left, options))
  }

  get(key: string): Promise<RemoteRead | undefined> {
    return this.#run('get', [key], () => this.#store.get(key))
  }

  getMany(keys: readonly string[]): Promise<(RemoteRead | undefined)[]> {
    const asked = [...keys]
    return this.#run('getMany', asked, () => this.#store.getMany(asked))
  }

  set(key: string, bytes: Uint8Array, options: RemoteWriteOptions): Promise<boolean> {
    const taken = Uint8Array.from(bytes)
    return this.#run('set', [key], () => this.#store.set(key, taken, options))
  }

  compareAndSet(
    key: string,
    expected: Uint8Array | undefined,
    bytes: Uint8Array,
    ttl: number,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const old = expected && Uint8Array.from(expected)
    const taken = Uint8Array.from(bytes)
    return this.#run('compareAndSet', [key], () =>
      this.#store.compareAndSet(key, old, taken, ttl, signal),
    )
  }

  compareAndDelete(
    key: string,
    expected: Uint8Array,
    options?: RemoteChangeOptions,
  ): Promise<boolean> {
    const old = Uint8Array.from(expected)
    return this.#run('compareAndDelete', [key], () =>
      this.#store.compareAndDelete(key, old, options),
    )
  }

  delete(keys: readonly string[], options?: RemoteChangeOptions): Promise<number> {
    const asked = [...keys]
    return this.#run('delete', asked, () => this.#store.delete(asked, options))
  }

  ping(): Promise<void> {
    return this.#run('ping', [], () => this.#store.ping())
  }

  groupOf(key: string): number {
    return this.#store.groupOf?.(key) ?? 0
  }

  judge(error: unknown): RemoteVerdict | undefined {
    return this.#store.judge?.(error)
  }

  connection(): RemoteConnection | undefined {
    return this.#store.connection?.()
  }

  watch(watcher: RemoteWatcher): () => void {
    return this.#store.watch?.(watcher) ?? (() => undefined)
  }

  withdraw(): void {
    this.#store.withdraw?.()
  }

  open(): void {
    this.#store.open()
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  #faulty(leases: RemoteLeases): RemoteLeases {
    const touch = leases.touch?.bind(leases)
    return {
      read: (keys, token, life) => {
        const asked = [...keys]
        return this.#run('lease.read', asked, () => leases.read(asked, token, life))
      },
      take: (key, token, life) =>
        this.#run('lease.take', [key], () => leases.take(key, token, life)),
      renew: (key, token, life) =>
        this.#run('lease.renew', [key], () => leases.renew(key, token, life)),
      release: (key, token, wake) =>
        this.#run('lease.release', [key], () => leases.release(key, token, wake)),
      fill: (key, token, write) => {
        const taken = {
          ...write,
          expected: write.expected && Uint8Array.from(write.expected),
          bytes: Uint8Array.from(write.bytes),
        }
        return this.#run('lease.fill', [key], () => leases.fill(key, token, taken))
      },
      ...(touch !== undefined && {
        touch: (key, token, renewal) => {
          const taken = { ...renewal, expected: Uint8Array.from(renewal.expected) }
          return this.#run('lease.touch', [key], () => touch(key, token, taken))
        },
      }),
    }
  }

  async #run<T>(
    operation: StoreOperation,
    keys: readonly string[],
    effect: () => Promise<T>,
  ): Promise<T> {
    const { script, gate } = this.#options
    const fault = script?.(operation, keys) ?? this.#drawn()
    if (fault === 'hang') return new Promise<never>(() => {})
    if (gate !== undefined) await gate(operation, keys, 'before')
    if (fault === 'before') throw new Error(`injected: ${operation} failed before it took`)
    try {
      const answer = await effect()
      if (fault === 'after') throw new Error(`injected: ${operation} took, its answer was lost`)
      return answer
    } finally {
      if (gate !== undefined) await gate(operation, keys, 'after')
    }
  }

  #drawn(): Fault | undefined {
    const { rates } = this.#options
    if (rates === undefined) return undefined
    let left = this.#random()
    for (const fault of ['before', 'after', 'hang'] as const) {
      const rate = rates[fault] ?? 0
      if (left < rate) return fault
      left -= rate
    }
    return undefined
  }
}

/** Mulberry32: 32 bits of state are plenty for a test, and any seed will do. */
function seeded(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
