import type {
  Announcement,
  LeaseFill,
  LeaseHeld,
  LeaseRead,
  LeaseWrite,
  RemoteLeases,
} from '../remote/remote-store.ts'
import { leaseKey } from './lease-key.ts'
import { toHeld, toLeaseReads } from './read-reply.ts'
import type { RedisArgument } from './redis-connection.ts'
import {
  FILL,
  READ,
  READ_ONE_OR_LEASE,
  READ_OR_LEASE,
  RELEASE_LEASE,
  RENEW_LEASE,
  type Script,
  TAKE_LEASE,
} from './scripts.ts'
import type { Sender } from './sender.ts'

/**
 * The leases of a store on Redis: one key beside each key that is being loaded.
 *
 * While a slot of a cluster is on its way to another server, values in it are read, but no lease in it
 * is granted with a read, and nothing is filled: both reject with what the server says (TRYAGAIN).
 */
export class RedisLeases implements RemoteLeases {
  readonly #sender: Sender
  readonly #sentKey: (key: string) => string

  constructor(sender: Sender, sentKey: (key: string) => string) {
    this.#sender = sender
    this.#sentKey = sentKey
  }

  async read(keys: readonly string[], token: string, life: number): Promise<LeaseRead[]> {
    if (keys.length === 0) return []
    const sent = keys.map(this.#sentKey)
    const all = [...sent, ...sent.map(leaseKey)]
    const args = [token, String(life)]
    const script = keys.length === 1 ? READ_ONE_OR_LEASE : READ_OR_LEASE
    const reply = await this.#sender.runTogether({ script, keys: all, args }, async (refusal) => {
      const values = await this.#sender.run({ script: READ, keys: sent, args: [] })
      if (!Array.isArray(values) || values.includes(null)) throw refusal
      return values
    })
    return toLeaseReads(reply, keys.length)
  }

  async take(key: string, token: string, life: number): Promise<LeaseHeld | undefined> {
    const reply = await this.#runOn(key, TAKE_LEASE, [token, String(life)])
    return reply === null ? undefined : toHeld(reply)
  }

  async renew(key: string, token: string, life: number): Promise<boolean> {
    return (await this.#runOn(key, RENEW_LEASE, [token, String(life)])) === 1
  }

  async release(key: string, token: string, wake?: Announcement): Promise<boolean> {
    return (await this.#runOn(key, RELEASE_LEASE, [token, ...announced(wake)])) === 1
  }

  async fill(key: string, token: string, write: LeaseWrite): Promise<LeaseFill> {
    const { expected, bytes, ttl, announce, wake, signal } = write
    const args: RedisArgument[] = [token, bytes, String(ttl)]
    args.push(announce?.channel ?? '', announce?.text ?? '')
    args.push(wake?.channel ?? '', wake?.text ?? '')
    if (expected !== undefined) args.push(expected)
    const sent = this.#sentKey(key)
    const keys = [sent, leaseKey(sent)]
    const reply = await this.#sender.run({ script: FILL, keys, args, signal })
    if (reply === 1) return 'took'
    return reply === 0 ? 'refused' : 'lost'
  }

  /** Runs a script on the lease of a key alone. */
  #runOn(key: string, script: Script, args: readonly RedisArgument[]): Promise<unknown> {
    return this.#sender.run({ script, keys: [leaseKey(this.#sentKey(key))], args })
  }
}

/** The last arguments of a script that may publish. */
export function announced(announcement: Announcement | undefined): readonly string[] {
  return announcement === undefined ? [] : [announcement.channel, announcement.text]
}
