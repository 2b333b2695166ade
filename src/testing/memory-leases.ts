import type { Clock } from '../model/clock.ts'
import type {
  Announcement,
  LeaseFill,
  LeaseHeld,
  LeaseRead,
  LeaseRenewal,
  LeaseWrite,
  RemoteLeases,
  RemoteRead,
} from '../remote/remote-store.ts'

interface Lease {
  readonly token: string
  /** On the monotonic clock. */
  readonly expiresAt: number
  /** Whether somebody waits for it. */
  readonly marked: boolean
}

/** What the leases need of the store beside them. */
interface Entries {
  peek(key: string): RemoteRead | undefined
  plant(key: string, bytes: Uint8Array, ttl: number): void
  holds(key: string, expected: Uint8Array | undefined): boolean
  announce(announcement: Announcement | undefined): void
  /** @throws Error if the store is closed or a key is too long. */
  check(keys: readonly string[]): void
}

/** Leases in memory; each operation takes effect in the turn of its call. */
export class MemoryLeases implements RemoteLeases {
  readonly #clock: Clock
  readonly #entries: Entries
  readonly #leases = new Map<string, Lease>()

  constructor(clock: Clock, entries: Entries) {
    this.#clock = clock
    this.#entries = entries
  }

  async read(keys: readonly string[], token: string, life: number): Promise<LeaseRead[]> {
    this.#entries.check(keys)
    return keys.map((key) => {
      const read = this.#entries.peek(key)
      if (read !== undefined) return { kind: 'value', read }
      return this.#take(key, token, life) ?? { kind: 'granted' }
    })
  }

  async take(key: string, token: string, life: number): Promise<LeaseHeld | undefined> {
    this.#entries.check([key])
    return this.#take(key, token, life)
  }

  async renew(key: string, token: string, life: number): Promise<boolean> {
    this.#entries.check([key])
    const lease = this.#of(key)
    if (lease?.token !== token) return false
    this.#leases.set(key, { ...lease, expiresAt: this.#clock.monotonic() + life })
    return true
  }

  async release(key: string, token: string, wake?: Announcement): Promise<boolean> {
    this.#entries.check([key])
    return this.#end(key, token, wake)
  }

  async fill(key: string, token: string, write: LeaseWrite): Promise<LeaseFill> {
    this.#entries.check([key])
    if (!this.#end(key, token, write.wake)) return 'lost'
    if (!this.#entries.holds(key, write.expected)) return 'refused'
    this.#entries.plant(key, write.bytes, write.ttl)
    this.#entries.announce(write.announce)
    return 'took'
  }

  async touch(key: string, token: string, renewal: LeaseRenewal): Promise<LeaseFill> {
    return this.fill(key, token, { ...renewal, bytes: renewal.expected })
  }

  /** A change of the key. */
  void(key: string): void {
    this.#leases.delete(key)
  }

  #take(key: string, token: string, life: number): LeaseHeld | undefined {
    const now = this.#clock.monotonic()
    const lease = this.#of(key)
    if (lease !== undefined && ownerOf(lease.token) !== ownerOf(token)) {
      this.#leases.set(key, { ...lease, marked: true })
      return { kind: 'held', by: lease.token, left: lease.expiresAt - now }
    }
    // Who waited for the owner's earlier one waits for this one.
    this.#leases.set(key, { token, expiresAt: now + life, marked: lease?.marked === true })
    return undefined
  }

  #end(key: string, token: string, wake: Announcement | undefined): boolean {
    const lease = this.#of(key)
    if (lease?.token !== token) return false
    this.#leases.delete(key)
    if (lease.marked) this.#entries.announce(wake)
    return true
  }

  #of(key: string): Lease | undefined {
    const lease = this.#leases.get(key)
    return lease !== undefined && lease.expiresAt > this.#clock.monotonic() ? lease : undefined
  }
}

function ownerOf(token: string): string {
  return token.slice(0, token.lastIndexOf('.'))
}
