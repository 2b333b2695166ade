import { describe, expect, it } from 'vitest'
import { Breaker } from '../../../src/remote/breaker.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'

function open(spread = false) {
  const clock = manualClock()
  const probes: { resolve(): void; reject(error: unknown): void }[] = []
  const told: string[] = []
  const breaker = new Breaker(
    clock,
    () => new Promise((resolve, reject) => void probes.push({ resolve, reject })),
    () => void told.push('open'),
    () => void told.push('close'),
    spread,
  )
  const fail = (times: number) => {
    for (let i = 0; i < times; i++) breaker.failed(breaker.period)
  }
  const succeed = (times: number) => {
    for (let i = 0; i < times; i++) breaker.succeeded(breaker.period)
  }
  return { breaker, clock, probes, told, fail, succeed }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('A breaker', () => {
  it('that is open and hears that the remote may be there: it is asked at once', async () => {
    const { breaker, probes, fail } = open()
    fail(3)
    expect([breaker.state, probes.length]).toEqual(['open', 0])
    breaker.nudge()
    expect([breaker.state, probes.length]).toEqual(['half-open', 1])
    // Once: a second word of it while the question is under way asks nothing more.
    breaker.nudge()
    expect(probes.length).toBe(1)
    probes[0]?.resolve()
    await settled()
    expect(breaker.state).toBe('closed')
  })

  it('that is closed asks nothing', () => {
    const { breaker, probes } = open()
    breaker.nudge()
    expect(probes.length).toBe(0)
  })

  it('a probe that ends after it was closed and opened again changes nothing', async () => {
    const { breaker, probes, fail } = open()
    fail(3)
    breaker.nudge()
    breaker.answered()
    expect(breaker.state).toBe('closed')
    fail(1)
    expect(breaker.state).toBe('open')
    probes[0]?.resolve()
    await settled()
    expect(breaker.state).toBe('open')
  })

  it('of several servers lets one of three fail, and opens when most do', () => {
    const { breaker, fail, succeed } = open(true)
    for (let round = 0; round < 20; round++) {
      succeed(2)
      fail(1)
    }
    fail(5)
    expect(breaker.state).toBe('closed')
    fail(9)
    expect(breaker.state).toBe('open')
  })

  it('of several servers has no trial after it has closed: one server may still be gone', async () => {
    const { breaker, probes, fail } = open(true)
    fail(15)
    breaker.nudge()
    probes[0]?.resolve()
    await settled()
    fail(14)
    expect(breaker.state).toBe('closed')
    fail(1)
    expect(breaker.state).toBe('open')
  })
})
