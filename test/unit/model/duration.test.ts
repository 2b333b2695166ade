import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDuration } from '../../../src/model/duration.ts'

const TEN_YEARS = 3650 * 86_400_000

function thrown(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('parseDuration', () => {
  it.each([
    [1, 1],
    ['1ms', 1],
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
    ['30d', 2_592_000_000],
    [2 ** 31, 2_147_483_648],
    [TEN_YEARS, TEN_YEARS],
    ['3650d', TEN_YEARS],
    [0.5, 1],
    [1.4, 1],
    ['1.5ms', 2],
  ])('reads %j as %d ms', (input, ms) => {
    expect(parseDuration(input)).toBe(ms)
  })

  it.each([
    0,
    -0,
    -1,
    0.4,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    TEN_YEARS + 1,
    '0s',
    '0ms',
    '-5s',
    '0.4ms',
    '3651d',
    '100000h',
    `${'9'.repeat(400)}s`,
  ])('refuses %s as out of range, naming the option and what came', (input) => {
    const error = thrown(() => parseDuration(input, 'ttl'))
    expect(error).toBeInstanceOf(RangeError)
    expect(error).toMatchObject({
      code: 'CACHE_OPTION',
      message: expect.stringMatching(/^ttl must be from 1 ms to 10 years, but is .+"30s"/),
    })
  })

  it.each([
    '5 minutes',
    '5',
    '',
    's',
    '5S',
    ' 5s',
    '5s ',
    '5s\n',
    '1h30m',
    '1e3s',
    '.5s',
    '5.s',
    '0x10s',
    '--5s',
    'Infinitys',
    null,
    undefined,
    true,
    5n,
    Object('5s'),
    { ms: 5 },
    new Date(5),
  ])('refuses %s as no duration, naming the units there are', (input) => {
    const error = thrown(() => parseDuration(input, 'ttl'))
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({
      code: 'CACHE_OPTION',
      message: expect.stringMatching(/^ttl must be milliseconds or a string such as "250ms"/),
    })
  })

  it('reads a number with a unit as that many units, to the nearest millisecond', () => {
    const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
    const amounts = fc.integer({ min: 1, max: 3650 })
    fc.assert(
      fc.property(amounts, fc.constantFrom(...Object.entries(units)), (amount, [unit, size]) => {
        expect(parseDuration(`${amount}${unit}`)).toBe(amount * size)
      }),
    )
  })
})
