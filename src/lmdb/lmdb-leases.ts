import type {
  Announcement,
  LeaseFill,
  LeaseHeld,
  LeaseRead,
  LeaseRenewal,
  LeaseWrite,
  RemoteLeases,
} from '../remote/remote-store.ts'
import type { Environment } from './environment.ts'
import { heldFrom, liveLease } from './lease-records.ts'
import {
  leaseKeyOf,
  liveValue,
  newRecord,
  type Place,
  placeOf,
  sameBytes,
  toRead,
} from './records.ts'
import type { Space } from './space.ts'

/** What the leases need of their store. */
interface Store {
  /** @throws Error if the store is not open. */
  opened(): Environment
  write<T>(run: (space: Space) => T, bytes: number, signal?: AbortSignal): Promise<T>
  /** @throws RangeError if the record can never be stored. */
  checkFits(place: Place, record: Buffer): void
  readonly maxBytes: number
}

// Taken at import, as the store's own.
const wallClock = Date.now

/**
 * Leases by transaction: each operation is one. A read of values takes no lock, nor does one that
 * finds a lease which is already known to be waited for; what is missing is looked at again in the
 * transaction that takes its lease.
 */
export class LmdbLeases implements RemoteLeases {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  async read(keys: readonly string[], token: string, life: number): Promise<LeaseRead[]> {
    const places = keys.map(placeOf)
    const environment = this.#store.opened()
    if (!environment.isOpen) await environment.opened()
    const now = wallClock()
    const found = environment.read((get) => places.map((place) => look(get, place, token, now)))
    if (!found.includes(undefined)) return found as LeaseRead[]
    return this.#store.write((space) => {
      const now = wallClock()
      return places.map((place, i) => {
        const answer = found[i]
        if (answer !== undefined) return answer
        const read = toRead(place, space.read(place.key), now)
        if (read !== undefined) return { kind: 'value', read }
        return space.leases.take(place.key, token, life, now) ?? { kind: 'granted' }
      })
    }, 0)
  }

  take(key: string, token: string, life: number): Promise<LeaseHeld | undefined> {
    const { key: place } = placeOf(key)
    return this.#store.write((space) => space.leases.take(place, token, life, wallClock()), 0)
  }

  renew(key: string, token: string, life: number): Promise<boolean> {
    const { key: place } = placeOf(key)
    return this.#store.write((space) => space.leases.renew(place, token, life, wallClock()), 0)
  }

  release(key: string, token: string, wake?: Announcement): Promise<boolean> {
    const { key: place } = placeOf(key)
    return this.#store.write((space) => {
      const now = wallClock()
      const lease = space.leases.of(place, token, now)
      if (lease === undefined) return false
      space.leases.void(place)
      if (lease.marked && wake !== undefined) space.log.append(wake, now)
      return true
    }, 0)
  }

  async fill(key: string, token: string, write: LeaseWrite): Promise<LeaseFill> {
    const place = placeOf(key)
    const record = newRecord(place, write.bytes)
    this.#store.checkFits(place, record)
    const expected = write.expected && Uint8Array.from(write.expected)
    const put = (space: Space, now: number) => {
      const old = space.read(place.key)
      if (!sameBytes(liveValue(place, old, now), expected)) return 'refused'
      const { maxBytes } = this.#store
      return space.put(place.key, old, record, now + write.ttl, maxBytes) ? 'took' : 'no room yet'
    }
    const fill = (space: Space) => underLease(space, place, token, write, put)
    for (;;) {
      const outcome = await this.#store.write(fill, record.length, write.signal)
      if (outcome !== 'no room yet') return outcome
    }
  }

  async touch(key: string, token: string, renewal: LeaseRenewal): Promise<LeaseFill> {
    const place = placeOf(key)
    const expected = Uint8Array.from(renewal.expected)
    const live = (space: Space, now: number) => {
      const record = space.read(place.key)
      if (record === undefined || !sameBytes(liveValue(place, record, now), expected)) {
        return 'refused'
      }
      space.expireAt(place.key, record, now + renewal.ttl)
      return 'took'
    }
    const touch = (space: Space) => underLease(space, place, token, renewal, live)
    return this.#store.write(touch, expected.length, renewal.signal)
  }
}

/** Ends a lease with what it was taken for, if the token has it. */
function underLease<Outcome extends LeaseFill | 'no room yet'>(
  space: Space,
  { key }: Place,
  token: string,
  { announce, wake }: LeaseWrite | LeaseRenewal,
  run: (space: Space, now: number) => Outcome,
): Outcome | 'lost' {
  const now = wallClock()
  const lease = space.leases.of(key, token, now)
  if (lease === undefined) return 'lost'
  const outcome = run(space, now)
  if (outcome === 'no room yet') return outcome
  space.leases.void(key)
  if (outcome === 'took' && announce !== undefined) space.log.append(announce, now)
  if (lease.marked && wake !== undefined) space.log.append(wake, now)
  return outcome
}

/** What can be answered without a lock; `undefined`: nothing can. */
function look(
  get: (key: Buffer) => Buffer | undefined,
  place: Place,
  token: string,
  now: number,
): LeaseRead | undefined {
  const read = toRead(place, get(place.key), now)
  if (read !== undefined) return { kind: 'value', read }
  const lease = liveLease(get(leaseKeyOf(place.key)), now)
  return lease?.marked === true ? heldFrom(lease, token, now) : undefined
}
