import type { Codec } from './codec/codec.ts'
import { type CodecFinder, codecFinder } from './codec/registry.ts'
import type { LocalEngine } from './local/local-store.ts'
import { type Clock, systemClock } from './model/clock.ts'
import { type Duration, parseDuration } from './model/duration.ts'
import { optionRangeError, optionTypeError, shown } from './model/errors.ts'
import type { Logger } from './model/logger.ts'
import type { Policy } from './model/policy.ts'
import {
  type AnyLoader,
  type GetCall,
  type LoaderContext,
  type OnceCall,
  PLAIN_CALL,
} from './read/call.ts'
import type { RemoteStore } from './remote/remote-store.ts'
import type { SetCall } from './write/write-path.ts'

/** Every default, once. Durations in milliseconds. */
export const DEFAULTS = {
  name: 'default',
  codec: 'msgpack',
  ttl: 3_600_000,
  jitterRatio: 0.1,
  notFoundTtl: 60_000,
  remoteTimeout: 250,
  loadTimeout: 30_000,
  readyTimeout: 10_000,
  closeTimeout: 5000,
  replay: 10_000,
} as const

/** How "no such record" is recognised and how long it is remembered. */
export interface NotFoundOptions {
  /**
   * What a loader throws when the record does not exist: a class of errors, or a function that
   * recognises one. Without it, a loader says so by returning `null` or `undefined`, which it may
   * always do.
   */
  readonly error?: ErrorClass | ((error: unknown) => boolean) | undefined
  /** Life of the placeholder in both tiers, never longer. @default '60s' */
  readonly ttl?: Duration | undefined
  /** As `jitterRatio`, for placeholders. @default 0.1 */
  readonly jitterRatio?: number | undefined
}

/** What happens after the remote was gone. No effect without a remote tier. */
export interface RecoveryOptions {
  /**
   * After a failover or a restart of the server, the changes that the last one acknowledged in this
   * time before its last reply are made again, as deletions: the new one may not have them. At most
   * 100,000 keys are remembered for it. `false`: none is. @default '10s'
   */
  readonly replay?: Duration | false | undefined
}

// biome-ignore lint/suspicious/noExplicitAny: the only type that every constructor is assignable to
type ErrorClass = abstract new (...args: any[]) => unknown

/** What holds for a whole cache. */
export interface CacheSettings {
  /** Names the cache in counters, events and logs. Not part of any key. @default 'default' */
  readonly name?: string | undefined
  /**
   * How values become bytes: `'msgpack'`, `'json'`, a name in `codecs`, or a codec. Not used by a
   * local tier alone that shares its values or copies them by a function of yours.
   * @default 'msgpack'
   */
  readonly codec?: string | Codec | undefined
  /** Codecs by names of your own. */
  readonly codecs?: Readonly<Record<string, Codec>> | undefined
  /**
   * Life of a value, from 1 ms to 10 years. The local engine may have a shorter one of its own; a
   * value that lies in the remote without expiry gets this one locally. @default '1h'
   */
  readonly ttl?: Duration | undefined
  /**
   * Spread of lives, from 0 to below 1: an entry lives between `(1 - jitterRatio)` of its ttl and
   * the whole, at most 10 s less. @default 0.1
   */
  readonly jitterRatio?: number | undefined
  readonly notFound?: NotFoundOptions | undefined
  /**
   * Time for all remote work of one call together. After it a read goes on without the remote, and
   * a `set` or `delete` rejects. No effect without a remote tier. @default '250ms'
   */
  readonly remoteTimeout?: Duration | undefined
  /** Time for a loader, after which its callers get `CacheLoadTimeoutError`. @default '30s' */
  readonly loadTimeout?: Duration | undefined
  readonly recovery?: RecoveryOptions | undefined
  /**
   * Told, in words, what somebody should look at: what the remote forbids, that it was replaced, that
   * changes could not be repaired. `false`: nobody is. @default console
   */
  readonly logger?: Logger | false | undefined
  /** Where time comes from, for tests. @default the machine's clock */
  readonly clock?: Clock | undefined
}

/** Options of `createCache`: at least one of `local` and `remote` is needed. */
export type CacheOptions = CacheSettings &
  (
    | { readonly local: LocalEngine; readonly remote?: RemoteStore | undefined }
    | { readonly local?: LocalEngine | undefined; readonly remote: RemoteStore }
  )

/** Which tiers a read may use, and how long it may keep a local copy. */
export interface GetOptions {
  /** Neither answer from local nor store there. @default false */
  readonly skipLocal?: boolean | undefined
  /** Neither ask the remote nor store there. @default false */
  readonly skipRemote?: boolean | undefined
  /** Life of the local copy, if the remote's does not end sooner. @default the engine's ttl */
  readonly localTtl?: Duration | undefined
  /**
   * The codec of this key, where it is not the cache's; whoever uses the key has to name it. What
   * local holds is answered as it is. @default the cache's codec
   */
  readonly codec?: string | Codec | undefined
}

/** Options of one `once`. Of callers that share a load, the first one's decide what is stored. */
export interface OnceOptions<T> extends GetOptions {
  /** Life of the value, or a function of it. @default the cache's ttl */
  readonly ttl?: Duration | ((value: NonNullable<T>) => Duration) | undefined
  /** Whether the loaded value may be stored at all. @default always */
  readonly cacheIf?: ((value: NonNullable<T>) => boolean) | undefined
  /** Time for this load. @default the cache's loadTimeout */
  readonly loadTimeout?: Duration | undefined
  /**
   * This caller leaves when it aborts, with its reason. The load goes on for the others; with the
   * last one it is abandoned, and its own signal aborts.
   */
  readonly signal?: AbortSignal | undefined
}

/** Options of one `set`. */
export interface SetOptions {
  /** Life of the value. @default the cache's ttl; of `null`, notFound.ttl, which it never exceeds */
  readonly ttl?: Duration | undefined
  /** Life of the local copy, if the remote's does not end sooner. @default the engine's ttl */
  readonly localTtl?: Duration | undefined
  /** As in `GetOptions`. @default the cache's codec */
  readonly codec?: string | Codec | undefined
  /** Store in remote only; the local copy is dropped. @default false */
  readonly skipLocal?: boolean | undefined
  /** Store in local only; the remote keeps what it has. @default false */
  readonly skipRemote?: boolean | undefined
  /**
   * `absent`: only if the key holds nothing; `present`: only if it holds something. A placeholder is
   * something. Decided by the remote tier where one is written.
   */
  readonly when?: 'absent' | 'present' | undefined
}

/** Loads the value of a key that no tier holds. `null` or `undefined`: there is no such record. */
export type Loader<T> = (context: LoaderContext) => T | PromiseLike<T>

/** Options made complete. */
export interface ResolvedOptions {
  readonly name: string
  readonly local: LocalEngine | undefined
  readonly remote: RemoteStore | undefined
  /** `undefined` where values never become bytes. */
  readonly codec: Codec | undefined
  readonly codecs: CodecFinder
  readonly policy: Policy
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
      'Give createCache at least one tier: local: lru({ maxEntries }) or remote: nodeRedis(client).',
    )
  }
  if (local !== undefined) checkEngine(local)
  if (remote !== undefined) checkRemote(remote)
  const { notFound = {}, recovery = {}, codec: chosen = DEFAULTS.codec } = options
  checkNames(notFound, NOT_FOUND_NAMES, 'notFound')
  checkNames(recovery, RECOVERY_NAMES, 'recovery')
  const codecs = codecFinder(options.codecs)
  const codec = codecs(chosen)
  return {
    name: nameOf(options.name),
    local,
    remote,
    codec: remote === undefined && keepsOwnValues(local) ? undefined : codec,
    codecs,
    policy: {
      ttl: duration(options.ttl, 'ttl', DEFAULTS.ttl),
      localTtl: local?.ttl ?? Infinity,
      jitterRatio: ratio(options.jitterRatio, 'jitterRatio'),
      notFoundTtl: duration(notFound.ttl, 'notFound.ttl', DEFAULTS.notFoundTtl),
      notFoundJitterRatio: ratio(notFound.jitterRatio, 'notFound.jitterRatio'),
      remoteTimeout: duration(options.remoteTimeout, 'remoteTimeout', DEFAULTS.remoteTimeout),
      loadTimeout: duration(options.loadTimeout, 'loadTimeout', DEFAULTS.loadTimeout),
      replay:
        recovery.replay === false
          ? 0
          : duration(recovery.replay, 'recovery.replay', DEFAULTS.replay),
    },
    clock: clockOf(options.clock),
    warn: warningOf(nameOf(options.name), options.logger),
    isNotFound: recogniser(notFound.error),
  }
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
export function resolveOnce<T>(options: OnceOptions<T> | undefined, codecs: CodecFinder): OnceCall {
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
  return {
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
  }
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

type NamesOf<T> = Readonly<Record<keyof T, true>>

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
  recovery: true,
  logger: true,
  clock: true,
}
const NOT_FOUND_NAMES: NamesOf<NotFoundOptions> = { error: true, ttl: true, jitterRatio: true }
const RECOVERY_NAMES: NamesOf<RecoveryOptions> = { replay: true }
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
}
const SET_NAMES: NamesOf<SetOptions> = { ...GET_NAMES, ttl: true, when: true }
const TIMEOUT_NAMES = { timeout: true } as const

function checkNames(options: unknown, names: Readonly<Record<string, true>>, call: string): void {
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

function nameOf(name: unknown): string {
  if (name === undefined) return DEFAULTS.name
  if (typeof name === 'string' && name !== '') return name
  throw optionTypeError(
    `name must be a string with something in it, but is ${shown(name)}`,
    'Name it after what it holds.',
  )
}

function duration(value: Duration | undefined, name: string, byDefault: number): number {
  return value === undefined ? byDefault : parseDuration(value, name)
}

function optionalDuration(value: Duration | undefined, name: string): number | undefined {
  return value === undefined ? undefined : parseDuration(value, name)
}

function flag(value: unknown, name: string): boolean {
  if (value === undefined) return false
  if (typeof value === 'boolean') return value
  throw optionTypeError(
    `${name} must be true or false, but is ${shown(value)}`,
    'Leave it out for false.',
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

function checkEngine(local: unknown): void {
  if (!hasMethods(local, ['create'])) {
    throw optionTypeError(
      `local must be an engine, but is ${shown(local)}`,
      "Make one: lru({ maxEntries: 10_000 }) from 'jetcache-ts/lru'.",
    )
  }
  const { isolation, ttl } = local as Partial<Record<keyof LocalEngine, unknown>>
  if (isolation !== 'copy' && isolation !== 'frozen' && isolation !== 'shared') {
    throw optionTypeError(
      `local.isolation must be 'copy', 'frozen' or 'shared', but is ${shown(isolation)}`,
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

function hasMethods(value: unknown, names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  return names.every((name) => typeof Reflect.get(value, name) === 'function')
}

function keepsOwnValues(local: LocalEngine | undefined): boolean {
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
