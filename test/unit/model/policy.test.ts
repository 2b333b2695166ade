import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jittered } from '../../../src/model/policy.ts'

const randoms = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
const ttls = fc.oneof(
  fc.integer({ min: 1, max: 1000 }),
  fc.integer({ min: 1, max: 315_360_000_000 }),
)

describe('jittered', () => {
  it('gives whole milliseconds from (1 - ratio) of the ttl to the ttl, at most 10 s less', () => {
    const ratios = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
    fc.assert(
      fc.property(ttls, ratios, randoms, (ttl, ratio, random) => {
        const life = jittered(ttl, ratio, () => random)
        expect(Number.isInteger(life)).toBe(true)
        expect(life).toBeLessThanOrEqual(ttl)
        expect(life).toBeGreaterThanOrEqual(1)
        // Rounding to whole milliseconds may take it half a millisecond further.
        expect(life).toBeGreaterThanOrEqual(Math.max(ttl * (1 - ratio), ttl - 10_000) - 0.5)
      }),
    )
  })

  it('uses the whole of that span, evenly', () => {
    expect(jittered(1000, 0.1, () => 0)).toBe(1000)
    expect(jittered(1000, 0.1, () => 0.5)).toBe(950)
    expect(jittered(1000, 0.1, () => 0.999_999)).toBe(900)
    expect(jittered(3_600_000, 0.1, () => 0.5)).toBe(3_595_000)
  })

  it('leaves a ttl as it is where there is to be none', () => {
    expect(jittered(1234, 0, () => 0.9)).toBe(1234)
  })
})
