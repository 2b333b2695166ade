import { describe, expect, it } from 'vitest'
import { systemClock, type Timer } from '../../../src/model/clock.ts'

/** Resolves when a timer of so many milliseconds has fired, with how long that took. */
function passed(ms: number): Promise<number> {
  const from = performance.now()
  return new Promise((resolve) => {
    systemClock.setTimer(ms, () => resolve(performance.now() - from))
    keepAlive(ms)
  })
}

/** The clock's timers keep no process alive. */
function keepAlive(ms: number): void {
  setTimeout(() => undefined, ms + 50)
}

describe('timers of one duration', () => {
  it('each fire once, in the order in which they were set, and not before their time', async () => {
    const fired: number[] = []
    const set = (number: number) => {
      const from = performance.now()
      return new Promise<number>((resolve) =>
        systemClock.setTimer(30, () => {
          fired.push(number)
          resolve(performance.now() - from)
        }),
      )
    }
    const first = set(1)
    await passed(10)
    const took = await Promise.all([first, set(2), set(3), passed(60)])
    expect(fired).toEqual([1, 2, 3])
    for (const ms of took) expect(ms).toBeGreaterThanOrEqual(29.9)
  })

  it('that are cancelled never fire, whichever of them it is, and the others do', async () => {
    const fired: number[] = []
    const timers: Timer[] = []
    for (let i = 0; i < 6; i++) timers.push(systemClock.setTimer(25, () => fired.push(i)))
    for (const i of [0, 3, 5]) timers[i]?.cancel()
    timers[3]?.cancel()
    await passed(25)
    await passed(5)
    expect(fired).toEqual([1, 2, 4])
    for (const timer of timers) timer.cancel()
    await passed(25)
    expect(fired).toEqual([1, 2, 4])
  })

  it('cancelled in the callback of the one before do not fire', async () => {
    const fired: string[] = []
    let second: Timer | undefined
    systemClock.setTimer(20, () => {
      fired.push('first')
      second?.cancel()
    })
    second = systemClock.setTimer(20, () => fired.push('second'))
    systemClock.setTimer(20, () => fired.push('third'))
    await passed(20)
    await passed(5)
    expect(fired).toEqual(['first', 'third'])
  })

  it('set in the callback of one are due after it by their whole duration', async () => {
    const took = await new Promise<number>((resolve) => {
      systemClock.setTimer(15, () => {
        const from = performance.now()
        systemClock.setTimer(15, () => resolve(performance.now() - from))
      })
      keepAlive(100)
    })
    expect(took).toBeGreaterThanOrEqual(14.9)
  })

  it('held up by a stall let arrive what has arrived first, and may still be cancelled then', async () => {
    const order: string[] = []
    const done = new Promise<void>((resolve) => {
      systemClock.setTimer(10, () => {
        order.push('timer')
        resolve()
      })
    })
    const late = systemClock.setTimer(10, () => order.push('cancelled'))
    setImmediate(() => {
      order.push('arrived')
      late.cancel()
    })
    const until = performance.now() + 60
    while (performance.now() < until);
    keepAlive(50)
    await done
    expect(order).toEqual(['arrived', 'timer'])
  })
})
