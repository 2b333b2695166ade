/*
 * Who is under way with which key, and who may still store what they bring.
 *
 * A FLIGHT brings something to the tiers: a load with its fill, or a remote value on its way into
 * the local tier. A CHANGE says that what was there before is no longer true: set, delete. A
 * change lasts from its call to its settlement, because in between nobody knows on which side of
 * it the remote answered. The rule (promise P2): a flight that overlaps a change stores nothing.
 *
 * Overlap is told by counting, without a record per key that outlives the work on it:
 *
 *   flight        |--open------------------store?--|
 *   change a  |------------|                            began before: `changes > 0` at open, and
 *                                                       the bump at its settlement is in between
 *   change b           |------|                         inside: epoch moved
 *   change c                         |-----------|      still running at the store: epoch moved
 *   change d  |------------------------------------|    around: `changes > 0` at open; no bump seen
 *
 * So a ticket notes the epoch when it opens and whether a change was running then, and may store
 * only if neither says overlap. The epoch moves at a change's call AND at its settlement: without
 * the second, a flight that opens during a change and ends after it (it may have read the remote
 * just before the change took effect there) would store the old value.
 *
 * Both moves also end what may be joined: a caller who comes after the call of a change never gets
 * a load that began before it, and one who comes after its settlement never gets a load that began
 * during it. Callers who joined earlier get what they asked for; it is just not stored.
 *
 * A change that stores as well (set, in the local tier) asks whether it was alone. The remote writes
 * of one key take turns (`sequence.ts`), so of two overlapping sets the earlier sees the call of the
 * later, and the later the settlement of the earlier: neither stores locally.
 *
 * A FENCE stops local writes only: of one key (its local copy was dropped by hand, or by an event
 * that names no author) or of all (the local tier was flushed). Loads go on, may be joined and may
 * fill the remote. A remote read may not be joined across a fence: the one who joins has a ticket
 * that is younger than the fence, and would store locally what was read before it.
 *
 * A change of ANOTHER PROCESS is heard of after the fact: it ends the epoch like a change of our own
 * that begins and settles in that turn. A flight that reads the remote after it finds what it left; one
 * that fills the remote with what was loaded before it is stopped by its lease (`read/lease-entry.ts`).
 *
 * Everything here is synchronous. What a ticket says holds until the next await, so the question
 * must be asked in the same turn in which the store is called.
 */

/** What may be joined under one key in one epoch. */
interface KeyState<Load, Read> {
  epoch: number
  /** Changes running. */
  changes: number
  /** Moves when local writes of this key are fenced. */
  fence: number
  /** Open tickets and running changes; the state leaves the table with the last. */
  users: number
  load: Load | undefined
  read: Read | undefined
}

/** A flight's right to store, until something overlaps it. */
export interface Ticket {
  /** Whether nothing has overlapped so far. */
  mayStore(): boolean
  /** The same for the local tier, where fences count too. */
  mayStoreLocally(): boolean
  /** From now on it may not. */
  revoke(): void
  /** The flight is over. */
  close(): void
}

/** A change under way. */
export interface Change {
  /** Whether no other change has been under way, and no fence come, since it began. */
  alone(): boolean
  /** It took effect, failed, or nobody will ever know. */
  settle(): void
}

/**
 * The flights of one cache. `Load` is what later callers of `once` join, `Read` what later readers
 * of the remote join.
 */
export class Flights<Load, Read> {
  readonly #states = new Map<string, KeyState<Load, Read>>()
  #flushes = 0
  #revokedAll = false
  readonly #idle: (() => void)[] = []

  /** Keys with something under way. */
  get size(): number {
    return this.#states.size
  }

  open(key: string): Ticket {
    const state = this.#enter(key)
    const epoch = state.epoch
    const fence = state.fence
    const flushes = this.#flushes
    let stores = state.changes === 0
    let open = true
    const mayStore = () => stores && state.epoch === epoch && !this.#revokedAll
    return {
      mayStore,
      mayStoreLocally: () => mayStore() && state.fence === fence && this.#flushes === flushes,
      revoke: () => {
        stores = false
      },
      close: () => {
        if (!open) return
        open = false
        stores = false
        this.#leave(key, state)
      },
    }
  }

  change(key: string): Change {
    const state = this.#enter(key)
    const first = ++state.changes === 1
    endEpoch(state)
    const epoch = state.epoch
    const fence = state.fence
    const flushes = this.#flushes
    return {
      alone: () =>
        first &&
        state.epoch === epoch &&
        state.fence === fence &&
        this.#flushes === flushes &&
        !this.#revokedAll,
      settle: () => {
        state.changes--
        endEpoch(state)
        this.#leave(key, state)
      },
    }
  }

  /**
   * Another process has changed the key: a change that is over as soon as it is heard of.
   *
   * @returns The load that nobody joins any more, if there was one.
   */
  invalidate(key: string): Load | undefined {
    const state = this.#states.get(key)
    if (state === undefined) return undefined
    const { load } = state
    endEpoch(state)
    return load
  }

  /** The same for one load, if it is still the one to be joined. */
  invalidateLoad(key: string, load: Load): void {
    if (this.#states.get(key)?.load === load) this.invalidate(key)
  }

  /** Local writes of this key that are under way will not happen. */
  fence(key: string): void {
    const state = this.#states.get(key)
    if (state === undefined) return
    state.fence++
    // Whoever comes now may store locally, so they must not join what was read before.
    state.read = undefined
  }

  /** Local writes of all keys that are under way will not happen. */
  fenceAll(): void {
    this.#flushes++
    for (const state of this.#states.values()) state.read = undefined
  }

  /** The load that a new caller may join. */
  load(key: string): Load | undefined {
    return this.#states.get(key)?.load
  }

  /** The remote read that a new reader may join. */
  read(key: string): Read | undefined {
    return this.#states.get(key)?.read
  }

  /** Only while the leader's ticket is open. */
  offerLoad(key: string, load: Load): void {
    this.#stateOf(key).load = load
  }

  /** Only while the leader's ticket is open. */
  offerRead(key: string, read: Read): void {
    this.#stateOf(key).read = read
  }

  /** Nobody joins it from now on; one that a change has already ended is left alone. */
  withdrawLoad(key: string, load: Load): void {
    const state = this.#states.get(key)
    if (state?.load === load) state.load = undefined
  }

  withdrawRead(key: string, read: Read): void {
    const state = this.#states.get(key)
    if (state?.read === read) state.read = undefined
  }

  /** Nothing under way will store any more. */
  revokeAll(): void {
    this.#revokedAll = true
  }

  /** Resolves when nothing is under way. */
  idle(): Promise<void> {
    if (this.#states.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  #stateOf(key: string): KeyState<Load, Read> {
    const state = this.#states.get(key)
    if (state === undefined) throw new Error(`no flight of ${key} is open`)
    return state
  }

  #enter(key: string): KeyState<Load, Read> {
    let state = this.#states.get(key)
    if (state === undefined) {
      state = { epoch: 0, changes: 0, fence: 0, users: 0, load: undefined, read: undefined }
      this.#states.set(key, state)
    }
    state.users++
    return state
  }

  #leave(key: string, state: KeyState<Load, Read>): void {
    if (--state.users > 0) return
    this.#states.delete(key)
    if (this.#states.size > 0) return
    for (const resolve of this.#idle.splice(0)) resolve()
  }
}

function endEpoch<Load, Read>(state: KeyState<Load, Read>): void {
  state.epoch++
  state.load = undefined
  state.read = undefined
}
