import { describe, expect, it } from 'vitest'
import { CodecConflicts } from '../../../src/read/codec-conflicts.ts'

describe('The keys that two codecs fight for', () => {
  it('are contested until what we wrote has expired', () => {
    const conflicts = new CodecConflicts()
    expect(conflicts.contested('k', 0)).toBe(false)
    conflicts.replaced('k', 100)
    expect([0, 99, 100, 99].map((now) => conflicts.contested('k', now))).toEqual([
      true,
      true,
      false,
      false,
    ])
  })

  it('are forgotten beyond a thousand, the one replaced longest ago first', () => {
    const conflicts = new CodecConflicts()
    for (let i = 0; i < 1000; i++) conflicts.replaced(`k${i}`, 100)
    conflicts.replaced('k0', 100)
    conflicts.replaced('one more', 100)
    expect(['k0', 'k1', 'k2', 'one more'].map((key) => conflicts.contested(key, 0))).toEqual([
      true,
      false,
      true,
      true,
    ])
  })
})
