import type { BusListener, BusSession, InvalidationBus } from '../bus/invalidation-bus.ts'
import { type Clock, systemClock, type Timer } from '../model/clock.ts'
import { optionTypeError, shown } from '../model/errors.ts'
import { LEASE_PREFIX, REFRESH_LOCK_SUFFIX } from '../model/key.ts'
import { KeptWire } from './kept-wire.ts'
import { NotSentError } from './redis-connection.ts'
import type { BusParts, ListeningClient, Lost, Wire } from './wire.ts'

/** Options of `redisTracking`. */
export interface RedisTrackingOptions {
  /**
   * What the keys begin with that are listened to, without the client's `keyPrefix`; at least one, and
   * none that begins with another. `['']` is every key of the server, whoever writes it, in whatever
   * database: each write and each expiry of any of them is then told to each process.
   */
  readonly prefixes: readonly string[]
}

/** Milliseconds between two looks at the servers while one of them is not listened to. */
const LOOK_EVERY = 250

/** Milliseconds after which a PING without an answer shows that a wire carries nothing any more. */
const SILENCE = 5000

/** Redis tells which keys were changed, by whomever. */
export class TrackingBus implements InvalidationBus {
  readonly name = 'redisTracking'
  readonly kind = 'notices'
  readonly #parts: BusParts
  readonly #prefixes: readonly string[]

  /** @throws TypeError (`code: 'CACHE_OPTION'`) if the options are wrong. */
  constructor(parts: BusParts, options: RedisTrackingOptions) {
    this.#parts = parts
    this.#prefixes = checkedPrefixes(options)
  }

  open(listener: BusListener): BusSession {
    const { listeningClient, clock = systemClock } = this.#parts
    const session = new TrackingSession(listeningClient(), this.#prefixes, listener, clock)
    session.begin()
    return session
  }
}

function checkedPrefixes(options: RedisTrackingOptions): readonly string[] {
  for (const name of Object.keys(options ?? {})) {
    if (name === 'prefixes') continue
    throw optionTypeError(`redisTracking has no option ${shown(name)}`, 'There is: prefixes.')
  }
  const { prefixes } = options ?? {}
  const isList = Array.isArray(prefixes) && prefixes.every((one) => typeof one === 'string')
  if (!isList || prefixes.length === 0) {
    throw optionTypeError(
      `redisTracking: prefixes must be a list of one string or more, but is ${shown(prefixes)}`,
      "Name what the keys of the cache begin with, or [''] for every key of the server.",
    )
  }
  for (const [i, one] of prefixes.entries()) {
    const other = prefixes.find((prefix, j) => i !== j && prefix.startsWith(one))
    if (other === undefined) continue
    throw optionTypeError(
      `redisTracking: prefixes must not overlap, but ${shown(other)} begins with ${shown(one)}`,
      'Leave out the longer one: the shorter one includes it.',
    )
  }
  return [...prefixes]
}

/** A master that is listened to. */
interface Place {
  readonly kept: KeptWire
  /** Beside which connection of the client its wire was made. */
  beside: object | undefined
}

/**
 * Listens on one wire to each master, which tells of its own keys only. It is up while all of them are
 * listened to; one that has failed keeps it down until another has taken its place.
 */
class TrackingSession implements BusSession {
  readonly #client: ListeningClient
  readonly #listener: BusListener
  readonly #clock: Clock
  /** What the client puts before each key. */
  readonly #keyPrefix: string
  readonly #prefixes: readonly string[]
  /** By address. */
  readonly #places = new Map<string, Place>()
  #isUp = false
  #timer: Timer | undefined
  #beatTurn = 0
  #closed = false

  constructor(
    client: ListeningClient,
    prefixes: readonly string[],
    listener: BusListener,
    clock: Clock,
  ) {
    this.#client = client
    this.#clock = clock
    this.#listener = listener
    this.#keyPrefix = client.connection.sentKey('')
    this.#prefixes = prefixes.map((prefix) => client.connection.sentKey(prefix))
  }

  begin(): void {
    this.#client.connection.attach({
      ready: () => this.#look(),
      lost: () => undefined,
      admission: () => undefined,
    })
    this.#look()
  }

  async beat(): Promise<void> {
    this.#look()
    const places = [...this.#places.values()]
    const kept = places[this.#beatTurn++ % places.length]?.kept
    if (!this.#isUp || kept?.up === undefined) {
      throw new NotSentError('the bus does not listen now')
    }
    const silence = this.#clock.setTimer(SILENCE, () => kept.renew())
    try {
      await kept.up.ping()
    } finally {
      silence.cancel()
    }
  }

  /** Nobody is to: the store tells of changes by itself. */
  async publish(): Promise<boolean> {
    return false
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#timer?.cancel()
    for (const { kept } of this.#places.values()) kept.close()
    this.#client.connection.detach()
  }

  /** Follows the client: who the masters are, and whether it is connected to them anew. */
  #look(): void {
    if (this.#closed) return
    const masters = this.#client.masters()
    const addresses = new Set(masters.map(({ address }) => address))
    for (const [address, { kept }] of this.#places) {
      // A client that knows none at the moment does not mean that there are none.
      if (addresses.size === 0 || addresses.has(address)) continue
      kept.close()
      this.#places.delete(address)
    }
    for (const { address, link } of masters) {
      const { kept, beside } = this.#placeOf(address)
      const isMoved = link !== undefined && link.connection !== beside
      if (isMoved && kept.up !== undefined) kept.renew()
      if (isMoved) kept.wake()
    }
    this.#judge()
  }

  #placeOf(address: string): Place {
    const known = this.#places.get(address)
    if (known !== undefined) return known
    const judge = () => this.#judge()
    const told = { up: judge, down: judge }
    const kept = new KeptWire((lost) => this.#track(place, address, lost), told, this.#clock)
    const place: Place = { kept, beside: undefined }
    this.#places.set(address, place)
    kept.wake()
    return place
  }

  #track(place: Place, address: string, lost: Lost): Wire | undefined {
    const master = this.#client.masters().find((one) => one.address === address)
    if (master?.link === undefined) return undefined
    if (place.beside !== undefined) this.#probe()
    place.beside = master.link.connection
    return master.link.track(this.#prefixes, { changed: (keys) => this.#hear(keys), lost })
  }

  /**
   * Has the client find out whether its servers still answer: it looks for a new master when one does
   * not, and the cache may have no command for it meanwhile.
   */
  #probe(): void {
    for (const server of this.#client.connection.servers()) {
      server.send(['PING']).catch(() => undefined)
    }
  }

  #judge(): void {
    if (this.#closed) return
    const places = [...this.#places.values()]
    const isUp = places.length > 0 && places.every(({ kept }) => kept.up !== undefined)
    this.#timer?.cancel()
    if (!isUp) this.#timer = this.#clock.setTimer(LOOK_EVERY, () => this.#look())
    if (isUp === this.#isUp) return
    this.#isUp = isUp
    if (isUp) this.#listener.up()
    else this.#listener.down()
  }

  #hear(keys: readonly string[] | undefined): void {
    // What came before it was up is part of what it has not heard.
    if (!this.#isUp) return
    if (keys === undefined) {
      this.#listener.changed(undefined)
      return
    }
    const ours = keys.filter((key) => this.#isOurs(key))
    if (ours.length === 0) return
    this.#listener.changed(ours.map((key) => key.slice(this.#keyPrefix.length)))
  }

  #isOurs(key: string): boolean {
    // Leases and refresh locks are no keys of a cache.
    if (key.startsWith(LEASE_PREFIX) || key.endsWith(REFRESH_LOCK_SUFFIX)) return false
    return key.startsWith(this.#keyPrefix)
  }
}
