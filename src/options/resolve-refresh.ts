import { optionRangeError, optionTypeError, shown } from '../model/errors.ts'
import { shortestLife } from '../model/policy.ts'
import type { RefreshPolicy } from '../refresh/refresh-table.ts'
import { checkNames, duration, type NamesOf } from './checks.ts'
import { DEFAULTS, type RefreshOptions } from './options.ts'

const NAMES: NamesOf<RefreshOptions> = {
  interval: true,
  stopAfterLastAccess: true,
  concurrency: true,
  maxTasks: true,
}

/** The life of a value, in milliseconds, before jitter shortens it. */
interface Life {
  readonly ttl: number
  readonly jitterRatio: number
}

/** @throws TypeError | RangeError (`code: 'CACHE_OPTION'`) */
export function resolveRefresh(
  refresh: RefreshOptions | undefined,
  life: Life,
): RefreshPolicy | undefined {
  if (refresh === undefined) return undefined
  checkNames(refresh, NAMES, 'refresh')
  if (refresh.interval === undefined) {
    throw optionTypeError(
      'refresh needs an interval',
      "Say how often: refresh: { interval: '30s' }.",
    )
  }
  const interval = duration(refresh.interval, 'refresh.interval', 0)
  checkInterval(interval, life)
  return {
    interval,
    stopAfterLastAccess: duration(
      refresh.stopAfterLastAccess,
      'refresh.stopAfterLastAccess',
      interval + DEFAULTS.refreshGrace,
    ),
    concurrency: count(
      refresh.concurrency,
      'refresh.concurrency',
      DEFAULTS.refreshConcurrency,
      1000,
    ),
    maxTasks: count(refresh.maxTasks, 'refresh.maxTasks', DEFAULTS.refreshMaxTasks, 1_000_000),
  }
}

/** @throws RangeError (`code: 'CACHE_OPTION'`): values would expire before they are refreshed. */
export function checkInterval(interval: number, { ttl, jitterRatio }: Life): void {
  const shortest = shortestLife(ttl, jitterRatio)
  if (interval < shortest) return
  throw optionRangeError(
    `refresh.interval must be shorter than a value may live, ${shortest} ms, but is ${interval} ms`,
    'Raise ttl (of a cache without a remote tier, the local one as well), or refresh more often.',
  )
}

function count(value: unknown, name: string, byDefault: number, most: number): number {
  if (value === undefined) return byDefault
  if (typeof value !== 'number') {
    throw optionTypeError(`${name} must be a number, but is ${shown(value)}`, 'Say how many.')
  }
  if (Number.isInteger(value) && value >= 1 && value <= most) return value
  throw optionRangeError(
    `${name} must be a whole number from 1 to ${most}, but is ${value}`,
    'Say how many.',
  )
}
