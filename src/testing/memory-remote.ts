import { isPlaceholder } from '../codec/payload.ts'
import { type Clock, systemClock } from '../model/clock.ts'
import type {
  Announcement,
  RemoteChangeOptions,
  RemoteLeases,
  RemoteRead,
  RemoteStore,
  RemoteWriteOptions,
} from '../remote/remote-store.ts'
import { MemoryLeases } from './memory-leases.ts'

/** A remote store inside the process, with what a test needs to look behind the cache's back. */
export interface MemoryRemote extends RemoteStore {
  readonly leases: Required<RemoteLeases>
  readonly shorten: NonNullable<RemoteStore['shorten']>
  /** What the key holds now; the bytes are a copy. Works on a closed store too. */
  peek(key: string): RemoteRead | undefined
  /** Writes as a foreign writer would; without `ttl` (milliseconds) the value has no expiry. */
  plant(key: string, bytes: Uint8Array, ttl?: number): void
  /** All that has not expired, in the order in which the keys were first written. */
  entries(): [key: string, read: RemoteRead][]
  /** Keys that have not expired. */
  readonly size: number
}

export interface MemoryRemoteOptions {
  /**
   * Lives are counted on its `monotonic()`: the remote is a machine of its own, which does not
   * notice that the wall clock of this one is set. Default: the clock of the machine.
   */
  readonly clock?: Clock | undefined
  /** A longer key, in bytes of UTF-8, is refused with a `RangeError`. Default: no limit. */
  readonly maxKeyBytes?: number | undefined
  /**
   * Publishes announcements: called in the step of the change that they go with, after which it can be
   * read. With it the store has an `origin`. Default: it has none, and announces nothing.
   */
  readonly announce?: ((channel: string, text: string) => void) | undefined
  /** With `announce`: the store's `origin`. Default: an object of its own. */
  readonly origin?: object | undefined
}

/**
 * Makes a remote store for tests. An operation takes effect during the call, before its promise
 * resolves. Usable before `open()`; after the last `close()` it rejects everything until it is
 * opened again, and keeps what it holds, as a server does.
 */
export function memoryRemote(options: MemoryRemoteOptions = {}): MemoryRemote {
  return new MemoryStore(options)
}

interface Held {
  readonly bytes: Uint8Array
  readonly expiresAt: number
}

class MemoryStore implements MemoryRemote {
  readonly name = 'memory'
  readonly #clock: Clock
  readonly #maxKeyBytes: number
  readonly origin?: object
  readonly leases: MemoryLeases
  readonly #announcing: MemoryRemoteOptions['announce']
  readonly #held = new Map<string, Held>()
  #holders = 0
  #closed = false

  constructor({ clock, maxKeyBytes, announce, origin }: MemoryRemoteOptions) {
    this.#clock = clock ?? systemClock
    this.#maxKeyBytes = maxKeyBytes ?? Infinity
    this.#announcing = announce
    if (announce !== undefined) this.origin = origin ?? {}
    this.leases = new MemoryLeases(this.#clock, {
      peek: (key) => this.peek(key),
      plant: (key, bytes, ttl) => this.plant(key, bytes, ttl),
      holds: (key, expected) => this.#holds(key, expected),
      announce: (announcement) => this.#announce(announcement),
      check: (keys) => this.#check(keys),
    })
  }

  get size(): number {
    return this.entries().length
  }

  entries(): [key: string, read: RemoteRead][] {
    return [...this.#held.keys()].flatMap((key) => {
      const read = this.peek(key)
      return read === undefined ? [] : [[key, read]]
    })
  }

  peek(key: string): RemoteRead | undefined {
    const held = this.#live(key)
    if (held === undefined) return undefined
    return {
      bytes: Uint8Array.from(held.bytes),
      ttlLeft: held.expiresAt - this.#clock.monotonic(),
    }
  }

  plant(key: string, bytes: Uint8Array, ttl: number = Infinity): void {
    const expiresAt = this.#clock.monotonic() + ttl
    this.#held.set(key, { bytes: Uint8Array.from(bytes), expiresAt })
  }

  async get(key: string): Promise<RemoteRead | undefined> {
    this.#check([key])
    return this.peek(key)
  }

  async getMany(keys: readonly string[]): Promise<(RemoteRead | undefined)[]> {
    this.#check(keys)
    return keys.map((key) => this.peek(key))
  }

  async set(key: string, bytes: Uint8Array, options: RemoteWriteOptions): Promise<boolean> {
    this.#check([key])
    const { ttl, when, announce } = options
    if (when !== undefined && (when === 'present') !== (this.#live(key) !== undefined)) return false
    this.plant(key, bytes, ttl)
    this.#changed(key, announce)
    return true
  }

  async compareAndSet(
    key: string,
    expected: Uint8Array | undefined,
    bytes: Uint8Array,
    ttl: number,
  ): Promise<boolean> {
    this.#check([key])
    if (!this.#holds(key, expected)) return false
    this.plant(key, bytes, ttl)
    return true
  }

  async compareAndDelete(
    key: string,
    expected: Uint8Array,
    options?: RemoteChangeOptions,
  ): Promise<boolean> {
    this.#check([key])
    if (!this.#holds(key, expected)) return false
    this.#held.delete(key)
    this.#changed(key, options?.announce)
    return true
  }

  async delete(keys: readonly string[], options?: RemoteChangeOptions): Promise<number> {
    this.#check(keys)
    const held = keys.filter((key) => this.#live(key) !== undefined && this.#held.delete(key))
    for (const key of keys) this.leases.void(key)
    this.#announce(options?.announce)
    return held.length
  }

  async shorten(key: string, left: number, options?: RemoteChangeOptions): Promise<boolean> {
    this.#check([key])
    const held = this.#live(key)
    const endsAt = this.#clock.monotonic() + left
    const isKept = held !== undefined && !isPlaceholder(held.bytes)
    if (isKept) this.#held.set(key, { ...held, expiresAt: Math.min(held.expiresAt, endsAt) })
    else this.#held.delete(key)
    this.#changed(key, options?.announce)
    return isKept
  }

  async ping(): Promise<void> {
    this.#check([])
  }

  open(): void {
    this.#holders++
    this.#closed = false
  }

  async close(): Promise<void> {
    if (this.#holders > 0) this.#holders--
    this.#closed = this.#holders === 0
  }

  #check(keys: readonly string[]): void {
    if (this.#closed) throw new Error('memory: the store is closed')
    for (const key of keys) {
      const bytes = Buffer.byteLength(key)
      if (bytes <= this.#maxKeyBytes) continue
      throw new RangeError(`memory: a key has ${bytes} bytes, the most is ${this.#maxKeyBytes}`)
    }
  }

  #changed(key: string, announcement: Announcement | undefined): void {
    this.leases.void(key)
    this.#announce(announcement)
  }

  #announce(announcement: Announcement | undefined): void {
    if (announcement !== undefined) this.#announcing?.(announcement.channel, announcement.text)
  }

  /** Drops what has expired when it meets it; a test's store needs no sweep. */
  #live(key: string): Held | undefined {
    const held = this.#held.get(key)
    if (held === undefined || held.expiresAt > this.#clock.monotonic()) return held
    this.#held.delete(key)
    return undefined
  }

  #holds(key: string, expected: Uint8Array | undefined): boolean {
    const held = this.#live(key)
    if (held === undefined || expected === undefined) return held === expected
    return Buffer.compare(held.bytes, expected) === 0
  }
}
