import { expect, it } from 'vitest'
import type { Clock } from '../../../src/model/clock.ts'
import { Arming } from '../../../src/sync/arming.ts'
import { type ManualClock, manualClock } from '../../../src/testing/manual-clock.ts'

/** A bus whose beats the test answers. */
class Bench {
  readonly clock: ManualClock = manualClock()
  readonly beats: { readonly sentAt: number; answer(): void; fail(): void }[] = []
  readonly told: string[] = []
  mayArm = true
  /** Answers to each beat so many milliseconds after it; `undefined`: the test does. */
  answersAfter: number | undefined
  readonly arming: Arming

  constructor(clock?: Clock) {
    const time = clock ?? this.clock
    this.arming = new Arming({
      clock: time,
      beat: () =>
        new Promise((resolve, reject) => {
          this.beats.push({ sentAt: time.monotonic(), answer: resolve, fail: reject })
          if (this.answersAfter !== undefined) time.setTimer(this.answersAfter, resolve)
        }),
      onArm: () => {
        this.told.push(`arm, armed ${this.arming.armed}`)
        return this.mayArm
      },
      onDisarm: () => this.told.push(`disarm, armed ${this.arming.armed}`),
    })
  }

  async pass(ms = 0): Promise<void> {
    await this.clock.advanceAsync(ms)
  }

  async armNow(): Promise<void> {
    this.arming.up()
    await this.pass()
    this.beats.at(-1)?.answer()
    await this.pass()
    expect(this.arming.armed).toBe(true)
  }

  get sentAt(): number[] {
    return this.beats.map((beat) => beat.sentAt)
  }
}

it('it is armed by the first beat that answers, and what lay there is dropped before', async () => {
  const bench = new Bench()
  bench.arming.up()
  await bench.pass()
  expect(bench.beats).toHaveLength(1)
  expect(bench.arming.armed).toBe(false)
  bench.beats[0]?.answer()
  await bench.pass()
  expect(bench.arming.armed).toBe(true)
  expect(bench.told).toEqual(['arm, armed false'])
})

it('it is not armed while what lay there could not be dropped, and tries again', async () => {
  const bench = new Bench()
  bench.answersAfter = 10
  bench.mayArm = false
  bench.arming.up()
  await bench.pass(500)
  expect(bench.arming.armed).toBe(false)
  bench.mayArm = true
  await bench.pass(1000)
  expect(bench.arming.armed).toBe(true)
})

it('one beat a second is sent, and none while it does not listen', async () => {
  const bench = new Bench()
  bench.answersAfter = 20
  await bench.pass(5000)
  expect(bench.beats).toHaveLength(0)
  bench.arming.up()
  await bench.pass(9999)
  expect(bench.beats).toHaveLength(10)
  bench.arming.down()
  await bench.pass(60_000)
  expect(bench.beats).toHaveLength(10)
  expect(bench.clock.pendingTimers).toBe(0)
})

it('a beat without an answer holds the next one back for 5 s', async () => {
  const bench = new Bench()
  await bench.armNow()
  await bench.pass(12_000)
  expect(bench.sentAt).toEqual([0, 1000, 6000, 11_000])
})

it('without a proof for 6 s it is disarmed, counted from when the last answered beat was SENT', async () => {
  const bench = new Bench()
  bench.arming.up()
  await bench.pass(900)
  bench.beats[0]?.answer()
  await bench.pass(5099)
  expect(bench.arming.armed).toBe(true)
  await bench.pass(1)
  expect(bench.arming.armed).toBe(false)
  expect(bench.told).toEqual(['arm, armed false', 'disarm, armed false'])
})

it('an answer to a beat of more than 6 s ago arms nothing', async () => {
  const bench = new Bench()
  bench.arming.up()
  await bench.pass(6000)
  bench.beats[0]?.answer()
  await bench.pass()
  expect(bench.arming.armed).toBe(false)
  bench.beats.at(-1)?.answer()
  await bench.pass()
  expect(bench.arming.armed).toBe(true)
})

it('a beat that rejects proves nothing, and does not hold the next one back', async () => {
  const bench = new Bench()
  await bench.armNow()
  for (let second = 0; second < 5; second++) {
    await bench.pass(1000)
    bench.beats.at(-1)?.fail()
  }
  expect(bench.sentAt).toEqual([0, 1000, 2000, 3000, 4000, 5000])
  await bench.pass(1000)
  expect(bench.arming.armed).toBe(false)
})

it.each([
  { round: 2900, arms: 1 },
  { round: 3100, arms: 15 },
])('with rounds of $round ms it is armed $arms times in a minute', async ({ round, arms }) => {
  const bench = new Bench()
  bench.answersAfter = round
  bench.arming.up()
  await bench.pass(60_000)
  expect(bench.told.filter((told) => told.startsWith('arm')).length).toBe(arms)
})

it('down disarms at once, and is told once', async () => {
  const bench = new Bench()
  await bench.armNow()
  bench.arming.down()
  bench.arming.down()
  expect(bench.told).toEqual(['arm, armed false', 'disarm, armed false'])
  expect(bench.clock.pendingTimers).toBe(0)
})

it('an answer from before it listened anew arms nothing', async () => {
  const bench = new Bench()
  bench.arming.up()
  await bench.pass()
  bench.arming.down()
  bench.arming.up()
  await bench.pass()
  bench.beats[0]?.answer()
  await bench.pass()
  expect(bench.arming.armed).toBe(false)
  bench.beats[1]?.answer()
  await bench.pass()
  expect(bench.arming.armed).toBe(true)
})

it('to listen anew without a word of the loss disarms first', async () => {
  const bench = new Bench()
  await bench.armNow()
  bench.arming.up()
  expect(bench.arming.armed).toBe(false)
  await bench.pass()
  bench.beats.at(-1)?.answer()
  await bench.pass()
  expect(bench.told).toEqual(['arm, armed false', 'disarm, armed false', 'arm, armed false'])
})

it('one lost beat disarms, and the one after it arms', async () => {
  const bench = new Bench()
  bench.answersAfter = 5
  bench.arming.up()
  await bench.pass(500)
  bench.answersAfter = undefined
  await bench.pass(1000)
  bench.answersAfter = 5
  await bench.pass(4499)
  expect(bench.arming.armed).toBe(true)
  await bench.pass(1)
  expect(bench.arming.armed).toBe(false)
  await bench.pass(10)
  expect(bench.arming.armed).toBe(true)
})

/** Time passes for the machine, not for the process: timers come late, all at the end. */
class StalledClock implements Clock {
  readonly #timers = new Set<{ readonly dueAt: number; readonly callback: () => void }>()
  #now = 0

  now(): number {
    return this.#now
  }

  monotonic(): number {
    return this.#now
  }

  setTimer(ms: number, callback: () => void): { cancel(): void } {
    const timer = { dueAt: this.#now + ms, callback }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  async pass(ms: number, meanwhile?: () => void): Promise<void> {
    this.#now += ms
    // What has arrived comes before the verdict of a late timer, as on the machine's clock.
    meanwhile?.()
    await new Promise((resolve) => setImmediate(resolve))
    for (const timer of [...this.#timers].sort((a, b) => a.dueAt - b.dueAt)) {
      if (timer.dueAt <= this.#now && this.#timers.delete(timer)) timer.callback()
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
}

it.each([
  { stall: 4900, armed: true },
  { stall: 7000, armed: false },
])('a stall of $stall ms, an answer waiting at its end: armed $armed', async ({ stall, armed }) => {
  const clock = new StalledClock()
  const bench = new Bench(clock)
  bench.arming.up()
  await clock.pass(0)
  bench.beats[0]?.answer()
  await clock.pass(0)
  await clock.pass(1000)
  expect(bench.arming.armed).toBe(true)
  // 1 s after the last proof a beat is under way, and the process stands still.
  await clock.pass(stall, () => bench.beats[1]?.answer())
  expect(bench.arming.armed).toBe(armed)
})
