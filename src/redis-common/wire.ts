import type { Clock } from '../model/clock.ts'
import type { RedisConnection } from './redis-connection.ts'

/** Milliseconds within which a connection must be there and listen. */
export const LISTENS_WITHIN = 2000

/**
 * A connection of our own that only listens. It is used once: when it is lost, or does not come about
 * in time, it is closed, and another one is made.
 */
export interface Wire {
  /** Resolves once nothing that is said from then on is missed. */
  readonly listening: Promise<void>
  /** Resolves behind all that was said before. */
  ping(): Promise<unknown>
  /** Ends it; nothing is told afterwards. */
  close(): void
}

/** Told when a wire has ended, or will not come about; and why, where the client has said so. */
export type Lost = (error?: unknown) => void

/** Told by a wire that subscribes. */
export interface ChannelListener {
  message(channel: string, text: string): void
  readonly lost: Lost
}

/** Told by a wire that tracks. */
export interface KeyListener {
  /** Keys as they were sent, or `undefined`: any. */
  changed(keys: readonly string[] | undefined): void
  readonly lost: Lost
}

/** Makes wires beside a connection of the user's client, to the same server. */
export interface Link {
  /** That connection: another object once it may lead to another server. */
  readonly connection: object
  subscribe(channels: readonly string[], listener: ChannelListener): Wire
  /** Listens to changes of keys that begin with one of the prefixes, as they are sent. */
  track(prefixes: readonly string[], listener: KeyListener): Wire
}

/** A server that is written to, as the user's client knows it now. */
interface Master {
  /** Tells it from the others of one client. */
  readonly address: string
  /** `undefined` while the client has no connection to it. */
  readonly link: Link | undefined
}

/** A client as a bus uses it. */
export interface ListeningClient {
  /** What is published goes out on it. */
  readonly connection: RedisConnection
  /** All that there are, whether connected or not; none where the client does not know. */
  masters(): readonly Master[]
  /** The number of its database; `undefined` while the client does not show it. */
  database(): number | undefined
}

/** What both kinds of bus are made of. */
export interface BusParts {
  /** The user's client. */
  readonly origin: object
  /** Makes what one session uses of it. */
  readonly listeningClient: () => ListeningClient
  /** The clock of the machine unless given. */
  readonly clock?: Clock | undefined
}
