import { expect, it } from 'vitest'
import { rows } from '../database.ts'
import type { Deployment } from '../deployments.ts'
import { PATIENT, Trial } from '../trial.ts'

/** Each begins with connections of its own. */
const CACHES = 10

export function isReadyWhenItSaysSo(deployment: Deployment): void {
  it(
    `a cache that says it is ready writes all that it is given next: ${deployment.name}`,
    { timeout: 60_000 },
    () =>
      Trial.on(deployment, async (trial) => {
        const keys = rows('ready', 64)
        for (let i = 0; i < CACHES; i++) {
          const { cache } = await trial.openReady({ tiers: 'remote', settings: PATIENT })
          for (const key of keys) expect(await cache.set(key, i)).toBe(true)
          expect(cache.stats()).toMatchObject({ remoteErrors: 0, remoteReplaced: 0 })
        }
      }),
  )
}
