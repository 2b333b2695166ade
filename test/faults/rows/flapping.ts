import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { Cache } from '../../../src/cache.ts'
import { CacheRemoteError } from '../../../src/model/errors.ts'
import { until } from '../../support/until.ts'
import { countingClock } from '../counting-clock.ts'
import { Database, type Row, rows } from '../database.ts'
import type { Deployment } from '../deployments.ts'
import { heapInUse } from '../measure.ts'
import { type Opened, PATIENT, Trial } from '../trial.ts'

/** Milliseconds up, and as many down. */
const HALF = 1000

const KEYS = 200
const CALLERS = 16

/** Megabytes; what is still under way, and what the runtime has compiled meanwhile. */
const HEAP_SLACK = 2

/** How fast that is, is measured elsewhere. */
const RECOVERED_WITHIN = 10_000

const REPAIRED_WITHIN = 20_000

/** @param seconds Of which every second one is an outage. */
export function survivesFlapping(deployment: Deployment, seconds: number): void {
  it(
    `${seconds} s of a remote that comes and goes each second leave nothing old, and nothing more than before: ${deployment.name}`,
    { timeout: (seconds + 60) * 1000 },
    ({ annotate }) =>
      Trial.on(deployment, async (trial) => {
        const { network } = trial.remote
        const { clock, timers } = countingClock()
        const opened = await trial.openReady({ tiers: 'both', settings: { ...PATIENT, clock } })
        const others = await trial.openReady({
          tiers: 'remote',
          pastNetwork: true,
          settings: PATIENT,
        })
        const world: World = { cache: opened.cache, others: others.cache, database: new Database() }
        const keys = rows('flap', KEYS)
        const used = async () => ({
          heap: await heapInUse(),
          listeners: opened.listeners(),
          sockets: network.counts().open,
          timers: timers(),
        })

        const flap = async (times: number) => {
          const load = new Load(world, keys)
          load.start()
          for (let i = 0; i < times; i++) {
            network.goDown()
            await pause(HALF)
            await network.heal()
            await pause(HALF)
          }
          return load.stop()
        }
        await flap(1)
        await settles(trial, opened)
        const before = await used()
        const lastingBefore = lasting()
        const seen = await flap(seconds / 2 - 1)
        await settles(trial, opened)
        expect(opened.cache.stats().breakerOpened).toBeGreaterThanOrEqual(seconds / 2)
        expect(seen.failed, 'changes that an outage met').toBeGreaterThan(0)
        await nobodyReadsOld(world, keys)
        const after = await used()
        const growth = after.heap - before.heap
        expect(growth, 'growth of the heap in MB').toBeLessThan(HEAP_SLACK)
        expect({ ...after, heap: 0 }).toEqual({ ...before, heap: 0 })
        // Clients give lost connections some time to close.
        const grown = () => grownSince(lastingBefore)
        await until('all that was lost is closed', () => grown().length === 0).catch(
          () => undefined,
        )
        expect(grown(), 'what keeps the process alive').toEqual([])
        await annotate(`the heap grew by ${growth.toFixed(2)} MB, ${seen.failed} changes failed`)
      }),
  )
}

interface World {
  readonly cache: Cache
  /** Another cache on the same remote, for which it is always there. */
  readonly others: Cache
  readonly database: Database
}

/** Callers that read and change, one after the other, until they are stopped. */
class Load {
  readonly #world: World
  readonly #keys: readonly string[]
  /** Of each key, the newest version whose change has settled: no answer may be older. */
  readonly #settled = new Map<string, number>()
  readonly #changing = new Set<string>()
  readonly #wrong: unknown[] = []
  #callers: Promise<void>[] = []
  #stopped = false
  #failed = 0

  constructor(world: World, keys: readonly string[]) {
    this.#world = world
    this.#keys = keys
  }

  start(): void {
    const run = (caller: number) => this.#run(caller).catch((error) => this.#wrong.push(error))
    this.#callers = Array.from({ length: CALLERS }, async (_, caller) => void (await run(caller)))
  }

  async stop(): Promise<{ readonly failed: number }> {
    this.#stopped = true
    await Promise.all(this.#callers)
    expect(this.#wrong, 'answers that were not right').toEqual([])
    return { failed: this.#failed }
  }

  async #run(caller: number): Promise<void> {
    for (let turn = caller; !this.#stopped; turn++) {
      const key = this.#keys[(turn * 7 + caller * 13) % this.#keys.length] ?? ''
      if (turn % 4 === 0 && !this.#changing.has(key)) await this.#change(key, turn % 8 === 0)
      else await this.#read(key, turn % 2 === 0)
      // An open breaker answers within the turn: the others, and the network, want theirs.
      await pause(1)
    }
  }

  async #change(key: string, bySet: boolean): Promise<void> {
    const { cache, database } = this.#world
    this.#changing.add(key)
    const row = database.update(key)
    try {
      await (bySet ? cache.set(key, row) : cache.delete(key))
    } catch (error) {
      if (!(error instanceof CacheRemoteError)) throw error
      this.#failed++
    }
    this.#settled.set(key, row.version)
    this.#changing.delete(key)
  }

  async #read(key: string, skipLocal: boolean): Promise<void> {
    const { cache, database } = this.#world
    const due = this.#settled.get(key) ?? 1
    const row = await cache.once(key, async () => database.read(key), { skipLocal })
    if (row.key === key && row.version >= due) return
    throw new Error(
      `${key} was at version ${due} before the call, which got ${JSON.stringify(row)}`,
    )
  }
}

async function nobodyReadsOld({ cache, others, database }: World, keys: readonly string[]) {
  const old: string[] = []
  for (const key of keys) {
    const { version } = database.read(key)
    const own = await cache.once(key, async () => database.read(key))
    const looked = await others.lookup<Row>(key)
    expect(looked.status, 'the others can read').not.toBe('error')
    const theirs = looked.status === 'hit' ? looked.value.version : version
    if (own.version !== version || theirs !== version) {
      old.push(`${key}: at ${version}, own ${own.version}, theirs ${theirs}`)
    }
  }
  expect(old).toEqual([])
}

/** All is up, and nothing of the outages is left to be done. */
async function settles(trial: Trial, { cache }: Opened): Promise<void> {
  await trial.recovers(cache, RECOVERED_WITHIN)
  await until('all is repaired', () => cache.stats().recoveryPending === 0, REPAIRED_WITHIN)
}

/** What keeps the process alive, by kind; what is over in a turn is not counted. */
function lasting(): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) {
    if (!/Timeout|TCP|Signal/.test(kind)) continue
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}

function grownSince(before: Record<string, number>): string[] {
  const more = Object.entries(lasting()).filter(([kind, count]) => count > (before[kind] ?? 0))
  return more.map(([kind, count]) => `${kind}: ${before[kind] ?? 0}, then ${count}`)
}
