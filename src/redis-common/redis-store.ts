import type { RemoteRead, RemoteStore, RemoteWriteOptions } from '../remote/remote-store.ts'
import { toReads } from './read-reply.ts'
import { COMPARE_AND_DELETE, COMPARE_AND_SET, MOST_KEYS, READ, type Script } from './scripts.ts'
import { TickReads } from './tick-reads.ts'

/**
 * A client as the store uses it. Each command goes out at once, and once, or rejects: none is kept
 * for later. Strings of the server come as Buffers, integers as numbers.
 */
export interface RedisConnection {
  /** Names the store in errors and counters. */
  readonly name: string
  /** How many connections it has lost while it was in use. */
  readonly losses: number
  /** Adds the listeners that are needed while the store is in use. */
  attach(): void
  /** Takes them off again. */
  detach(): void
  evalSha(sha: string, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown>
  eval(source: string, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown>
  set(key: string, bytes: Uint8Array, options: RemoteWriteOptions): Promise<unknown>
  del(keys: readonly string[]): Promise<unknown>
  ping(): Promise<unknown>
}

export type RedisArgument = string | Uint8Array

/**
 * What a server that is well says no with: to this key, to writes while its memory is full or it
 * cannot save, to this user. Before Redis 7 it stands inside the message when a script met it.
 */
const REFUSAL = /\b(?:WRONGTYPE|OOM|MISCONF|NOPERM)\b/

/** The remote tier on one server of Redis or Valkey, whichever client speaks to it. */
export class RedisStore implements RemoteStore {
  readonly name: string
  readonly #connection: RedisConnection
  readonly #reads = new TickReads((keys) => this.#read(keys), MOST_KEYS)
  #users = 0
  #closed = false

  constructor(connection: RedisConnection) {
    this.#connection = connection
    this.name = connection.name
  }

  open(): void {
    this.#closed = false
    if (++this.#users === 1) this.#connection.attach()
  }

  async close(): Promise<void> {
    if (this.#users === 0 || --this.#users > 0) return
    this.#closed = true
    this.#connection.detach()
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
    return (await this.#open().set(key, bytes, options)) !== null
  }

  async compareAndSet(
    key: string,
    expected: Uint8Array | undefined,
    bytes: Uint8Array,
    ttl: number,
  ): Promise<boolean> {
    if (expected === undefined) return this.set(key, bytes, { ttl, when: 'absent' })
    return (await this.#run(COMPARE_AND_SET, [key], [expected, bytes, String(ttl)])) === 1
  }

  async compareAndDelete(key: string, expected: Uint8Array): Promise<boolean> {
    return (await this.#run(COMPARE_AND_DELETE, [key], [expected])) === 1
  }

  async delete(keys: readonly string[]): Promise<number> {
    if (keys.length === 0) return 0
    // Not UNLINK: values are strings, which both free in the same way.
    return Number(await this.#open().del(keys))
  }

  async ping(): Promise<void> {
    await this.#open().ping()
  }

  connection(): number {
    return this.#connection.losses
  }

  isAnswer(error: unknown): boolean {
    return error instanceof Error && REFUSAL.test(error.message)
  }

  async #read(keys: readonly string[]): Promise<(RemoteRead | undefined)[]> {
    return toReads(await this.#run(READ, keys, []), keys.length)
  }

  /** By its name; with its source where the server does not know it yet, or no longer. */
  async #run(
    script: Script,
    keys: readonly string[],
    args: readonly RedisArgument[],
  ): Promise<unknown> {
    try {
      return await this.#open().evalSha(script.sha, keys, args)
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
      return this.#open().eval(script.source, keys, args)
    }
  }

  #open(): RedisConnection {
    if (this.#closed) throw new Error('the store is closed')
    return this.#connection
  }
}
