import type { RedisArgument, RedisConnection } from '../redis-common/redis-store.ts'
import type { RemoteWriteOptions } from '../remote/remote-store.ts'
import type { IoredisClient, IoredisCommand } from './ioredis-client.ts'

/**
 * The commands of a client with `maxRetriesPerRequest: 0`, which drops what it has not been answered
 * when a connection ends: what it sent, and what it queued because the connection was ending.
 */
export class IoredisConnection implements RedisConnection {
  readonly name = 'ioredis'
  readonly #client: IoredisClient
  readonly #evalSha: IoredisCommand
  readonly #eval: IoredisCommand
  readonly #set: IoredisCommand
  readonly #del: IoredisCommand
  readonly #ping: IoredisCommand
  #losses = 0

  constructor(client: IoredisClient) {
    this.#client = client
    // Not client.set() and so on: with enableAutoPipelining those wait for the pipeline before them,
    // and when that ends with the connection, they go into the queue for the next one.
    const command = (name: string) => client.createBuiltinCommand(name).buffer
    this.#evalSha = command('evalsha')
    this.#eval = command('eval')
    this.#set = command('set')
    this.#del = command('del')
    this.#ping = command('ping')
  }

  get losses(): number {
    return this.#losses
  }

  attach(): void {
    this.#client.on('error', onError)
    this.#client.on('close', this.#onClose)
  }

  detach(): void {
    this.#client.off('error', onError)
    this.#client.off('close', this.#onClose)
  }

  evalSha(sha: string, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    return this.#send(this.#evalSha, [sha, String(keys.length), ...keys, ...args])
  }

  eval(source: string, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    return this.#send(this.#eval, [source, String(keys.length), ...keys, ...args])
  }

  set(key: string, bytes: Uint8Array, { ttl, when }: RemoteWriteOptions): Promise<unknown> {
    const condition = when === undefined ? [] : [when === 'absent' ? 'NX' : 'XX']
    return this.#send(this.#set, [key, bytes, 'PX', String(ttl), ...condition])
  }

  del(keys: readonly string[]): Promise<unknown> {
    return this.#send(this.#del, keys)
  }

  ping(): Promise<unknown> {
    return this.#send(this.#ping, [])
  }

  readonly #onClose = (): void => {
    this.#losses++
  }

  async #send(command: IoredisCommand, args: readonly RedisArgument[]): Promise<unknown> {
    const { status } = this.#client
    if (status !== 'ready')
      throw new Error(`the Redis client is not ready, but ${shownStatus(status)}`)
    const reply = await command.call(this.#client, args.map(toSend))
    return Array.isArray(reply) ? reply.map(toNumber) : toNumber(reply)
  }
}

/** The client prints errors that nobody listens to; ours arrive by the operations they end. */
function onError(): void {}

/** A view: the client copies it before it returns. */
function toSend(argument: RedisArgument): string | Buffer {
  if (typeof argument === 'string') return argument
  return Buffer.from(argument.buffer, argument.byteOffset, argument.byteLength)
}

/** With `stringNumbers` an integer of the server comes as a string; its strings are Buffers here. */
function toNumber(reply: unknown): unknown {
  return typeof reply === 'string' ? Number(reply) : reply
}

function shownStatus(status: string): string {
  return status === 'wait' ? 'waits for connect() (lazyConnect)' : status
}
