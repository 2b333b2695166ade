import { setMaxListeners } from 'node:events'
import { NotSentError } from '../redis-common/redis-connection.ts'
import type { NodeRedisConnected } from './node-redis-client.ts'

/**
 * The most commands under one signal: to add a listener to it is to walk past all that are there.
 * 10,000 reads at once took three times as long under one signal as they do in these groups.
 */
const GROUP = 256

/**
 * What the client says of commands that it has not sent. By their texts: its classes are those of one
 * copy of the package, and bundlers rename them.
 */
const NOT_SENT = /^(?:The command was aborted|The client is (?:closed|offline)|The queue is full)$/

interface Group {
  readonly controller: AbortController
  pending: number
}

/**
 * Commands that can be taken back as long as they have not been sent. The client keeps commands
 * through a lost connection: those handed over in the turn of the loss, and all those that a server
 * which had stopped reading left behind. It would send them to whoever answers next.
 */
export class RevocableCommands {
  readonly #client: NodeRedisConnected
  /** Those that take no more commands, or one only. */
  readonly #full = new Set<Group>()
  #group: Group = newGroup()

  constructor(client: NodeRedisConnected) {
    this.#client = client
  }

  /**
   * Hands over one command, unless the client would keep it for a connection to come.
   *
   * @param signal Takes it back, if it has not been sent.
   */
  async send(args: readonly (string | Buffer)[], signal?: AbortSignal): Promise<unknown> {
    if (!this.#client.isReady) throw new NotSentError('the Redis client is not connected')
    if (signal?.aborted === true) throw new NotSentError('the command was withdrawn')
    const group = signal === undefined ? this.#roomyGroup() : this.#ownGroup()
    const { controller } = group
    const withdraw = () => controller.abort()
    signal?.addEventListener('abort', withdraw, { once: true })
    group.pending++
    try {
      return await this.#client.sendCommand(args, {
        typeMapping: { 36: Buffer },
        timeout: 0,
        asap: false,
        abortSignal: controller.signal,
      })
    } catch (error) {
      if (error instanceof Error && NOT_SENT.test(error.message)) {
        throw new NotSentError('the Redis client did not send the command', { cause: error })
      }
      throw error
    } finally {
      signal?.removeEventListener('abort', withdraw)
      if (--group.pending === 0) this.#full.delete(group)
    }
  }

  /** Rejects what has not been sent. */
  revoke(): void {
    const groups = [this.#group, ...this.#full]
    this.#full.clear()
    this.#group = newGroup()
    for (const { controller } of groups) controller.abort()
  }

  #roomyGroup(): Group {
    if (this.#group.pending >= GROUP) {
      this.#full.add(this.#group)
      this.#group = newGroup()
    }
    return this.#group
  }

  #ownGroup(): Group {
    const group = { controller: new AbortController(), pending: 0 }
    this.#full.add(group)
    return group
  }
}

function newGroup(): Group {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  return { controller, pending: 0 }
}
