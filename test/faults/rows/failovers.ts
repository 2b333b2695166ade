import { expect, it } from 'vitest'
import type { CacheSettings } from '../../../src/options/options.ts'
import { until } from '../../support/until.ts'
import { aChange } from '../change.ts'
import type { Deployment } from '../deployments.ts'
import type { Trio } from '../sentinels.ts'
import { Trial } from '../trial.ts'
import { untilTheTurn } from '../turn.ts'
import {
  answersWithinItsTurn,
  coldCall,
  hitsCostTheSame,
  LOAD,
  RECOVERY,
  REMOTE_TIMEOUT,
  SLACK,
} from './outages.ts'

/** How a master goes. */
export interface Loss {
  readonly name: string
  begin(servers: Trio): Promise<void> | void
  /** What the old one does as soon as there is another; the client may still be connected to it. */
  onPromotion(servers: Trio): void
}

export const MASTER_KILLED: Loss = {
  name: 'killed',
  begin: ({ master }) => master.kill(),
  onPromotion: () => undefined,
}

export const MASTER_FROZEN: Loss = {
  name: 'frozen',
  begin: ({ master }) => master.freeze(),
  onPromotion: ({ master }) => master.resume(),
}

export const LOSSES: readonly Loss[] = [MASTER_KILLED, MASTER_FROZEN]

/** Some clients pause for 1 s between two attempts to find the master. */
const CLIENT_SLACK = 1000

/** What is sent to the old master fails before there is another. */
const BEFORE_THE_FAILOVER: CacheSettings = { remoteTimeout: '500ms' }

/** Sentinels and client together; how long the client takes is measured apart. */
const FAILOVER = 30_000

export function failsOver(deployment: Deployment<Trio>, loss: Loss): void {
  it(
    `a master that is ${loss.name} costs little, and the next one is used within 2 s of its promotion: ${deployment.name}`,
    { timeout: 120_000 },
    ({ annotate }) =>
      Trial.on(deployment, async (trial) => {
        const { servers } = trial.remote
        const { cache } = await trial.openReady({ tiers: 'both', pastNetwork: true })
        await cache.once('hot', async () => 'hot')
        await loss.begin(servers)
        const beganAt = performance.now()
        let tries = 0
        let longest = 0
        const fillsTheNextOne = async () => {
          const key = `during:${tries++}`
          longest = Math.max(longest, await coldCall(cache, key))
          expect(longest).toBeLessThan(REMOTE_TIMEOUT + LOAD + SLACK)
          // What was read from the last master is dropped as soon as there is another.
          if (cache.stats().remoteReplaced === 0) await answersWithinItsTurn(cache, 'hot')
          if (cache.stats().remoteReplaced === 0) await hitsCostTheSame(cache, 'hot')
          // It hangs up on everybody when it is promoted.
          return (await servers.successor.ask('EXISTS', key).catch(() => 0)) === 1
        }
        const now = () => performance.now()
        const [failedOverAt, usedAt] = await Promise.all([
          servers.failedOver().then(now),
          until('the next master is written to', fillsTheNextOne, FAILOVER).then(now),
        ])
        expect(usedAt - failedOverAt).toBeLessThan(RECOVERY + CLIENT_SLACK)
        expect(cache.stats()).toMatchObject({ breaker: 'closed', remoteReplaced: 1 })
        expect(await cache.lookup('hot')).not.toMatchObject({ tier: 'local' })
        await annotate(
          `promoted after ${(failedOverAt - beganAt).toFixed(0)} ms, ` +
            `used after ${(usedAt - beganAt).toFixed(0)} ms, longest call ${longest.toFixed(0)} ms`,
        )
      }),
  )
}

/** The old master may hold what was sent to it last, and go on when another has taken its place. */
export function failedChangesAcrossAFailover(deployment: Deployment<Trio>, loss: Loss): void {
  it(
    `what a master that is ${loss.name} did not take is never read back from the next one, nor when the old one returns: ${deployment.name}`,
    { timeout: 120_000 },
    () =>
      Trial.on(deployment, async (trial) => {
        const { servers } = trial.remote
        const change = await aChange(trial, BEFORE_THE_FAILOVER)
        await loss.begin(servers)
        await change.failTwice()
        await change.isInvisible()
        const nextIsUsed = until(
          'the next master is used',
          async () => {
            await change.isInvisible()
            return change.cache.stats().remoteReplaced > 0
          },
          FAILOVER,
        )
        const promoted = servers.failedOver().then(() => loss.onPromotion(servers))
        await Promise.all([promoted, nextIsUsed])
        const returned = servers.oldMasterReturns()
        await change.staysInvisibleUntilRepaired()
        await change.isGoneForOthers()
        await returned
        await change.isInvisible()
        await change.isGoneForOthers()
        await trial.recovers(change.cache, FAILOVER)
      }),
  )
}

/** What the master has acknowledged a moment before its end has not come to its replica. */
export function lostByAFailover(deployment: Deployment<Trio>, loss: Loss): void {
  it(
    `a change that only a master knew which is ${loss.name} is not undone by the next one: ${deployment.name}`,
    { timeout: 120_000 },
    () =>
      Trial.on(deployment, async (trial) => {
        const { servers } = trial.remote
        const change = await aChange(trial, BEFORE_THE_FAILOVER)
        const { cache } = change
        await servers.partReplica()
        await change.succeed()
        for (const key of change.keys) expect(await servers.successor.ask('EXISTS', key)).toBe(1)
        await loss.begin(servers)
        const failedOver = servers.failedOver()
        // By other keys: a read of these that fails would have them repaired for that.
        let tries = 0
        const isDown = async () => {
          await cache.once(`down:${tries++}`, async () => 1)
          return cache.stats().breaker !== 'closed'
        }
        await until('the master is missed', isDown)
        // To the turn: what is asked of the next one first must not be answered by it.
        const isReplaced = () => cache.stats().remoteReplaced > 0
        await untilTheTurn('the next master is met', isReplaced, FAILOVER)
        await change.isInvisible()
        await failedOver
        await change.staysInvisibleUntilRepaired()
        expect(cache.stats().replayed).toBeGreaterThanOrEqual(change.keys.length)
        await change.isGoneForOthers()
      }),
  )
}

/** Probes, twice a second: meanwhile a client tries more often than node allows listeners of one kind. */
const PROBES = 10

/** The sentinels answer all the time; what a client keeps of them must not pile up. */
export function outlivesALongAbsence(deployment: Deployment<Trio>): void {
  it(
    `attempts to reach a master that nobody replaces leave nothing behind: ${deployment.name}`,
    { timeout: 60_000 },
    () =>
      Trial.on(deployment, async (trial) => {
        const { servers } = trial.remote
        const { cache, pings } = await trial.openReady({ tiers: 'both', pastNetwork: true })
        await servers.successor.kill()
        await servers.master.kill()
        const isDown = async () => {
          await cache.once('cold', async () => 1, { skipLocal: true })
          return cache.stats().breaker !== 'closed'
        }
        await until('the master is missed', isDown)
        const before = pings()
        await until('the client has tried again and again', () => pings() >= before + PROBES)
        await servers.master.restart()
        await trial.recovers(cache, FAILOVER)
      }),
  )
}
