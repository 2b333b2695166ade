import type {
  ConnectionWatcher,
  RedisArgument,
  RedisConnection,
  RedisServer,
} from '../redis-common/redis-connection.ts'
import { slotOf } from '../redis-common/slot.ts'
import type { NodeRedisConnected } from './node-redis-client.ts'

/** A server that is written to, as the client knows it now. */
export interface NodeRedisPlace {
  /** Tells it from the others of one client. */
  readonly address: string
  /** `undefined` while the client has no connection to it. */
  readonly connected:
    | {
        /** The connection: another object once it may lead to another server. */
        readonly connection: object
        readonly client: NodeRedisConnected
      }
    | undefined
}

/** How a command reaches the server that takes it: one way for each kind of client. */
export interface Route {
  readonly ordered: boolean
  /** Whether keys of different slots must not share a command. */
  readonly bySlot: boolean
  servers(): readonly RedisServer[]
  /** All that there are, whether connected or not. */
  places(): readonly NodeRedisPlace[]
  /** Rejects what has not been sent. */
  withdraw(): void
  attach(watcher: ConnectionWatcher): void
  detach(): void
  /** @param key One of the keys in the command, as it is sent. */
  send(args: readonly (string | Buffer)[], key: string, signal?: AbortSignal): Promise<unknown>
}

/** The commands of a store, over one kind of client. */
export class NodeRedisConnection implements RedisConnection {
  readonly name = 'node-redis'
  readonly ordered: boolean
  readonly slotOf?: (key: string) => number
  readonly #route: Route
  readonly #prefix: string

  constructor(route: Route, prefix: string) {
    this.#route = route
    this.#prefix = prefix
    this.ordered = route.ordered
    if (route.bySlot) this.slotOf = slotOf
  }

  sentKey(key: string): string {
    return this.#prefix + key
  }

  servers(): readonly RedisServer[] {
    return this.#route.servers()
  }

  withdraw(): void {
    this.#route.withdraw()
  }

  attach(watcher: ConnectionWatcher): void {
    this.#route.attach(watcher)
  }

  detach(): void {
    this.#route.detach()
  }

  evalSha(
    sha: string,
    keys: readonly string[],
    args: readonly RedisArgument[],
    signal?: AbortSignal,
  ): Promise<unknown> {
    return this.#run('EVALSHA', sha, keys, args, signal)
  }

  eval(
    source: string,
    keys: readonly string[],
    args: readonly RedisArgument[],
    signal?: AbortSignal,
  ): Promise<unknown> {
    return this.#run('EVAL', source, keys, args, signal)
  }

  setIfAbsent(key: string, bytes: Uint8Array, ttl: number, signal?: AbortSignal): Promise<unknown> {
    return this.#route.send(['SET', key, toSend(bytes), 'PX', String(ttl), 'NX'], key, signal)
  }

  #run(
    command: string,
    script: string,
    keys: readonly string[],
    args: readonly RedisArgument[],
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const all = [command, script, String(keys.length), ...keys, ...args.map(toSend)]
    return this.#route.send(all, keys[0] ?? '', signal)
  }
}

/** A view. */
function toSend(argument: RedisArgument): string | Buffer {
  if (typeof argument === 'string' || argument instanceof Buffer) return argument
  return Buffer.from(argument.buffer, argument.byteOffset, argument.byteLength)
}
