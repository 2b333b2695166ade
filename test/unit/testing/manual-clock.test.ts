import { describe, expect, it } from 'vitest'
import { manualClock } from '../../../src/testing/manual-clock.ts'

describe('manualClock', () => {
  it('stands still until it is advanced, and moves both readings together', () => {
    const clock = manualClock({ now: 5000 })
    expect([clock.now(), clock.monotonic()]).toEqual([5000, 0])
    clock.advance(250)
    expect([clock.now(), clock.monotonic()]).toEqual([5250, 250])
  })

  it('fires timers at their own moments, in the order in which they are due', () => {
    const clock = manualClock()
    const fired: [string, number][] = []
    const note = (name: string) => () => void fired.push([name, clock.monotonic()])
    clock.setTimer(20, note('late'))
    clock.setTimer(10, note('early'))
    clock.setTimer(10, note('early, set later'))
    clock.setTimer(31, note('not due'))
    clock.advance(30)
    expect(fired).toEqual([
      ['early', 10],
      ['early, set later', 10],
      ['late', 20],
    ])
    expect(clock.monotonic()).toBe(30)
    expect(clock.pendingTimers).toBe(1)
  })

  it('fires a timer that a callback sets, if it comes due within the same advance', () => {
    const clock = manualClock()
    const fired: number[] = []
    const again = (): void => {
      fired.push(clock.monotonic())
      clock.setTimer(10, again)
    }
    clock.setTimer(10, again)
    clock.advance(35)
    expect(fired).toEqual([10, 20, 30])
  })

  it('never fires a cancelled timer, not even one cancelled by an earlier callback', () => {
    const clock = manualClock()
    const fired: string[] = []
    const doomed = clock.setTimer(10, () => fired.push('doomed'))
    clock.setTimer(5, () => doomed.cancel())
    clock.advance(10)
    expect(fired).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })

  it('waits for delays beyond 2^31 ms', () => {
    const clock = manualClock()
    let fired = false
    clock.setTimer(2 ** 40, () => {
      fired = true
    })
    clock.advance(2 ** 40 - 1)
    expect(fired).toBe(false)
    clock.advance(1)
    expect(fired).toBe(true)
  })

  it('lets long chains of promises settle between timers when advanced asynchronously', async () => {
    const clock = manualClock()
    const seen: string[] = []
    clock.setTimer(10, () => {
      void (async () => {
        for (let i = 0; i < 500; i++) await undefined
        seen.push(`reactions at ${clock.monotonic()}`)
        clock.setTimer(5, () => seen.push(`timer at ${clock.monotonic()}`))
      })()
    })
    clock.setTimer(20, () => seen.push(`timer at ${clock.monotonic()}`))
    await clock.advanceAsync(20)
    expect(seen).toEqual(['reactions at 10', 'timer at 15', 'timer at 20'])
  })

  it('lets what is already resolved react before the first timer fires', async () => {
    const clock = manualClock()
    const seen: string[] = []
    void Promise.resolve()
      .then(() => {})
      .then(() => seen.push('reaction'))
    clock.setTimer(0, () => seen.push('timer'))
    await clock.advanceAsync(0)
    expect(seen).toEqual(['reaction', 'timer'])
  })

  it('moves the wall clock alone when stepped, and fires nothing', () => {
    const clock = manualClock({ now: 10_000 })
    let fired = false
    clock.setTimer(1, () => {
      fired = true
    })
    clock.stepWall(-3000)
    expect([clock.now(), clock.monotonic(), fired]).toEqual([7000, 0, false])
    clock.stepWall(60_000)
    expect([clock.now(), clock.monotonic(), fired]).toEqual([67_000, 0, false])
    clock.advance(1)
    expect(fired).toBe(true)
  })

  it('refuses to go back', async () => {
    const clock = manualClock()
    expect(() => clock.advance(-1)).toThrow(RangeError)
    expect(() => clock.advance(Number.NaN)).toThrow(RangeError)
    await expect(clock.advanceAsync(-1)).rejects.toThrow(RangeError)
  })
})
