import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { SteadyWallClock } from '../../../src/model/steady-wall-clock.ts'

/** A machine whose two clocks the test moves; `now` starts where no step back makes it negative. */
function machine() {
  const state = { wall: 1_000_000_000_000, monotonic: 0 }
  const clock = new SteadyWallClock(
    () => Math.floor(state.wall),
    () => state.monotonic,
  )
  return {
    clock,
    /** Time passes; with `rate` the wall clock runs faster or slower than it. */
    pass: (ms: number, rate = 1) => {
      state.monotonic += ms
      state.wall += ms * rate
    },
    /** The wall clock is set. */
    step: (ms: number) => {
      state.wall += ms
    },
  }
}

describe('A steady wall clock', () => {
  it('follows the wall clock while nobody sets it', () => {
    const { clock, pass } = machine()
    const start = clock.now()
    for (let i = 1; i <= 100; i++) {
      pass(777)
      if (i % 3 === 0) clock.compare()
      expect(clock.now() - start).toBe(777 * i)
    }
  })

  it('does not go back when the wall clock is set back, once they have been compared', () => {
    const { clock, pass, step } = machine()
    const start = clock.now()
    pass(5000)
    clock.compare()
    step(-3_600_000)
    clock.compare()
    expect(clock.now() - start).toBe(5000)
    pass(1234)
    expect(clock.now() - start).toBe(6234)
  })

  it('sees a step back below the last comparison without being told to compare', () => {
    const { clock, pass, step } = machine()
    const start = clock.now()
    pass(400)
    step(-500)
    expect(clock.now() - start).toBe(400)
  })

  it('lets a step back within the last second pass for a second at the most', () => {
    const { clock, pass, step } = machine()
    pass(5000)
    const start = clock.now()
    pass(900)
    step(-600)
    expect(clock.now() - start).toBe(300)
    pass(700)
    expect(clock.now() - start).toBe(1600)
  })

  it('takes a step forward as it is: that only shortens lives', () => {
    const { clock, pass, step } = machine()
    const start = clock.now()
    pass(10)
    step(86_400_000)
    expect(clock.now() - start).toBe(86_400_010)
    pass(10)
    expect(clock.now() - start).toBe(86_400_020)
  })

  it('stays ahead when a step forward is taken back', () => {
    const { clock, pass, step } = machine()
    const start = clock.now()
    step(3_600_000)
    clock.compare()
    pass(2000)
    step(-3_600_000)
    clock.compare()
    expect(clock.now() - start).toBe(3_602_000)
  })

  it('is not held back by a wall clock that runs slow', () => {
    const { clock, pass } = machine()
    const start = clock.now()
    for (let second = 1; second <= 3600; second++) {
      pass(1000, 0.999)
      clock.compare()
    }
    // 3.6 s were lost on the wall clock; what is below the tolerance may be.
    expect(clock.now() - start).toBeGreaterThanOrEqual(3_600_000 - 3)
    expect(clock.now() - start).toBeLessThanOrEqual(3_600_000 + 3)
  })

  it('sees after an idle gap that the wall clock was set back meanwhile', () => {
    const { clock, pass, step } = machine()
    const start = clock.now()
    pass(86_400_000)
    step(-86_400_000 + 500)
    clock.compare()
    expect(clock.now() - start).toBe(86_400_000)
  })

  it('takes the time that a machine was suspended as passed', () => {
    const { clock, step, pass } = machine()
    const start = clock.now()
    // While suspended the monotonic clock stands still.
    step(7_200_000)
    pass(1)
    expect(clock.now() - start).toBe(7_200_001)
  })

  it('once compared, it lengthens no life, and shortens one by what it was set forward at the most', () => {
    const event = fc.record({
      pass: fc.integer({ min: 0, max: 1000 }),
      step: fc.oneof(fc.constant(0), fc.integer({ min: -10_000, max: 10_000 })),
      rate: fc.constantFrom(1, 1, 0.9999, 1.0001),
    })
    fc.assert(
      fc.property(fc.array(event, { minLength: 2, maxLength: 40 }), (events) => {
        const { clock, pass, step } = machine()
        let passed = 0
        let forward = 0
        const readings: { readonly at: number; readonly now: number; readonly forward: number }[] =
          []
        for (const each of events) {
          step(each.step)
          pass(each.pass, each.rate)
          passed += each.pass
          forward += Math.max(0, each.step)
          clock.compare()
          const now = clock.now()
          for (const earlier of readings) {
            // The rest: whole milliseconds of the wall clock, and the tolerance.
            expect(now - earlier.now).toBeGreaterThanOrEqual(passed - earlier.at - 5)
            const ahead = forward - earlier.forward
            expect(now - earlier.now).toBeLessThanOrEqual(passed - earlier.at + ahead + 10)
          }
          readings.push({ at: passed, now, forward })
        }
      }),
      { numRuns: 100 },
    )
  })
})

describe('The clock of the machine', () => {
  afterEach(() => {
    vi.useRealTimers()
    vi.resetModules()
  })

  /** The clock takes its timers at import: here it takes ones that the test moves. */
  async function importedUnderFakeTimers() {
    vi.useFakeTimers()
    vi.resetModules()
    const { systemClock } = await import('../../../src/model/clock.ts')
    return systemClock
  }

  it('has timers longer than 2^31 ms, which fire when they are due and not before', async () => {
    const clock = await importedUnderFakeTimers()
    const fired: string[] = []
    const long = 3 * 2 ** 31 + 5
    clock.setTimer(long, () => fired.push('long'))
    await vi.advanceTimersByTimeAsync(long - 1)
    expect(fired).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(fired).toEqual(['long'])
    await vi.advanceTimersByTimeAsync(long)
    expect(fired).toEqual(['long'])
  })

  it('cancels a long timer in whichever part it is', async () => {
    const clock = await importedUnderFakeTimers()
    const fired: string[] = []
    const timer = clock.setTimer(3 * 2 ** 31, () => fired.push('cancelled'))
    await vi.advanceTimersByTimeAsync(2 ** 31 + 10)
    timer.cancel()
    expect(vi.getTimerCount()).toBe(0)
    await vi.advanceTimersByTimeAsync(3 * 2 ** 31)
    expect(fired).toEqual([])
  })

  it('has one interval while anybody holds it, and none after the last', async () => {
    const clock = await importedUnderFakeTimers()
    expect(vi.getTimerCount()).toBe(0)
    const releases = [clock.hold?.(), clock.hold?.()]
    expect(vi.getTimerCount()).toBe(1)
    releases[0]?.()
    releases[0]?.()
    expect(vi.getTimerCount()).toBe(1)
    releases[1]?.()
    expect(vi.getTimerCount()).toBe(0)
    clock.hold?.()?.()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('notices a step back between two reads while it is held', async () => {
    const clock = await importedUnderFakeTimers()
    const release = clock.hold?.()
    const start = clock.now()
    await vi.advanceTimersByTimeAsync(10_000)
    vi.setSystemTime(Date.now() - 5000)
    await vi.advanceTimersByTimeAsync(1000)
    expect(clock.now() - start).toBe(11_000)
    release?.()
  })
})
