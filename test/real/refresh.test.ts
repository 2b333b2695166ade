import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startRedis } from '../../src/testing/servers/redis.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'
import { lasting } from './coherence/mixed-load.ts'
import { countsIn, gapsIn, judge, lengthOf, type Span, spread } from './refresh/judge.ts'
import { buildNodeKeeper, Keepers, type NodeKeeper } from './refresh/keepers.ts'

const PROCESSES = 3
const KEYS = 50

/** In milliseconds. */
const INTERVAL = 1000

const INTERVALS = 10

describe('three processes that refresh the same keys', () => {
  let server: RedisProcess
  let node: NodeKeeper
  beforeAll(async () => {
    ;[server, node] = await Promise.all([startRedis(), buildNodeKeeper()])
  })
  afterAll(async () => {
    await node?.remove()
    await server?.stop()
  })

  /**
   * `most`: attempts to lock a key in an interval; 1 is the least. `outdated`: intervals for which a
   * process may answer what another one has replaced; who is not told looks after its next attempt.
   */
  it.for([
    ['with redisPubSub', { name: 'told', bus: true, most: 1.3, outdated: 0.5 }],
    ['without a bus', { name: 'untold', bus: false, most: PROCESSES, outdated: 1.5 }],
  ] as const)(
    'load each once an interval between them %s',
    { timeout: 60_000 },
    async ([, given], { annotate }) => {
      const { name, bus, most, outdated: longest } = given
      const keepers = new Keepers({
        ...{ server, name, bus, keys: KEYS, interval: INTERVAL, loaderMs: 5 },
      })
      onTestFinished(() => keepers.dismiss())
      for (let i = 0; i < PROCESSES; i++) await keepers.start(node.command)
      await keepers.loaded(3)
      const attempts = await watchLocks(server)
      const from = Date.now()
      await lasting(INTERVALS * INTERVAL)
      const span = { from, to: from + INTERVALS * INTERVAL }
      await keepers.dismiss()

      const history = await keepers.history()
      const counts = countsIn(history.loads, span)
      const perKey = attempts(span) / (KEYS * INTERVALS)
      const gaps = gapsIn(history.loads, span).filter(({ open }) => !open)
      await annotate(`loads of a key in ${INTERVALS} intervals: ${spread(counts)}`)
      await annotate(`attempts to lock a key in an interval: ${perKey.toFixed(2)}`)
      await annotate(`milliseconds between two loads: ${spread(gaps.map(lengthOf))}`)
      expect(Math.min(...counts)).toBeGreaterThanOrEqual(INTERVALS - 1)
      expect(Math.max(...counts)).toBeLessThanOrEqual(INTERVALS + 1)
      expect(perKey).toBeGreaterThan(0.8)
      expect(perKey).toBeLessThan(most)

      let foreground = 0
      for (const { who, seen, failures, stats } of keepers.all) {
        expect(failures, who).toEqual([])
        const { answers, outdated } = judge(history, seen, false)
        await annotate(`${who}: ${answers} answers, outdated for ${outdated} ms at the most`)
        expect(outdated, who).toBeLessThan(longest * INTERVAL)
        foreground += (stats?.query ?? 0) - (stats?.refreshes ?? 0)
      }
      expect(foreground, 'loads that a caller waited for').toBe(KEYS)
    },
  )
})

/** Counts, from now on, what the server is asked: how many refresh locks in a span of time. */
async function watchLocks(server: RedisProcess): Promise<(span: Span) => number> {
  const client = createClient({ url: server.url })
  client.on('error', () => undefined)
  await client.connect()
  onTestFinished(() => client.destroy())
  const times: number[] = []
  await client.monitor((line) => {
    const seconds = /^([\d.]+) .*"SET" "[^"]*_#RL#"/i.exec(line)?.[1]
    if (seconds !== undefined) times.push(Number(seconds) * 1000)
  })
  return ({ from, to }) => times.filter((at) => at >= from && at < to).length
}
