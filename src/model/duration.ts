import { optionRangeError, optionTypeError, shown } from './errors.ts'

type Unit = 'ms' | 's' | 'm' | 'h' | 'd'

/**
 * A length of time: milliseconds as a number, or a number with its unit: `'250ms'`, `'30s'`,
 * `'5m'`, `'1.5h'`, `'7d'`. At least 1 ms, at most 10 years; parts of a millisecond are rounded.
 */
export type Duration = number | `${number}${Unit}`

const UNIT_MS: Readonly<Record<Unit, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** 3,650 days. Longer is a mistake of units far more often than a wish. */
const LONGEST = 3650 * 86_400_000

// With a sign, so that a negative one is told what it is: out of range.
const SHAPE = /^(-?\d+(?:\.\d+)?)(ms|s|m|h|d)$/

/**
 * Reads a duration and returns whole milliseconds. For strings that come from the environment as
 * well as for options; a bare number in a string is refused, since it has no unit.
 *
 * @param what The name used in the error.
 * @throws TypeError (`code: 'CACHE_OPTION'`) if it is neither a number nor a string of that form.
 * @throws RangeError (`code: 'CACHE_OPTION'`) if it is below 1 ms, above 10 years or not finite.
 */
export function parseDuration(input: unknown, what = 'duration'): number {
  const ms = Math.round(toMilliseconds(input, what))
  if (ms >= 1 && ms <= LONGEST) return ms
  throw optionRangeError(
    `${what} must be from 1 ms to 10 years, but is ${shown(input)}`,
    'Give a positive, finite number of milliseconds or a string such as "30s".',
  )
}

function toMilliseconds(input: unknown, what: string): number {
  if (typeof input === 'number') return input
  const match = typeof input === 'string' ? SHAPE.exec(input) : null
  if (match !== null) return Number(match[1]) * UNIT_MS[match[2] as Unit]
  throw optionTypeError(
    `${what} must be milliseconds or a string such as "250ms", "30s", "5m", "1h", "7d", but is ${shown(input)}`,
    'Add a unit to the string, or pass a number of milliseconds.',
  )
}
