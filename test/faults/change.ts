import { expect } from 'vitest'
import type { Cache } from '../../src/cache.ts'
import { CacheRemoteError } from '../../src/model/errors.ts'
import type { CacheSettings } from '../../src/options/options.ts'
import { until } from '../support/until.ts'
import { Database, type Row, rows } from './database.ts'
import type { Servers } from './servers.ts'
import { type Opened, PATIENT, type Trial } from './trial.ts'

/** As many failures open the breaker: so many writes are sent, and what comes after them is not. */
const SENT = 3

/** A write of a lost connection is waited for, for some seconds. */
const REPAIRED_WITHIN = 20_000

/** Rows at version 1, in the remote and in the local tier of the process that is to change them. */
export async function aChange<S extends Servers>(
  trial: Trial<S>,
  settings: CacheSettings = PATIENT,
): Promise<Change> {
  const opened = await trial.openReady({ tiers: 'both', settings })
  const others = await trial.openReady({ tiers: 'remote', pastNetwork: true, settings: PATIENT })
  const change = new Change(opened, others.cache)
  await change.begin()
  return change
}

/** Changes that meet an outage, and what is read of them by this process and by others. */
export class Change {
  readonly cache: Cache
  readonly isConnected: () => boolean
  readonly #others: Cache
  readonly #database = new Database()
  readonly #sets = rows('set', SENT)
  readonly #deletes = rows('delete', SENT)

  constructor({ cache, isConnected }: Opened, others: Cache) {
    this.cache = cache
    this.isConnected = isConnected
    this.#others = others
  }

  get keys(): readonly string[] {
    return [...this.#sets, ...this.#deletes]
  }

  async begin(): Promise<void> {
    for (const key of this.keys) await this.cache.set(key, this.#database.read(key))
  }

  async failTwice(): Promise<void> {
    const sets = this.#sets.map((key) => this.cache.set(key, this.#database.update(key)))
    await fail(sets)
    const deletes = this.keys.map((key) => {
      this.#database.update(key)
      return this.cache.delete(key)
    })
    await fail(deletes)
    expect(this.cache.stats().recoveryPending).toBe(this.keys.length)
  }

  async succeed(): Promise<void> {
    for (const key of this.#sets) await this.cache.set(key, this.#database.update(key))
    for (const key of this.#deletes) {
      this.#database.update(key)
      await this.cache.delete(key)
    }
  }

  /** The next change of some of the keys, which the remote takes. */
  async writeAnew(): Promise<void> {
    for (const key of this.#sets.slice(1)) await this.cache.set(key, this.#database.update(key))
  }

  /** This process reads the newest version, or none. */
  async isInvisible(): Promise<void> {
    for (const key of this.keys) {
      const { version } = this.#database.read(key)
      const looked = await this.cache.get<Row>(key)
      expect([undefined, version], `read of ${key}`).toContain(looked?.version)
      // Not from local: what the remote holds would be seen here.
      const load = async () => this.#database.read(key)
      const read = await this.cache.once(key, load, { skipLocal: true })
      expect(read, 'read with a loader').toEqual({ key, version })
    }
  }

  async staysInvisibleUntilRepaired(): Promise<void> {
    await until(
      'what failed is repaired',
      async () => {
        await this.isInvisible()
        return this.cache.stats().recoveryPending === 0
      },
      REPAIRED_WITHIN,
    )
    await this.isInvisible()
  }

  async isGoneForOthers(): Promise<void> {
    expect(await this.#others.ready({ timeout: '10s' }), 'the others are connected').toBe(true)
    for (const key of this.keys) {
      const read = await this.#others.lookup<Row>(key)
      expect(read.status, 'the others can read').not.toBe('error')
      const version = read.status === 'hit' ? read.value.version : undefined
      expect([undefined, this.#database.version(key)], `others on ${key}`).toContain(version)
    }
  }
}

async function fail(changes: readonly Promise<unknown>[]): Promise<void> {
  const outcomes = await Promise.allSettled(changes)
  for (const outcome of outcomes) {
    expect(outcome.status).toBe('rejected')
    if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(CacheRemoteError)
  }
}
