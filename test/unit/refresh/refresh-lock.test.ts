import { describe, expect, it } from 'vitest'
import {
  encodeRefreshLock,
  parseRefreshLock,
  refreshLockKey,
} from '../../../src/refresh/refresh-lock.ts'

describe('the refresh lock', () => {
  it('stands where jetcache-go looks for it', () => {
    expect(refreshLockKey('user:1')).toBe('user:1_#RL#')
  })

  it('says since when in whole unix seconds, and whose it is', () => {
    const value = encodeRefreshLock(1_700_000_000_999, 'a1:b2')
    expect(value).toBe('1700000000:a1:b2')
    expect(parseRefreshLock(value)).toEqual({ takenAt: 1_700_000_000_000, token: 'a1:b2' })
  })

  it('of jetcache-go is bare seconds, and has no token', () => {
    expect(parseRefreshLock('1700000000')).toEqual({ takenAt: 1_700_000_000_000, token: undefined })
  })

  it.each(['', 'x', '-1', '1.5', '12:', '1e9', '9999999999999', ' 1'])('is not %j', (value) => {
    expect(parseRefreshLock(value)).toBeUndefined()
  })
})
