import { describe, expect, it } from 'vitest'
import { typedKey } from '../../../src/model/typed-key.ts'

describe('the key of a typed view', () => {
  // What Go 1.26 prints with %v for the same float64 (integers: for the same int64).
  it.each<[string | number | bigint, string]>([
    ['ada', 'ada'],
    ['', ''],
    ['1e5', '1e5'],
    [0, '0'],
    [-0, '0'],
    [42, '42'],
    [-7, '-7'],
    [1_000_000, '1000000'],
    [Number.MAX_SAFE_INTEGER, '9007199254740991'],
    [9_223_372_036_854_775_807n, '9223372036854775807'],
    [-1n, '-1'],
    [1.5, '1.5'],
    [-0.25, '-0.25'],
    [0.0001, '0.0001'],
    [0.00012345, '0.00012345'],
    [1e-5, '1e-05'],
    [1e-300, '1e-300'],
    [123_456.5, '123456.5'],
    [1_234_567.5, '1.2345675e+06'],
    [123_456_789.5, '1.234567895e+08'],
    [99_999_999_999.25, '9.999999999925e+10'],
    [4_503_599_627_370_495.5, '4.5035996273704955e+15'],
  ])('of id %s ends in what Go prints', (id, printed) => {
    expect(typedKey('user', ':', id)).toBe(`user:${printed}`)
  })

  it('has the separator it is given, none included', () => {
    expect(typedKey('user', '', 1)).toBe('user1')
    expect(typedKey('user', '::', 1)).toBe('user::1')
  })

  it.each([Number.NaN, Infinity, 2 ** 53, -(2 ** 60), 1e21])('refuses %s', (id) => {
    expect(() => typedKey('user', ':', id)).toThrow(
      expect.objectContaining({ name: 'RangeError', code: 'CACHE_OPTION' }),
    )
  })
})
