import { describe, expect, it } from 'vitest'
import { type Waiter, Waiters } from '../../../src/flight/waiters.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'

function open() {
  const clock = manualClock()
  const waiters = new Waiters(clock)
  /** Whether a pause has ended, after everything that is ready has run. */
  const paused = (waiter: Waiter, ms: number) => {
    let over = false
    void waiter.pause(ms).then(() => {
      over = true
    })
    return async () => {
      await clock.advanceAsync(0)
      return over
    }
  }
  return { clock, waiters, paused }
}

describe('A pause of one who listens for news of a key', () => {
  it('ends when its time is over, not before', async () => {
    const { clock, waiters, paused } = open()
    const over = paused(waiters.listen('k'), 100)
    await clock.advanceAsync(99)
    expect(await over()).toBe(false)
    await clock.advanceAsync(1)
    expect(await over()).toBe(true)
  })

  it('ends with news of its key, for all who listen for it, and leaves no timer', async () => {
    const { clock, waiters, paused } = open()
    const overs = [paused(waiters.listen('k'), 100), paused(waiters.listen('k'), Infinity)]
    waiters.wake('k')
    for (const over of overs) expect(await over()).toBe(true)
    expect(clock.pendingTimers).toBe(0)
  })

  it('does not end with news of another key', async () => {
    const { waiters, paused } = open()
    const over = paused(waiters.listen('k'), 100)
    waiters.wake('other')
    expect(await over()).toBe(false)
  })

  it('ends with what may be news of any', async () => {
    const { waiters, paused } = open()
    const overs = [paused(waiters.listen('k'), 100), paused(waiters.listen('other'), 100)]
    waiters.wakeAll()
    for (const over of overs) expect(await over()).toBe(true)
  })

  it('does not begin where news came since it began to listen', async () => {
    const { clock, waiters, paused } = open()
    const waiter = waiters.listen('k')
    waiters.wake('k')
    expect(await paused(waiter, 100)()).toBe(true)
    expect(clock.pendingTimers).toBe(0)
  })

  it('is ended once by news, however often they came; the next one lasts', async () => {
    const { waiters, paused } = open()
    const waiter = waiters.listen('k')
    for (let i = 0; i < 3; i++) waiters.wake('k')
    expect(await paused(waiter, 100)()).toBe(true)
    expect(await paused(waiter, 100)()).toBe(false)
  })

  it('does not begin where news came since the last one', async () => {
    const { clock, waiters, paused } = open()
    const waiter = waiters.listen('k')
    const first = paused(waiter, 10)
    await clock.advanceAsync(10)
    expect(await first()).toBe(true)
    waiters.wake('k')
    expect(await paused(waiter, 100)()).toBe(true)
  })

  it('is not cut short by the timer of one that news have ended', async () => {
    const { clock, waiters, paused } = open()
    const waiter = waiters.listen('k')
    const first = paused(waiter, 10)
    waiters.wake('k')
    expect(await first()).toBe(true)
    const second = paused(waiter, 100)
    await clock.advanceAsync(50)
    expect(await second()).toBe(false)
  })

  it('ends by its own waking alone, and no other does', async () => {
    const { waiters, paused } = open()
    const waiter = waiters.listen('k')
    const over = paused(waiter, 100)
    const other = paused(waiters.listen('k'), 100)
    waiter.wake()
    expect([await over(), await other()]).toEqual([true, false])
  })
})

describe('Those who listen', () => {
  it('leave nothing behind: a key is known while somebody listens for it', () => {
    const { waiters } = open()
    const [one, two] = [waiters.listen('k'), waiters.listen('k')]
    waiters.listen('other').leave()
    one.leave()
    expect(waiters.size).toBe(1)
    two.leave()
    expect(waiters.size).toBe(0)
  })

  it('are told nothing once they have left, and those who stay are', async () => {
    const { waiters, paused } = open()
    const [leaver, stayer] = [waiters.listen('k'), waiters.listen('k')]
    leaver.leave()
    waiters.wake('k')
    expect([await paused(leaver, 100)(), await paused(stayer, 100)()]).toEqual([false, true])
  })

  it('may leave twice without taking those with them who came in between', async () => {
    const { waiters, paused } = open()
    const first = waiters.listen('k')
    first.leave()
    const second = waiters.listen('k')
    first.leave()
    expect(waiters.size).toBe(1)
    waiters.wake('k')
    expect(await paused(second, 100)()).toBe(true)
  })
})
