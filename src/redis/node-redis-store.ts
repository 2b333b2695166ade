import type { RemoteRead, RemoteStore, RemoteWriteOptions } from '../remote/remote-store.ts'
import type {
  NodeRedisClient,
  NodeRedisCommands,
  NodeRedisSetOptions,
} from './node-redis-client.ts'
import { COMPARE_AND_DELETE, COMPARE_AND_SET, MOST_KEYS, READ, type Script } from './scripts.ts'

/**
 * A remote tier on a client of node-redis 6 (`createClient()` of the package `redis`, an optional
 * peer), in front of Redis or Valkey.
 *
 * The client is yours: connect it before or after the cache is made, and close it after the cache.
 * Its `RESP`, `keyPrefix`, `database` and reconnect options are honoured; its `commandOptions` are
 * not (the cache's `remoteTimeout` bounds each operation). While a cache uses it, it has an `error`
 * listener, so that a lost connection does not end the process.
 *
 * Nothing waits for a connection: an operation rejects at once while the client is not ready, and
 * one that the client has not sent yet rejects when the connection is lost, so that no write takes
 * effect long after its caller was told that it failed. An error of the server or the client
 * rejects as it is.
 *
 * A key that holds something other than a string reads as absent; a compare on it rejects with
 * WRONGTYPE, a `set` or `delete` replaces or removes it.
 */
export function nodeRedis(client: NodeRedisClient): RemoteStore {
  return new NodeRedisStore(client)
}

class NodeRedisStore implements RemoteStore {
  readonly name = 'node-redis'
  readonly #client: NodeRedisClient
  #users = 0
  #unsent = new AbortController()
  #commands: NodeRedisCommands

  constructor(client: NodeRedisClient) {
    this.#client = client
    this.#commands = this.#newCommands()
  }

  open(): void {
    if (this.#users++ === 0) this.#client.on('error', this.#onError)
  }

  async close(): Promise<void> {
    if (--this.#users === 0) this.#client.off('error', this.#onError)
  }

  async get(key: string): Promise<RemoteRead | undefined> {
    const [read] = await this.#read([key])
    return read
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
    const reply = await this.#ready().set(key, Buffer.from(bytes), redisOptions)
    return reply !== null
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
    return Number(await this.#ready().del([...keys]))
  }

  async ping(): Promise<void> {
    await this.#ready().ping()
  }

  async #read(keys: string[]): Promise<(RemoteRead | undefined)[]> {
    const reply = (await this.#run(READ, keys, [])) as (Buffer | number | null)[]
    return keys.map((_, i) => toRead(reply[2 * i], reply[2 * i + 1]))
  }

  /** By its name; with its source where the server does not know it yet, or no longer. */
  async #run(script: Script, keys: string[], args: (string | Buffer)[]): Promise<unknown> {
    try {
      return await this.#ready().evalSha(script.sha, { keys, arguments: args })
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
      return this.#ready().eval(script.source, { keys, arguments: args })
    }
  }

  #ready(): NodeRedisCommands {
    if (this.#client.isReady) return this.#commands
    throw new Error('the Redis client is not connected')
  }

  /** The client tells of each lost connection by an error, and keeps what it has not sent. */
  readonly #onError = (): void => {
    this.#unsent.abort()
    this.#unsent = new AbortController()
    this.#commands = this.#newCommands()
  }

  #newCommands(): NodeRedisCommands {
    return this.#client.withCommandOptions({
      typeMapping: { 36: Buffer },
      timeout: 0,
      abortSignal: this.#unsent.signal,
    })
  }
}

function toRead(value: unknown, pttl: unknown): RemoteRead | undefined {
  if (!(value instanceof Uint8Array) || typeof pttl !== 'number') return undefined
  // A server that expires lazily may still hold a value whose life is over.
  if (pttl === 0 || pttl === -2) return undefined
  // Copied: the client's Buffer is a view of what the socket received.
  return { bytes: new Uint8Array(value), ttlLeft: pttl === -1 ? Number.POSITIVE_INFINITY : pttl }
}
