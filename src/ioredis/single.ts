import {
  type ConnectionWatcher,
  NotSentError,
  type RedisArgument,
  type RedisServer,
} from '../redis-common/redis-connection.ts'
import type { IoredisClient, IoredisCommand } from './ioredis-client.ts'
import { IoredisConnection, type IoredisPlace, onError } from './ioredis-connection.ts'
import { IoredisNode } from './node.ts'

/**
 * A `Redis`, with sentinels or without, that has `maxRetriesPerRequest: 0`: when its connection ends it
 * drops what it has not been answered, what it sent and what it queued because the connection was
 * ending, also where `reconnectOnError` has put it back into that queue.
 */
export class SingleConnection extends IoredisConnection {
  readonly ordered = true
  readonly #client: IoredisClient
  #node: IoredisNode
  #watcher: ConnectionWatcher | undefined

  constructor(client: IoredisClient) {
    super(client)
    this.#client = client
    this.#node = newNode(client)
  }

  servers(): readonly RedisServer[] {
    return this.#node.isReady ? [this.#node] : []
  }

  places(): readonly IoredisPlace[] {
    const connection = this.#node
    const connected = connection.isReady ? { connection, redis: this.#client } : undefined
    return [{ address: '', connected }]
  }

  attach(watcher: ConnectionWatcher): void {
    this.#watcher = watcher
    this.#client.on('error', onError)
    this.#client.on('ready', this.#onReady)
    this.#client.on('close', this.#onClose)
  }

  detach(): void {
    this.#watcher = undefined
    this.#client.off('error', onError)
    this.#client.off('ready', this.#onReady)
    this.#client.off('close', this.#onClose)
    this.withdraw()
  }

  withdraw(): void {
    this.#node.withdraw()
  }

  protected run(
    _key: string,
    command: IoredisCommand,
    args: readonly RedisArgument[],
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    return this.#node.run(command, args, signal)
  }

  readonly #onReady = (): void => {
    this.#watcher?.ready()
  }

  readonly #onClose = (): void => {
    stopFailoverDetector(this.#client)
    this.#node.drop(new NotSentError('the connection was lost'))
    this.#node = newNode(this.#client)
    this.#watcher?.lost()
  }
}

function newNode(client: IoredisClient): IoredisNode {
  return new IoredisNode({ redis: client, options: client.options })
}

/** Not part of the types of these clients. */
interface Connector {
  readonly failoverDetector?: { cleanup(): void } | null | undefined
}

/**
 * It goes on listening to the sentinels after a connection is lost, until there is another. If it hears of
 * the new master while the client asks a sentinel for it, it aborts that, and the client ends for good.
 * Each connection brings a detector of its own, and one is stopped once: each time leaves a listener on
 * its connections to the sentinels.
 */
function stopFailoverDetector(client: IoredisClient): void {
  const connector: Connector | undefined = Reflect.get(client, 'connector')
  const detector = connector?.failoverDetector
  if (detector === null || detector === undefined || stopped.has(detector)) return
  stopped.add(detector)
  detector.cleanup()
}

const stopped = new WeakSet<object>()
