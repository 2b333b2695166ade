import { describe, expect, it } from 'vitest'
import { freshness } from '../../../src/model/entry.ts'

describe('freshness', () => {
  it.each([
    [0, 'fresh'],
    [99, 'fresh'],
    [100, 'stale'],
    [149, 'stale'],
    [150, 'expired'],
    [10_000, 'expired'],
  ])('at %d of an entry fresh until 100 and kept until 150 is %s', (now, expected) => {
    expect(freshness({ freshUntil: 100, keptUntil: 150 }, now)).toBe(expected)
  })

  it('is never stale where nothing is kept beyond its freshness', () => {
    const life = { freshUntil: 100, keptUntil: 100 }
    expect([99, 100].map((now) => freshness(life, now))).toEqual(['fresh', 'expired'])
  })
})
