import type { CodecFinder } from '../codec/registry.ts'
import { type Duration, parseDuration } from '../model/duration.ts'
import { optionRangeError, optionTypeError, shown } from '../model/errors.ts'
import type { Policy } from '../model/policy.ts'
import { type AnyLoader, type GetCall, type OnceCall, PLAIN_CALL } from '../read/call.ts'
import type { SetCall } from '../write/write-path.ts'
import {
  checkNames,
  checkTimeouts,
  duration,
  durationOrNone,
  flag,
  type NamesOf,
  optionalDuration,
} from './checks.ts'
import type { GetOptions, OnceOptions, RefreshCallOptions, SetOptions } from './options.ts'
import { checkInterval } from './resolve-refresh.ts'

/** What the options of a call are held against. */
export interface CallLimits {
  readonly policy: Policy
  /** Milliseconds between two refreshes; `undefined`: nothing is refreshed. */
  readonly interval: number | undefined
}

/** @throws TypeError | RangeError (`code: 'CACHE_OPTION'`) */
export function resolveGet(options: GetOptions | undefined, codecs: CodecFinder): GetCall {
  if (options === undefined) return PLAIN_CALL
  checkNames(options, GET_NAMES, 'get')
  return {
    skipLocal: flag(options.skipLocal, 'skipLocal'),
    skipRemote: flag(options.skipRemote, 'skipRemote'),
    localTtl: optionalDuration(options.localTtl, 'localTtl'),
    codec: options.codec === undefined ? undefined : codecs(options.codec),
  }
}

/** @throws TypeError | RangeError (`code: 'CACHE_OPTION'`) */
export function resolveOnce<T>(
  options: OnceOptions<T> | undefined,
  codecs: CodecFinder,
  limits: CallLimits,
): OnceCall {
  if (options === undefined) return PLAIN_CALL
  checkNames(options, ONCE_NAMES, 'once')
  const { ttl, cacheIf, signal } = options
  if (cacheIf !== undefined && typeof cacheIf !== 'function') {
    throw optionTypeError(
      `cacheIf must be a function, but is ${shown(cacheIf)}`,
      'Pass value => boolean.',
    )
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw optionTypeError(
      `signal must be an AbortSignal, but is ${shown(signal)}`,
      'Pass controller.signal.',
    )
  }
  const { policy } = limits
  const call: OnceCall = {
    skipLocal: flag(options.skipLocal, 'skipLocal'),
    skipRemote: flag(options.skipRemote, 'skipRemote'),
    localTtl: optionalDuration(options.localTtl, 'localTtl'),
    codec: options.codec === undefined ? undefined : codecs(options.codec),
    ttl:
      typeof ttl === 'function'
        ? (value) => parseDuration(ttl(value as NonNullable<T>), 'ttl(value)')
        : optionalDuration(ttl, 'ttl'),
    cacheIf: cacheIf as ((value: unknown) => boolean) | undefined,
    loadTimeout: optionalDuration(options.loadTimeout, 'loadTimeout'),
    signal,
    softTimeout: durationOrNone(options.softTimeout, 'softTimeout'),
    hardTimeout: durationOrNone(options.hardTimeout, 'hardTimeout'),
    staleWhileRevalidate: windowOf(options.staleWhileRevalidate, 'staleWhileRevalidate', policy),
    staleIfError: windowOf(options.staleIfError, 'staleIfError', policy),
    refresh: flag(options.refresh, 'refresh'),
  }
  flag(options.meta, 'meta')
  const { softTimeout = policy.softTimeout, hardTimeout = policy.hardTimeout } = call
  if (call.softTimeout !== undefined || call.hardTimeout !== undefined) {
    checkTimeouts(softTimeout, hardTimeout)
  }
  if (call.refresh) checkRefresh(call, limits)
  return call
}

/**
 * Of a refresh by hand: who asks for it wants nothing but what its loader brings.
 *
 * @throws TypeError | RangeError (`code: 'CACHE_OPTION'`)
 */
export function resolveRefreshCall<T>(
  options: RefreshCallOptions<T> | undefined,
  codecs: CodecFinder,
  limits: CallLimits,
): OnceCall {
  if (options !== undefined) checkNames(options, REFRESH_NAMES, 'refresh')
  return resolveOnce({ ...options, ...NOTHING_STALE }, codecs, limits)
}

const NOTHING_STALE = {
  softTimeout: false,
  staleWhileRevalidate: false,
  staleIfError: false,
} as const

/** A call may take less than what the cache keeps. */
function windowOf(
  value: Duration | false | undefined,
  name: string,
  { retain }: Policy,
): number | undefined {
  const window = durationOrNone(value, name)
  if (window === undefined || window <= retain) return window
  throw optionRangeError(
    `${name} of a call must be at most what the cache keeps, ${retain} ms, but is ${window} ms`,
    `Raise ${name} of the cache.`,
  )
}

function checkRefresh({ ttl }: OnceCall, { interval, policy }: CallLimits): void {
  if (interval === undefined) {
    throw optionTypeError(
      'once cannot refresh: the cache has no refresh',
      "Create it with refresh: { interval: '30s' }, or leave out refresh: true.",
    )
  }
  if (typeof ttl === 'number') checkInterval(interval, { ttl, jitterRatio: policy.jitterRatio })
}

/**
 * @param tiers Which tiers the cache has.
 * @throws TypeError | RangeError (`code: 'CACHE_OPTION'`), also if no tier is left to write.
 */
export function resolveSet(
  options: SetOptions | undefined,
  tiers: { readonly local: boolean; readonly remote: boolean },
  codecs: CodecFinder,
): SetCall {
  if (options === undefined) return PLAIN_SET
  checkNames(options, SET_NAMES, 'set')
  const { when } = options
  if (when !== undefined && when !== 'absent' && when !== 'present') {
    throw optionTypeError(
      `when must be 'absent' or 'present', but is ${shown(when)}`,
      'Leave it out to write always.',
    )
  }
  const skipLocal = flag(options.skipLocal, 'skipLocal')
  const skipRemote = flag(options.skipRemote, 'skipRemote')
  if ((skipLocal || !tiers.local) && (skipRemote || !tiers.remote)) {
    throw optionTypeError('set has no tier left to write to', 'Take back skipLocal or skipRemote.')
  }
  return {
    skipLocal,
    skipRemote,
    localTtl: optionalDuration(options.localTtl, 'localTtl'),
    codec: options.codec === undefined ? undefined : codecs(options.codec),
    ttl: optionalDuration(options.ttl, 'ttl'),
    when,
  }
}

const PLAIN_SET: SetCall = {
  skipLocal: false,
  skipRemote: false,
  localTtl: undefined,
  ttl: undefined,
  codec: undefined,
  when: undefined,
}

/** @throws TypeError (`code: 'CACHE_OPTION'`) */
export function checkLoader(loader: unknown): asserts loader is AnyLoader {
  if (typeof loader === 'function') return
  throw optionTypeError(
    `loader must be a function, but is ${shown(loader)}`,
    'Pass a function that loads the value: once(key, () => load()).',
  )
}

/** @throws TypeError | RangeError (`code: 'CACHE_OPTION'`) */
export function resolveTimeout(
  options: { readonly timeout?: Duration | undefined } | undefined,
  call: string,
  byDefault: number,
): number {
  if (options !== undefined) checkNames(options, TIMEOUT_NAMES, call)
  return duration(options?.timeout, 'timeout', byDefault)
}

const GET_NAMES: NamesOf<GetOptions> = {
  skipLocal: true,
  skipRemote: true,
  localTtl: true,
  codec: true,
}
const ONCE_NAMES: NamesOf<OnceOptions<unknown>> = {
  ...GET_NAMES,
  ttl: true,
  cacheIf: true,
  loadTimeout: true,
  signal: true,
  softTimeout: true,
  hardTimeout: true,
  staleWhileRevalidate: true,
  staleIfError: true,
  refresh: true,
  meta: true,
}
const REFRESH_NAMES: NamesOf<RefreshCallOptions<unknown>> = {
  ttl: true,
  localTtl: true,
  codec: true,
  cacheIf: true,
  loadTimeout: true,
  signal: true,
  hardTimeout: true,
}
const SET_NAMES: NamesOf<SetOptions> = { ...GET_NAMES, ttl: true, when: true }
const TIMEOUT_NAMES = { timeout: true } as const
