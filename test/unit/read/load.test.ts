import { describe, expect, it } from 'vitest'
import type { Clock } from '../../../src/model/clock.ts'
import { CacheLoadTimeoutError } from '../../../src/model/errors.ts'
import { Load } from '../../../src/read/load.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'
import { HeldLoader, reactions } from '../../support/held-loader.ts'

/** Within a second, for a caller who found nothing. */
function by(clock: Clock) {
  const stale = () => undefined
  return {
    timeout: 1000,
    clock,
    reason: 'miss',
    hasStale: false,
    stale,
    background: false,
  } as const
}

describe('A load', () => {
  it('calls its loader in the turn in which it is run, with the key', () => {
    const keys: string[] = []
    void new Load('user:1').run(({ key }) => keys.push(key), by(manualClock()))
    expect(keys).toEqual(['user:1'])
  })

  it('that is abandoned before it is run never calls its loader', async () => {
    const loader = new HeldLoader<string>()
    const load = new Load('k')
    load.abandon('gone')
    await expect(load.run(loader.load, by(manualClock()))).rejects.toBe('gone')
    expect(loader.runs).toHaveLength(0)
  })

  it('rejects when it is abandoned, before its loader is told', async () => {
    const load = new Load('k')
    const running = load.run(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('by the loader')))
        }),
      by(manualClock()),
    )
    load.abandon('gone')
    await expect(running).rejects.toBe('gone')
    expect(load.abandoned).toBe(true)
  })

  it('keeps the first reason it is abandoned for', async () => {
    const loader = new HeldLoader<string>()
    const load = new Load('k')
    const running = load.run(loader.load, by(manualClock()))
    load.abandon('first')
    load.abandon('second')
    await expect(running).rejects.toBe('first')
    expect(loader.runs[0]?.context.signal.reason).toBe('first')
  })

  it('gives a loader that asks late for its signal one that has aborted', async () => {
    const loader = new HeldLoader<string>()
    const load = new Load('k')
    const running = load.run(loader.load, by(manualClock()))
    load.abandon('gone')
    await expect(running).rejects.toBe('gone')
    const context = loader.runs[0]?.context
    expect([context?.signal.aborted, context?.signal.reason]).toEqual([true, 'gone'])
    expect(context?.signal).toBe(context?.signal)
  })

  it('drops its timer with the loader, however that ends', async () => {
    const clock = manualClock()
    await new Load('k').run(() => 'value', by(clock))
    await expect(new Load('k').run(() => Promise.reject('no'), by(clock))).rejects.toBe('no')
    expect(clock.pendingTimers).toBe(0)
  })

  it('is abandoned at its deadline, and only then', async () => {
    const clock = manualClock()
    const loader = new HeldLoader<string>()
    const load = new Load('k')
    const running = load.run(loader.load, by(clock))
    running.catch(() => undefined)
    await clock.advanceAsync(999)
    expect(load.abandoned).toBe(false)
    await clock.advanceAsync(1)
    expect(load.abandoned).toBe(true)
    await expect(running).rejects.toBeInstanceOf(CacheLoadTimeoutError)
    loader.runs[0]?.resolve('late')
    await reactions()
    expect(clock.pendingTimers).toBe(0)
  })
})
