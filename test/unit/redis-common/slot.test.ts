import { describe, expect, it } from 'vitest'
import { slotOf } from '../../../src/redis-common/slot.ts'

// What CLUSTER KEYSLOT of Redis 7.0.15 says.
const KNOWN: readonly (readonly [string, number])[] = [
  ['123456789', 12739],
  ['foo', 12182],
  ['{user1000}.following', 3443],
  ['user1000', 3443],
  ['foo{}{bar}', 8363],
  ['foo{{bar}}zap', 4015],
  ['{bar', 4015],
  ['foo{bar}{zap}', 5061],
  ['bar', 5061],
  ['größe€😀', 900],
  ['a}b{', 6027],
  ['x{}', 2608],
]

describe('The slot of a key', () => {
  it.each(KNOWN)('of %j is %i, as the server counts it', (key, slot) => {
    expect(slotOf(key)).toBe(slot)
  })
})
