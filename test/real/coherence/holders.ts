import { expect, onTestFinished } from 'vitest'
import type { RedisProcess } from '../../../src/testing/servers/server-process.ts'
import { tcpFaultProxy } from '../../../src/testing/tcp-fault-proxy.ts'
import { until } from '../../support/until.ts'
import type { Setup, Worker } from './crew.ts'
import type { Report, Stage } from './scenarios.ts'

/** Milliseconds of a lease that nobody renews. */
const LEASE_LIFE = 3000

/** Milliseconds that those who wait for it may add: a look every 250, on a machine that is busy. */
const MARGIN = 1000

/** Milliseconds after which they give up a holder that goes on renewing. */
const MAX_WAIT = 2000

interface Answered {
  readonly version: number
  readonly took: number
}

function some(stage: Stage, count: number, from = 0): readonly Worker[] {
  const workers = stage.crew.workers.slice(from, from + count)
  expect(workers).toHaveLength(count)
  return workers
}

/** It loads the key, and its loader returns when it is told to. */
async function beginHeld(worker: Worker, key: string): Promise<() => Promise<Answered>> {
  const held = worker.ask<Answered>('onceHeld', key)
  held.catch(() => undefined)
  await until(`${key} is being loaded`, () => worker.ask<boolean>('isHeld', key))
  return () => held
}

/** All others ask for the key; how long the last of them waits, in milliseconds. */
async function wait(others: readonly Worker[], key: string): Promise<number> {
  const answers = await Promise.all(others.map((other) => other.ask<Answered>('once', key)))
  expect(answers.map(({ version }) => version)).toEqual(others.map(() => 1))
  return Math.max(...answers.map(({ took }) => took))
}

async function openAll(workers: readonly Worker[], setup: Setup): Promise<void> {
  await Promise.all(workers.map((worker) => worker.ask('open', setup)))
}

export async function killedHolder(stage: Stage): Promise<Report> {
  const [holder, ...others] = some(stage, 3)
  if (holder === undefined) return []
  await openAll([holder, ...others], stage.setup('dies', 0))
  const key = 'dies:key'
  await beginHeld(holder, key)
  await holder.kill()
  const took = await wait(others, key)
  expect(took).toBeLessThan(LEASE_LIFE + MARGIN)
  expect(stage.crew.ledger.loads.filter((load) => load.key === key)).toHaveLength(2)
  return [`killed: answered after ${took.toFixed(0)} ms`]
}

/** What it had loaded is a version behind when it goes on, and is stored nowhere. */
export async function frozenHolder(stage: Stage): Promise<Report> {
  const [holder, other, another] = some(stage, 3, 3)
  if (holder === undefined || other === undefined || another === undefined) return []
  await openAll([holder, other, another], stage.setup('freezes', 0))
  const key = 'freezes:key'
  const held = await beginHeld(holder, key)
  holder.freeze()
  const took = await wait([other, another], key)
  expect(took).toBeLessThan(LEASE_LIFE + MARGIN)
  await other.ask('change', 'set', key)
  holder.resume()
  await holder.ask('letGo', key)
  expect(await held()).toMatchObject({ version: 1 })
  expect(await holder.ask('lookup', key)).toEqual({ status: 'hit', version: 2 })
  const newest = () => holder.ask<Answered>('once', key)
  await until('it knows what is new', async () => (await newest()).version === 2)
  return [`frozen: answered after ${took.toFixed(0)} ms`]
}

export async function hungHolder(stage: Stage): Promise<Report> {
  const [holder, ...others] = some(stage, 3, 6)
  if (holder === undefined) return []
  const setup = stage.setup('hangs', 0)
  const options = { ...setup.options, lease: { maxWait: MAX_WAIT } }
  await openAll([holder, ...others], { ...setup, options })
  const key = 'hangs:key'
  const held = await beginHeld(holder, key)
  const took = await wait(others, key)
  expect(took).toBeLessThan(MAX_WAIT + MARGIN)
  for (const other of others) {
    expect(await other.stats()).toMatchObject({ leasesWaited: 1, loadsAlone: 1, localEntries: 0 })
  }
  await holder.ask('letGo', key)
  await held()
  // Its lease lasted: what it brought is stored.
  expect(await holder.ask('lookup', key)).toEqual({ status: 'hit', version: 1 })
  return [`hung: answered after ${took.toFixed(0)} ms`]
}

/** On the way since before another process deleted the key, it arrives after that. */
export async function lateFill(stage: Stage, server: RedisProcess): Promise<void> {
  const [slow, other] = some(stage, 2)
  if (slow === undefined || other === undefined) return
  const proxy = await tcpFaultProxy({ target: server })
  onTestFinished(() => proxy.close())
  const setup = { ...stage.setup('late', 0), options: {} }
  await slow.ask('open', { ...setup, port: proxy.port })
  await other.ask('open', setup)
  // A server that did not know the script of a fill would refuse the one that matters.
  await slow.ask('once', 'late:another')
  const key = 'late:key'
  const held = await beginHeld(slow, key)
  proxy.hold('toServer')
  await slow.ask('letGo', key)
  // The time for the remote is over, the fill on its way.
  expect(await held()).toMatchObject({ version: 1 })
  const scripts = await scriptsRun(server)
  await other.ask('change', 'delete', key)
  await until('the deletion is a script too', async () => (await scriptsRun(server)) > scripts)
  const before = await scriptsRun(server)
  proxy.release('toServer')
  await until('the fill has arrived', async () => (await scriptsRun(server)) > before)
  expect(await other.ask('lookup', key)).toEqual({ status: 'miss', version: undefined })
  expect(await other.ask('once', key)).toMatchObject({ version: 2 })
  await until('the slow one hears of it', async () => {
    const { version } = await slow.ask<Answered>('once', key)
    return version === 2
  })
}

async function scriptsRun(server: RedisProcess): Promise<number> {
  const counts = String(await server.ask('INFO', 'commandstats'))
  const calls = counts.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)
  return [...calls].reduce((sum, [, count]) => sum + Number(count), 0)
}
