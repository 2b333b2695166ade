import { optionRangeError } from './errors.ts'

/** What a record is known by within its kind. */
export type Id = string | number | bigint

/**
 * The key of a typed view: `prefix + separator + id`, as jetcache-go builds it, so that Go services
 * with an integer, string or float64 id find the same entry.
 *
 * @throws RangeError (`code: 'CACHE_OPTION'`) for a number that is not finite, or an integer beyond
 * 2^53, which no number holds exactly.
 */
export function typedKey(prefix: string, separator: string, id: Id): string {
  return `${prefix}${separator}${printed(id)}`
}

/** As Go's `%v` prints it. */
function printed(id: Id): string {
  if (typeof id !== 'number') return String(id)
  if (Number.isSafeInteger(id)) return String(id)
  if (Number.isFinite(id) && !Number.isInteger(id)) return printedFraction(id)
  throw optionRangeError(
    `a number as id must be a safe integer or a fraction, but is ${id}`,
    'Pass larger integers as bigint.',
  )
}

/** From this exponent on, and below the other, Go writes a fraction with an exponent. */
const LARGE = 6
const SMALL = -4

function printedFraction(id: number): string {
  const [mantissa = '', exponent = ''] = id.toExponential().split('e')
  const power = Number(exponent)
  if (power >= SMALL && power < LARGE) return String(id)
  const digits = String(Math.abs(power)).padStart(2, '0')
  return `${mantissa}e${power < 0 ? '-' : '+'}${digits}`
}
