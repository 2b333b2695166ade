import { describe, expect, it } from 'vitest'
import type { Clock } from '../../../src/model/clock.ts'
import { DueWheel, type Planned } from '../../../src/refresh/due-wheel.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'

interface Item extends Planned {
  readonly name: string
}

const TICK = 10

/** A wheel whose machine can be held up: time passes, and no timer fires. */
function open() {
  const clock = manualClock()
  let away = 0
  const held: Clock = {
    now: () => clock.now() + away,
    monotonic: () => clock.monotonic() + away,
    setTimer: (ms, callback) => clock.setTimer(ms, callback),
  }
  /** What was due at one moment, and when. */
  const due: [at: number, ...names: string[]][] = []
  const wheel = new DueWheel<Item>(held, TICK, (items) => {
    due.push([held.monotonic(), ...items.map(({ name }) => name)])
  })
  const plan = (name: string, ms: number): Item => {
    const item: Item = { name, slot: undefined }
    wheel.plan(item, ms)
    return item
  }
  const holdUp = (ms: number) => {
    away += ms
  }
  return { clock, wheel, due, plan, holdUp }
}

describe('what is planned in a wheel', () => {
  it('is due at the first tick that is not too early, once', () => {
    const { clock, due, plan } = open()
    clock.advance(3)
    plan('on a tick', 27)
    plan('just after it', 28)
    plan('at once', 0)
    clock.advance(1000)
    expect(due).toEqual([
      [10, 'at once'],
      [30, 'on a tick'],
      [40, 'just after it'],
    ])
  })

  it('is never due at a tick that was taken already', () => {
    const { clock, due, plan } = open()
    plan('keeps it turning', 100)
    clock.advance(20)
    plan('now', 0)
    clock.advance(10)
    expect(due).toEqual([[30, 'now']])
  })

  it('is due when it was planned last', () => {
    const { clock, wheel, due, plan } = open()
    const item = plan('k', 20)
    clock.advance(10)
    wheel.plan(item, 50)
    clock.advance(1000)
    expect(due).toEqual([[60, 'k']])
  })

  it('is not due once it is cancelled, and the others of its slot are', () => {
    const { clock, wheel, due, plan } = open()
    plan('stays', 20)
    wheel.cancel(plan('leaves', 20))
    clock.advance(1000)
    expect(due).toEqual([[20, 'stays']])
  })

  it('needs one timer, however much it is, and none once it was due or left', () => {
    const { clock, wheel, plan } = open()
    const items = Array.from({ length: 10_000 }, (_, i) => plan(`k${i}`, i))
    expect(clock.pendingTimers).toBe(1)
    for (const item of items.slice(5000)) wheel.cancel(item)
    clock.advance(4980)
    expect(clock.pendingTimers).toBe(1)
    clock.advance(20)
    expect(clock.pendingTimers).toBe(0)
    wheel.cancel(plan('k', 20))
    expect(clock.pendingTimers).toBe(0)
    plan('k', 20)
    wheel.clear()
    expect(clock.pendingTimers).toBe(0)
  })

  it('is due in order and at once after the loop was held up', () => {
    const { clock, due, plan, holdUp } = open()
    plan('third', 95)
    plan('first', 25)
    plan('second', 55)
    plan('later', 125)
    holdUp(100)
    clock.advance(10)
    expect(due).toEqual([[110, 'first', 'second', 'third']])
    clock.advance(20)
    expect(due.slice(1)).toEqual([[130, 'later']])
  })

  it('is due at once after the machine was away, in one pass over what there is', () => {
    const { clock, due, plan, holdUp } = open()
    const longAgo = 1e10
    plan('one', 95)
    plan('two', 25)
    plan('later', longAgo + 50)
    holdUp(longAgo)
    const before = performance.now()
    clock.advance(10)
    // A billion ticks gone through one by one would take seconds.
    expect(performance.now() - before).toBeLessThan(1000)
    expect(due).toEqual([[longAgo + 10, 'one', 'two']])
    clock.advance(40)
    expect(due.slice(1)).toEqual([[longAgo + 50, 'later']])
  })

  it('is due though its timer comes a fraction of a millisecond early', () => {
    const { clock, due, plan, holdUp } = open()
    plan('k', 10)
    plan('next', 20)
    holdUp(-0.4)
    clock.advance(10)
    expect(due).toEqual([[9.6, 'k']])
    clock.advance(10)
    expect(due.length).toBe(1)
    clock.advance(0.4)
    expect(due.slice(1)).toEqual([[20, 'next']])
  })

  it('may be planned again when it is due, though nothing else is planned', () => {
    const clock = manualClock()
    const at: number[] = []
    const wheel: DueWheel<Item> = new DueWheel(clock, TICK, (items) => {
      at.push(clock.monotonic())
      for (const item of items) wheel.plan(item, 30)
    })
    wheel.plan({ name: 'k', slot: undefined }, 30)
    clock.advance(100)
    expect(at).toEqual([30, 60, 90])
    expect(clock.pendingTimers).toBe(1)
  })
})
