import type { BusListener, BusSession, InvalidationBus } from '../bus/invalidation-bus.ts'
import { systemClock, type Timer } from '../model/clock.ts'
import { optionRangeError, optionTypeError, shown } from '../model/errors.ts'
import { Environment } from './environment.ts'
import { lastNumber, messagesAfter } from './message-log.ts'
import { refuseUnknown, requirePath } from './option-checks.ts'
import { DirectoryOrigin } from './origin.ts'
import type { Space } from './space.ts'

export interface LmdbBusOptions {
  /** The directory, as for `lmdb()`: of the same one, changes and their messages are one step. */
  readonly path: string
  /**
   * Who hears whom: caches on other channels of the directory do not. From 1 to 1,000 characters.
   *
   * @default the name of the cache
   */
  readonly channel?: string | undefined
}

const OPTIONS: ReadonlySet<string> = new Set<keyof LmdbBusOptions>(['path', 'channel'])

const LONGEST_CHANNEL = 1000

/**
 * A bus for the processes of one machine: a log of messages in the directory of `lmdb()`, which each
 * process reads 40 times a second. It keeps 10 s, 20,000 messages or 8 MiB, whichever is least, beside
 * the store's `maxBytes`. A process that was stopped for longer has lost some; it notices when it goes
 * on, and its cache drops what it held.
 *
 * What `lmdb()` says of processes that are killed or stopped holds for messages too: while a process
 * that was stopped in the middle of a write keeps the others from writing, nothing can be published.
 *
 * @throws TypeError or RangeError (`code: 'CACHE_OPTION'`) for wrong options. `open()` throws an Error
 * if the directory cannot be used or is of another format.
 */
export function lmdbBus(options: LmdbBusOptions): InvalidationBus {
  refuseUnknown('lmdbBus', options, OPTIONS)
  const { path, channel } = options
  requirePath(path)
  if (channel !== undefined) checkChannel(channel)
  return {
    name: 'lmdb',
    kind: 'messages',
    open: (listener, cache) => new LogSession(path, channel ?? cache.name, listener),
  }
}

function checkChannel(channel: string): void {
  if (typeof channel !== 'string') {
    throw optionTypeError(`channel must be a string, but is ${shown(channel)}`, 'Name one.')
  }
  if (channel.length > 0 && channel.length <= LONGEST_CHANNEL) return
  throw optionRangeError(
    `channel must have from 1 to ${LONGEST_CHANNEL} characters, but has ${channel.length}`,
    'Choose another name.',
  )
}

/** Milliseconds between two looks at the log. */
const LOOK_EVERY = 25

// Taken at import: fake timers installed later must not stop the bus.
const wallClock = Date.now
const onTurn = setImmediate

/** A call that waits until the log is read up to a number. */
interface Beat {
  readonly until: number
  resolve(): void
  reject(error: Error): void
}

class LogSession implements BusSession {
  readonly #environment: Environment
  readonly #origin: DirectoryOrigin
  readonly #channel: string
  readonly #listener: BusListener
  /** The last message that was read; `undefined` while it does not listen. */
  #position: number | undefined
  #beats: Beat[] = []
  /** Under way; the directory is closed after them. */
  readonly #writes = new Set<Promise<boolean>>()
  #looking = false
  #opening = false
  #timer: Timer | undefined
  #closed: Promise<void> | undefined

  constructor(path: string, channel: string, listener: BusListener) {
    this.#environment = Environment.acquire(path)
    this.#origin = new DirectoryOrigin(path)
    this.#channel = channel
    this.#listener = listener
    this.#look()
  }

  async beat(): Promise<void> {
    if (this.#closed !== undefined) throw new Error('lmdb: the bus is closed')
    if (this.#position === undefined) throw new Error('lmdb: the bus does not listen')
    const until = this.#environment.read(lastNumber)
    const beat = new Promise<void>((resolve, reject) => {
      this.#beats.push({ until, resolve, reject })
    })
    this.#look()
    return beat
  }

  publish(text: string): Promise<boolean> {
    if (this.#closed !== undefined) return Promise.resolve(false)
    const message = { channel: this.#channel, text }
    const append = (space: Space) => space.log.append(message, wallClock())
    return this.#settled(this.#environment.write(append, text.length))
  }

  channelOn(origin: object): string | undefined {
    return this.#origin.isSame(origin) ? this.#channel : undefined
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#timer?.cancel()
    this.#refuseBeats('the bus is closed')
    await Promise.all(this.#writes)
    await this.#environment.release()
  }

  /** Reads on, and looks again later; at once if there is more. */
  #look(): void {
    // Within a call of the listener: the one that called it goes on.
    if (this.#looking || this.#closed !== undefined) return
    this.#timer?.cancel()
    this.#looking = true
    const more = this.#readOn()
    this.#looking = false
    if (this.#closed !== undefined) return
    if (more) onTurn(() => this.#look())
    else this.#timer = systemClock.setTimer(LOOK_EVERY, () => this.#look())
  }

  /** Whether there may be more. Never throws. */
  #readOn(): boolean {
    try {
      if (!this.#environment.isOpen) this.#openSoon()
      else if (this.#position === undefined) this.#begin()
      else return this.#hear(this.#position)
    } catch {
      this.#end('the directory cannot be read')
    }
    return false
  }

  /** Another process was in the way of opening the directory. */
  #openSoon(): void {
    if (this.#opening) return
    this.#opening = true
    void this.#settled(this.#environment.opened()).then((opened) => {
      this.#opening = false
      if (opened) this.#look()
    })
  }

  /** Whether a write was carried out; one that is rejected never is. */
  #settled(writing: Promise<void>): Promise<boolean> {
    const settled = writing.then(
      () => true,
      () => false,
    )
    this.#writes.add(settled)
    void settled.then(() => this.#writes.delete(settled))
    return settled
  }

  /** What was said so far concerns others. */
  #begin(): void {
    this.#position = this.#environment.read(lastNumber)
    this.#listener.up()
  }

  #end(why: string): void {
    if (this.#position === undefined) return
    this.#position = undefined
    this.#refuseBeats(why)
    this.#listener.down()
  }

  #hear(position: number): boolean {
    const messages = this.#environment.read((get) => messagesAfter(get, position))
    if (messages === undefined) {
      this.#end('messages were removed before they were read')
      return true
    }
    for (const { channel, text } of messages) {
      this.#position = ++position
      if (channel === this.#channel) this.#listener.message(text)
      if (this.#closed !== undefined) return false
    }
    const heard = this.#beats.filter(({ until }) => until <= position)
    this.#beats = this.#beats.filter(({ until }) => until > position)
    for (const beat of heard) beat.resolve()
    return messages.length > 0
  }

  #refuseBeats(why: string): void {
    for (const beat of this.#beats.splice(0)) beat.reject(new Error(`lmdb: ${why}`))
  }
}
