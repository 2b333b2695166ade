import { expect } from 'vitest'
import type { RedisProcess } from '../../../src/testing/servers/server-process.ts'
import type { TcpFaultProxy } from '../../../src/testing/tcp-fault-proxy.ts'
import type { Crew, Setup } from './crew.ts'
import { now } from './ledger.ts'
import {
  DELAY,
  every,
  expectFewLoads,
  expectFresh,
  keysOf,
  lasting,
  share,
  underLoad,
} from './mixed-load.ts'
import { judge, type Span, told } from './oracle.ts'

/** Processes, and how the cache of each is made. */
export interface Stage {
  readonly crew: Crew
  setup(name: string, place: number): Setup
  /** Begins to write past all caches, and tells how to end it. */
  foreignWriter?(keys: readonly string[], own: readonly number[]): () => Promise<void>
}

/** Milliseconds for which a bus is relied on that has said nothing. */
const TRUSTED = 6000

/** What is to be told of a run. */
export type Report = readonly string[]

/** How many share the keys among them; each place below has one that changes its own. */
function writersOf({ crew, foreignWriter }: Stage): number {
  return crew.workers.length + (foreignWriter === undefined ? 0 : 1)
}

/** The load of all, the foreign writer's too, until something else is over. */
async function run(
  stage: Stage,
  keys: readonly string[],
  writers: number,
  meanwhile: () => Promise<unknown>,
): Promise<void> {
  const endWriter = stage.foreignWriter?.(keys, share(keys, writers - 1, writers).own)
  await underLoad(stage.crew, keys, writers, meanwhile)
  await endWriter?.()
}

export async function steady(stage: Stage, seconds: number): Promise<Report> {
  const { crew } = stage
  await crew.open((place) => stage.setup('steady', place))
  await run(stage, keysOf('steady:'), writersOf(stage), () => lasting(seconds * 1000))
  const fresh = told(expectFresh(crew, { delay: DELAY }))
  expect(crew.ledger.failures).toBe(0)
  return [fresh, await expectFewLoads(crew)]
}

/** The last two only read; one of them after the other is killed, and replaced. */
export async function killedReaders(stage: Stage, seconds: number): Promise<Report> {
  const { crew } = stage
  const writers = crew.workers.length - 2
  const keys = keysOf('killed:')
  const setup = stage.setup('killed', writers)
  await crew.open((place) => stage.setup('killed', place))
  await underLoad(crew, keys, writers, () =>
    every(1000, seconds * 1000, async () => {
      await crew.workers[writers]?.kill()
      const successor = await crew.recruit()
      await successor.ask('open', setup)
      await successor.begin(share(keys, writers, writers))
    }),
  )
  const fresh = told(expectFresh(crew, { delay: DELAY }))
  const { length: kills } = crew.ledger.kills
  expect(kills).toBeGreaterThan(0)
  return [`${kills} killed`, fresh, await expectFewLoads(crew)]
}

/**
 * Writers are killed, some between the change of the database and that of the cache: nobody can tell
 * of it, and the ttl is the bound.
 */
export async function killedWriters(stage: Stage, seconds: number): Promise<Report> {
  const { crew } = stage
  const ttl = 2000
  const keys = keysOf('written:')
  const setup = (place: number): Setup => {
    const given = stage.setup('written', place)
    return { ...given, options: { ...given.options, ttl } }
  }
  const writers = crew.workers.length
  const places = new Map(crew.workers.map((worker, place) => [worker, place]))
  await crew.open(setup)
  await underLoad(crew, keys, writers, () =>
    every(1000, seconds * 1000, async () => {
      const [victim] = crew.workers
      if (victim === undefined) return
      const place = places.get(victim) ?? 0
      await victim.kill()
      const successor = await crew.recruit()
      places.set(successor, place)
      await successor.ask('open', setup(place))
      await successor.begin(share(keys, place, writers))
    }),
  )
  const { ledger } = crew
  // Lives are up to a tenth shorter than the ttl.
  const loads = await expectFewLoads(crew, { shortestLife: 0.9 * ttl, disturbed: true })
  const acknowledged = new Set(ledger.acknowledged.map(({ key, version }) => `${key} ${version}`))
  const lost = ledger.updates.filter(({ key, version }) => !acknowledged.has(`${key} ${version}`))
  ledger.acknowledged.push(...lost)
  const late = judge(ledger, { delay: ttl + DELAY })
  expect(late.answers).toBeGreaterThan(500)
  expect(late.stale, told(late)).toEqual([])
  return [
    `${ledger.kills.length} killed with ${lost.length} changes not reported`,
    told(late),
    loads,
  ]
}

/** Cuts the way every 2 s: by an end, and by a hole of 1 s that swallows everything. */
async function cutting(proxy: TcpFaultProxy, seconds: number): Promise<readonly Span[]> {
  const deaf: Span[] = []
  await every(2000, seconds * 1000, async (round) => {
    if (round % 2 === 0) return proxy.cut('end')
    const from = now()
    proxy.blackHole()
    await lasting(1000)
    await proxy.heal()
    deaf.push({ from, to: now() + DELAY })
  })
  return deaf
}

/** While the way is cut, those who know it may be out of date, and none once all is as before. */
function expectFreshBut(crew: Crew, deaf: readonly Span[], healedAt: number): Report {
  const verdict = expectFresh(crew, { delay: DELAY, deaf })
  for (const { by } of verdict.staleDeaf) expect(by).toBeLessThan(TRUSTED + DELAY)
  const healed = judge(crew.ledger, { delay: DELAY, from: healedAt })
  expect(healed.answers).toBeGreaterThan(100)
  expect([...healed.stale, ...healed.staleUnarmed].slice(0, 5), told(healed)).toEqual([])
  return [told(verdict), `healed: ${told(healed)}`]
}

/**
 * Only the bus of those in the second half is cut; those in the first half are the writers. All have a
 * client for the bus alone, so that messages do not ride with the changes.
 */
export async function cutBus(
  stage: Stage,
  server: RedisProcess,
  proxy: TcpFaultProxy,
  seconds: number,
): Promise<Report> {
  const { crew } = stage
  const half = crew.workers.length / 2
  let deaf: readonly Span[] = []
  let healedAt = 0
  await crew.open((place) => {
    const setup = stage.setup('cut', place)
    return { ...setup, busPort: place < half ? server.port : proxy.port }
  })
  await underLoad(crew, keysOf('cut:'), half, async () => {
    deaf = await cutting(proxy, seconds)
    await crew.all('all are armed again', ({ busArmed }) => busArmed === true)
    healedAt = now()
    await lasting(1000)
  })
  expect(await crew.sum(({ busDisarmed }) => busDisarmed)).toBeGreaterThan(0)
  return [...expectFreshBut(crew, deaf, healedAt), await expectFewLoads(crew, { disturbed: true })]
}

/** Those in the second half are cut from the remote as well, and all are writers. */
export async function cutOff(stage: Stage, proxy: TcpFaultProxy, seconds: number): Promise<Report> {
  const { crew } = stage
  const half = crew.workers.length / 2
  let deaf: readonly Span[] = []
  let healedAt = 0
  await crew.open((place) => {
    const setup = stage.setup('off', place)
    return place < half ? setup : { ...setup, port: proxy.port, options: {} }
  })
  await underLoad(crew, keysOf('off:'), crew.workers.length, async () => {
    deaf = await cutting(proxy, seconds)
    await crew.all('all is as before', ({ busArmed, breaker, recoveryPending }) => {
      return busArmed === true && breaker === 'closed' && recoveryPending === 0
    })
    healedAt = now()
    await lasting(1000)
  })
  expect(crew.ledger.failures).toBeGreaterThan(0)
  return [`${crew.ledger.failures} calls failed`, ...expectFreshBut(crew, deaf, healedAt)]
}

/** @param listeners The connections that only listen, as the server lists them. */
export async function killedListeners(
  stage: Stage,
  server: RedisProcess,
  listeners: () => Promise<readonly string[]>,
  seconds: number,
): Promise<Report> {
  const { crew } = stage
  let killed = 0
  let healedAt = 0
  await crew.open((place) => stage.setup('listeners', place))
  await run(stage, keysOf('listeners:'), writersOf(stage), async () => {
    await every(1000, seconds * 1000, async () => {
      for (const line of await listeners()) {
        const id = /\bid=(\d+)/.exec(line)?.[1] ?? ''
        await server.ask('CLIENT', 'KILL', 'ID', id).catch(() => undefined)
        killed++
      }
    })
    await crew.all('all are armed again', ({ busArmed }) => busArmed === true)
    healedAt = now()
    await lasting(1000)
  })
  expect(killed).toBeGreaterThanOrEqual(crew.workers.length)
  const verdict = expectFresh(crew, { delay: DELAY })
  const healed = judge(crew.ledger, { delay: DELAY, from: healedAt })
  expect([...healed.stale, ...healed.staleUnarmed], told(healed)).toEqual([])
  return [
    `${killed} connections killed`,
    told(verdict),
    await expectFewLoads(crew, { disturbed: true }),
  ]
}

/** The server dies, and begins anew with what it held some seconds before. */
export async function restored(
  stage: Stage,
  server: RedisProcess,
  seconds: number,
): Promise<Report> {
  const { crew } = stage
  let healedAt = 0
  await crew.open((place) => stage.setup('restored', place))
  await underLoad(crew, keysOf('restored:'), crew.workers.length, async () => {
    await lasting(500)
    await server.ask('SAVE')
    await lasting(seconds * 1000)
    await server.restart()
    await crew.all('all have made good what the server has forgotten', (stats) => {
      const { remoteReplaced, recoveryPending, breaker, busArmed } = stats
      return (
        remoteReplaced > 0 && recoveryPending === 0 && breaker === 'closed' && busArmed === true
      )
    })
    healedAt = now()
    await lasting(1000)
  })
  const replayed = await crew.sum((stats) => stats.replayed)
  expect(replayed).toBeGreaterThan(0)
  const all = judge(crew.ledger, { delay: DELAY })
  const healed = judge(crew.ledger, { delay: DELAY, from: healedAt })
  expect(healed.answers).toBeGreaterThan(100)
  expect([...healed.stale, ...healed.staleUnarmed].slice(0, 5), told(healed)).toEqual([])
  const loads = await expectFewLoads(crew, { from: healedAt, disturbed: true })
  return [`${replayed} replayed`, `all: ${told(all)}`, `healed: ${told(healed)}`, loads]
}
