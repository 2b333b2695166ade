import type { BusListener, BusSession, InvalidationBus } from '../bus/invalidation-bus.ts'

/**
 * What becomes of a message on its way to one listener.
 * - `deliver`: it comes in a later microtask, after those before it.
 * - `twice`: the same, two times.
 * - `drop`: it is lost, and nobody is told.
 * - `hold`: it waits in `held`; whatever follows overtakes it, beats included.
 */
export type MemoryBusCarriage = 'deliver' | 'twice' | 'drop' | 'hold'

/**
 * What becomes of a `publish`.
 * - `out`: it goes to all, and resolves `true`.
 * - `not out`: it goes nowhere, and resolves `false`.
 * - `out unseen`: it goes to all, and rejects.
 * - `lost`: it goes nowhere, and rejects.
 */
export type MemoryBusSending = 'out' | 'not out' | 'out unseen' | 'lost'

/** The way from the bus to one cache that listens. */
export interface MemoryBusLine {
  readonly cacheName: string
  /** Not cut, and not closed. */
  readonly listening: boolean
  /** Messages that wait, oldest first. */
  readonly held: readonly string[]
  /** Hands a held message over, now; by its index in `held`, 0 by default. */
  release(index?: number): void
  /** Loses a held message; by its index in `held`, 0 by default. */
  lose(index?: number): void
  /**
   * It hears nothing any more; what was on its way, held messages included, is lost. `silent`: as if
   * nobody had noticed: `down` is not told, and beats stay silent. Publishing goes on: that has ways of
   * its own. Default: `down` is told now, and beats reject.
   */
  cut(how?: 'silent'): void
  /** It hears again, and is told `up`; `down` before it, if that has not been told yet. */
  mend(): void
}

/** A bus inside the process, with what a test needs to disturb it. */
export interface MemoryBus extends InvalidationBus {
  /** One for each cache that has opened the bus and not closed, in order. */
  readonly lines: readonly MemoryBusLine[]
  /**
   * To be handed to `memoryRemote` together with `announce`, so that messages ride along with changes:
   * `memoryRemote({ announce: bus.announce, origin: bus.origin })`.
   */
  readonly origin: object
  /** Publishes on a channel; a cache's own is named after the cache. */
  readonly announce: (channel: string, text: string) => void
}

export interface MemoryBusOptions {
  /** Asked for each message and each line that would hear it. Default: all are delivered. */
  readonly carry?: ((text: string, line: MemoryBusLine) => MemoryBusCarriage) | undefined
  /** Asked for each `publish`, with the line of the publisher. Default: all go out. */
  readonly send?: ((text: string, line: MemoryBusLine) => MemoryBusSending) | undefined
}

/** Makes a bus for tests. It needs no clock: what it delivers comes in a later microtask, in order. */
export function memoryBus(options: MemoryBusOptions = {}): MemoryBus {
  return new InProcessBus(options)
}

class InProcessBus implements MemoryBus {
  readonly name = 'memory'
  readonly kind = 'messages'
  readonly origin: object = {}
  readonly lines: Line[] = []
  readonly #options: MemoryBusOptions

  constructor(options: MemoryBusOptions) {
    this.#options = options
  }

  readonly announce = (channel: string, text: string): void => {
    for (const line of [...this.lines]) {
      if (line.cacheName === channel) line.carry(text, this.#options.carry?.(text, line))
    }
  }

  open(listener: BusListener, { name }: { readonly name: string }): BusSession {
    const line = new Line(name, listener)
    this.lines.push(line)
    return {
      beat: () => line.beat(),
      publish: (text) => this.#publish(text, line),
      channelOn: (origin) => (origin === this.origin ? name : undefined),
      close: async () => {
        line.close()
        const index = this.lines.indexOf(line)
        if (index >= 0) this.lines.splice(index, 1)
      },
    }
  }

  async #publish(text: string, line: Line): Promise<boolean> {
    const sending = line.closed ? 'not out' : (this.#options.send?.(text, line) ?? 'out')
    if (sending === 'out' || sending === 'out unseen') this.announce(line.cacheName, text)
    if (sending === 'out unseen' || sending === 'lost') throw new Error('memory: no answer')
    return sending === 'out'
  }
}

class Line implements MemoryBusLine {
  readonly cacheName: string
  readonly #listener: BusListener
  readonly #held: string[] = []
  #state: 'opening' | 'down' | 'silent' | 'listening' | 'closed' = 'opening'
  /** Another one after each cut: what was on its way before it never comes. */
  #way = {}

  constructor(cacheName: string, listener: BusListener) {
    this.cacheName = cacheName
    this.#listener = listener
    this.#later(() => this.mend())
  }

  get listening(): boolean {
    return this.#state === 'listening'
  }

  get closed(): boolean {
    return this.#state === 'closed'
  }

  get held(): readonly string[] {
    return this.#held
  }

  carry(text: string, how: MemoryBusCarriage = 'deliver'): void {
    if (how === 'hold') this.#held.push(text)
    if (how === 'deliver' || how === 'twice') this.#later(() => this.#deliver(text))
    if (how === 'twice') this.#later(() => this.#deliver(text))
  }

  release(index = 0): void {
    for (const text of this.#held.splice(index, 1)) this.#deliver(text)
  }

  lose(index = 0): void {
    this.#held.splice(index, 1)
  }

  async beat(): Promise<void> {
    if (this.#state === 'down' || this.#state === 'closed') throw new Error('memory: not listening')
    const way = this.#way
    await new Promise<void>((resolve, reject) => {
      queueMicrotask(() => {
        if (way === this.#way && this.#state === 'listening') resolve()
        else if (this.#state !== 'silent') reject(new Error('memory: not listening any more'))
      })
    })
  }

  cut(how?: 'silent'): void {
    this.#lose()
    if (this.closed) return
    this.#state = how ?? 'down'
    if (how === undefined) this.#listener.down()
  }

  mend(): void {
    if (this.#state === 'silent') this.#listener.down()
    if (this.closed || this.listening) return
    this.#state = 'listening'
    this.#listener.up()
  }

  close(): void {
    this.#lose()
    this.#state = 'closed'
  }

  #lose(): void {
    this.#way = {}
    this.#held.length = 0
  }

  #deliver(text: string): void {
    if (this.listening) this.#listener.message(text)
  }

  #later(step: () => void): void {
    const way = this.#way
    queueMicrotask(() => {
      if (way === this.#way) step()
    })
  }
}
