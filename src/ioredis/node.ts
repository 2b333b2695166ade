import { systemClock } from '../model/clock.ts'
import {
  NotSentError,
  type RedisArgument,
  type RedisServer,
} from '../redis-common/redis-connection.ts'
import type { IoredisClient, IoredisCommand, IoredisStream } from './ioredis-client.ts'

// Taken at import: fake timers that a user's test installs later must not hold commands back.
const nextTick = process.nextTick

/** Milliseconds without any reply after which a server is taken to have stopped. */
const SILENCE = 500

/** Bytes of an argument besides its own, and of a character. */
const MOST_AROUND = 32
const MOST_BYTES = 3

interface Waiting {
  send(): void
  drop(error: NotSentError): void
}

interface NodeParts {
  readonly redis: IoredisClient
  /** Those of the user's client, which a `Cluster` does not hand on to its nodes. */
  readonly options: object
  /** Told at a command that goes out while a server has not answered for half a second. */
  readonly onSilence?: (() => void) | undefined
}

/**
 * The connection that a `Redis` of ioredis has, one object for each. A command goes out at once, unless the socket takes no
 * more: then it waits here, since what is handed to the client cannot be taken back, and a server that
 * had stopped would read it whenever it goes on.
 */
export class IoredisNode implements RedisServer {
  readonly #redis: IoredisClient
  /** What commands are made by, and handed to. */
  readonly #maker: object
  readonly #onSilence: (() => void) | undefined
  readonly #waiting = new Set<Waiting>()
  /** Whose room is waited for. */
  #full: IoredisStream | undefined
  /** Whose bytes are gathered until the promises of this turn have run. */
  #corked: IoredisStream | undefined
  #unanswered = 0
  /** When the last reply came, or when the first command went out that has none. */
  #heardAt = 0

  constructor(parts: NodeParts) {
    this.#redis = parts.redis
    this.#maker = makerFor(parts)
    this.#onSilence = parts.onSilence
  }

  get isReady(): boolean {
    // A stream that is ending is not writable any more, some turns before the client knows.
    return this.#redis.status === 'ready' && this.#redis.stream.writable
  }

  async send(command: readonly string[]): Promise<unknown> {
    const [name = '', ...args] = command
    this.#check()
    if (this.#isFull) throw new NotSentError('the Redis server takes nothing now')
    return this.#write(this.#redis.createBuiltinCommand(name.toLowerCase()).buffer, args)
  }

  /** @param signal Takes the command back if it has not been handed to the client. */
  async run(
    command: IoredisCommand,
    args: readonly RedisArgument[],
    signal?: AbortSignal,
  ): Promise<unknown> {
    this.#check()
    if (signal?.aborted) throw takenBack()
    return this.#isFull ? this.#wait(command, args, signal) : this.#write(command, args)
  }

  /** Runs a command on a slot that is on its way to this server. */
  async runAsking(
    asking: IoredisCommand,
    command: IoredisCommand,
    args: readonly RedisArgument[],
    signal?: AbortSignal,
  ): Promise<unknown> {
    this.#check()
    if (signal?.aborted) throw takenBack()
    if (this.#isFull) throw new NotSentError('the Redis server takes nothing now')
    // It holds for the next command on this connection: nothing may come between the two.
    this.#write(asking, []).catch(() => undefined)
    return this.#write(command, args)
  }

  /** Takes back what waits. */
  withdraw(): void {
    this.drop(takenBack())
  }

  /** Rejects what waits. */
  drop(error: NotSentError): void {
    this.#full?.off('drain', this.#onDrain)
    this.#full = undefined
    for (const waiting of this.#waiting) waiting.drop(error)
    this.#waiting.clear()
  }

  get #isFull(): boolean {
    return this.#waiting.size > 0 || this.#redis.stream.writableNeedDrain
  }

  /** @throws NotSentError if a command would not go out now. */
  #check(): void {
    if (this.isReady) return
    throw new NotSentError(`the Redis client is not ready, but ${shownStatus(this.#redis.status)}`)
  }

  async #write(command: IoredisCommand, args: readonly RedisArgument[]): Promise<unknown> {
    const now = systemClock.monotonic()
    if (this.#unanswered++ === 0) this.#heardAt = now
    else if (now - this.#heardAt > SILENCE) this.#onSilence?.()
    this.#gather(args)
    try {
      const reply = await command.call(this.#maker, args.map(toSend))
      return Array.isArray(reply) ? reply.map(toNumber) : toNumber(reply)
    } finally {
      this.#unanswered--
      this.#heardAt = systemClock.monotonic()
    }
  }

  /**
   * The client makes a system call for each command, which also wakes a server that has nothing else to
   * do: those of one turn share one, which takes half the time of 64 fills at once. No more than the
   * stream likes to have: it would say that it is full.
   */
  #gather(args: readonly RedisArgument[]): void {
    const { stream } = this.#redis
    let most = MOST_AROUND
    for (const { length } of args) most += MOST_AROUND + length * MOST_BYTES
    if (stream.writableLength + most > stream.writableHighWaterMark) {
      this.#corked?.uncork()
      this.#corked = undefined
      return
    }
    if (this.#corked === stream) return
    this.#corked = stream
    stream.cork()
    nextTick(() => {
      stream.uncork()
      if (this.#corked === stream) this.#corked = undefined
    })
  }

  #wait(
    command: IoredisCommand,
    args: readonly RedisArgument[],
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const waiting = { send: () => resolve(this.#write(command, args)), drop: reject }
      this.#waiting.add(waiting)
      const onAbort = () => {
        if (this.#waiting.delete(waiting)) reject(takenBack())
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#listen()
    })
  }

  #listen(): void {
    const { stream } = this.#redis
    if (this.#full === stream) return
    this.#full?.off('drain', this.#onDrain)
    this.#full = stream
    stream.on('drain', this.#onDrain)
  }

  readonly #onDrain = (): void => {
    const { stream } = this.#redis
    for (const waiting of this.#waiting) {
      if (!this.isReady || stream.writableNeedDrain) return
      this.#waiting.delete(waiting)
      waiting.send()
    }
    this.#full?.off('drain', this.#onDrain)
    this.#full = undefined
  }
}

/** Keys are sent as they are: what the client puts before them stands there already, if it is to. */
function makerFor({ redis, options }: NodeParts): object {
  return {
    options: Object.create(options, { keyPrefix: { value: undefined } }),
    sendCommand: (command: never) => redis.sendCommand(command),
  }
}

export function takenBack(): NotSentError {
  return new NotSentError('the operation was taken back before it was sent')
}

/** A view. */
function toSend(argument: RedisArgument): string | Buffer {
  if (typeof argument === 'string' || argument instanceof Buffer) return argument
  return Buffer.from(argument.buffer, argument.byteOffset, argument.byteLength)
}

/** With `stringNumbers` an integer of the server comes as a string; its strings are Buffers here. */
function toNumber(reply: unknown): unknown {
  return typeof reply === 'string' ? Number(reply) : reply
}

function shownStatus(status: string): string {
  if (status === 'ready') return 'losing its connection'
  return status === 'wait' ? 'waits for connect() (lazyConnect)' : status
}
