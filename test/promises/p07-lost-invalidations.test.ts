import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { MemoryBusSending } from '../../src/testing/memory-bus.ts'
import { type Outcome, type Process, World } from '../unit/sync/world.ts'

/*
 * P7 on simulated processes: a remote, a bus that loses, delays, doubles and reorders, and local
 * tiers that read and change a few keys at random. All time is the manual clock's.
 */

const KEYS = ['a', 'b', 'c']

/**
 * Milliseconds for which a copy may be stale while its process is armed: 6 s until a loss shows (the
 * second repeat, or a beat that does not answer), a second's wait for what is missing, and a second for
 * what is slow here: repairs, publishing again, held messages.
 */
const STALE_AT_MOST = 8000

/** Milliseconds after the last fault by which nothing stale is left. */
const HEALED_AFTER = 10_000

const nat = (max: number) => fc.integer({ min: 0, max })
const process = nat(2)
const key = fc.constantFrom(...KEYS)
const delay = nat(150)

type Step = (world: World) => unknown

const read = fc.tuple(process, key, delay, delay).map(
  ([p, k, d1, d2]): Step =>
    (world) =>
      world.processes[p]?.read(k, d1, d2),
)

const change = (...outcomes: Outcome[]) =>
  fc.tuple(process, key, fc.constantFrom(...outcomes), delay, delay).map(
    ([p, k, outcome, d1, d2]): Step =>
      (world) => {
        return world.processes[p]?.change(k, outcome, d1, d2)
      },
  )

const foreign = key.map(
  (k): Step =>
    (world) =>
      world.writeForeignly(k),
)

type Fault = 'muted' | 'cut' | 'cut silently' | MemoryBusSending

async function befall(it: Process, world: World, kind: Fault, ms: number): Promise<void> {
  switch (kind) {
    case 'muted':
      it.muted = true
      // Long enough to eat a beat: a shorter one is a lost message, and `carry` loses those.
      await world.sleep(2000 + ms)
      it.muted = false
      return
    case 'cut':
    case 'cut silently':
      it.line.cut(kind === 'cut' ? undefined : 'silent')
      await world.sleep(ms)
      it.line.mend()
      return
    default:
      it.sending = kind
      await world.sleep(ms / 4)
      it.sending = 'out'
  }
}

/** A fault of one process for a while. */
const fault = (...kinds: Fault[]) =>
  fc.tuple(process, fc.constantFrom(...kinds), nat(9000)).map(
    ([p, kind, ms]): Step =>
      (world) => {
        const it = world.processes[p]
        return it && befall(it, world, kind, ms)
      },
  )

interface Plan {
  readonly steps: readonly (readonly [after: number, step: Step])[]
  readonly rides: boolean
  /** What becomes of each message on its way to each process. */
  readonly fates: Iterator<number>
}

const planOf = (...steps: fc.Arbitrary<Step>[]) =>
  fc.record({
    steps: fc.array(fc.tuple(nat(400), fc.oneof(...steps)), { minLength: 20, maxLength: 60 }),
    rides: fc.boolean(),
    fates: fc.infiniteStream(nat(99)).map((stream) => stream[Symbol.iterator]()),
  })

/**
 * @param losing Percent of messages that are lost; repeats are not, nor what nobody has numbered.
 * @param holding Percent of those that wait, and are overtaken.
 */
function worldOf({ rides, fates }: Plan, losing: number, holding: number): World {
  const next = () => fates.next().value as number
  return new World({
    rides,
    processes: 3,
    holdFor: () => next() * 3,
    carry: (text) => {
      const fate = next()
      const losable = !text.includes('"r":true') && !text.includes('"Foreign"')
      if (fate < losing) return losable ? 'drop' : 'deliver'
      if (fate < losing + holding) return 'hold'
      return fate < losing + holding + 10 ? 'twice' : 'deliver'
    },
  })
}

function expectFresh(world: World, atMost: number, when: string): void {
  for (const [i, it] of world.processes.entries()) {
    if (!it.coherence.armed && atMost > 0) continue
    const old = it.stale().filter(({ age }) => age > atMost)
    expect(old, `process ${i}, ${when}, ${world.clock.monotonic()} ms`).toEqual([])
  }
}

/** Runs the steps, and looks at every copy each 100 ms. */
async function run(plan: Plan, world: World, atMost: number): Promise<void> {
  await world.clock.advanceAsync(0)
  const under: Promise<unknown>[] = []
  const look = async (ms: number) => {
    for (let left = ms; left > 0; left -= 100) {
      await world.clock.advanceAsync(Math.min(100, left))
      expectFresh(world, atMost, 'on the way')
    }
  }
  for (const [after, step] of plan.steps) {
    await look(after)
    under.push(Promise.resolve(step(world)))
  }
  let over = false
  void Promise.all(under).then(() => {
    over = true
  })
  while (!over) await look(100)
  // Reads go on while all heals, so that nothing stale is brought in late.
  for (let ms = 0; ms < HEALED_AFTER; ms += 500) {
    for (const it of world.processes) void it.read(KEYS[(ms / 500) % 3] ?? '', 100, 100)
    await look(500)
  }
}

describe('P7 in simulated processes', () => {
  it('with a bus that loses and is cut, no copy is stale for longer than a loss takes to show', async () => {
    const all = change('takes', 'is not sent', 'takes, unknown', 'does not take, unknown')
    const faults = fault('muted', 'cut', 'cut silently', 'not out', 'lost', 'out unseen')
    const plans = planOf(read, read, read, change('takes'), all, foreign, faults)
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const world = worldOf(plan, 15, 20)
        await run(plan, world, STALE_AT_MOST)
        expectFresh(world, 0, 'healed')
        expect(world.processes.map(({ coherence }) => coherence.armed)).toEqual([true, true, true])
      }),
      { numRuns: 150, endOnFailure: true },
    )
  }, 120_000)

  it('with a bus that takes no messages for a while, they are told after it, and nothing is flushed', async () => {
    const plans = planOf(read, read, change('takes'), fault('not out'))
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const world = worldOf({ ...plan, rides: false }, 0, 0)
        await run(plan, world, STALE_AT_MOST)
        expectFresh(world, 0, 'healed')
        for (const { counters } of world.processes) {
          expect(counters).toMatchObject({ busGaps: 0, busFlushes: 1, busDisarmed: 0 })
        }
      }),
      { numRuns: 60, endOnFailure: true },
    )
  }, 120_000)

  it.each([
    ['delays, doubles and reorders', 'takes', 30],
    ['doubles, and with changes that are not sent', 'is not sent', 0],
  ] as const)(
    'with a bus that %s, copies are fresh in half a second and nothing is flushed',
    async (_, also, holding) => {
      const plans = planOf(read, read, change('takes'), change(also), foreign)
      await fc.assert(
        fc.asyncProperty(plans, async (plan) => {
          const world = worldOf(plan, 0, holding)
          // A change's answer, after which it is news where it does not ride, and a held message.
          await run(plan, world, 150 + 300)
          for (const { counters } of world.processes) {
            expect(counters).toMatchObject({ busGaps: 0, busFlushes: 1, busDisarmed: 0 })
          }
        }),
        { numRuns: 60, endOnFailure: true },
      )
    },
    120_000,
  )
})
