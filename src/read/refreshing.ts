import { randomBytes } from 'node:crypto'
import type { Clock, Timer } from '../model/clock.ts'
import { encodeRefreshLock, refreshLockKey } from '../refresh/refresh-lock.ts'
import { type RefreshOutcome, type RefreshPolicy, RefreshTable } from '../refresh/refresh-table.ts'
import type { RemoteTier } from '../remote/remote-tier.ts'
import type { Counters } from '../stats/counters.ts'
import type { AnyLoader, OnceCall } from './call.ts'
import type { ReadPath } from './read-path.ts'

/** How a key is loaded; of the last call that asked for its refresh. */
interface RefreshWork {
  readonly loader: AnyLoader
  readonly call: OnceCall
}

interface RefreshingParts {
  readonly policy: RefreshPolicy
  readonly clock: Clock
  readonly counters: Counters
  readonly read: ReadPath
  readonly remote: RemoteTier | undefined
  /** Whether what others refresh is told here. */
  readonly hears: () => boolean
}

/** The lock ends so long before the next refresh is due: jetcache-go's does. */
const LOCK_ENDS_BEFORE = 10

/** The share of an interval after which the one that lost the lock looks for what the other has brought. */
const COPY_AFTER = 1 / 5

/**
 * Refreshes keys at their time, each in one process.
 *
 *   A locks `<key>_#RL#` for the interval -- reads the key, takes its lease, loads, fills, publishes
 *   B, who has heard: is due after A's next time, and finds A's lock only if A has died
 *   B, who has no bus: locks in vain; looks at the remote after a fifth of the interval
 *   C deletes the key meanwhile: A's lease is gone, A's fill stores nothing. (A refresh of jetcache-go
 *     takes no lease, and writes all the same.)
 *   A finds nothing to refresh: the key has been deleted, has expired or was evicted; it leaves the table
 *   A's loader fails: the lock is given back, if it is still A's, and the old value stays
 */
export class Refreshing {
  readonly #parts: RefreshingParts
  readonly #table: RefreshTable<RefreshWork>
  /** Of the tokens in locks. */
  readonly #owner = randomBytes(6).toString('base64url')
  #locks = 0
  readonly #copies = new Set<Timer>()
  #closed = false

  constructor(parts: RefreshingParts) {
    this.#parts = parts
    this.#table = new RefreshTable({
      policy: parts.policy,
      clock: parts.clock,
      run: (key, work) => this.#run(key, work),
      evicted: () => {
        parts.counters.refreshesEvicted++
      },
    })
  }

  /** Keys that are refreshed. */
  get size(): number {
    return this.#table.size
  }

  workOf(key: string): RefreshWork | undefined {
    return this.#table.get(key)
  }

  /** The key has been asked for. */
  touch(key: string, { loader, call }: RefreshWork): void {
    // A request's signal would keep alive whatever waits for it.
    const kept = call.signal === undefined ? call : { ...call, signal: undefined }
    this.#table.touch(key, { loader, call: kept })
  }

  /** It is not refreshed any more. Returns whether it was. */
  drop(key: string): boolean {
    return this.#table.drop(key)
  }

  /** Another process has refreshed it. */
  learned(key: string): void {
    this.#table.learned(key)
  }

  /** Nothing begins any more. */
  close(): void {
    this.#closed = true
    this.#table.clear()
    for (const timer of this.#copies) timer.cancel()
  }

  async #run(key: string, work: RefreshWork): Promise<RefreshOutcome> {
    const { counters } = this.#parts
    const outcome = await this.#refresh(key, work)
    if (outcome === 'failed' || outcome === 'unreachable') counters.refreshesFailed++
    if (outcome === 'elsewhere') counters.refreshesElsewhere++
    // It is not the loader that failed: the next interval is soon enough, and not too late.
    return outcome === 'unreachable' ? 'elsewhere' : outcome
  }

  async #refresh(
    key: string,
    { loader, call }: RefreshWork,
  ): Promise<RefreshOutcome | 'unreachable'> {
    const { clock, policy, read } = this.#parts
    const remote = call.skipRemote ? undefined : this.#parts.remote
    if (remote === undefined) return read.refresh(key, loader, call)
    const name = refreshLockKey(key)
    const text = encodeRefreshLock(clock.now(), `${this.#owner}.${++this.#locks}`)
    const life = Math.max(1, Math.floor(policy.interval) - LOCK_ENDS_BEFORE)
    const locked = await remote.lock(name, text, life)
    if (locked === undefined) return 'unreachable'
    if (!locked) {
      this.#copySoon(key, call)
      return 'elsewhere'
    }
    const outcome = this.#closed ? 'gone' : await read.refresh(key, loader, call)
    if (outcome !== 'refreshed') await remote.unlock(name, text)
    return outcome
  }

  #copySoon(key: string, call: OnceCall): void {
    const { clock, hears, policy, read } = this.#parts
    if (hears() || this.#closed) return
    const timer = clock.setTimer(policy.interval * COPY_AFTER, () => {
      this.#copies.delete(timer)
      void read.copy(key, call)
    })
    this.#copies.add(timer)
  }
}
