import type {
  RemoteConnection,
  RemoteRead,
  RemoteStore,
  RemoteVerdict,
  RemoteWatcher,
  RemoteWriteOptions,
} from '../remote/remote-store.ts'
import { toReads } from './read-reply.ts'
import { NotSentError, type RedisArgument, type RedisConnection } from './redis-connection.ts'
import { COMPARE_AND_DELETE, COMPARE_AND_SET, MOST_KEYS, READ, type Script } from './scripts.ts'
import { Session } from './session.ts'
import { saysNoMaster, verdictOf } from './verdict.ts'

function toOneRead(reply: unknown): RemoteRead | undefined {
  return toReads(reply, 1)[0]
}

/** A key, and which of the keys asked for it is. */
interface Place {
  readonly key: string
  readonly at: number
}

/** The remote tier on Redis or Valkey, one server or several, whichever client speaks to it. */
export class RedisStore implements RemoteStore {
  readonly name: string
  readonly spread: boolean
  readonly #connection: RedisConnection
  #session: Session
  readonly #watchers = new Set<RemoteWatcher>()
  readonly #forbidden: string[] = []
  #users = 0
  #closed = false
  /** What was asked for before it moved sends no second command. */
  #withdrawals = 0

  constructor(connection: RedisConnection) {
    this.#connection = connection
    this.name = connection.name
    this.spread = connection.slotOf !== undefined
    this.#session = this.#newSession()
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
    this.#withdrawals++
    this.#connection.withdraw()
  }

  watch(watcher: RemoteWatcher): () => void {
    this.#watchers.add(watcher)
    if (this.#forbidden.length > 0) watcher.forbidden(this.#forbidden)
    return () => {
      this.#watchers.delete(watcher)
    }
  }

  get(key: string): Promise<RemoteRead | undefined> {
    return this.#run(READ, [key], []).then(toOneRead)
  }

  groupOf(key: string): number {
    return this.#connection.slotOf?.(key) ?? 0
  }

  async getMany(keys: readonly string[]): Promise<(RemoteRead | undefined)[]> {
    const answers: (RemoteRead | undefined)[] = []
    const read = async (some: readonly Place[]) => {
      const reads = await this.#read(some.map(({ key }) => key))
      for (const [i, { at }] of some.entries()) answers[at] = reads[i]
    }
    await Promise.all(this.#requests(keys).map(read))
    return answers
  }

  async set(key: string, bytes: Uint8Array, options: RemoteWriteOptions): Promise<boolean> {
    return (await this.#send((connection) => connection.set(key, bytes, options))) !== null
  }

  async compareAndSet(
    key: string,
    expected: Uint8Array | undefined,
    bytes: Uint8Array,
    ttl: number,
    signal?: AbortSignal,
  ): Promise<boolean> {
    if (expected === undefined) return this.set(key, bytes, { ttl, when: 'absent', signal })
    const args = [expected, bytes, String(ttl)]
    return (await this.#run(COMPARE_AND_SET, [key], args, signal)) === 1
  }

  async compareAndDelete(key: string, expected: Uint8Array): Promise<boolean> {
    return (await this.#run(COMPARE_AND_DELETE, [key], [expected])) === 1
  }

  async delete(keys: readonly string[], signal?: AbortSignal): Promise<number> {
    // Not UNLINK: values are strings, which both free in the same way.
    const del = (some: readonly Place[]) => {
      const these = some.map(({ key }) => key)
      return this.#send((connection) => connection.del(these, signal))
    }
    const deleted = await Promise.all(this.#requests(keys).map(del))
    return deleted.reduce<number>((sum, count) => sum + Number(count), 0)
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
    return toReads(await this.#run(READ, keys, []), keys.length)
  }

  /** Keys that may share a command: of one slot, and no more than a script takes. */
  #requests(keys: readonly string[]): (readonly Place[])[] {
    const requests: Place[][] = []
    const open = new Map<number, Place[]>()
    for (const [at, key] of keys.entries()) {
      const slot = this.groupOf(key)
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

  /** By its name; with its source where the server does not know it yet, or no longer. */
  #run(
    script: Script,
    keys: readonly string[],
    args: readonly RedisArgument[],
    signal?: AbortSignal,
  ): Promise<unknown> {
    const withdrawals = this.#withdrawals
    // Handlers instead of async functions, here and below: each costs a lone read some microseconds.
    return this.#send((connection) => connection.evalSha(script.sha, keys, args, signal)).then(
      undefined,
      (error: unknown) => {
        if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
        if (withdrawals !== this.#withdrawals) throw new NotSentError('the read was withdrawn')
        return this.#send((connection) => connection.eval(script.source, keys, args, signal))
      },
    )
  }

  #send(command: (connection: RedisConnection) => Promise<unknown>): Promise<unknown> {
    try {
      this.#checkOpen()
      this.#session.check()
      return command(this.#connection).then(undefined, this.#onError)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  readonly #onError = (error: unknown): never => {
    if (saysNoMaster(error)) this.#session.suspect()
    throw error
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
