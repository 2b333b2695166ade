import { optionTypeError, shown } from '../model/errors.ts'
import {
  type RedisArgument,
  type RedisConnection,
  RedisStore,
} from '../redis-common/redis-store.ts'
import type { RemoteStore, RemoteWriteOptions } from '../remote/remote-store.ts'
import type { NodeRedisClient, NodeRedisSetOptions } from './node-redis-client.ts'
import { RevocableCommands } from './revocable-commands.ts'

/**
 * A remote tier on a client of node-redis 6 (`createClient()` of the package `redis`, an optional
 * peer), in front of Redis or Valkey.
 *
 * The client is yours: connect it before or after the cache is made, and close it after the cache.
 * Its `RESP`, `keyPrefix`, `database` and reconnect options are honoured; its `commandOptions` are
 * not (the cache's `remoteTimeout` bounds each operation). While a cache uses it, it has an `error`
 * listener, so that a lost connection does not end the process; the listener stays on a client that
 * has no other.
 *
 * Nothing waits for a connection: an operation rejects at once while the client is not ready, and
 * one that the client has not sent yet rejects when the connection is lost, so that no write takes
 * effect long after its caller was told that it failed. An error of the server or the client
 * rejects as it is.
 *
 * A key that holds something other than a string reads as absent; a compare on it rejects with
 * WRONGTYPE, a `set` or `delete` replaces or removes it.
 *
 * @throws TypeError (`code: 'CACHE_OPTION'`) if it is no such client.
 */
export function nodeRedis(client: NodeRedisClient): RemoteStore {
  if (typeof client?.withCommandOptions !== 'function' || typeof client.isReady !== 'boolean') {
    throw optionTypeError(
      `nodeRedis: client must be what createClient() of the package redis returns, but is ${shown(client)}`,
      'Make one with createClient() of redis 6; for another client use the store of its own.',
    )
  }
  return new RedisStore(new NodeRedisConnection(client))
}

class NodeRedisConnection implements RedisConnection {
  readonly name = 'node-redis'
  readonly #client: NodeRedisClient
  readonly #commands: RevocableCommands
  #listening = false
  #losses = 0

  constructor(client: NodeRedisClient) {
    this.#client = client
    this.#commands = new RevocableCommands(client)
  }

  get losses(): number {
    return this.#losses
  }

  attach(): void {
    if (this.#listening) return
    this.#client.on('error', this.#onError)
    this.#listening = true
  }

  detach(): void {
    // createClient() returns an object that inherits from the client. To take its last listener off
    // would part their lists of listeners, and what is added later would hear nothing: ours stays.
    const last = this.#client.eventNames().length < 2 && this.#client.listenerCount('error') < 2
    if (last) return
    this.#client.off('error', this.#onError)
    this.#listening = false
  }

  evalSha(sha: string, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    const options = { keys: [...keys], arguments: args.map(toSend) }
    return this.#commands.run((commands) => commands.evalSha(sha, options))
  }

  eval(source: string, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    const options = { keys: [...keys], arguments: args.map(toSend) }
    return this.#commands.run((commands) => commands.eval(source, options))
  }

  set(key: string, bytes: Uint8Array, { ttl, when }: RemoteWriteOptions): Promise<unknown> {
    const options: NodeRedisSetOptions = { expiration: { type: 'PX', value: ttl } }
    if (when !== undefined) options.condition = when === 'absent' ? 'NX' : 'XX'
    const value = Buffer.from(bytes)
    return this.#commands.run((commands) => commands.set(key, value, options))
  }

  del(keys: readonly string[]): Promise<unknown> {
    return this.#commands.run((commands) => commands.del([...keys]))
  }

  ping(): Promise<unknown> {
    return this.#commands.run((commands) => commands.ping())
  }

  /** The client tells of each lost connection by an error, and keeps what it has not sent. */
  readonly #onError = (): void => {
    this.#losses++
    this.#commands.revoke()
  }
}

/** Copied: the client may write it later than this turn, when its owner has changed it. */
function toSend(argument: RedisArgument): string | Buffer {
  return typeof argument === 'string' ? argument : Buffer.from(argument)
}
