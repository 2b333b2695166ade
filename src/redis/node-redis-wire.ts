import {
  type ChannelListener,
  type KeyListener,
  LISTENS_WITHIN,
  type Lost,
  type Wire,
} from '../redis-common/wire.ts'
import type { NodeRedisConnected, NodeRedisListening } from './node-redis-client.ts'

interface Purpose {
  readonly options?: object
  /** Resolves once it listens. */
  listen(client: NodeRedisListening): Promise<unknown>
  readonly lost: Lost
}

/** A connection beside one of node-redis, with the same options but for what would outlive a loss. */
class NodeRedisWire implements Wire {
  readonly listening: Promise<void>
  readonly #client: NodeRedisListening
  readonly #ending = new AbortController()
  #closed = false

  constructor(beside: NodeRedisConnected, purpose: (wire: NodeRedisWire) => Purpose) {
    const { options, listen, lost } = purpose(this)
    this.#client = beside.duplicate({
      socket: {
        ...beside.options?.socket,
        reconnectStrategy: false,
        connectTimeout: LISTENS_WITHIN,
        socketTimeout: 0,
        // The client itself does not end a socket that is being connected.
        signal: this.#ending.signal,
      },
      disableOfflineQueue: true,
      pingInterval: 0,
      clientSideCache: undefined,
      emitInvalidate: false,
      // Else the client puts another socket in the place of this one, when the server is to move.
      maintNotifications: 'disabled',
      ...options,
    })
    this.#client.unref()
    // With no more attempts, each error is the end.
    this.#client.on('error', (error) => this.#closed || lost(error))
    this.listening = this.#open(listen)
  }

  get isClosed(): boolean {
    return this.#closed
  }

  ping(): Promise<unknown> {
    return this.#client.sendCommand(['PING'])
  }

  close(): void {
    this.#closed = true
    this.#ending.abort()
    this.#client.destroy()
  }

  async #open(listen: (client: NodeRedisListening) => Promise<unknown>): Promise<void> {
    await this.#client.connect()
    await listen(this.#client)
  }
}

export function subscribeBeside(
  client: NodeRedisConnected,
  channels: readonly string[],
  { message, lost }: ChannelListener,
): Wire {
  return new NodeRedisWire(client, (wire) => ({
    listen: (own) =>
      own.subscribe([...channels], (text, channel) => {
        if (!wire.isClosed) message(channel, text)
      }),
    lost,
  }))
}

export function trackBeside(
  client: NodeRedisConnected,
  prefixes: readonly string[],
  { changed, lost }: KeyListener,
): Wire {
  return new NodeRedisWire(client, (wire) => ({
    options: { RESP: 3, emitInvalidate: true },
    listen: async (own) => {
      own.on('invalidate', (key) => {
        if (!wire.isClosed) changed(key === null ? undefined : [key.toString()])
      })
      // The client has switched it on in the mode that tells of keys which this connection has read.
      await own.sendCommand(['CLIENT', 'TRACKING', 'OFF'])
      const named = prefixes.flatMap((prefix) => ['PREFIX', prefix])
      await own.sendCommand(['CLIENT', 'TRACKING', 'ON', 'BCAST', ...named])
    },
    lost,
  }))
}
