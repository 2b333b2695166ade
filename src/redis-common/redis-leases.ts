import { createHash } from 'node:crypto'
import type {
  Announcement,
  LeaseFill,
  LeaseHeld,
  LeaseRead,
  LeaseRenewal,
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
  TOUCH,
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

  // Not async: each such function costs a cold load a microsecond.
  fill(key: string, token: string, write: LeaseWrite): Promise<LeaseFill> {
    const { expected, bytes, ttl } = write
    const args = [token, bytes, String(ttl), ...said(write)]
    if (expected !== undefined) args.push(expected)
    return this.#runUnder(key, FILL, args, write.signal)
  }

  async touch(key: string, token: string, renewal: LeaseRenewal): Promise<LeaseFill> {
    const sha = createHash('sha1').update(renewal.expected).digest('hex')
    const args = [token, sha, String(renewal.ttl), ...said(renewal)]
    return this.#runUnder(key, TOUCH, args, renewal.signal)
  }

  /** Runs a script that changes a key under its lease. */
  #runUnder(
    key: string,
    script: Script,
    args: readonly RedisArgument[],
    signal: AbortSignal | undefined,
  ): Promise<LeaseFill> {
    const sent = this.#sentKey(key)
    const keys = [sent, leaseKey(sent)]
    return this.#sender.run({ script, keys, args, signal }).then(toFill)
  }

  /** Runs a script on the lease of a key alone. */
  #runOn(key: string, script: Script, args: readonly RedisArgument[]): Promise<unknown> {
    return this.#sender.run({ script, keys: [leaseKey(this.#sentKey(key))], args })
  }
}

/** What a script says about a change, and to those who wait. */
function said({ announce, wake }: LeaseWrite | LeaseRenewal): readonly string[] {
  return [announce?.channel ?? '', announce?.text ?? '', wake?.channel ?? '', wake?.text ?? '']
}

function toFill(reply: unknown): LeaseFill {
  if (reply === 1) return 'took'
  return reply === 0 ? 'refused' : 'lost'
}

/** The last arguments of a script that may publish. */
export function announced(announcement: Announcement | undefined): readonly string[] {
  return announcement === undefined ? [] : [announcement.channel, announcement.text]
}
