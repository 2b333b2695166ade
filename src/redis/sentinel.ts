import { systemClock } from '../model/clock.ts'
import {
  type ConnectionWatcher,
  NotSentError,
  type RedisServer,
} from '../redis-common/redis-connection.ts'
import { Line } from './line.ts'
import { Listening } from './listening.ts'
import type { NodeRedisConnected, NodeRedisSentinel } from './node-redis-client.ts'
import type { NodeRedisPlace, Route } from './node-redis-connection.ts'

/**
 * Milliseconds that a lost connection has to come back by itself. To ask the sentinel for it makes the
 * sentinel drop it, and try new ones once a second.
 */
const LEFT_ALONE = 2000

/**
 * Commands on `createSentinel()`, on its connection to the master, which it replaces at a failover.
 *
 * Not through the sentinel's own commands: those wait for a master that is not there, and send again,
 * to the next one, what a lost connection left unanswered.
 */
export class SentinelRoute implements Route {
  readonly ordered = true
  readonly bySlot = false
  readonly #sentinel: NodeRedisSentinel
  readonly #listening: Listening
  #line: Line | undefined
  #watcher: ConnectionWatcher | undefined
  #finding = false
  #downSince = Number.NEGATIVE_INFINITY

  constructor(sentinel: NodeRedisSentinel) {
    this.#sentinel = sentinel
    this.#listening = new Listening(sentinel, {
      ready: () => this.#find(),
      error: () => undefined,
    })
    this.#find()
  }

  servers(): readonly RedisServer[] {
    if (this.#line?.client.isReady === true) return [this.#line.server]
    // The sentinel gives up looking for a master after some 16 s, until it is asked for one.
    if (systemClock.monotonic() - this.#downSince > LEFT_ALONE) this.#find()
    return []
  }

  places(): readonly NodeRedisPlace[] {
    const [server] = this.servers()
    const client = this.#line?.client
    const isThere = server !== undefined && client !== undefined
    return [{ address: '', connected: isThere ? { connection: server, client } : undefined }]
  }

  withdraw(): void {
    this.#line?.withdraw()
  }

  attach(watcher: ConnectionWatcher): void {
    this.#watcher = watcher
    this.#listening.begin()
    this.#line?.watch()
    this.#find()
  }

  detach(): void {
    this.#watcher = undefined
    this.#listening.end()
    this.#line?.unwatch()
  }

  send(args: readonly (string | Buffer)[], _key: string, signal?: AbortSignal): Promise<unknown> {
    if (this.#line !== undefined) return this.#line.send(args, signal)
    return Promise.reject(new NotSentError('the sentinel client has no master'))
  }

  /** Asks for the connection to the master, which may take until there is one. */
  #find(): void {
    if (this.#finding || !this.#sentinel.isOpen) return
    this.#finding = true
    this.#sentinel
      ._execute(false, async (client) => this.#use(client))
      .catch(() => undefined)
      .finally(() => {
        this.#finding = false
      })
  }

  #use(client: NodeRedisConnected): void {
    if (client === this.#line?.client) return
    // Lost before this: the sentinel ends its connections before it makes others.
    this.#line?.unwatch()
    const line = new Line(client, {
      ready: () => this.#watcher?.ready(),
      lost: () => {
        this.#downSince = systemClock.monotonic()
        this.#watcher?.lost()
      },
    })
    this.#line = line
    if (this.#watcher === undefined) return
    line.watch()
    if (line.isUp) this.#watcher.ready()
  }
}
