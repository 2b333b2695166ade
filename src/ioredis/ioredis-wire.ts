import {
  type ChannelListener,
  type KeyListener,
  LISTENS_WITHIN,
  type Lost,
  type Wire,
} from '../redis-common/wire.ts'
import type { IoredisClient, IoredisListening } from './ioredis-client.ts'

/**
 * What differs from the options of the connection that it is beside.
 *
 * RESP 2 in all packages: over RESP 3 ioredis drops what tracking pushes.
 */
const OWN = {
  lazyConnect: true,
  protocol: 2,
  replyMapping: 'legacy',
  keyPrefix: '',
  readOnly: false,
  enableAutoPipelining: false,
  connectTimeout: LISTENS_WITHIN,
  commandTimeout: undefined,
  socketTimeout: undefined,
  // Once lost it is not made again, nor anything kept for it.
  retryStrategy: null,
  reconnectOnError: null,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  // It follows the client that it is beside, and asks the sentinels once.
  sentinelRetryStrategy: null,
  sentinelCommandTimeout: LISTENS_WITHIN,
  failoverDetector: false,
}

interface Purpose {
  /** Resolves once it listens. */
  listen(redis: IoredisListening): Promise<unknown>
  readonly lost: Lost
}

/** A connection beside one of these clients, with the same options but for what would outlive a loss. */
class IoredisWire implements Wire {
  readonly listening: Promise<void>
  readonly #redis: IoredisListening
  #closed = false

  constructor(beside: IoredisClient, purpose: (wire: IoredisWire) => Purpose) {
    const { listen, lost } = purpose(this)
    this.#redis = beside.duplicate(OWN)
    // It ends the connection, or the attempt to make one: that is told, too.
    let cause: unknown
    this.#redis.on('error', (error) => {
      cause = error
    })
    this.#redis.on('connect', () => void this.#redis.stream?.unref())
    this.#redis.on('close', () => this.#closed || lost(cause))
    this.listening = this.#open(listen)
  }

  get isClosed(): boolean {
    return this.#closed
  }

  ping(): Promise<unknown> {
    return this.#redis.call('ping')
  }

  close(): void {
    this.#closed = true
    this.#redis.disconnect()
    // Else it waits for the server to close its side.
    this.#redis.stream?.destroy()
  }

  async #open(listen: (redis: IoredisListening) => Promise<unknown>): Promise<void> {
    await this.#redis.connect()
    await listen(this.#redis)
  }
}

export function subscribeBeside(
  client: IoredisClient,
  channels: readonly string[],
  { message, lost }: ChannelListener,
): Wire {
  return new IoredisWire(client, (wire) => ({
    listen: (own) => {
      own.on('message', (channel, text) => {
        if (!wire.isClosed) message(channel, text)
      })
      return own.subscribe(...channels)
    },
    lost,
  }))
}

export function trackBeside(
  client: IoredisClient,
  prefixes: readonly string[],
  { changed, lost }: KeyListener,
): Wire {
  return new IoredisWire(client, (wire) => ({
    listen: async (own) => {
      // Not 'message', which makes one string of the list.
      own.on('messageBuffer', (_channel, keys) => {
        if (!wire.isClosed) changed(Array.isArray(keys) ? keys.map(String) : undefined)
      })
      const id = String(await own.call('client', 'id'))
      const named = prefixes.flatMap((prefix) => ['PREFIX', prefix])
      await own.call('client', 'tracking', 'ON', 'REDIRECT', id, 'BCAST', ...named)
      // Last: a connection that has subscribed takes no more of these commands.
      await own.subscribe('__redis__:invalidate')
    },
    lost,
  }))
}
