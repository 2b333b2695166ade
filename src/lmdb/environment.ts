import { resolve } from 'node:path'
import { type Database, openData, prepareDirectory } from './directory.ts'
import { Gate } from './gate.ts'
import { PendingWrites, type Write } from './pending-writes.ts'
import { dueAt } from './records.ts'
import { Space, soonestDue } from './space.ts'

/**
 * How processes keep out of each other's way.
 *
 * LMDB has locks of its own, but they are waited for by the thread that asks, and it is not enough to
 * wait: LMDB 0.9.90, the version inside `lmdb` 3.5, has a race. Whoever opens an environment sets the
 * number of the last transaction, shared by all, to what it read a moment before. If another process
 * commits in between, that number goes back, and the next commits destroy the list of free pages,
 * for good. And whoever closes an environment as the last one destroys the locks that another one
 * may be opening at that moment.
 *
 * So the data is opened, written and closed only by the holder of the gate, and LMDB's own locks are
 * free whenever we take them, or left by a process that died, which LMDB notices. The gate is tried,
 * never waited for: a holder that has been stopped costs the others their writes, not their event
 * loop, and reads need no lock.
 *
 *   write -> queue --(end of the turn)--> gate free? --yes--> one transaction for all that has come
 *                        ^                   |
 *                        '----- 1 ms --------+-- held for long, and nobody commits: all are refused
 */

// Taken at import: fake timers installed later must not stop writes.
const startTimer = setTimeout
const onTurn = setImmediate

/** The environments of this process by their path. */
const environments = new Map<string, Environment>()

/** Milliseconds between two tries at a gate that is held: a batch takes less. */
const TRY_AGAIN = 1

/**
 * As many tries without any commit, 0.4 s on a machine with time to spare, and the holder of the gate
 * is taken to be stopped: writes are refused at their first try, until one finds it open.
 */
const MOST_TRIES = 300

/** It was not carried out, and never will be. */
export class NotCommittedError extends Error {}

/** One LMDB environment, shared by all stores of this process on one path. */
export class Environment {
  readonly #path: string
  readonly #directory: string
  readonly #gate: Gate
  /** `undefined` while another process was in the way of opening it. */
  #data: Database | undefined
  readonly #pending = new PendingWrites()
  #draining = false
  #holders = 0
  /** In vain, one after the other, while the last transaction was this one. */
  #tries = 0
  #lastSeen = 0

  /** @throws Error if the directory cannot be used, or is of another format. */
  static acquire(path: string): Environment {
    const absolute = resolve(path)
    const environment = environments.get(absolute) ?? new Environment(absolute)
    if (environments.size === 0) process.on('exit', Environment.#closeAll)
    environments.set(absolute, environment)
    environment.#holders++
    return environment
  }

  private constructor(path: string) {
    this.#path = path
    this.#directory = prepareDirectory(path)
    this.#gate = new Gate(this.#directory)
    const leave = this.#gate.take()
    if (leave === undefined) return
    try {
      this.#data = openData(this.#directory)
    } finally {
      leave()
    }
  }

  get isOpen(): boolean {
    return this.#data !== undefined
  }

  /** Resolves once it can be read; rejects if that cannot be had now. */
  opened(): Promise<void> {
    return this.write(() => undefined, 0)
  }

  /** Sees what any process has committed by now. */
  read<T>(run: (get: (key: Buffer) => Buffer | undefined) => T): T {
    return this.#reading((data) => run((key) => data.getBinary(key)))
  }

  /** When the first life is over, of an entry or a lease; `Infinity` if there are none. */
  soonestDue(): number {
    return this.#reading((data) => {
      const [entry] = soonestDue(data, 1, 'entry')
      const [lease] = soonestDue(data, 1, 'lease')
      const moments = [entry, lease].map((due) => (due === undefined ? Infinity : dueAt(due)))
      return Math.min(...moments)
    })
  }

  /**
   * Resolves once what `run` did is committed, and so visible to all processes. If it rejects, it has
   * not been committed and will not be.
   *
   * @param signal Takes it back.
   * @throws NotCommittedError if the gate stays held, or LMDB could not commit.
   */
  write<T>(run: (space: Space) => T, bytes: number, signal?: AbortSignal): Promise<T> {
    const written = this.#pending.add(run, bytes, signal)
    if (!this.#draining) void this.#drain()
    return written
  }

  /** The last one out closes; no operation may be under way. */
  async release(): Promise<void> {
    if (--this.#holders > 0) return
    environments.delete(this.#path)
    if (environments.size === 0) process.off('exit', Environment.#closeAll)
    let leave = this.#gate.take()
    for (let tries = 1; leave === undefined && tries < MOST_TRIES; tries++) {
      await pause(TRY_AGAIN)
      leave = this.#gate.take()
    }
    await this.#data?.close()
    leave?.()
  }

  /**
   * Otherwise Node.js closes them when a process, or a worker thread, ends that has not: whatever the
   * gate says.
   */
  static readonly #closeAll = (): void => {
    for (const environment of environments.values()) environment.#closeNow()
  }

  #closeNow(): void {
    let leave = this.#gate.take()
    for (let tries = 1; leave === undefined && tries < MOST_TRIES; tries++) {
      Atomics.wait(NEVER, 0, 0, TRY_AGAIN)
      leave = this.#gate.take()
    }
    void this.#data?.close()
    leave?.()
  }

  #reading<T>(run: (data: Database) => T): T {
    if (this.#data === undefined) throw new Error('lmdb: the directory is not open yet')
    try {
      return run(this.#data)
    } finally {
      // At once, not in the timer that `lmdb` starts: the next read must not find an old snapshot,
      // and a snapshot that is held keeps pages from being used again.
      this.#data.resetReadTxn()
    }
  }

  /** Never rejects: each write tells its own caller. */
  async #drain(): Promise<void> {
    this.#draining = true
    // Those of one turn are committed together, and between two batches others have their turn.
    await turn()
    while (!this.#pending.isEmpty) {
      try {
        if (this.#commitNext()) {
          await turn()
          continue
        }
        this.#refuseIfStopped()
      } catch (error) {
        this.#pending.failAll(error)
      }
      await pause(TRY_AGAIN)
    }
    this.#draining = false
  }

  /** Whether the gate was open. */
  #commitNext(): boolean {
    const leave = this.#gate.take()
    if (leave === undefined) return false
    this.#tries = 0
    try {
      this.#commit(this.#pending.takeBatch())
    } finally {
      leave()
    }
    return true
  }

  /** All or nothing. */
  #commit(batch: readonly Write[]): void {
    try {
      this.#data ??= openData(this.#directory)
    } catch (error) {
      for (const write of batch) write.failed(error)
      return
    }
    const data = this.#data
    try {
      const committed = data.transactionSync(() => {
        const space = new Space(data)
        const tellers = batch.map((write) => write.run(space))
        space.save()
        return tellers
      })
      for (const tell of committed) tell()
    } catch (cause) {
      const message = 'lmdb: the write was not committed; is the disk full?'
      for (const write of batch) write.failed(new NotCommittedError(message, { cause }))
    }
  }

  #refuseIfStopped(): void {
    this.#tries++
    if (this.#tries > 1 && this.#tries < MOST_TRIES) return
    const transaction = this.#lastTransaction()
    if (this.#tries === 1 || transaction !== this.#lastSeen) {
      // Others write: we only had no luck yet.
      this.#tries = 1
      this.#lastSeen = transaction
      return
    }
    const message = 'lmdb: another process keeps all others from writing; has it been stopped?'
    this.#pending.failAll(this.isOpen ? new NotCommittedError(message) : new Error(message))
  }

  #lastTransaction(): number {
    if (!this.isOpen) return 0
    return this.#reading((data) => (data.getStats() as { lastTxnId: number }).lastTxnId)
  }
}

/** Nobody ever changes it: waiting for that is to sleep. */
const NEVER = new Int32Array(new SharedArrayBuffer(4))

function turn(): Promise<void> {
  return new Promise((resolve) => {
    onTurn(resolve)
  })
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    startTimer(resolve, ms)
  })
}
