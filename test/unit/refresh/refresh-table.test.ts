import { describe, expect, it } from 'vitest'
import {
  type RefreshOutcome,
  type RefreshPolicy,
  RefreshTable,
} from '../../../src/refresh/refresh-table.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'

interface Run {
  readonly key: string
  readonly work: string
  readonly at: number
  end(outcome: RefreshOutcome): void
  fail(): void
}

interface World extends Partial<RefreshPolicy> {
  readonly random?: () => number
}

/** So long that a hundredth of it is ten ticks of 100 ms. */
const INTERVAL = 100_000

/** Below 1, as `Math.random`. */
const ALMOST_1 = 1 - 2 ** -53

function open({ random, ...policy }: World = {}) {
  const clock = manualClock()
  const runs: Run[] = []
  let evictions = 0
  const table = new RefreshTable<string>({
    policy: {
      interval: INTERVAL,
      stopAfterLastAccess: Infinity,
      concurrency: 4,
      maxTasks: 10_000,
      ...policy,
    },
    clock,
    random: random ?? (() => 0),
    run: (key, work) =>
      new Promise((resolve, reject) => {
        runs.push({ key, work, at: clock.monotonic(), end: resolve, fail: reject })
      }),
    evicted: () => {
      evictions++
    },
  })
  const touchAll = (...keys: readonly string[]) => {
    for (const key of keys) table.touch(key, `work of ${key}`)
  }
  const last = (): Run => {
    const run = runs.at(-1)
    if (run === undefined) throw new Error('nothing has run')
    return run
  }
  /** Waits for the next run, and tells how long that took. */
  const untilNext = async (): Promise<number> => {
    const [count, since] = [runs.length, clock.monotonic()]
    await clock.advanceAsync(0)
    while (runs.length === count && clock.pendingTimers > 0) await clock.advanceAsync(100)
    return runs.length === count ? Infinity : last().at - since
  }
  return {
    clock,
    table,
    runs,
    touchAll,
    last,
    untilNext,
    evictions: () => evictions,
    keys: () => runs.map(({ key }) => key),
  }
}

/** Keys `k0`, `k1` ... */
function named(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `k${i}`)
}

describe('a new task', () => {
  it.each([
    [ALMOST_1, 100],
    [0.75, 25_000],
    [0.25, 75_000],
    [0, 100_000],
  ])('is first due at a random moment of its interval: %d, after %d ms', async (drawn, ms) => {
    const { touchAll, untilNext } = open({ random: () => drawn })
    touchAll('k')
    expect(await untilNext()).toBe(ms)
  })

  it('is not put off by further touches, and runs with the latest work', async () => {
    const { clock, table, runs, last } = open()
    for (let i = 0; i <= 10; i++) {
      table.touch('k', `work ${i}`)
      expect(table.get('k')).toBe(`work ${i}`)
      await clock.advanceAsync(INTERVAL / 10)
    }
    expect(runs.length).toBe(1)
    expect(last()).toMatchObject({ at: INTERVAL, work: 'work 9' })
    expect(table.size).toBe(1)
  })

  it('lies in a table with one timer, which is there while tasks are', async () => {
    const { clock, table, touchAll } = open({ random: Math.random })
    touchAll(...named(10_000))
    expect([table.size, clock.pendingTimers]).toEqual([10_000, 1])
    for (const key of named(10_000)) table.drop(key)
    expect([table.size, clock.pendingTimers]).toEqual([0, 0])
  })
})

describe('a key is due again', () => {
  /** The first run takes 500 ms and ends so. */
  const ended = async (outcome: RefreshOutcome, drawn = 0) => {
    const world = open({ random: () => drawn })
    world.touchAll('k')
    await world.untilNext()
    await world.clock.advanceAsync(500)
    world.last().end(outcome)
    await world.clock.advanceAsync(0)
    return world
  }

  it.each([
    ['refreshed', 0, 100_000],
    ['refreshed', ALMOST_1, 101_000],
    ['elsewhere', 0, 102_000],
    ['elsewhere', ALMOST_1, 110_000],
  ] as const)('after it was %s: drawn %d, after %d ms', async (outcome, drawn, ms) => {
    const { untilNext } = await ended(outcome, drawn)
    expect(Math.abs((await untilNext()) - ms)).toBeLessThanOrEqual(100)
  })

  it.each([
    [0, 102_000],
    [ALMOST_1, 110_000],
  ])('after another process has refreshed it: drawn %d, after %d ms', async (drawn, ms) => {
    const { clock, table, untilNext } = await ended('refreshed', drawn)
    await clock.advanceAsync(60_000)
    table.learned('k')
    expect(Math.abs((await untilNext()) - ms)).toBeLessThanOrEqual(100)
  })

  it('at that time, too, if it waited for a slot when that was learned', async () => {
    const { clock, table, touchAll, keys, last } = open({ concurrency: 1 })
    touchAll('first', 'k')
    await clock.advanceAsync(INTERVAL)
    table.learned('k')
    last().end('gone')
    await clock.advanceAsync(102_000 - 200)
    expect(keys()).toEqual(['first'])
    await clock.advanceAsync(200)
    expect(keys()).toEqual(['first', 'k'])
  })

  it('as if nothing had been learned, if a run was under way at that time', async () => {
    const { table, touchAll, untilNext, last } = open()
    touchAll('k')
    await untilNext()
    last().end('failed')
    await untilNext()
    table.learned('k')
    last().end('failed')
    expect(await untilNext()).toBe(2 * INTERVAL)
    table.learned('k')
    last().end('refreshed')
    expect(await untilNext()).toBe(INTERVAL)
  })

  it('after failures in a row twice as late each time, up to eight intervals', async () => {
    const { touchAll, untilNext, last } = open()
    touchAll('k')
    await untilNext()
    for (const intervals of [1, 2, 4, 8, 8]) {
      last().fail()
      expect(await untilNext()).toBe(intervals * INTERVAL)
    }
    last().end('failed')
    expect(await untilNext()).toBe(8 * INTERVAL)
  })

  it.each(['refreshed', 'learned'])(
    'after a failure as after a first one, once %s',
    async (how) => {
      const { table, touchAll, untilNext, last } = open()
      touchAll('k')
      await untilNext()
      for (let i = 0; i < 3; i++) {
        last().end('failed')
        if (i < 2) await untilNext()
      }
      if (how === 'learned') {
        // The run is over a turn later.
        await new Promise((resolve) => setImmediate(resolve))
        table.learned('k')
        expect(await untilNext()).toBe(1.02 * INTERVAL)
      } else {
        expect(await untilNext()).toBe(4 * INTERVAL)
        last().end('refreshed')
        await untilNext()
      }
      last().end('failed')
      expect(await untilNext()).toBe(INTERVAL)
    },
  )

  it('after a failure as late as before, if others were at it in between', async () => {
    const { touchAll, untilNext, last } = open()
    touchAll('k')
    await untilNext()
    for (const outcome of ['failed', 'elsewhere', 'failed'] as const) {
      last().end(outcome)
      await untilNext()
    }
    last().end('failed')
    expect(await untilNext()).toBe(4 * INTERVAL)
  })

  it('though its work throws before it returns a promise', async () => {
    const clock = manualClock()
    let calls = 0
    const table = new RefreshTable<string>({
      policy: { interval: 1000, stopAfterLastAccess: Infinity, concurrency: 1, maxTasks: 1 },
      clock,
      random: () => 0,
      run: () => {
        calls++
        throw new Error('no')
      },
    })
    table.touch('k', '')
    await clock.advanceAsync(2000)
    expect(calls).toBe(2)
  })
})

describe('a task leaves', () => {
  it('when there was nothing to refresh any more', async () => {
    const { clock, table, touchAll, untilNext, last } = open()
    touchAll('k')
    await untilNext()
    last().end('gone')
    await clock.advanceAsync(0)
    expect([table.size, table.get('k'), clock.pendingTimers]).toEqual([0, undefined, 0])
  })

  it('when it is due and was not touched for longer than allowed, instead of running', async () => {
    const { clock, table, touchAll, keys } = open({ stopAfterLastAccess: INTERVAL - 1000 })
    touchAll('idle', 'touched')
    await clock.advanceAsync(1000)
    touchAll('touched')
    await clock.advanceAsync(INTERVAL - 1000)
    expect(keys()).toEqual(['touched'])
    expect([table.size, table.get('idle')]).toEqual([1, undefined])
  })

  it('when others refresh it so that it is never due, and it was not touched for so long', async () => {
    const { clock, table, touchAll, runs } = open({ stopAfterLastAccess: 1.5 * INTERVAL })
    touchAll('k')
    for (let i = 1; i <= 3; i++) {
      await clock.advanceAsync(INTERVAL / 2)
      table.learned('k')
      expect(table.size).toBe(1)
    }
    await clock.advanceAsync(INTERVAL / 2)
    table.learned('k')
    expect([table.size, clock.pendingTimers, runs.length]).toEqual([0, 0, 0])
  })

  it('when a new one does not fit and it was touched longest ago', () => {
    const { table, touchAll, evictions } = open({ maxTasks: 3 })
    touchAll('a', 'b', 'c', 'a')
    expect(evictions()).toBe(0)
    touchAll('d')
    expect(['a', 'b', 'c', 'd'].filter((key) => table.get(key) !== undefined)).toEqual([
      'a',
      'c',
      'd',
    ])
    expect([table.size, evictions()]).toEqual([3, 1])
  })

  it('when it is dropped, and is refreshed no more until it is touched again', async () => {
    const { clock, table, touchAll, keys } = open()
    touchAll('k', 'other')
    await clock.advanceAsync(INTERVAL / 2)
    expect([table.drop('k'), table.drop('k')]).toEqual([true, false])
    await clock.advanceAsync(INTERVAL)
    expect(keys()).toEqual(['other'])
    touchAll('k')
    await clock.advanceAsync(INTERVAL)
    expect(keys()).toEqual(['other', 'k'])
  })

  it('when it is dropped while it waits for a slot', async () => {
    const { clock, table, touchAll, keys, last } = open({ concurrency: 1 })
    touchAll('first', 'k', 'third')
    await clock.advanceAsync(INTERVAL)
    table.drop('k')
    last().end('refreshed')
    await clock.advanceAsync(0)
    expect(keys()).toEqual(['first', 'third'])
  })

  it.each(['refreshed', 'elsewhere', 'failed'] as const)(
    'when it is dropped while it runs, and does not come back: %s',
    async (outcome) => {
      const { clock, table, touchAll, untilNext, last } = open()
      touchAll('k')
      await untilNext()
      table.drop('k')
      last().end(outcome)
      await clock.advanceAsync(0)
      expect([table.size, clock.pendingTimers]).toEqual([0, 0])
    },
  )
})

describe('a key that was dropped while it ran and touched again', () => {
  const again = async () => {
    const world = open({ random: () => 0.5 })
    world.touchAll('k')
    await world.untilNext()
    world.table.drop('k')
    world.table.touch('k', 'new work')
    return world
  }

  it('does not run beside the run from before: it begins when that is over', async () => {
    const { clock, runs, last } = await again()
    await clock.advanceAsync(2 * INTERVAL)
    expect(runs.length).toBe(1)
    last().end('refreshed')
    await clock.advanceAsync(0)
    expect(runs.length).toBe(2)
    expect(last()).toMatchObject({ at: 2.5 * INTERVAL, work: 'new work' })
  })

  it('keeps its own time, and what became of the run from before is nothing to it', async () => {
    const { clock, table, last, untilNext } = await again()
    last().end('gone')
    await clock.advanceAsync(0)
    expect(table.size).toBe(1)
    expect(await untilNext()).toBe(INTERVAL / 2)
  })
})

describe('slots', () => {
  it('are given to those who wait for them in the order in which they fell due', async () => {
    const draws = [0.007, 0.01, 0.009, 0.008]
    const random = () => draws.shift() ?? 0
    const { clock, touchAll, last, keys } = open({ concurrency: 1, random })
    touchAll('fourth', 'first', 'second', 'third')
    await clock.advanceAsync(0.993 * INTERVAL)
    expect(keys()).toEqual(['first'])
    for (let i = 0; i < 3; i++) {
      last().end('refreshed')
      await clock.advanceAsync(0)
    }
    expect(keys()).toEqual(['first', 'second', 'third', 'fourth'])
  })

  it('wait for nobody: the next takes the one that is free in the same turn', async () => {
    const { clock, touchAll, runs, keys } = open({ concurrency: 2 })
    touchAll(...named(5))
    await clock.advanceAsync(INTERVAL)
    expect(keys()).toEqual(['k0', 'k1'])
    runs[1]?.end('failed')
    await clock.advanceAsync(0)
    expect(keys()).toEqual(['k0', 'k1', 'k2'])
    runs[0]?.end('gone')
    runs[2]?.end('elsewhere')
    await clock.advanceAsync(0)
    expect(keys()).toEqual(named(5))
  })

  it('are given back by a run that takes longer than a second, once', async () => {
    const { clock, touchAll, runs, keys } = open({ concurrency: 1 })
    touchAll(...named(3))
    await clock.advanceAsync(INTERVAL + 999)
    expect(keys()).toEqual(['k0'])
    await clock.advanceAsync(1)
    expect(keys()).toEqual(['k0', 'k1'])
    runs[0]?.end('refreshed')
    await clock.advanceAsync(0)
    expect(keys()).toEqual(['k0', 'k1'])
  })

  it('are not held by hung loaders: a hundred of them do not stop the next', async () => {
    const { clock, touchAll, keys } = open({ concurrency: 4 })
    touchAll(...named(100), 'next')
    await clock.advanceAsync(INTERVAL + 25_000)
    expect(keys()).toEqual([...named(100), 'next'])
  })

  it('do not let a key run twice at once, however long its run takes', async () => {
    const { clock, table, touchAll, runs, last, untilNext } = open()
    touchAll('k')
    await untilNext()
    await clock.advanceAsync(10 * INTERVAL)
    table.learned('k')
    await clock.advanceAsync(10 * INTERVAL)
    expect(runs.length).toBe(1)
    last().end('refreshed')
    expect(await untilNext()).toBe(INTERVAL)
  })
})

describe('a slow key', () => {
  /** `slow` took two seconds, has the one slot no more, and is due in an interval from now. */
  const slowed = async () => {
    const world = open({ concurrency: 1 })
    world.touchAll('slow')
    await world.untilNext()
    await world.clock.advanceAsync(2000)
    world.last().end('refreshed')
    await world.clock.advanceAsync(0)
    return world
  }

  it('waits behind all others that are ready', async () => {
    const { clock, touchAll, last, keys } = await slowed()
    touchAll('a', 'b')
    await clock.advanceAsync(500)
    touchAll('later')
    await clock.advanceAsync(INTERVAL)
    for (let i = 0; i < 3; i++) {
      last().end('refreshed')
      await clock.advanceAsync(0)
    }
    expect(keys().slice(1)).toEqual(['a', 'b', 'later', 'slow'])
  })

  it('is slow no more when a run of it ends within a second', async () => {
    const { clock, touchAll, untilNext, last, keys } = await slowed()
    await untilNext()
    await clock.advanceAsync(999)
    last().end('refreshed')
    await clock.advanceAsync(0)
    touchAll('other')
    await clock.advanceAsync(INTERVAL + 100)
    expect(keys()).toEqual(['slow', 'slow', 'slow'])
  })

  it('is slow still when it was dropped and touched again while it ran', async () => {
    const { clock, table, touchAll, untilNext, last, keys } = open({ concurrency: 1 })
    touchAll('slow')
    await untilNext()
    await clock.advanceAsync(2000)
    table.drop('slow')
    touchAll('slow', 'other')
    last().end('refreshed')
    await clock.advanceAsync(INTERVAL)
    expect(keys()).toEqual(['slow', 'other'])
  })
})

describe('a table that was cleared', () => {
  it('refreshes nothing, whatever waits, runs, or is touched', async () => {
    const { clock, table, touchAll, runs, keys } = open({ concurrency: 1 })
    touchAll('runs', 'waits')
    await clock.advanceAsync(INTERVAL)
    touchAll('planned')
    table.clear()
    expect([table.size, clock.pendingTimers]).toEqual([0, 0])
    touchAll('touched', 'runs')
    table.learned('runs')
    expect([table.size, table.drop('waits'), clock.pendingTimers]).toEqual([0, false, 0])
    runs[0]?.end('refreshed')
    await clock.advanceAsync(10 * INTERVAL)
    expect(keys()).toEqual(['runs'])
  })
})
