import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type RefreshOutcome, RefreshTable } from '../../../src/refresh/refresh-table.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'

const INTERVAL = 2000
const TICK = 40

/** After which a run holds no slot. */
const SLOW_AFTER = 1000

const key = fc.constantFrom('a', 'b', 'c', 'd')

/** Moments as `Math.random` would draw them. */
const draws = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
  minLength: 1,
  maxLength: 20,
})

/** They come again and again. */
function drawn(numbers: readonly number[]): () => number {
  let next = 0
  return () => numbers[next++ % numbers.length] ?? 0
}

describe('whatever comes in which order, in a table', () => {
  interface Run {
    readonly key: string
    readonly startedAt: number
    end(outcome: RefreshOutcome | 'rejects'): void
  }

  const outcome = fc.constantFrom('refreshed', 'elsewhere', 'failed', 'gone', 'rejects' as const)
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('touch' as const), key }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), key }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('learned' as const), key }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('end' as const), run: fc.nat(), outcome }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.nat(2500) }) },
  )
  const size = fc.record({
    concurrency: fc.integer({ min: 1, max: 3 }),
    maxTasks: fc.integer({ min: 1, max: 3 }),
    stopAfterLastAccess: fc.constantFrom(3000, Infinity),
  })

  it('no rule of it is ever broken', async () => {
    await fc.assert(
      fc.asyncProperty(
        size,
        draws,
        fc.array(step, { maxLength: 60, size: 'max' }),
        async (sizes, draws, steps) => {
          const clock = manualClock()
          const runs = new Set<Run>()
          /** Touched and not dropped, gone or evicted; last touched last. */
          const wanted = new Set<string>()
          const broken: string[] = []
          const demand = (rule: string, holds: boolean) => holds || broken.push(rule)
          let [closed, evictions] = [false, 0]
          const table = new RefreshTable<string>({
            policy: { interval: INTERVAL, ...sizes },
            clock,
            random: drawn(draws),
            run: (key, work) => {
              const now = clock.monotonic()
              const holding = [...runs].filter(({ startedAt }) => now - startedAt < SLOW_AFTER)
              demand('no more runs hold a slot than there are', holding.length < sizes.concurrency)
              demand('no key runs twice at once', ![...runs].some((run) => run.key === key))
              demand('nothing runs once it is closed', !closed)
              demand('nothing runs that was dropped', wanted.has(key))
              demand('a key runs with its own work', work === key)
              return new Promise((resolve, reject) => {
                const run: Run = {
                  key,
                  startedAt: now,
                  end: (outcome) => {
                    runs.delete(run)
                    if (outcome === 'rejects') reject(new Error(outcome))
                    else resolve(outcome)
                  },
                }
                runs.add(run)
              })
            },
            evicted: () => {
              evictions++
            },
          })
          const present = () => [...wanted].filter((key) => table.get(key) !== undefined)
          const touch = (key: string) => {
            const before = present()
            const evicts = !before.includes(key) && before.length === sizes.maxTasks
            const expected = evictions + (evicts ? 1 : 0)
            if (evicts) wanted.delete(before[0] ?? '')
            wanted.delete(key)
            wanted.add(key)
            table.touch(key, key)
            demand('one leaves for each that does not fit', evictions === expected)
            const after = before.filter((other) => other !== key).slice(evicts ? 1 : 0)
            demand('it is the one touched longest ago', same(present(), [...after, key]))
          }
          const play = async (step: (typeof steps)[number]) => {
            if (step.do === 'touch') touch(step.key)
            else if (step.do === 'learned') table.learned(step.key)
            else if (step.do === 'advance') await clock.advanceAsync(step.ms)
            else if (step.do === 'end') [...runs][step.run % runs.size]?.end(step.outcome)
            else {
              const there = table.get(step.key) !== undefined
              wanted.delete(step.key)
              demand('who drops is told whether it was there', table.drop(step.key) === there)
            }
          }
          for (const step of steps) {
            await play(step)
            demand('there are no more tasks than allowed', table.size <= sizes.maxTasks)
            demand('it knows how many there are', table.size === present().length)
          }
          table.clear()
          closed = true
          for (const run of runs) run.end('refreshed')
          table.touch('a', 'a')
          await clock.advanceAsync(10 * INTERVAL)
          demand('nothing is left in it', table.size === 0 && clock.pendingTimers === 0)
          expect(broken).toEqual([])
        },
      ),
      { numRuns: 300 },
    )
  })
})

function same(one: readonly string[], other: readonly string[]): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

describe('while runs end at once', () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ ms: fc.nat(1500) }) },
    { weight: 1, arbitrary: fc.record({ touch: key }) },
    { weight: 1, arbitrary: fc.record({ learned: key }) },
  )

  it('no task that is touched goes without a refresh for more than 1.1 intervals and a tick', async () => {
    const outcomes = fc.array(fc.constantFrom('refreshed' as const, 'elsewhere' as const), {
      minLength: 1,
    })
    await fc.assert(
      fc.asyncProperty(
        draws,
        outcomes,
        fc.array(step, { maxLength: 40, size: 'max' }),
        async (draws, outcomes, steps) => {
          const clock = manualClock()
          /** Since when it was not refreshed. */
          const since = new Map<string, number>()
          let [longest, next] = [0, 0]
          const refreshed = (key: string) => {
            longest = Math.max(longest, clock.monotonic() - (since.get(key) ?? 0))
            since.set(key, clock.monotonic())
          }
          const table = new RefreshTable<string>({
            policy: {
              interval: INTERVAL,
              stopAfterLastAccess: Infinity,
              concurrency: 1,
              maxTasks: 4,
            },
            clock,
            random: drawn(draws),
            run: async (key) => {
              refreshed(key)
              return outcomes[next++ % outcomes.length] ?? 'refreshed'
            },
          })
          for (const step of steps) {
            if ('ms' in step) await clock.advanceAsync(step.ms)
            else if ('learned' in step) {
              table.learned(step.learned)
              if (since.has(step.learned)) refreshed(step.learned)
            } else {
              if (!since.has(step.touch)) since.set(step.touch, clock.monotonic())
              table.touch(step.touch, '')
            }
          }
          await clock.advanceAsync(3 * INTERVAL)
          for (const key of since.keys()) refreshed(key)
          expect(longest).toBeLessThanOrEqual(1.1 * INTERVAL + TICK)
        },
      ),
      { numRuns: 200 },
    )
  })
})
