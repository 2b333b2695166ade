import { describe, expect, it } from 'vitest'
import { Pace } from '../../../src/read/pace.ts'

/** How long a key pauses after each of so many failures, each at the end of the pause before. */
function pauses(pace: Pace, failures: number, from = 0): number[] {
  let now = from
  return Array.from({ length: failures }, () => {
    pace.failed('k', now)
    const began = now
    while (pace.pause('k', now) !== undefined) now++
    return now - began
  })
}

describe('The pauses of a key that is answered stale', () => {
  it('are a second after the first failure, twice as long each time, and 30 s at the most', () => {
    expect(pauses(new Pace(), 8)).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  })

  it('begin with a second again once it is loaded', () => {
    const pace = new Pace()
    pauses(pace, 3)
    pace.forget('k')
    expect(pace.pause('k', 0)).toBeUndefined()
    expect(pauses(pace, 2)).toEqual([1000, 2000])
  })

  it('are of one key', () => {
    const pace = new Pace()
    pace.failed('k', 0)
    expect([pace.pause('k', 999), pace.pause('other', 0)]).toEqual(['failed', undefined])
  })

  it('are a quarter of a second while another process loads it, which forgets no failure', () => {
    const pace = new Pace()
    expect(pauses(pace, 2)).toEqual([1000, 2000])
    pace.elsewhere('k', 3000)
    expect([3249, 3250].map((now) => pace.pause('k', now))).toEqual(['elsewhere', undefined])
    expect(pauses(pace, 1, 4000)).toEqual([4000])
  })

  it('after a failure are not cut short because another process loads it', () => {
    const pace = new Pace()
    pace.failed('k', 0)
    pace.elsewhere('k', 500)
    expect([999, 1000].map((now) => pace.pause('k', now))).toEqual(['failed', undefined])
  })

  it('are forgotten beyond ten thousand keys, the one that failed longest ago first', () => {
    const pace = new Pace()
    for (let i = 0; i < 10_000; i++) pace.failed(`k${i}`, 0)
    pace.failed('k0', 0)
    pace.failed('one more', 0)
    const known = ['k0', 'k1', 'k2', 'one more'].map((key) => pace.pause(key, 0) !== undefined)
    expect(known).toEqual([true, false, true, true])
  })
})
