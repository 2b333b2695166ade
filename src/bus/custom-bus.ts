import type { BusListener, BusSession, InvalidationBus } from './invalidation-bus.ts'

/** A bus over a transport of the user's own. */
export interface CustomBus extends InvalidationBus {
  /**
   * To be called with every text that arrives, unchanged and in the order of its publisher; own ones
   * may come back, they are known by their source. What is no message of ours or of jetcache-go is
   * counted and left aside.
   *
   * @throws TypeError if `text` is no string: what a transport delivers as bytes is UTF-8.
   */
  apply(text: string): void
  /**
   * The transport listens again, after what was published may have been missed. Needless at first: it
   * counts as listening from the beginning.
   */
  up(): void
  /** The transport has lost its connection. Until `up()` local entries are kept briefly only. */
  down(): void
}

export interface CustomBusOptions {
  /**
   * Publishes a text to all other processes. What it returns is awaited: fulfilled, the text has gone
   * out; a rejection or an exception means that nobody knows, and its keys are told once more.
   */
  onEvent(text: string): void | PromiseLike<void>
  /**
   * One round on the way that messages take: fulfilled once all that was published before the call has
   * been handed to `apply`. Called once a second; if it stays silent for 5 s the transport counts as
   * down. Default: it answers at once, so that only `down()` and missing numbers tell of a loss.
   */
  readonly beat?: (() => PromiseLike<void>) | undefined
}

/**
 * Makes a bus of any transport: what `onEvent` is called with must reach `apply` in every process.
 *
 * All caches that use one such bus hear the same texts. Caches with different keys are kept apart by
 * a bus, and a subject or topic of the transport, for each.
 */
export function customBus(options: CustomBusOptions): CustomBus {
  return new BridgedBus(options)
}

class BridgedBus implements CustomBus {
  readonly name = 'custom'
  readonly kind = 'messages'
  readonly #options: CustomBusOptions
  readonly #listeners = new Set<BusListener>()
  #listening = true

  constructor(options: CustomBusOptions) {
    this.#options = options
  }

  open(listener: BusListener): BusSession {
    // An object of its own: one listener may be given to two sessions.
    const own: BusListener = {
      message: (text) => listener.message(text),
      changed: (keys) => listener.changed(keys),
      up: () => listener.up(),
      down: () => listener.down(),
    }
    this.#listeners.add(own)
    if (this.#listening) own.up()
    return {
      beat: async () => this.#options.beat?.(),
      publish: async (text) => {
        if (!this.#listeners.has(own)) return false
        await this.#options.onEvent(text)
        return true
      },
      close: async () => void this.#listeners.delete(own),
    }
  }

  apply(text: string): void {
    if (typeof text !== 'string') {
      throw new TypeError(`apply() takes the text that was published, not ${typeof text}`)
    }
    for (const listener of this.#listeners) listener.message(text)
  }

  up(): void {
    this.#listening = true
    for (const listener of this.#listeners) listener.up()
  }

  down(): void {
    this.#listening = false
    for (const listener of this.#listeners) listener.down()
  }
}
