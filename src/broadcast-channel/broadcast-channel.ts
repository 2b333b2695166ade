import { setImmediate as nextTurn } from 'node:timers/promises'
import { BroadcastChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { BusListener, BusSession, InvalidationBus } from '../bus/invalidation-bus.ts'

/** Messages taken from the queue at a time, some milliseconds of work, before others have their turn. */
const AT_A_TIME = 1000

export interface BroadcastChannelOptions {
  /** Of the channel. Default: `jetcache-ts:` and the cache's name. */
  readonly name?: string | undefined
}

/**
 * A bus for the threads of one process, by `BroadcastChannel` of `node:worker_threads`. It needs no
 * server, loses nothing, and keeps no thread alive. A thread that is blocked hears when it runs again,
 * until then its messages wait in memory. Other processes hear nothing.
 */
export function broadcastChannel(options: BroadcastChannelOptions = {}): InvalidationBus {
  return {
    name: 'broadcastChannel',
    kind: 'messages',
    open: (listener, cache) => new Session(options.name ?? `jetcache-ts:${cache.name}`, listener),
  }
}

class Session implements BusSession {
  readonly #channel: BroadcastChannel
  readonly #listener: BusListener
  #open = true

  constructor(name: string, listener: BusListener) {
    this.#listener = listener
    this.#channel = new BroadcastChannel(name)
    this.#channel.onmessage = (event: unknown) => this.#hear((event as MessageEvent).data)
    // After the listener, which would hold the thread again.
    this.#channel.unref()
    listener.up()
  }

  /**
   * What another thread has posted lies in the channel's queue from that moment, and is taken from it
   * here: nothing needs to be sent.
   */
  async beat(): Promise<void> {
    // Takes either, says the documentation of Node.js; the types know of ports alone.
    const port = this.#channel as unknown as MessagePort
    for (let taken = 1; this.#open; taken++) {
      const next = receiveMessageOnPort(port) as { readonly message: unknown } | undefined
      if (next === undefined) return
      this.#hear(next.message)
      if (taken % AT_A_TIME === 0) await nextTurn()
    }
    throw new Error('broadcastChannel: closed')
  }

  async publish(text: string): Promise<boolean> {
    if (!this.#open) return false
    this.#channel.postMessage(text)
    // A channel does not hear itself.
    this.#hear(text)
    return true
  }

  async close(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    this.#channel.close()
  }

  #hear(text: unknown): void {
    if (typeof text === 'string') this.#listener.message(text)
  }
}
