import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { type Cache, createCache } from '../../../src/cache.ts'
import { lru } from '../../../src/lru/lru.ts'
import { until } from '../../support/until.ts'
import type { Deployment, Remote } from '../deployments.ts'
import { median, timed } from '../measure.ts'
import { type Opened, Trial } from '../trial.ts'

/** Nobody listens where it was: what stands between would accept connections still. */
async function kill(remote: Remote): Promise<void> {
  remote.network.goDown()
  await remote.servers.kill()
}

async function restart(remote: Remote): Promise<void> {
  await remote.servers.restart()
  await remote.network.heal()
}

/** One way in which a remote is not there. */
export interface Outage {
  readonly name: string
  /** It has not been there since the cache was made. */
  readonly fromTheStart?: boolean
  begin(remote: Remote): Promise<void> | void
  /** Resolves when the servers can be reached. */
  end(remote: Remote): Promise<void> | void
}

export const NEVER_UP: Outage = {
  name: 'never up',
  fromTheStart: true,
  begin: kill,
  end: restart,
}

export const KILLED: Outage = {
  name: 'killed',
  begin: kill,
  end: restart,
}

export const REFUSED: Outage = {
  name: 'refused',
  begin: ({ network }) => network.goDown(),
  end: ({ network }) => network.heal(),
}

export const FROZEN: Outage = {
  name: 'frozen',
  begin: (remote) => remote.servers.freeze(),
  end: (remote) => remote.servers.resume(),
}

export const BLACK_HOLE: Outage = {
  name: 'in a black hole',
  begin: ({ network }) => network.blackHole(),
  end: ({ network }) => network.heal(),
}

export const HELD_BACK: Outage = {
  name: 'not reached, since what is sent is held back',
  begin: ({ network }) => network.hold('toServer'),
  end: ({ network }) => network.heal(),
}

export const SLOW: Outage = {
  name: 'slower than remoteTimeout',
  // An answer that is late because this process stood still meanwhile counts as in time: so much more
  // than remoteTimeout that a busy machine makes up for it seldom.
  begin: ({ network }) => network.slowDown(400),
  end: ({ network }) => network.slowDown(0),
}

export const OUTAGES: readonly Outage[] = [
  NEVER_UP,
  KILLED,
  REFUSED,
  FROZEN,
  BLACK_HOLE,
  HELD_BACK,
  SLOW,
]

/** Milliseconds. */
export const REMOTE_TIMEOUT: number = 250
export const LOAD: number = 20
export const RECOVERY: number = 2000
/** For a machine that does other things as well; a defect costs seconds. */
export const SLACK: number = 400
/** Less than remoteTimeout: a call that has waited for the remote, or waited twice, stands out. */
const SMALL_SLACK = 200
/** A local hit against that of a cache without a remote. A call that waited would be 10,000 times that. */
const HIT_RATIO = 3
/** Between the loader's settlement and the answer, at the median. */
const OVERHEAD = 1

export function costsLittle(deployment: Deployment, outage: Outage): void {
  it(
    `a remote that is ${outage.name} costs little, and is used again within 2 s: ${deployment.name}`,
    { timeout: 60_000 },
    ({ annotate }) =>
      Trial.on(deployment, async (trial) => {
        const { remote } = trial
        if (outage.fromTheStart) await outage.begin(remote)
        const opened = trial.open({ tiers: 'both' })
        const { cache } = opened
        if (!outage.fromTheStart) {
          expect(await cache.ready()).toBe(true)
          await cache.once('hot', async () => 'hot')
          await outage.begin(remote)
        }
        const first: number[] = []
        while (cache.stats().breaker === 'closed') {
          expect(first.length, 'calls that waited').toBeLessThan(remote.mostFirst)
          first.push(await coldCall(cache, `first:${first.length}`))
          expect(first.at(-1)).toBeLessThan(REMOTE_TIMEOUT + LOAD + SLACK)
          if (outage.fromTheStart) await cache.once('hot', async () => 'hot')
          await answersWithinItsTurn(cache, 'hot')
          await hitsCostTheSame(cache, 'hot')
        }
        expect(median(first), 'first calls').toBeLessThan(REMOTE_TIMEOUT + LOAD + SMALL_SLACK)
        const later: number[] = []
        for (let i = 0; i < 5; i++) later.push(await coldCall(cache, `later:${i}`))
        expect(median(later)).toBeLessThan(LOAD + SMALL_SLACK)
        const overhead = await costsTheLoadAlone(remote, opened)
        await answersWithinItsTurn(cache, 'hot')
        const hits = await hitsCostTheSame(cache, 'hot')
        await outage.end(remote)
        const endedAt = performance.now()
        await trial.recovers(cache, RECOVERY + SLACK)
        expect(cache.stats().breaker).toBe('closed')
        await annotate(
          `first calls ${first.map((ms) => ms.toFixed(0))} ms, later ${median(later).toFixed(0)} ms, ` +
            `beyond the load ${overhead.toFixed(3)} ms, hits ${hits.toFixed(2)}x, ` +
            `recovered in ${(performance.now() - endedAt).toFixed(0)} ms`,
        )
      }),
  )
}

export function coldCall(cache: Cache, key: string): Promise<number> {
  const load = async () => {
    await pause(LOAD)
    return key
  }
  return timed(async () => expect(await cache.once(key, load)).toBe(key))
}

/** A local hit: nothing it awaits comes from outside the process. */
export async function answersWithinItsTurn(cache: Cache, key: string): Promise<void> {
  let answer: unknown
  const load = () => Promise.reject(new Error('it was not a local hit'))
  const call = cache.once(key, load).then((value) => {
    answer = value
  })
  await new Promise((resolve) => setImmediate(resolve))
  expect(answer).toBe(key)
  await call
}

/** Returns what hits cost, measured in turn with those of a cache that has no remote, against these. */
export async function hitsCostTheSame(cache: Cache, key: string): Promise<number> {
  const calm = createCache({ local: lru({ maxEntries: 1000 }) })
  const load = async () => key
  await calm.once(key, load)
  const costs: [number[], number[]] = [[], []]
  for (let i = 0; i < 200; i++) {
    costs[0].push(await timed(() => cache.once(key, load)))
    costs[1].push(await timed(() => calm.once(key, load)))
  }
  await calm.close()
  const ratio = median(costs[0]) / median(costs[1])
  expect(ratio, 'cost of a local hit').toBeLessThan(HIT_RATIO)
  return ratio
}

/** Returns the milliseconds between the loader's settlement and the answer, at the median. */
async function costsTheLoadAlone(remote: Remote, { cache, pings }: Opened): Promise<number> {
  await until('no probe is on its way', () => cache.stats().breaker === 'open')
  const before = { pings: pings(), requests: remote.network.counts().requests }
  const overheads: number[] = []
  for (let i = 0; i < 200; i++) {
    let settledAt = 0
    const load = async () => {
      await new Promise((resolve) => setImmediate(resolve))
      settledAt = performance.now()
      return i
    }
    expect(await cache.once(`alone:${i}`, load)).toBe(i)
    overheads.push(performance.now() - settledAt)
  }
  expect(median(overheads)).toBeLessThan(OVERHEAD)
  await until('two more probes', () => pings() >= before.pings + 2)
  await until('the last one is over', () => cache.stats().breaker === 'open')
  const probing = (pings() - before.pings) * remote.mostPerProbe
  expect(remote.network.counts().requests - before.requests).toBeLessThanOrEqual(probing)
  return median(overheads)
}
