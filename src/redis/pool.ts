import {
  type ConnectionWatcher,
  NotSentError,
  type RedisServer,
} from '../redis-common/redis-connection.ts'
import { Line } from './line.ts'
import { Listening } from './listening.ts'
import type { NodeRedisConnected, NodeRedisPool } from './node-redis-client.ts'
import type { NodeRedisPlace, Route } from './node-redis-connection.ts'

/** What the pool says of a task that it has not begun: after its `acquireTimeout`, and when it ends. */
const NOT_BEGUN = /^Timeout waiting for a client|^The client is closed$/

/**
 * Commands on `createClientPool()`, each on a connection that is free.
 *
 * The pool tells nothing of its connections but errors, so each is listened to from the first time
 * that it is met. Commands wait in the pool for a connection to become free, which is what makes it
 * open more; they are given up at their deadline, and none waits while no connection is there.
 */
export class PoolRoute implements Route {
  readonly ordered = false
  readonly bySlot = false
  readonly #pool: NodeRedisPool
  readonly #listening: Listening
  readonly #lines = new Map<NodeRedisConnected, Line>()
  #withdrawals = 0
  #watcher: ConnectionWatcher | undefined

  constructor(pool: NodeRedisPool) {
    this.#pool = pool
    this.#listening = new Listening(pool, { error: () => undefined })
  }

  /** Those that are in use, too: what a store asks a server would else make the pool open more. */
  servers(): readonly RedisServer[] {
    this.#isReady()
    return [...this.#lines.values()]
      .filter((line) => line.client.isReady)
      .map((line) => line.server)
  }

  places(): readonly NodeRedisPlace[] {
    this.#isReady()
    const client = [...this.#lines.keys()].find(({ isReady }) => isReady)
    // Whichever connection it is: the pool opens and closes them as it needs them.
    return [
      { address: '', connected: client === undefined ? client : { connection: this, client } },
    ]
  }

  withdraw(): void {
    this.#withdrawals++
    for (const line of this.#lines.values()) line.withdraw()
  }

  attach(watcher: ConnectionWatcher): void {
    this.#listening.begin()
    this.#forgetClosed()
    // Met before the store listens: it asks by itself what is there when it begins.
    this.#isReady()
    for (const line of this.#lines.values()) line.watch()
    this.#watcher = watcher
  }

  detach(): void {
    this.#watcher = undefined
    this.#listening.end()
    for (const line of this.#lines.values()) line.unwatch()
  }

  send(args: readonly (string | Buffer)[], _key: string, signal?: AbortSignal): Promise<unknown> {
    const withdrawals = this.#withdrawals
    const check = () => {
      if (withdrawals !== this.#withdrawals) throw new NotSentError('the command was withdrawn')
    }
    return this.#onFree(async (line) => {
      check()
      const admission = this.#watcher?.admission(line.server)
      if (admission !== undefined) {
        await admission
        check()
      }
      return line.send(args, signal)
    }, signal)
  }

  /** Runs a task on a connection that is free, unless the signal comes before there is one. */
  #onFree(task: (line: Line) => Promise<unknown>, signal?: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.#isReady()) throw new NotSentError('no connection of the Redis pool is there')
      const giveUp = () => reject(new NotSentError('no connection of the Redis pool became free'))
      signal?.addEventListener('abort', giveUp, { once: true })
      this.#pool
        .execute((client) => {
          signal?.removeEventListener('abort', giveUp)
          return task(this.#lineOf(client))
        })
        .then(resolve, (error: unknown) => {
          signal?.removeEventListener('abort', giveUp)
          if (error instanceof Error && NOT_BEGUN.test(error.message)) giveUp()
          else reject(error)
        })
    })
  }

  #isReady(): boolean {
    if (this.#isUp()) return true
    // Not without an idle one: the pool would open a connection for each such look in vain.
    if (this.#pool.idleClients > 0) {
      this.#pool.execute(async (client) => void this.#lineOf(client)).catch(() => undefined)
    }
    return this.#isUp()
  }

  #isUp(): boolean {
    for (const client of this.#lines.keys()) if (client.isReady) return true
    return false
  }

  #lineOf(client: NodeRedisConnected): Line {
    const known = this.#lines.get(client)
    if (known !== undefined) return known
    this.#forgetClosed()
    const line = new Line(client, {
      ready: () => this.#watcher?.ready(),
      lost: () => this.#watcher?.lost(),
    })
    this.#lines.set(client, line)
    if (this.#watcher === undefined) return line
    line.watch()
    if (line.isUp) this.#watcher.ready()
    return line
  }

  #forgetClosed(): void {
    for (const [client, line] of this.#lines) {
      if (client.isOpen) continue
      line.unwatch()
      this.#lines.delete(client)
    }
  }
}
