import { type Duration, parseDuration } from '../model/duration.ts'
import { optionRangeError, optionTypeError, shown } from '../model/errors.ts'

/** For an options interface: each of its names, so that an unknown one is noticed. */
export type NamesOf<T> = Readonly<Record<keyof T, true>>

export function checkNames(
  options: unknown,
  names: Readonly<Record<string, true>>,
  call: string,
): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw optionTypeError(
      `options of ${call} must be an object, but are ${shown(options)}`,
      'Pass an object.',
    )
  }
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(names, name)) {
      throw optionTypeError(
        `${call} has no option ${shown(name)}`,
        `There is: ${Object.keys(names).join(', ')}.`,
      )
    }
  }
}

export function duration(value: Duration | undefined, name: string, byDefault: number): number {
  return value === undefined ? byDefault : parseDuration(value, name)
}

export function optionalDuration(value: Duration | undefined, name: string): number | undefined {
  return value === undefined ? undefined : parseDuration(value, name)
}

/** `false` says 0; `undefined` is left to whoever decides. */
export function durationOrNone(
  value: Duration | false | undefined,
  name: string,
): number | undefined {
  return value === false ? 0 : optionalDuration(value, name)
}

export function flag(value: unknown, name: string): boolean {
  if (value === undefined) return false
  if (typeof value === 'boolean') return value
  throw optionTypeError(
    `${name} must be true or false, but is ${shown(value)}`,
    'Leave it out for false.',
  )
}

export function hasMethods(value: unknown, names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  return names.every((name) => typeof Reflect.get(value, name) === 'function')
}

/**
 * @param soft Milliseconds; 0 and `undefined`: none.
 * @throws RangeError (`code: 'CACHE_OPTION'`): nobody would ever be given the stale value.
 */
export function checkTimeouts(soft: number | undefined, hard: number | undefined): void {
  if (!soft || !hard || soft < hard) return
  throw optionRangeError(
    `softTimeout must be shorter than hardTimeout, ${hard} ms, but is ${soft} ms`,
    'Leave out the one that is not needed.',
  )
}
