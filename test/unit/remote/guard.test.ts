import { describe, expect, it } from 'vitest'
import { Budget } from '../../../src/remote/budget.ts'
import { Failure } from '../../../src/remote/failure.ts'
import { Guard } from '../../../src/remote/guard.ts'
import { newCounters } from '../../../src/stats/counters.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'
import { memoryRemote } from '../../../src/testing/memory-remote.ts'

function open() {
  const clock = manualClock()
  const store = memoryRemote({ clock })
  const counters = newCounters()
  const guard = new Guard({
    store,
    timeout: 100,
    clock,
    counters,
    onBack: () => undefined,
    onDown: () => undefined,
  })
  const run = (send: () => Promise<unknown>, calls?: number) =>
    guard.run({ operation: 'get', calls, budget: guard.budget(), send })
  return { clock, store, counters, guard, run }
}

const hang = () => new Promise<never>(() => {})

describe('What is under way', () => {
  const settled: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['answered', async () => 'answer'],
    ['rejected', () => Promise.reject(new Error('no'))],
  ]

  it.each(settled)('is bounded, and what was %s is no longer under way', async (_, send) => {
    const { run, store, counters } = open()
    // Failures that say nothing about the store: the breaker must stay closed.
    Object.assign(store, { judge: () => 'refused' })
    for (let i = 0; i < 100; i++) await run(send, 200)
    expect(counters.remoteShed).toBe(0)
    void run(hang, 9_999)
    expect(await run(async () => 'the last one')).toBe('the last one')
    void run(hang)
    expect(await run(async () => 'too many')).toMatchObject({ outcome: 'not sent' })
    expect(counters.remoteShed).toBe(1)
  })

  it('counts each call that a request is for, before and after its deadline', async () => {
    const { run, clock, counters } = open()
    let answer = (): void => undefined
    const late = () =>
      new Promise<void>((resolve) => {
        answer = resolve
      })
    const missed = run(late, 9_990)
    expect(await run(async () => 1, 11)).toBeInstanceOf(Failure)
    expect(await run(async () => 1, 10)).toBe(1)
    expect(counters.remoteShed).toBe(11)
    await clock.advanceAsync(100)
    expect(await missed).toBeInstanceOf(Failure)
    expect(await run(async () => 1, 11)).toBeInstanceOf(Failure)
    answer()
    await clock.advanceAsync(0)
    expect(await run(async () => 1, 11)).toBe(1)
  })

  it('before the breaker opened is not counted after it: it may never settle', async () => {
    const { run, clock, guard } = open()
    for (let i = 0; i < 3; i++) void run(hang, 3_000)
    await clock.advanceAsync(100)
    expect(guard.breaker).toBe('open')
    await clock.advanceAsync(500)
    expect(guard.breaker).toBe('closed')
    expect(await run(async () => 'answer', 10_000)).toBe('answer')
  })
})

describe('A failure', () => {
  it('is given to each of those it concerns with their key, and the cause as it was', async () => {
    const { run, counters } = open()
    const cause = new Error('gone')
    const failure = await run(() => Promise.reject(cause), 2)
    expect(failure).toBeInstanceOf(Failure)
    for (const key of ['a', 'b']) {
      const error = failure instanceof Failure ? failure.error(key) : undefined
      expect(error).toMatchObject({ code: 'CACHE_REMOTE', operation: 'get', key, cause })
      expect(error?.message).toContain('remote get failed: gone')
    }
    expect(counters.remoteErrors).toBe(2)
  })

  it.each([
    ['a store that throws', () => expectThrow()],
    ['a store that rejects with what is no Error', () => Promise.reject('no')],
  ])('%s: never rejects', async (_, send) => {
    const { run } = open()
    expect(await run(send)).toMatchObject({ outcome: 'unknown' })
  })

  it('of an operation whose budget was used up is counted for each call, and sends nothing', async () => {
    const { guard, counters } = open()
    let sent = 0
    const send = async () => void sent++
    const failure = await guard.run({ operation: 'get', calls: 4, budget: new Budget(0), send })
    expect(failure).toMatchObject({ outcome: 'not sent' })
    expect([sent, counters.remoteErrors]).toEqual([0, 4])
  })
})

function expectThrow(): never {
  throw new Error('thrown, not rejected')
}
