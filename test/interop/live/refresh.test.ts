import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { LEASE_LIFE } from '../../../src/remote/lease.ts'
import { startRedis } from '../../../src/testing/servers/redis.ts'
import type { RedisProcess } from '../../../src/testing/servers/server-process.ts'
import { lasting } from '../../real/coherence/mixed-load.ts'
import {
  busiest,
  countsIn,
  gapsIn,
  type History,
  judge,
  lengthOf,
  spread,
} from '../../real/refresh/judge.ts'
import {
  buildNodeKeeper,
  type Command,
  type Keeper,
  Keepers,
  type NodeKeeper,
} from '../../real/refresh/keepers.ts'
import { BUILD_DEADLINE, findGo } from '../support/go-peer.ts'

const SOURCE = join(import.meta.dirname, '..', 'go')

const KEYS = 50

/** In milliseconds; jetcache-go takes none that is shorter. */
const INTERVAL = 1000

const INTERVALS = 10

const KILLS = 4

/** Between two loads when one was missed: two of the longest turns, and what a busy machine adds. */
const MISSED_ONE = 2.5 * INTERVAL

/**
 * Refreshes at a time. What a killed process was loading stays under its lease: with an interval that is
 * shorter than that, ours miss more than one of these keys.
 */
const AT_ONCE = 4

const run = promisify(execFile)
const found = await findGo()
if ('missing' in found) {
  console.warn(`The refresh tests against jetcache-go are skipped: ${found.missing}.`)
}

describe.skipIf('missing' in found)('two processes of ours and one of jetcache-go', () => {
  let server: RedisProcess
  let node: NodeKeeper
  let folder: string
  let go: Command
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'jetcache-ts-interop-'))
    const program = join(folder, 'peer')
    go = [program, '-keep']
    ;[server, node] = await Promise.all([startRedis(), buildNodeKeeper()])
    if (!('go' in found)) return
    await run(found.go, ['build', '-o', program, '.'], { cwd: SOURCE, timeout: BUILD_DEADLINE })
  }, BUILD_DEADLINE)
  afterAll(async () => {
    await node?.remove()
    await server?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  /** All of them, once each has found its turn. */
  async function started(name: string, bus: boolean, loaderMs: number): Promise<Keepers> {
    const keepers = new Keepers({
      server,
      name,
      keys: KEYS,
      bus,
      interval: INTERVAL,
      loaderMs,
    })
    onTestFinished(() => keepers.dismiss())
    for (const command of [node.command, node.command, go]) await keepers.start(command)
    await keepers.loaded(3)
    return keepers
  }

  const isOurs = ({ command }: Keeper) => command === node.command

  /**
   * What all have seen is right, and no caller has waited for a load but for the first of each key.
   *
   * @param longest Intervals for which ours may answer what another process has replaced.
   */
  function expectRight(keepers: Keepers, history: History, longest: number): readonly string[] {
    for (const [, ...later] of history.loads.values()) {
      expect(later.filter(({ reason }) => reason !== 'refresh')).toEqual([])
    }
    const ours = keepers.all.filter(isOurs)
    const foreground = ours.map(({ stats }) => (stats?.query ?? 0) - (stats?.refreshes ?? 0))
    expect(foreground).toEqual(ours.map((_, i) => (i === 0 ? KEYS : 0)))
    return keepers.all.map((keeper) => {
      const { who, seen, failures } = keeper
      const mine = isOurs(keeper)
      expect(failures, who).toEqual([])
      const { answers, outdated } = judge(history, seen, !mine)
      expect(outdated, who).toBeLessThan((mine ? longest : 2) * INTERVAL)
      const own = [...history.loads.values()].flat().filter((load) => load.who === who)
      const did = `${own.length} loads, ${answers} answers`
      return `${who} (${mine ? 'ours' : 'Go'}): ${did}, outdated for ${outdated} ms at the most`
    })
  }

  test.for([
    ['that they tell each other of', { name: 'told', bus: true, outdated: 1 }],
    ['by their locks alone', { name: 'untold', bus: false, outdated: 1.5 }],
  ] as const)(
    'load each key once an interval between them, %s',
    { timeout: 60_000 },
    async ([, { name, bus, outdated }], { annotate }) => {
      const keepers = await started(name, bus, 5)
      const from = Date.now()
      await lasting(INTERVALS * INTERVAL)
      const span = { from, to: from + INTERVALS * INTERVAL }
      await keepers.dismiss()

      const history = await keepers.history()
      const counts = countsIn(history.loads, span)
      await annotate(`loads of a key in ${INTERVALS} intervals: ${spread(counts)}`)
      for (const line of expectRight(keepers, history, outdated)) await annotate(line)
      expect(Math.min(...counts)).toBeGreaterThanOrEqual(INTERVALS - 1)
      expect(Math.max(...counts)).toBeLessThanOrEqual(INTERVALS + 1)
    },
  )

  test('miss one interval at the most when the one that does most of it is killed', async ({
    annotate,
  }) => {
    const keepers = await started('killed', true, 20)
    const kills: number[] = []
    const from = Date.now()
    for (let round = 0; round < KILLS; round++) {
      await lasting((2 + Math.random()) * INTERVAL)
      const now = Date.now()
      const who = busiest(await keepers.loads(), { from: now - INTERVAL, to: now })
      const holder = keepers.alive.find((keeper) => keeper.who === who)
      if (holder === undefined) throw new Error('somebody refreshes them')
      kills.push(Date.now())
      await holder.kill()
      await annotate(`${who} (${isOurs(holder) ? 'ours' : 'Go'}) is killed`)
      await keepers.start(holder.command)
    }
    await lasting(LEASE_LIFE + 2 * INTERVAL)
    const to = Date.now()
    await keepers.dismiss()

    const history = await keepers.history()
    const gaps = gapsIn(history.loads, { from, to })
    const [disturbed, calm] = parted(gaps, (gap) =>
      kills.some((at) => at > gap.from - INTERVAL - LEASE_LIFE && at < gap.to),
    )
    const [inHand, others] = parted(disturbed, (gap) => lengthOf(gap) > MISSED_ONE)
    const counts = countsIn(history.loads, { from, to })
    const intervals = (to - from) / INTERVAL
    await annotate(`loads of a key in ${intervals.toFixed(1)} intervals: ${spread(counts)}`)
    await annotate(
      `milliseconds between two loads: ${spread(calm.filter(({ open }) => !open).map(lengthOf))}`,
    )
    await annotate(`with a kill: ${spread(others.map(lengthOf))}`)
    await annotate(`of what the killed had in hand: ${spread(inHand.map(lengthOf))}`)
    for (const line of expectRight(keepers, history, 1)) await annotate(line)
    expect(Math.max(...calm.map(lengthOf))).toBeLessThan(1.5 * INTERVAL)
    expect(Math.max(...disturbed.map(lengthOf))).toBeLessThan(MISSED_ONE + LEASE_LIFE)
    expect(inHand.length).toBeLessThanOrEqual(AT_ONCE * KILLS)
    expect(Math.max(...counts)).toBeLessThanOrEqual(intervals + 1 + KILLS)
  }, 120_000)
})

function parted<T>(all: readonly T[], condition: (each: T) => boolean): readonly [T[], T[]] {
  return [all.filter(condition), all.filter((each) => !condition(each))]
}
