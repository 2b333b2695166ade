import { randomBytes } from 'node:crypto'
import type { BusListener, BusSession, InvalidationBus } from '../bus/invalidation-bus.ts'
import { type Clock, systemClock } from '../model/clock.ts'
import { optionTypeError, shown } from '../model/errors.ts'
import { KeptWire } from './kept-wire.ts'
import { NotSentError } from './redis-connection.ts'
import { verdictOf } from './verdict.ts'
import type { BusParts, Link, ListeningClient, Lost, Wire } from './wire.ts'

/** Options of `redisPubSub`. */
export interface RedisPubSubOptions {
  /**
   * The channel, for peers that have one already. Not for several caches that should not hear each
   * other.
   *
   * @default `jetcache-ts:<database>:<name of the cache>`
   */
  readonly channel?: string | undefined
}

/** Milliseconds after which a beat that was not heard shows that something carries nothing any more. */
const SILENCE = 5000

interface Beat {
  heard(): void
  missed(error: Error): void
}

/** Caches tell each other of changes over a channel of Redis. */
export class PubSubBus implements InvalidationBus {
  readonly name = 'redisPubSub'
  readonly kind = 'messages'
  readonly #parts: BusParts
  readonly #channel: string | undefined

  /** @throws TypeError (`code: 'CACHE_OPTION'`) if the options are wrong. */
  constructor(parts: BusParts, options: RedisPubSubOptions) {
    this.#parts = parts
    this.#channel = checkedChannel(options)
  }

  open(listener: BusListener, cache: { readonly name: string }): BusSession {
    const { origin, listeningClient, clock = systemClock } = this.#parts
    const client = listeningClient()
    const byDefault = () => {
      const database = client.database()
      return database === undefined ? undefined : `jetcache-ts:${database}:${cache.name}`
    }
    const channel = this.#channel === undefined ? byDefault : () => this.#channel
    const session = new PubSubSession({ client, origin, channel, listener, clock })
    session.begin()
    return session
  }
}

function checkedChannel(options: RedisPubSubOptions): string | undefined {
  for (const name of Object.keys(options)) {
    if (name === 'channel') continue
    throw optionTypeError(`redisPubSub has no option ${shown(name)}`, 'There is: channel.')
  }
  const { channel } = options
  if (channel === undefined || (typeof channel === 'string' && channel !== '')) return channel
  throw optionTypeError(
    `redisPubSub: channel must be a string that is not empty, but is ${shown(channel)}`,
    'Leave it out for a channel that is named after the cache.',
  )
}

interface PubSubParts {
  readonly client: ListeningClient
  readonly origin: object
  /** `undefined` while it is not known. */
  readonly channel: () => string | undefined
  readonly listener: BusListener
  readonly clock: Clock
}

/**
 * Listens on one wire, to any master: each message reaches all servers of a cluster. A second channel,
 * of this session alone, carries its beats on the way that all messages take.
 */
class PubSubSession implements BusSession {
  readonly #client: ListeningClient
  readonly #origin: object
  readonly #listener: BusListener
  readonly #clock: Clock
  readonly #channelNow: () => string | undefined
  readonly #nonce = randomBytes(8).toString('hex')
  readonly #kept: KeptWire
  #channel: string | undefined
  /** Beside which connection of the client the wire was made. */
  #beside: object | undefined
  /** By what is published for each. */
  readonly #beats = new Map<string, Beat>()
  #lastBeat = 0
  #listenTurn = 0
  #publishTurn = 0
  #closed = false

  constructor({ client, origin, channel, listener, clock }: PubSubParts) {
    this.#client = client
    this.#origin = origin
    this.#channelNow = channel
    this.#listener = listener
    this.#clock = clock
    const told = { up: () => listener.up(), down: () => this.#down() }
    this.#kept = new KeptWire((lost) => this.#subscribe(lost), told, clock)
  }

  begin(): void {
    this.#client.connection.attach({
      ready: () => this.#look(),
      lost: () => undefined,
      admission: () => undefined,
    })
    this.#kept.wake()
  }

  async beat(): Promise<void> {
    this.#look()
    const own = this.#ownChannel()
    if (this.#kept.up === undefined || own === undefined) {
      throw new NotSentError('the bus does not listen now')
    }
    const text = String(++this.#lastBeat)
    const heard = new Promise<void>((resolve, reject) => {
      this.#beats.set(text, { heard: resolve, missed: reject })
    })
    const silence = this.#clock.setTimer(SILENCE, () => this.#kept.renew())
    try {
      // Heard before the answer, as a rule; never, where that says no.
      await Promise.race([heard, this.#send(own, text).then(() => heard)])
    } finally {
      silence.cancel()
      this.#beats.delete(text)
    }
  }

  async publish(text: string): Promise<boolean> {
    const channel = this.#nameChannel()
    if (channel === undefined || this.#closed) return false
    try {
      await this.#send(channel, text)
      return true
    } catch (error) {
      // Whatever a server says no with, it has not published.
      if (verdictOf(error) !== undefined) return false
      throw error
    }
  }

  channelOn(origin: object): string | undefined {
    return origin === this.#origin ? this.#nameChannel() : undefined
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#kept.close()
    this.#client.connection.detach()
    this.#miss()
  }

  /** Begins a wire to the next master that the client is connected to. */
  #subscribe(lost: Lost): Wire | undefined {
    const links = this.#links()
    const link = links[this.#listenTurn++ % links.length]
    const channel = this.#nameChannel()
    const own = this.#ownChannel()
    if (link === undefined || channel === undefined || own === undefined) return undefined
    this.#beside = link.connection
    return link.subscribe([channel, own], {
      message: (on, text) => {
        // What came before it was up is part of what it has not heard.
        if (this.#kept.up === undefined) return
        if (on === channel) this.#listener.message(text)
        else this.#hear(text)
      },
      lost,
    })
  }

  /** Follows the client, which may be connected to another server by now. */
  #look(): void {
    if (this.#closed) return
    const links = this.#links()
    if (links.length === 0) return
    const isBeside = links.some(({ connection }) => connection === this.#beside)
    if (this.#kept.up !== undefined && !isBeside) this.#kept.renew()
    this.#kept.wake()
  }

  #links(): readonly Link[] {
    return this.#client.masters().flatMap(({ link }) => link ?? [])
  }

  /** In a cluster it goes out on the connections to the masters in turn. */
  async #send(channel: string, text: string): Promise<void> {
    const { connection } = this.#client
    const servers = connection.servers()
    // On one of a pool always: on several, messages would overtake each other.
    const turn = connection.slotOf === undefined ? 0 : this.#publishTurn++
    const server = servers[turn % servers.length]
    if (server === undefined) throw new NotSentError('the Redis client is not connected')
    await server.send(['PUBLISH', channel, text])
  }

  #nameChannel(): string | undefined {
    this.#channel ??= this.#channelNow()
    return this.#channel
  }

  #ownChannel(): string | undefined {
    const channel = this.#nameChannel()
    return channel === undefined ? undefined : `${channel}:${this.#nonce}`
  }

  #hear(text: string): void {
    this.#beats.get(text)?.heard()
  }

  #down(): void {
    this.#miss()
    this.#listener.down()
  }

  /** Gives up what was not heard. */
  #miss(): void {
    const error = new Error('the bus has stopped listening')
    for (const beat of this.#beats.values()) beat.missed(error)
  }
}
