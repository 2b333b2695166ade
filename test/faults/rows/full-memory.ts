import { expect, it } from 'vitest'
import { CacheRemoteError } from '../../../src/model/errors.ts'
import { until } from '../../support/until.ts'
import type { Deployment } from '../deployments.ts'
import { PATIENT, Trial } from '../trial.ts'

/** Below what a server takes that holds nothing. */
const FULL = '1mb'

export function hitsWorkWhenMemoryIsFull(deployment: Deployment): void {
  it(
    `a server whose memory is full answers reads, and what it refuses is counted: ${deployment.name}`,
    { timeout: 60_000 },
    () =>
      Trial.on(deployment, async (trial) => {
        const { remote } = trial
        const { cache } = await trial.openReady({ tiers: 'remote', settings: PATIENT })
        await cache.set('kept', 1)
        await cache.set('changed', 1)
        await remote.servers.configure('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
        await remote.servers.configure('CONFIG', 'SET', 'maxmemory', FULL)
        for (let i = 1; i <= 10; i++) {
          expect(await cache.once(`cold:${i}`, async () => i)).toBe(i)
          expect(await cache.get('kept')).toBe(1)
          const { remoteErrors, breaker } = cache.stats()
          expect({ remoteErrors, breaker }).toEqual({ remoteErrors: i, breaker: 'closed' })
          expect(await trial.holds(`cold:${i}`)).toBe(false)
        }
        await expect(cache.set('changed', 2)).rejects.toSatisfy(
          (error) => error instanceof CacheRemoteError && error.outcome === 'refused',
        )
        await until('the refused change is repaired', () => cache.stats().recoveryPending === 0)
        expect(await cache.get('changed')).toBeUndefined()
        expect(await cache.delete('kept')).toBe(true)
        await remote.servers.configure('CONFIG', 'SET', 'maxmemory', '0')
        await cache.once('cold:1', async () => 1)
        expect(await trial.holds('cold:1')).toBe(true)
      }),
  )
}
