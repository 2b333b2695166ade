import type { ConnectionWatcher, RedisServer } from '../redis-common/redis-connection.ts'
import { Line } from './line.ts'
import type { NodeRedisConnected } from './node-redis-client.ts'
import type { NodeRedisPlace, Route } from './node-redis-connection.ts'

/** Commands on the one connection of `createClient()`. */
export class SingleRoute implements Route {
  readonly ordered = true
  readonly bySlot = false
  readonly #line: Line
  #watcher: ConnectionWatcher | undefined

  constructor(client: NodeRedisConnected) {
    this.#line = new Line(client, {
      ready: () => this.#watcher?.ready(),
      lost: () => this.#watcher?.lost(),
    })
  }

  servers(): readonly RedisServer[] {
    return this.#line.client.isReady ? [this.#line.server] : []
  }

  places(): readonly NodeRedisPlace[] {
    const { client, server } = this.#line
    return [{ address: '', connected: client.isReady ? { connection: server, client } : undefined }]
  }

  withdraw(): void {
    this.#line.withdraw()
  }

  attach(watcher: ConnectionWatcher): void {
    this.#watcher = watcher
    this.#line.watch()
  }

  detach(): void {
    this.#watcher = undefined
    this.#line.unwatch()
  }

  send(args: readonly (string | Buffer)[], _key: string, signal?: AbortSignal): Promise<unknown> {
    return this.#line.send(args, signal)
  }
}
