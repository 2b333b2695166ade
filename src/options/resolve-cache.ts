import type { Codec } from '../codec/codec.ts'
import { type CodecFinder, codecFinder } from '../codec/registry.ts'
import type { LocalEngine } from '../local/local-store.ts'
import { type Clock, systemClock } from '../model/clock.ts'
import { parseDuration } from '../model/duration.ts'
import { optionRangeError, optionTypeError, shown } from '../model/errors.ts'
import type { Logger } from '../model/logger.ts'
import type { Policy } from '../model/policy.ts'
import type { RefreshPolicy } from '../refresh/refresh-table.ts'
import type { RemoteStore } from '../remote/remote-store.ts'
import {
  checkNames,
  checkTimeouts,
  duration,
  hasMethods,
  type NamesOf,
  optionalDuration,
} from './checks.ts'
import {
  type CacheOptions,
  type CacheSettings,
  DEFAULTS,
  type ErrorClass,
  type NotFoundOptions,
  type RecoveryOptions,
} from './options.ts'
import { resolveRefresh } from './resolve-refresh.ts'
import { type ResolvedSync, resolveLease, resolveSync } from './resolve-sync.ts'

/** Options made complete. */
export interface ResolvedOptions {
  readonly name: string
  readonly local: LocalEngine | undefined
  readonly remote: RemoteStore | undefined
  /** `undefined` where values never become bytes. */
  readonly codec: Codec | undefined
  readonly codecs: CodecFinder
  readonly policy: Policy
  /** Whether loads take leases, where the remote has them. */
  readonly leasing: boolean
  readonly sync: ResolvedSync | undefined
  /** `undefined`: nothing is refreshed. */
  readonly refresh: RefreshPolicy | undefined
  readonly clock: Clock
  readonly warn: (message: string) => void
  readonly isNotFound: (error: unknown) => boolean
}

/**
 * @throws TypeError | RangeError (`code: 'CACHE_OPTION'`) naming the option, what came and the remedy.
 * `cache: both remote and local are nil` if there is no tier.
 */
export function resolveOptions(options: CacheOptions): ResolvedOptions {
  checkNames(options, SETTING_NAMES, 'createCache')
  const { local, remote } = options
  if (local === undefined && remote === undefined) {
    throw optionTypeError(
      'cache: both remote and local are nil',
      'Give createCache at least one tier: local: tinyLfu({ maxEntries: 10_000 }) or remote: nodeRedis(client).',
    )
  }
  if (local !== undefined) checkEngine(local)
  if (remote !== undefined) checkRemote(remote)
  const { notFound = {}, recovery = {}, codec: chosen = DEFAULTS.codec } = options
  checkNames(notFound, NOT_FOUND_NAMES, 'notFound')
  checkNames(recovery, RECOVERY_NAMES, 'recovery')
  const lease = resolveLease(options.lease)
  const codecs = codecFinder(options.codecs)
  const codec = codecs(chosen)
  const staleWhileRevalidate = duration(options.staleWhileRevalidate, 'staleWhileRevalidate', 0)
  const staleIfError = duration(options.staleIfError, 'staleIfError', 0)
  const softTimeout = optionalDuration(options.softTimeout, 'softTimeout')
  const hardTimeout = optionalDuration(options.hardTimeout, 'hardTimeout')
  checkTimeouts(softTimeout, hardTimeout)
  const ttl = duration(options.ttl, 'ttl', DEFAULTS.ttl)
  const localTtl = local?.ttl ?? Infinity
  const jitterRatio = ratio(options.jitterRatio, 'jitterRatio')
  return {
    name: nameOf(options.name),
    local,
    remote,
    codec: remote === undefined && keepsOwnValues(local) ? undefined : codec,
    codecs,
    policy: {
      ttl,
      localTtl,
      jitterRatio,
      notFoundTtl: duration(notFound.ttl, 'notFound.ttl', DEFAULTS.notFoundTtl),
      notFoundJitterRatio: ratio(notFound.jitterRatio, 'notFound.jitterRatio'),
      staleWhileRevalidate,
      staleIfError,
      retain: Math.max(staleWhileRevalidate, staleIfError),
      refreshAheadRatio: aheadRatio(options.refreshAheadRatio),
      softTimeout,
      hardTimeout,
      remoteTimeout: duration(options.remoteTimeout, 'remoteTimeout', DEFAULTS.remoteTimeout),
      loadTimeout: duration(options.loadTimeout, 'loadTimeout', DEFAULTS.loadTimeout),
      replay:
        recovery.replay === false
          ? 0
          : duration(recovery.replay, 'recovery.replay', DEFAULTS.replay),
      leaseMaxWait: lease.maxWait,
    },
    leasing: lease.leasing,
    refresh: resolveRefresh(options.refresh, {
      ttl: remote === undefined ? Math.min(ttl, localTtl) : ttl,
      jitterRatio,
    }),
    sync: resolveSync(options.sync, nameOf(options.name)),
    clock: clockOf(options.clock),
    warn: warningOf(nameOf(options.name), options.logger),
    isNotFound: recogniser(notFound.error),
  }
}

const SETTING_NAMES: NamesOf<CacheSettings & { local: unknown; remote: unknown }> = {
  name: true,
  local: true,
  remote: true,
  codec: true,
  codecs: true,
  ttl: true,
  jitterRatio: true,
  notFound: true,
  remoteTimeout: true,
  loadTimeout: true,
  softTimeout: true,
  hardTimeout: true,
  staleWhileRevalidate: true,
  staleIfError: true,
  refreshAheadRatio: true,
  refresh: true,
  recovery: true,
  lease: true,
  sync: true,
  logger: true,
  clock: true,
}
const NOT_FOUND_NAMES: NamesOf<NotFoundOptions> = { error: true, ttl: true, jitterRatio: true }
const RECOVERY_NAMES: NamesOf<RecoveryOptions> = { replay: true }

function nameOf(name: unknown): string {
  if (name === undefined) return DEFAULTS.name
  if (typeof name === 'string' && name !== '') return name
  throw optionTypeError(
    `name must be a string with something in it, but is ${shown(name)}`,
    'Name it after what it holds.',
  )
}

function ratio(value: unknown, name: string): number {
  if (value === undefined) return DEFAULTS.jitterRatio
  if (typeof value !== 'number') {
    throw optionTypeError(
      `${name} must be a number, but is ${shown(value)}`,
      'Use a ratio such as 0.1.',
    )
  }
  if (value >= 0 && value < 1) return value
  throw optionRangeError(
    `${name} must be from 0 to below 1, but is ${value}`,
    'Use a ratio such as 0.1, or 0 for none.',
  )
}

function aheadRatio(value: unknown): number | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'number' && value > 0 && value < 1) return value
  const error = typeof value === 'number' ? optionRangeError : optionTypeError
  throw error(
    `refreshAheadRatio must be a number above 0 and below 1, but is ${shown(value)}`,
    'Use a ratio such as 0.8, or leave it out.',
  )
}

function checkEngine(local: unknown): void {
  if (!hasMethods(local, ['create'])) {
    throw optionTypeError(
      `local must be an engine, but is ${shown(local)}`,
      "Make one: tinyLfu({ maxEntries: 10_000 }) from 'jetcache-ts'.",
    )
  }
  const { isolation, ttl, holds } = local as Partial<Record<keyof LocalEngine, unknown>>
  if (isolation !== 'copy' && isolation !== 'frozen' && isolation !== 'shared') {
    throw optionTypeError(
      `local.isolation must be 'copy', 'frozen' or 'shared', but is ${shown(isolation)}`,
      'It is the engine that sets it.',
    )
  }
  if (holds !== undefined && holds !== 'values' && holds !== 'bytes') {
    throw optionTypeError(
      `local.holds must be 'values' or 'bytes', but is ${shown(holds)}`,
      'It is the engine that sets it.',
    )
  }
  if (ttl !== undefined) parseDuration(ttl, 'local.ttl')
}

const STORE_METHODS = [
  'get',
  'getMany',
  'set',
  'compareAndSet',
  'compareAndDelete',
  'delete',
  'ping',
  'open',
  'close',
] as const satisfies readonly (keyof RemoteStore)[]

function checkRemote(remote: unknown): void {
  if (hasMethods(remote, STORE_METHODS)) return
  throw optionTypeError(
    `remote must be a store, but is ${shown(remote)}`,
    "Make one: nodeRedis(client) from 'jetcache-ts/redis', or lmdb({ path }) from 'jetcache-ts/lmdb'.",
  )
}

function clockOf(clock: Clock | undefined): Clock {
  if (clock === undefined) return systemClock
  if (hasMethods(clock, ['now', 'monotonic', 'setTimer'])) return clock
  throw optionTypeError(
    `clock must have now, monotonic and setTimer, but is ${shown(clock)}`,
    "Use manualClock() from 'jetcache-ts/testing'.",
  )
}

function warningOf(name: string, logger: Logger | false | undefined): (message: string) => void {
  if (logger === false) return () => undefined
  const told: unknown = logger ?? console
  if (!hasMethods(told, ['warn'])) {
    throw optionTypeError(
      `logger must have a method warn, but is ${shown(logger)}`,
      'Pass console, or a logger like it; false for none.',
    )
  }
  return (message) => {
    try {
      ;(told as Logger).warn(`jetcache-ts (${name}): ${message}`)
    } catch {
      // A logger that throws must not end what it is told of.
    }
  }
}

function keepsOwnValues(local: LocalEngine | undefined): boolean {
  if (local?.holds === 'bytes') return false
  return local?.isolation === 'shared' || local?.copy !== undefined
}

function recogniser(error: NotFoundOptions['error']): (error: unknown) => boolean {
  if (error === undefined) return () => false
  if (typeof error !== 'function') {
    throw optionTypeError(
      `notFound.error must be a class or a function, but is ${shown(error)}`,
      'Pass the class that your loaders throw, or error => boolean.',
    )
  }
  if (isClass(error)) return (thrown) => thrown instanceof error
  return (thrown) => error(thrown) === true
}

/** Not an arrow function whose parameter, nor a method whose name, begins like that. */
const CLASS_SOURCE = /^class[\s{]/

function isClass(value: ErrorClass | ((error: unknown) => boolean)): value is ErrorClass {
  return (
    value === Error ||
    value.prototype instanceof Error ||
    CLASS_SOURCE.test(Function.prototype.toString.call(value))
  )
}
