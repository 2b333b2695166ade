import { setTimeout as pause } from 'node:timers/promises'
import { slotOf } from '../../src/redis-common/slot.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'
import { until } from './until.ts'

const ttl = 60_000

/** What a caller saw who wrote one key after the other, from a failover on. */
export interface Account {
  /** Milliseconds from the beginning to the first write that the new master took. */
  readonly worksAfter: number
  /** How many writes were rejected by verdict; `undefined`: their outcome was unknown. */
  readonly rejected: ReadonlyMap<string | undefined, number>
}

/**
 * Writes every 10 ms, waiting 250 ms for each, until the new master holds one, and then for all that
 * have not been answered.
 *
 * @throws Error if it takes more than 15 s, or if a write is still under way 5 s later.
 */
export async function writeThrough(
  store: RemoteStore,
  key: string,
  newMaster: () => Promise<RedisProcess | undefined>,
): Promise<Account> {
  const since = performance.now()
  const rejected = new Map<string | undefined, number>()
  let count = 0
  let pending = 0
  const write = async (name: string): Promise<boolean> => {
    pending++
    try {
      return await store.set(name, Uint8Array.of(1), { ttl, signal: AbortSignal.timeout(250) })
    } catch (error) {
      const verdict = store.judge?.(error)
      rejected.set(verdict, (rejected.get(verdict) ?? 0) + 1)
      return false
    } finally {
      pending--
    }
  }
  await until(
    'the new master takes writes',
    async () => {
      const name = `${key}:${count++}`
      const taken = await Promise.race([write(name), pause(250, false)])
      const master = taken ? await newMaster() : undefined
      return (await master?.ask('EXISTS', name).catch(() => 0)) === 1
    },
    15_000,
  )
  const worksAfter = performance.now() - since
  await until('all writes have settled', () => pending === 0, 5000)
  return { worksAfter, rejected }
}

/** A key below a hash tag whose slot is in the first third. */
export function tagOfFirstThird(): string {
  for (let i = 0; ; i++) if (slotOf(`{${i}}`) < 5461) return `{${i}}`
}
