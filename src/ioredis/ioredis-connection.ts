import type {
  ConnectionWatcher,
  RedisArgument,
  RedisConnection,
  RedisServer,
} from '../redis-common/redis-connection.ts'
import type { IoredisClient, IoredisCluster, IoredisCommand } from './ioredis-client.ts'

/** A server that is written to, as the client knows it now. */
export interface IoredisPlace {
  /** `host:port` in a cluster; else empty. */
  readonly address: string
  /** `undefined` while the client has no connection to it. */
  readonly connected:
    | {
        /** The connection: another object once it may lead to another server. */
        readonly connection: object
        readonly redis: IoredisClient
      }
    | undefined
}

/** The commands of the store, as these clients want them. */
export abstract class IoredisConnection implements RedisConnection {
  readonly name = 'ioredis'
  abstract readonly ordered: boolean
  readonly #evalSha: IoredisCommand
  readonly #eval: IoredisCommand
  readonly #set: IoredisCommand
  readonly #prefix: string

  constructor(client: Pick<IoredisCluster, 'createBuiltinCommand' | 'options'>) {
    // Not client.set() and so on: with enableAutoPipelining those wait for the pipeline before them,
    // and when that ends with the connection, they go into the queue for the next one.
    const command = (name: string) => client.createBuiltinCommand(name).buffer
    this.#evalSha = command('evalsha')
    this.#eval = command('eval')
    this.#set = command('set')
    this.#prefix = client.options.keyPrefix ?? ''
  }

  sentKey(key: string): string {
    return this.#prefix + key
  }

  abstract servers(): readonly RedisServer[]
  /** All that there are, whether connected or not; none where the client does not know. */
  abstract places(): readonly IoredisPlace[]
  abstract attach(watcher: ConnectionWatcher): void
  abstract detach(): void
  abstract withdraw(): void

  /** @param key One of the keys among the arguments, as it is sent. */
  protected abstract run(
    key: string,
    command: IoredisCommand,
    args: readonly RedisArgument[],
    signal: AbortSignal | undefined,
  ): Promise<unknown>

  evalSha(
    sha: string,
    keys: readonly string[],
    args: readonly RedisArgument[],
    signal?: AbortSignal,
  ): Promise<unknown> {
    const all = [sha, String(keys.length), ...keys, ...args]
    return this.run(keys[0] ?? '', this.#evalSha, all, signal)
  }

  eval(
    source: string,
    keys: readonly string[],
    args: readonly RedisArgument[],
    signal?: AbortSignal,
  ): Promise<unknown> {
    const all = [source, String(keys.length), ...keys, ...args]
    return this.run(keys[0] ?? '', this.#eval, all, signal)
  }

  setIfAbsent(key: string, bytes: Uint8Array, ttl: number, signal?: AbortSignal): Promise<unknown> {
    return this.run(key, this.#set, [key, bytes, 'PX', String(ttl), 'NX'], signal)
  }
}

/** The client prints errors that nobody listens to; ours arrive by the operations they end. */
export function onError(): void {}
