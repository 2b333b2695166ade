import { NotSentError } from '../redis-common/redis-connection.ts'
import type { NodeRedisConnected, NodeRedisSender } from './node-redis-client.ts'
import { Revocation } from './revocation.ts'

/**
 * What the client says of commands that it has not sent. By their texts: its classes are those of one
 * copy of the package, and bundlers rename them.
 */
const NOT_SENT = /^(?:The command was aborted|The client is (?:closed|offline)|The queue is full)$/

/**
 * Commands that can be taken back as long as they have not been sent. The client keeps commands
 * through a lost connection: those handed over in the turn of the loss, and all those that a server
 * which had stopped reading left behind. It would send them to whoever answers next.
 */
export class RevocableCommands {
  readonly #client: NodeRedisConnected
  /** Of commands that have a signal of their own. */
  readonly #own = new Set<Revocation>()
  /** Of all others. */
  #shared = new Revocation()
  /** Made with the first command. */
  #sender: NodeRedisSender | undefined

  constructor(client: NodeRedisConnected) {
    this.#client = client
  }

  /**
   * Hands over one command, unless the client would keep it for a connection to come.
   *
   * @param signal Takes it back, if it has not been sent.
   */
  send(args: readonly (string | Buffer)[], signal?: AbortSignal): Promise<unknown> {
    if (!this.#client.isReady) {
      return Promise.reject(new NotSentError('the Redis client is not connected'))
    }
    if (signal !== undefined) return this.#sendUntil(signal, args)
    this.#sender ??= this.#senderUnder(this.#shared)
    return hand(this.#sender, args)
  }

  async #sendUntil(signal: AbortSignal, args: readonly (string | Buffer)[]): Promise<unknown> {
    if (signal.aborted) throw new NotSentError('the command was withdrawn')
    const own = new Revocation()
    const withdraw = () => own.revoke()
    signal.addEventListener('abort', withdraw, { once: true })
    this.#own.add(own)
    try {
      return await hand(this.#senderUnder(own), args)
    } finally {
      signal.removeEventListener('abort', withdraw)
      this.#own.delete(own)
    }
  }

  /** Rejects what has not been sent. */
  revoke(): void {
    const revocations = [this.#shared, ...this.#own]
    this.#shared = new Revocation()
    this.#sender = undefined
    this.#own.clear()
    for (const revocation of revocations) revocation.revoke()
  }

  /**
   * The client with these options: to hand them over with each command makes it merge them each time,
   * which cost a fifth of a lone read.
   */
  #senderUnder(revocation: Revocation): NodeRedisSender {
    return this.#client.withCommandOptions({
      typeMapping: AS_BUFFERS,
      timeout: 0,
      asap: false,
      // It has what the client uses of a signal; a conformance test sees that it still is enough.
      abortSignal: revocation as unknown as AbortSignal,
    })
  }
}

function hand(sender: NodeRedisSender, args: readonly (string | Buffer)[]): Promise<unknown> {
  return sender.sendCommand(args).then(undefined, explained)
}

// One object for all: the client would look each up anew.
const AS_BUFFERS = { 36: Buffer } as const

function explained(error: unknown): never {
  if (error instanceof Error && NOT_SENT.test(error.message)) {
    throw new NotSentError('the Redis client did not send the command', { cause: error })
  }
  throw error
}
