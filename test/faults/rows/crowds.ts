import { expect, it } from 'vitest'
import type { Cache } from '../../../src/cache.ts'
import { CacheRemoteError } from '../../../src/model/errors.ts'
import { until } from '../../support/until.ts'
import { Database, type Row, rows } from '../database.ts'
import type { Deployment } from '../deployments.ts'
import { heapInUse } from '../measure.ts'
import type { OtherProcess } from '../other-process.ts'
import { PATIENT, Trial } from '../trial.ts'

const DELETES = 24_000

/** Deletions repaired, with those that wait for writes of a lost connection. */
const REPAIRED_WITHIN = 30_000

/** @param seconds The least that the outage lasts; the deletions are spread over it. */
export function deletesInAnOutage(deployment: Deployment, seconds: number): void {
  it(
    `what 24,000 deletes in an outage were to remove is never served again: ${deployment.name}`,
    { timeout: (seconds + 60) * 1000 },
    ({ annotate }) =>
      Trial.on(deployment, async (trial) => {
        const others = await trial.startOther()
        const { cache } = await trial.openReady({ tiers: 'both', settings: PATIENT })
        const database = new Database()
        const keys = rows('deleted', DELETES)
        await inTurns(keys, 100, (key) => cache.set(key, database.read(key)))

        const startedAt = performance.now()
        trial.remote.network.goDown()
        for (let from = 0; from < DELETES; from += 240) {
          const part = keys.slice(from, from + 240)
          await inTurns(part, part.length, (key) => deleteInVain(cache, database, key))
          await inTurns(part, part.length, (key) => readsTheNewest(cache, database, key))
          const due = startedAt + (seconds * 1000 * (from + 240)) / DELETES
          await until('the next are due', () => performance.now() >= due, seconds * 1000)
        }
        expect(cache.stats().recoveryPending).toBe(DELETES)
        await trial.remote.network.heal()
        const healedAt = performance.now()
        let at = 0
        const read = async () => {
          const part = Array.from({ length: 64 }, () => keys[at++ % DELETES] ?? '')
          await inTurns(part, part.length, (key) => readsTheNewest(cache, database, key))
          return cache.stats().recoveryPending === 0
        }
        await until('what failed is repaired', read, REPAIRED_WITHIN)
        const repairedWithin = performance.now() - healedAt
        for (let from = 0; from < DELETES; from += 1000) {
          await readsNothingOld(others, database, keys.slice(from, from + 1000))
        }
        await inTurns(keys, 1000, (key) => readsTheNewest(cache, database, key))
        await annotate(`repaired within ${repairedWithin.toFixed(0)} ms`)
      }),
  )
}

// Thrown, not expected: an expectation costs more than the call that it is about.

async function deleteInVain(cache: Cache, database: Database, key: string): Promise<void> {
  database.update(key)
  const outcome = await cache.delete(key).catch((error: unknown) => error)
  if (!(outcome instanceof CacheRemoteError)) throw new Error(`delete of ${key}: ${outcome}`)
}

/** Not from local, where it has just been loaded: what the remote holds would be seen. */
async function readsTheNewest(cache: Cache, database: Database, key: string): Promise<void> {
  const load = async () => database.read(key)
  isNewest(database, key, await cache.once(key, load, { skipLocal: true }))
}

async function readsNothingOld(
  others: OtherProcess,
  database: Database,
  keys: readonly string[],
): Promise<void> {
  const found = await others.read(keys)
  for (const [i, key] of keys.entries()) {
    const { status, value, error } = found[i] ?? {}
    if (status === 'hit') isNewest(database, key, value as Row)
    else if (status !== 'miss') throw new Error(`the others read ${key}: ${status}, ${error}`)
  }
}

function isNewest(database: Database, key: string, row: Row): void {
  if (row.key === key && row.version === database.version(key)) return
  throw new Error(`${key} is at version ${database.version(key)}, but read ${JSON.stringify(row)}`)
}

/** Megabytes: what the tables of the engine and of node grow by while they warm up. */
const HEAP_SLACK = 2

/** Calls before the first measurement. */
const WARM_UP = 20_000

export function coldCallsLeaveNothing(deployment: Deployment, calls: number): void {
  it(
    `${calls} cold calls during an outage leave the heap where it was: ${deployment.name}`,
    { timeout: 300_000 },
    ({ annotate }) =>
      Trial.on(deployment, async (trial) => {
        const { cache } = await trial.openReady({ tiers: 'both' })
        trial.remote.network.blackHole()
        await call(cache, 0, WARM_UP)
        const before = await heapInUse()
        await call(cache, WARM_UP, calls)
        const growth = (await heapInUse()) - before
        expect(growth).toBeLessThan(HEAP_SLACK)
        const { query, recoveryPending } = cache.stats()
        expect({ query, recoveryPending }).toEqual({ query: WARM_UP + calls, recoveryPending: 0 })
        await annotate(`the heap grew by ${growth.toFixed(2)} MB`)
      }),
  )
}

async function call(cache: Cache, from: number, count: number): Promise<void> {
  for (let i = from; i < from + count; i += 500) {
    const calls = Array.from({ length: 500 }, (_, j) => cache.once(`cold:${i + j}`, async () => j))
    await Promise.all(calls)
  }
}

/** Runs the work for each key, so many at once. */
async function inTurns(
  keys: readonly string[],
  atOnce: number,
  work: (key: string) => Promise<unknown>,
): Promise<void> {
  for (let from = 0; from < keys.length; from += atOnce) {
    await Promise.all(keys.slice(from, from + atOnce).map(work))
  }
}
