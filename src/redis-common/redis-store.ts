import type {
  RemoteChangeOptions,
  RemoteConnection,
  RemoteLeases,
  RemoteRead,
  RemoteStore,
  RemoteVerdict,
  RemoteWatcher,
  RemoteWriteOptions,
} from '../remote/remote-store.ts'
import { leaseKey } from './lease-key.ts'
import { toReads } from './read-reply.ts'
import { NotSentError, type RedisArgument, type RedisConnection } from './redis-connection.ts'
import { announced, RedisLeases } from './redis-leases.ts'
import {
  COMPARE_AND_DELETE,
  COMPARE_AND_SET,
  DELETE_AND_VOID,
  MOST_KEYS,
  READ,
  type Script,
  SET_AND_VOID,
  SHORTEN_AND_VOID,
} from './scripts.ts'
import { Sender } from './sender.ts'
import { Session } from './session.ts'
import { verdictOf } from './verdict.ts'

function toOneRead(reply: unknown): RemoteRead | undefined {
  return toReads(reply, 1)[0]
}

/** A key as it is sent, and which of the keys asked for it is. */
interface Place {
  readonly key: string
  readonly at: number
}

function keyOf({ key }: Place): string {
  return key
}

/** A script that changes one key. */
interface Change {
  readonly script: Script
  /** As it is sent. */
  readonly key: string
  readonly args: readonly RedisArgument[]
  readonly signal: AbortSignal | undefined
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0)
}

/** The remote tier on Redis or Valkey, one server or several, whichever client speaks to it. */
export class RedisStore implements RemoteStore {
  readonly name: string
  readonly spread: boolean
  readonly origin: object
  readonly leases: RemoteLeases
  readonly #connection: RedisConnection
  readonly #sender: Sender
  #session: Session
  readonly #watchers = new Set<RemoteWatcher>()
  readonly #forbidden: string[] = []
  #users = 0
  #closed = false

  /** @param origin The client that the connection uses, as its user knows it. */
  constructor(connection: RedisConnection, origin: object) {
    this.#connection = connection
    this.origin = origin
    this.name = connection.name
    this.spread = connection.slotOf !== undefined
    this.#session = this.#newSession()
    this.#sender = new Sender({
      connection,
      check: () => {
        this.#checkOpen()
        this.#session.check()
      },
      suspect: () => this.#session.suspect(),
    })
    this.leases = new RedisLeases(this.#sender, (key) => connection.sentKey(key))
  }

  open(): void {
    this.#closed = false
    if (++this.#users > 1) return
    // What happened while nobody used it concerns nobody.
    this.#session = this.#newSession()
    this.#connection.attach(this.#session)
    this.#session.begin()
  }

  async close(): Promise<void> {
    if (this.#users === 0 || --this.#users > 0) return
    this.#closed = true
    this.#connection.detach()
  }

  withdraw(): void {
    this.#sender.withdraw()
  }

  watch(watcher: RemoteWatcher): () => void {
    this.#watchers.add(watcher)
    if (this.#forbidden.length > 0) watcher.forbidden(this.#forbidden)
    return () => {
      this.#watchers.delete(watcher)
    }
  }

  get(key: string): Promise<RemoteRead | undefined> {
    const call = { script: READ, keys: [this.#connection.sentKey(key)], args: [] }
    return this.#sender.run(call).then(toOneRead)
  }

  groupOf(key: string): number {
    return this.#connection.slotOf?.(this.#connection.sentKey(key)) ?? 0
  }

  async getMany(keys: readonly string[]): Promise<(RemoteRead | undefined)[]> {
    const answers: (RemoteRead | undefined)[] = []
    const read = async (some: readonly Place[]) => {
      const reads = await this.#read(some.map(keyOf))
      for (const [i, { at }] of some.entries()) answers[at] = reads[i]
    }
    await Promise.all(this.#requests(keys).map(read))
    return answers
  }

  async set(key: string, bytes: Uint8Array, options: RemoteWriteOptions): Promise<boolean> {
    const { ttl, when, announce, signal } = options
    const condition = when === undefined ? '' : when === 'absent' ? 'NX' : 'XX'
    const args = [bytes, String(ttl), condition, ...announced(announce)]
    const sent = this.#connection.sentKey(key)
    return (await this.#change({ script: SET_AND_VOID, key: sent, args, signal })) === 1
  }

  async compareAndSet(
    key: string,
    expected: Uint8Array | undefined,
    bytes: Uint8Array,
    ttl: number,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const sent = this.#connection.sentKey(key)
    if (expected !== undefined) {
      const args = [expected, bytes, String(ttl)]
      const call = { script: COMPARE_AND_SET, keys: [sent], args, signal }
      return (await this.#sender.run(call)) === 1
    }
    const kept = Buffer.from(bytes)
    const set = (connection: RedisConnection) => connection.setIfAbsent(sent, kept, ttl, signal)
    return (await this.#sender.send(set)) !== null
  }

  async compareAndDelete(
    key: string,
    expected: Uint8Array,
    options: RemoteChangeOptions = {},
  ): Promise<boolean> {
    const { announce, signal } = options
    const args = [expected, ...announced(announce)]
    const sent = this.#connection.sentKey(key)
    return (await this.#change({ script: COMPARE_AND_DELETE, key: sent, args, signal })) === 1
  }

  async delete(keys: readonly string[], options: RemoteChangeOptions = {}): Promise<number> {
    const del = (some: readonly Place[]) => this.#delete(some.map(keyOf), options)
    return sumOf(await Promise.all(this.#requests(keys).map(del)))
  }

  async shorten(key: string, left: number, options: RemoteChangeOptions = {}): Promise<boolean> {
    const { announce, signal } = options
    const args = [String(left), ...announced(announce)]
    const sent = this.#connection.sentKey(key)
    return (await this.#change({ script: SHORTEN_AND_VOID, key: sent, args, signal })) === 1
  }

  async ping(): Promise<void> {
    this.#checkOpen()
    await this.#session.ping()
  }

  connection(): RemoteConnection | undefined {
    return this.#session.lane
  }

  judge(error: unknown): RemoteVerdict | undefined {
    return verdictOf(error)
  }

  async #read(keys: readonly string[]): Promise<(RemoteRead | undefined)[]> {
    return toReads(await this.#sender.run({ script: READ, keys, args: [] }), keys.length)
  }

  /** @param keys As they are sent, of one slot. */
  async #delete(keys: readonly string[], options: RemoteChangeOptions): Promise<number> {
    const { announce, signal } = options
    const script = DELETE_AND_VOID
    const args = [String(keys.length), ...announced(announce)]
    const [key, second] = keys
    if (key !== undefined && second === undefined) {
      return Number(await this.#change({ script, key, args, signal }))
    }
    const all = [...keys, ...keys.map(leaseKey)]
    const apart = async () =>
      sumOf(await Promise.all(keys.map((one) => this.#delete([one], options))))
    return Number(await this.#sender.runTogether({ script, keys: all, args, signal }, apart))
  }

  /**
   * Runs a script that changes a key and voids its lease. Where the two cannot share a command the
   * lease is voided first: who takes it after that begins to load after this change began.
   */
  #change({ script, key, args, signal }: Change): Promise<unknown> {
    const lease = leaseKey(key)
    const apart = async (_refusal: unknown, mayGoOn: () => void) => {
      await this.#sender.run({ script: DELETE_AND_VOID, keys: [lease], args: ['1'], signal })
      mayGoOn()
      return this.#sender.run({ script, keys: [key], args, signal })
    }
    return this.#sender.runTogether({ script, keys: [key, lease], args, signal }, apart)
  }

  /** Keys that may share a command: of one slot, and no more than a script takes. */
  #requests(keys: readonly string[]): (readonly Place[])[] {
    const requests: Place[][] = []
    const open = new Map<number, Place[]>()
    for (const [at, asked] of keys.entries()) {
      const key = this.#connection.sentKey(asked)
      const slot = this.#connection.slotOf?.(key) ?? 0
      let request = open.get(slot)
      if (request === undefined || request.length === MOST_KEYS) {
        request = []
        open.set(slot, request)
        requests.push(request)
      }
      request.push({ key, at })
    }
    return requests
  }

  #newSession(): Session {
    return new Session(this.#connection, {
      reachable: () => this.#tell((watcher) => watcher.reachable()),
      replaced: () => this.#tell((watcher) => watcher.replaced()),
      forbidden: (commands) => {
        this.#forbidden.push(...commands.filter((command) => !this.#forbidden.includes(command)))
        this.#tell((watcher) => watcher.forbidden(commands))
      },
    })
  }

  #checkOpen(): void {
    if (this.#closed) throw new NotSentError('the store is closed')
  }

  #tell(news: (watcher: RemoteWatcher) => void): void {
    for (const watcher of this.#watchers) news(watcher)
  }
}
