import type {
  ConnectionWatcher,
  RedisArgument,
  RedisConnection,
  RedisServer,
} from '../redis-common/redis-connection.ts'
import type { RemoteWriteOptions } from '../remote/remote-store.ts'
import type { IoredisCluster, IoredisCommand } from './ioredis-client.ts'

/** The commands of the store, as these clients want them. */
export abstract class IoredisConnection implements RedisConnection {
  readonly name = 'ioredis'
  abstract readonly ordered: boolean
  readonly #evalSha: IoredisCommand
  readonly #eval: IoredisCommand
  readonly #set: IoredisCommand
  readonly #del: IoredisCommand

  constructor(client: Pick<IoredisCluster, 'createBuiltinCommand'>) {
    // Not client.set() and so on: with enableAutoPipelining those wait for the pipeline before them,
    // and when that ends with the connection, they go into the queue for the next one.
    const command = (name: string) => client.createBuiltinCommand(name).buffer
    this.#evalSha = command('evalsha')
    this.#eval = command('eval')
    this.#set = command('set')
    this.#del = command('del')
  }

  abstract servers(): readonly RedisServer[]
  abstract attach(watcher: ConnectionWatcher): void
  abstract detach(): void
  abstract withdraw(): void

  /** @param key One of the keys among the arguments. */
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

  set(key: string, bytes: Uint8Array, options: RemoteWriteOptions): Promise<unknown> {
    const { ttl, when, signal } = options
    const condition = when === undefined ? [] : [when === 'absent' ? 'NX' : 'XX']
    return this.run(key, this.#set, [key, bytes, 'PX', String(ttl), ...condition], signal)
  }

  del(keys: readonly string[], signal?: AbortSignal): Promise<unknown> {
    return this.run(keys[0] ?? '', this.#del, keys, signal)
  }
}

/** The client prints errors that nobody listens to; ours arrive by the operations they end. */
export function onError(): void {}
