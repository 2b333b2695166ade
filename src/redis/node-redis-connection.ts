import type {
  ConnectionWatcher,
  RedisArgument,
  RedisConnection,
  RedisServer,
} from '../redis-common/redis-connection.ts'
import { slotOf } from '../redis-common/slot.ts'
import type { RemoteWriteOptions } from '../remote/remote-store.ts'

/** How a command reaches the server that takes it: one way for each kind of client. */
export interface Route {
  readonly ordered: boolean
  /** Whether keys of different slots must not share a command. */
  readonly bySlot: boolean
  servers(): readonly RedisServer[]
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
    if (route.bySlot) this.slotOf = (key) => slotOf(prefix + key)
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

  set(key: string, bytes: Uint8Array, { ttl, when, signal }: RemoteWriteOptions): Promise<unknown> {
    const sent = this.#prefix + key
    const args = ['SET', sent, toSend(bytes), 'PX', String(ttl)]
    if (when !== undefined) args.push(when === 'absent' ? 'NX' : 'XX')
    return this.#route.send(args, sent, signal)
  }

  del(keys: readonly string[], signal?: AbortSignal): Promise<unknown> {
    const sent = this.#sent(keys)
    return this.#route.send(['DEL', ...sent], sent[0] ?? '', signal)
  }

  #run(
    command: string,
    script: string,
    keys: readonly string[],
    args: readonly RedisArgument[],
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const sent = this.#sent(keys)
    const all = [command, script, String(sent.length), ...sent, ...args.map(toSend)]
    return this.#route.send(all, sent[0] ?? '', signal)
  }

  #sent(keys: readonly string[]): readonly string[] {
    return this.#prefix === '' ? keys : keys.map((key) => this.#prefix + key)
  }
}

/** Copied: the client may write it later than this turn, when its owner has changed it. */
function toSend(argument: RedisArgument): string | Buffer {
  return typeof argument === 'string' ? argument : Buffer.from(argument)
}
