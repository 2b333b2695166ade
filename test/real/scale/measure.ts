import { expect } from 'vitest'
import type { RedisProcess } from '../../../src/testing/servers/server-process.ts'
import { until } from '../../support/until.ts'
import type { Crew, Setup, Worker } from '../coherence/crew.ts'

/*
 * What so many processes cost a server, counted there (INFO commandstats, which counts what scripts do
 * as well) and in the processes, beside the formulas of docs/scale.md. Nothing is timed: the work is
 * fixed, whatever the number of processes, and what the machine makes of it only decides how long it
 * takes.
 */

/** Changes that are made, one after the other, by the processes in turn. */
const CHANGES = 64

/** Keys that each process has a copy of, and that are changed. */
const KEYS = 16

/** Cold keys that callers in all processes ask for at once, one key after the other. */
const COLD = 8

const CALLERS = 20
const LOADER_MS = 30

/** Who waits looks so often even if nobody wakes it, in milliseconds. */
const LOOK_EVERY = 500

/** Beats of each process that are waited for. */
const BEATS = 3

/** A silence after which a source begins to repeat its last message, in milliseconds. */
const SILENCE = 1000

/** Repeats in a silence. */
const REPEATS = 2

/** How far a measured count may be above its formula. */
const TOLERANCE = 1.2

export interface Fleet {
  readonly crew: Crew
  readonly server: RedisProcess
  readonly bus: 'pubSub' | 'tracking'
}

/** A count, beside the least and the most that the formula says. */
interface Row {
  readonly what: string
  readonly least: number
  readonly measured: number
  readonly most: number
}

/** Measures with as many processes as there are: each count lies within its formula. */
export async function measure(fleet: Fleet): Promise<readonly string[]> {
  const { crew, server, bus } = fleet
  const processes = crew.workers.length
  const name = `scale-${bus}-${processes}`
  await server.ask('FLUSHALL')
  await crew.open((place) => setupOf(fleet, name, place))
  await crew.all('all are armed', ({ busArmed }) => busArmed === true)
  const rows = [
    ...(await (bus === 'pubSub' ? changesPublished : changesNoticed)(fleet, name)),
    ...(await coldKeys(fleet, name)),
    await idle(fleet),
  ]
  for (const { what, least, measured, most } of rows) {
    expect(measured, `${what}, ${processes} processes`).toBeGreaterThanOrEqual(least)
    expect(measured, `${what}, ${processes} processes`).toBeLessThanOrEqual(most * TOLERANCE)
  }
  return rows.map(
    ({ what, least, measured, most }) =>
      `${bus}, ${processes} processes: ${what}: ${shown(measured)} (${shown(least)} to ${shown(most)})`,
  )
}

function setupOf({ server, bus }: Fleet, name: string, place: number): Setup {
  return {
    name,
    client: place % 2 === 0 ? 'node-redis' : 'ioredis',
    port: server.port,
    bus,
    ...(bus === 'tracking' ? { prefixes: [`${name}:`] } : {}),
    // A busy machine is no server that is down.
    options: { remoteTimeout: '10s', loadTimeout: '1m', lease: { maxWait: '1m' } },
  }
}

/** Messages, and what each process heard of them. */
async function changesPublished(fleet: Fleet, name: string): Promise<readonly Row[]> {
  const { crew } = fleet
  const others = crew.workers.length - 1
  const keys = await spread(fleet, name)
  const before = await totals(crew)
  const published = await calls(fleet.server, 'publish')
  const beatsFrom = performance.now()
  const silences = await change(fleet, keys)
  const heard = CHANGES * others
  await until('all have heard of all changes', async () => {
    return (await totals(crew)).received - before.received >= heard
  })
  const beats = beatsIn(performance.now() - beatsFrom) * (others + 1)
  const after = await totals(crew)
  const repeats = REPEATS * silences
  return [
    {
      what: `messages of ${CHANGES} changes`,
      least: CHANGES,
      measured: after.sent - before.sent,
      most: CHANGES + repeats,
    },
    {
      what: `PUBLISH at the server in the meantime, ${beats} beats at most among them`,
      least: CHANGES,
      measured: (await calls(fleet.server, 'publish')) - published,
      most: CHANGES + repeats + beats,
    },
    {
      what: `deliveries of ${CHANGES} changes to other processes`,
      least: heard,
      measured: after.received - before.received,
      most: heard + repeats * others,
    },
  ]
}

/** Notices: of each write under the prefix, to each process, also to the one that wrote. */
async function changesNoticed(fleet: Fleet, name: string): Promise<readonly Row[]> {
  const { crew } = fleet
  const processes = crew.workers.length
  const before = await totals(crew)
  const writes = await calls(fleet.server, 'set')
  const leases = before.leases
  await change(fleet, await spread(fleet, name))
  const least = CHANGES * processes
  await until('all have been told of all changes', async () => {
    return (await totals(crew)).received - before.received >= least
  })
  const after = await totals(crew)
  const setOnes = (await calls(fleet.server, 'set')) - writes - (after.leases - leases)
  return [
    {
      what: `notices of ${setOnes} writes under the prefix, ${CHANGES} of them changes`,
      least,
      measured: after.received - before.received,
      most: setOnes * processes,
    },
  ]
}

/** Each process gets a copy of each key: the first one loads them, so that nobody waits for another. */
async function spread({ crew }: Fleet, name: string): Promise<readonly string[]> {
  const keys = Array.from({ length: KEYS }, (_, i) => `${name}:changed:${i}`)
  for (const worker of crew.workers) await worker.ask('readAll', keys)
  return keys
}

/** The same number of changes, however many make them. Returns how many silences have begun by then. */
async function change({ crew: { workers } }: Fleet, keys: readonly string[]): Promise<number> {
  const lastAt = new Map<Worker, number>()
  let silences = workers.length
  for (let i = 0; i < CHANGES; i++) {
    const worker = workers[i % workers.length]
    if (worker === undefined) break
    await worker.ask('change', 'set', keys[i % KEYS])
    const now = performance.now()
    if (now - (lastAt.get(worker) ?? now) > SILENCE) silences++
    lastAt.set(worker, now)
  }
  return silences
}

/** Loads do not grow with the processes; who waits is woken and reads twice, unless it waits for long. */
async function coldKeys({ crew, server, bus }: Fleet, name: string): Promise<readonly Row[]> {
  const { workers } = crew
  const [scripts, before] = [await scriptCalls(server), await totals(crew)]
  const loads = crew.ledger.loads.length
  const others = workers.length - 1
  let looks = 0
  for (let i = 0; i < COLD; i++) {
    const key = `${name}:cold:${i}`
    const from = performance.now()
    await Promise.all(workers.map((one) => one.ask('crowd', key, CALLERS, LOADER_MS, false)))
    looks += others * Math.floor((performance.now() - from) / LOOK_EVERY)
  }
  expect(crew.ledger.loads.length - loads, `loads of ${COLD} cold keys`).toBe(COLD)
  // Where nobody is told of the end of a load, those who wait look again and again.
  if (bus === 'tracking') return []
  const after = await totals(crew)
  const waits = after.waited - before.waited
  return [
    {
      what: `scripts for ${COLD} loads, all processes asking at once, ${waits} waits`,
      least: COLD * (workers.length + 1),
      measured: (await scriptCalls(server)) - scripts,
      most: COLD * (workers.length + 1) + waits + looks,
    },
    {
      what: 'deliveries to other processes in the meantime',
      least: waits,
      measured: after.received - before.received,
      most: (COLD + REPEATS * workers.length) * others,
    },
  ]
}

/** A beat of each process a second, and the last repeats. */
async function idle({ crew, server, bus }: Fleet): Promise<Row> {
  const processes = crew.workers.length
  const command = bus === 'pubSub' ? 'publish' : 'ping'
  const [beats, all] = [await calls(server, command), await allCalls(server)]
  const from = performance.now()
  await until('each has beaten a few times', async () => {
    return (await calls(server, command)) - beats >= BEATS * processes
  })
  const measured = (await allCalls(server)) - all
  const elapsed = (performance.now() - from) / 1000
  const due = beatsIn(elapsed * 1000) * processes
  const repeats = bus === 'pubSub' ? REPEATS * processes : 0
  return {
    what: `commands when nothing happens, in ${elapsed.toFixed(1)} s`,
    least: BEATS * processes,
    measured,
    most: due + repeats,
  }
}

/** Beats of one process that may fall into so many milliseconds. */
function beatsIn(ms: number): number {
  return Math.ceil(ms / 1000) + 1
}

interface Totals {
  readonly sent: number
  readonly received: number
  readonly waited: number
  readonly leases: number
}

async function totals(crew: Crew): Promise<Totals> {
  const all = await crew.each((worker) => worker.stats())
  const sum = (of: 'busSent' | 'busReceived' | 'leasesWaited' | 'leasesGranted') =>
    all.reduce((total, stats) => total + stats[of], 0)
  return {
    sent: sum('busSent'),
    received: sum('busReceived'),
    waited: sum('leasesWaited'),
    leases: sum('leasesGranted'),
  }
}

async function commandStats(server: RedisProcess): Promise<ReadonlyMap<string, number>> {
  const text = String(await server.ask('INFO', 'commandstats'))
  const lines = text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)
  return new Map([...lines].map(([, command = '', count]) => [command, Number(count)]))
}

async function calls(server: RedisProcess, command: string): Promise<number> {
  return (await commandStats(server)).get(command) ?? 0
}

async function scriptCalls(server: RedisProcess): Promise<number> {
  const stats = await commandStats(server)
  return (stats.get('evalsha') ?? 0) + (stats.get('eval') ?? 0)
}

/** Of all commands but the one that counts them. */
async function allCalls(server: RedisProcess): Promise<number> {
  const stats = await commandStats(server)
  return [...stats].reduce((sum, [command, count]) => sum + (command === 'info' ? 0 : count), 0)
}

function shown(count: number): string {
  return String(Math.round(count))
}
