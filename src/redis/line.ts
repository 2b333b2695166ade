import type { RedisServer } from '../redis-common/redis-connection.ts'
import { Listening } from './listening.ts'
import type { NodeRedisConnected } from './node-redis-client.ts'
import { RevocableCommands } from './revocable-commands.ts'

interface LineWatcher {
  ready(): void
  lost(): void
}

/** One connection: what is sent on it, and whether it is there. */
export class Line {
  readonly client: NodeRedisConnected
  readonly #commands: RevocableCommands
  readonly #listening: Listening
  readonly #watcher: LineWatcher
  #watched = false
  #up = false
  #server: RedisServer = this.#newServer()

  /** @param watcher Told of each loss, and of each connection after it. */
  constructor(client: NodeRedisConnected, watcher: LineWatcher) {
    this.client = client
    this.#commands = new RevocableCommands(client)
    this.#watcher = watcher
    const fell = () => this.#fell()
    this.#listening = new Listening(client, { ready: () => this.#rose(), end: fell, error: fell })
  }

  /** Whether the connection is there, as far as its events have told. */
  get isUp(): boolean {
    return this.#up
  }

  /** The connection as it is now: another object once it may be another one. */
  get server(): RedisServer {
    return this.#server
  }

  /** Begins to listen. It may have been lost, and made again, while nobody did. */
  watch(): void {
    this.#watched = true
    this.#server = this.#newServer()
    this.#listening.begin()
    this.#up = this.client.isReady
  }

  unwatch(): void {
    this.#watched = false
    this.#listening.end()
    this.#up = false
  }

  send(args: readonly (string | Buffer)[], signal?: AbortSignal): Promise<unknown> {
    return this.#commands.send(args, signal)
  }

  /** Rejects what has not been sent. */
  withdraw(): void {
    this.#commands.revoke()
  }

  #newServer(): RedisServer {
    return { send: (command) => this.send(command) }
  }

  #rose(): void {
    if (this.#up || !this.#watched) return
    this.#up = true
    this.#server = this.#newServer()
    this.#watcher.ready()
  }

  /** An `error` may also tell of an attempt to connect, or of something that ended no connection. */
  #fell(): void {
    if (this.client.isReady) return
    this.#commands.revoke()
    if (!this.#up) return
    this.#up = false
    this.#watcher.lost()
  }
}
