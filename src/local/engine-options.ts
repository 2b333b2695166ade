import { systemClock } from '../model/clock.ts'
import { type Duration, parseDuration } from '../model/duration.ts'
import { optionRangeError, optionTypeError, shown } from '../model/errors.ts'
import type { Isolation, LocalEngine, LocalSurroundings, RemovalListener } from './local-store.ts'

/** What every engine takes. */
export interface EngineOptions {
  /**
   * The most a value lives in the local tier, 1 ms to 10 years; never longer than its ttl, nor than
   * what it has left in the remote tier.
   *
   * @default no bound but these
   */
  readonly ttl?: Duration | undefined
  /**
   * Told of every entry that has left: its key, what a caller would have got, and why. It is called in
   * a microtask after the change; what it throws, or its promise rejects with, is warned
   * of and goes no further.
   */
  readonly onRemoval?: RemovalListener | undefined
}

/** How an engine that holds values keeps its callers apart. */
export type IsolationOptions =
  | {
      /**
       * How callers are kept from changing what others get.
       *
       * @default 'copy'
       */
      readonly isolation?: 'copy' | undefined
      /**
       * Copies a value for one caller. Faster than the codec's copy if it knows the shapes; whatever
       * it returns is handed out.
       *
       * @default the codec's own copy
       */
      readonly copy?: ((value: unknown) => unknown) | undefined
    }
  | {
      readonly isolation: 'frozen' | 'shared'
      /** Only with isolation `copy`: nothing is copied here. */
      readonly copy?: undefined
    }

/** Of a store that belongs to no cache. */
export const ALONE: LocalSurroundings = { clock: systemClock, removed: undefined }

const ISOLATIONS: ReadonlySet<unknown> = new Set<Isolation>(['copy', 'frozen', 'shared'])

/**
 * @param engine Its name, which errors begin with.
 * @throws TypeError (`code: 'CACHE_OPTION'`) for anything but an object, and for an unknown name.
 */
export function checkEngineOptions(
  engine: string,
  options: unknown,
  names: Readonly<Record<string, true>>,
  example: string,
): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw optionTypeError(
      `${engine}: options must be an object, but is ${shown(options)}`,
      `Call ${example}.`,
    )
  }
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(names, name)) continue
    throw optionTypeError(
      `${engine}: there is no option ${shown(name)}`,
      `The options are ${Object.keys(names).join(', ')}.`,
    )
  }
}

/**
 * The part of an engine that is the same for all.
 *
 * @throws TypeError | RangeError (`code: 'CACHE_OPTION'`)
 */
export function engineOf(
  name: string,
  options: EngineOptions & IsolationOptions,
): Omit<LocalEngine, 'create'> {
  const { ttl, isolation = 'copy', copy, onRemoval } = options
  checkIsolation(name, isolation, copy)
  optionalFunction(`${name}: onRemoval`, onRemoval, '(key, value, cause) => {}')
  return {
    name,
    ttl: ttl === undefined ? undefined : parseDuration(ttl, `${name}: ttl`),
    isolation,
    copy,
    onRemoval,
  }
}

/**
 * @param what The option, as errors name it.
 * @throws TypeError | RangeError (`code: 'CACHE_OPTION'`)
 */
export function checkWhole(
  what: string,
  value: unknown,
  most: number,
  remedy: string,
  least = 1,
): number {
  if (typeof value !== 'number') {
    throw optionTypeError(`${what} must be a number, but is ${shown(value)}`, remedy)
  }
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw optionRangeError(
    `${what} must be a whole number from ${least} to ${most}, but is ${shown(value)}`,
    remedy,
  )
}

/**
 * @param what The option, as errors name it.
 * @throws TypeError (`code: 'CACHE_OPTION'`)
 */
export function optionalFunction(what: string, value: unknown, example: string): void {
  if (value === undefined || typeof value === 'function') return
  throw optionTypeError(
    `${what} must be a function, but is ${shown(value)}`,
    `Pass ${example}, or leave it out.`,
  )
}

/**
 * @param options That contradict each other, by name; all `undefined`: there is none.
 * @throws TypeError (`code: 'CACHE_OPTION'`)
 */
export function checkOneOf(
  engine: string,
  options: Readonly<Record<string, unknown>>,
  example: string,
): void {
  const given = Object.keys(options).filter((name) => options[name] !== undefined)
  if (given.length === 1) return
  const names = Object.keys(options)
  throw optionTypeError(
    given.length === 0
      ? `${engine}: there is no bound, neither ${names.join(' nor ')}`
      : `${engine}: there is more than one bound: ${given.join(' and ')}`,
    `Give it either ${names.join(' or ')}, such as ${example}.`,
  )
}

function checkIsolation(name: string, isolation: unknown, copy: unknown): void {
  if (!ISOLATIONS.has(isolation)) {
    throw optionTypeError(
      `${name}: isolation must be 'copy', 'frozen' or 'shared', but is ${shown(isolation)}`,
      "Leave it out for 'copy'.",
    )
  }
  if (copy === undefined) return
  if (typeof copy !== 'function') {
    throw optionTypeError(
      `${name}: copy must be a function, but is ${shown(copy)}`,
      "Leave it out to use the codec's copy.",
    )
  }
  if (isolation === 'copy') return
  throw optionTypeError(
    `${name}: copy does nothing with isolation ${shown(isolation)}`,
    "Leave out copy, or choose isolation 'copy'.",
  )
}
