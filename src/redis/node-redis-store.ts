import { optionTypeError, shown } from '../model/errors.ts'
import { toReads } from '../redis-common/read-reply.ts'
import {
  COMPARE_AND_DELETE,
  COMPARE_AND_SET,
  MOST_KEYS,
  READ,
  type Script,
} from '../redis-common/scripts.ts'
import { TickReads } from '../redis-common/tick-reads.ts'
import type { RemoteRead, RemoteStore, RemoteWriteOptions } from '../remote/remote-store.ts'
import type {
  NodeRedisClient,
  NodeRedisCommands,
  NodeRedisSetOptions,
} from './node-redis-client.ts'
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
  return new NodeRedisStore(client)
}

class NodeRedisStore implements RemoteStore {
  readonly name = 'node-redis'
  readonly #client: NodeRedisClient
  readonly #commands: RevocableCommands
  readonly #reads = new TickReads((keys) => this.#read(keys), MOST_KEYS)
  #users = 0
  #closed = false
  #listening = false

  constructor(client: NodeRedisClient) {
    this.#client = client
    this.#commands = new RevocableCommands(client)
  }

  open(): void {
    this.#users++
    this.#closed = false
    if (this.#listening) return
    this.#client.on('error', this.#onError)
    this.#listening = true
  }

  async close(): Promise<void> {
    if (this.#users === 0 || --this.#users > 0) return
    this.#closed = true
    // createClient() returns an object that inherits from the client. To take its last listener off
    // would part their lists of listeners, and what is added later would hear nothing: ours stays.
    const last = this.#client.eventNames().length < 2 && this.#client.listenerCount('error') < 2
    if (last) return
    this.#client.off('error', this.#onError)
    this.#listening = false
  }

  get(key: string): Promise<RemoteRead | undefined> {
    return this.#reads.read(key)
  }

  async getMany(keys: readonly string[]): Promise<(RemoteRead | undefined)[]> {
    const reads: Promise<(RemoteRead | undefined)[]>[] = []
    for (let from = 0; from < keys.length; from += MOST_KEYS) {
      reads.push(this.#read(keys.slice(from, from + MOST_KEYS)))
    }
    return (await Promise.all(reads)).flat()
  }

  async set(key: string, bytes: Uint8Array, options: RemoteWriteOptions): Promise<boolean> {
    const redisOptions: NodeRedisSetOptions = { expiration: { type: 'PX', value: options.ttl } }
    if (options.when !== undefined) {
      redisOptions.condition = options.when === 'absent' ? 'NX' : 'XX'
    }
    const value = Buffer.from(bytes)
    return (await this.#send((commands) => commands.set(key, value, redisOptions))) !== null
  }

  async compareAndSet(
    key: string,
    expected: Uint8Array | undefined,
    bytes: Uint8Array,
    ttl: number,
  ): Promise<boolean> {
    if (expected === undefined) return this.set(key, bytes, { ttl, when: 'absent' })
    const args = [Buffer.from(expected), Buffer.from(bytes), String(ttl)]
    return (await this.#run(COMPARE_AND_SET, [key], args)) === 1
  }

  async compareAndDelete(key: string, expected: Uint8Array): Promise<boolean> {
    return (await this.#run(COMPARE_AND_DELETE, [key], [Buffer.from(expected)])) === 1
  }

  async delete(keys: readonly string[]): Promise<number> {
    if (keys.length === 0) return 0
    // Not UNLINK: values are strings, which both free in the same way.
    return Number(await this.#send((commands) => commands.del([...keys])))
  }

  async ping(): Promise<void> {
    await this.#send((commands) => commands.ping())
  }

  async #read(keys: string[]): Promise<(RemoteRead | undefined)[]> {
    return toReads(await this.#run(READ, keys, []), keys.length)
  }

  /** By its name; with its source where the server does not know it yet, or no longer. */
  async #run(script: Script, keys: string[], args: (string | Buffer)[]): Promise<unknown> {
    const options = { keys, arguments: args }
    try {
      return await this.#send((commands) => commands.evalSha(script.sha, options))
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
      return this.#send((commands) => commands.eval(script.source, options))
    }
  }

  async #send(send: (commands: NodeRedisCommands) => Promise<unknown>): Promise<unknown> {
    if (this.#closed) throw new Error('the store is closed')
    if (!this.#client.isReady) throw new Error('the Redis client is not connected')
    return this.#commands.run(send)
  }

  /** The client tells of each lost connection by an error, and keeps what it has not sent. */
  readonly #onError = (): void => this.#commands.revoke()
}
