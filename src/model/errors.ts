/** Where each code is explained; the file travels with the package. */
const DOCS = 'jetcache-ts/docs/errors.md'

/**
 * `CACHE_MISS`: `getOrThrow` found no value. `CACHE_NOT_FOUND`: the record is known not to exist.
 * `CACHE_REMOTE`: the remote tier did not do what it was asked. `CACHE_LOAD_TIMEOUT`: a loader took
 * too long. `CACHE_ENCODE` / `CACHE_DECODE`: the codec refused. `CACHE_CLOSED`: used after
 * `close()`. `CACHE_OPTION`: a wrong argument or option (a plain `TypeError` or `RangeError`).
 */
export type CacheErrorCode =
  | 'CACHE_MISS'
  | 'CACHE_NOT_FOUND'
  | 'CACHE_REMOTE'
  | 'CACHE_LOAD_TIMEOUT'
  | 'CACHE_ENCODE'
  | 'CACHE_DECODE'
  | 'CACHE_CLOSED'
  | 'CACHE_OPTION'

interface CacheErrorFields {
  readonly key?: string | undefined
  readonly cause?: unknown
}

function docsOf(code: CacheErrorCode): string {
  return `${DOCS}#${code.toLowerCase()}`
}

/** What all errors of the cache have in common. A loader's own error is never wrapped in one. */
export class CacheError extends Error {
  readonly code: CacheErrorCode
  /** The key that was asked for, where there is one. */
  readonly key: string | undefined
  /** Where this code is explained. */
  readonly docs: string

  constructor(code: CacheErrorCode, message: string, fields: CacheErrorFields = {}) {
    super(
      `${message} (see ${docsOf(code)})`,
      fields.cause === undefined ? undefined : { cause: fields.cause },
    )
    this.name = new.target.name
    this.code = code
    this.key = fields.key
    this.docs = docsOf(code)
  }
}

/** `getOrThrow` found neither a value nor a placeholder. */
export class CacheMissError extends CacheError {
  constructor(key: string) {
    super(
      'CACHE_MISS',
      `cache: key is missing: ${shown(key)}. get only looks; to load what is missing call once(key, loader)`,
      { key },
    )
  }
}

/** The record is known not to exist; `cause` is the loader's error where one said so. */
export class CacheNotFoundError extends CacheError {
  constructor(key: string, cause?: unknown) {
    super('CACHE_NOT_FOUND', `cache: no record for key ${shown(key)}`, { key, cause })
  }
}

/** What the remote tier was asked to do when it failed. */
export type RemoteOperation =
  | 'get'
  | 'fill'
  | 'set'
  | 'delete'
  | 'expire'
  | 'lease'
  | 'ping'
  | 'repair'

/**
 * What is known of a remote operation that failed.
 * - `not sent`: it has certainly not taken effect.
 * - `refused`: the server said no; it has not taken effect.
 * - `unknown`: it may have taken effect, or do so later.
 */
export type RemoteOutcome = 'not sent' | 'refused' | 'unknown'

/** The remote tier failed or did not answer in time; `cause` is the client's own error. */
export class CacheRemoteError extends CacheError {
  readonly operation: RemoteOperation
  readonly outcome: RemoteOutcome

  constructor(
    operation: RemoteOperation,
    outcome: RemoteOutcome,
    reason: string,
    fields: CacheErrorFields,
  ) {
    super('CACHE_REMOTE', `cache: remote ${operation} failed: ${reason}`, fields)
    this.operation = operation
    this.outcome = outcome
  }
}

/** The loader did not settle within `loadTimeout`. It may still be running; its result is dropped. */
export class CacheLoadTimeoutError extends CacheError {
  /** @param option That gave it so many milliseconds. */
  constructor(key: string, timeout: number, option: 'loadTimeout' | 'hardTimeout' = 'loadTimeout') {
    super(
      'CACHE_LOAD_TIMEOUT',
      option === 'loadTimeout'
        ? `cache: the loader of key ${shown(key)} did not settle within ${timeout} ms. Make it faster or raise loadTimeout`
        : `cache: key ${shown(key)} was not loaded within ${timeout} ms; the load goes on. Make it faster or raise hardTimeout`,
      { key },
    )
  }
}

/** A value the codec cannot write; `path` says where in it. */
export class CacheEncodeError extends CacheError {
  /** From the value inwards, as one would type it: `$.orders[3].total`; `$` is the value itself. */
  readonly path: string
  readonly reason: string

  constructor(codec: string, path: string, reason: string, fields: CacheErrorFields = {}) {
    super('CACHE_ENCODE', `cache: codec ${codec} cannot write ${path}: ${reason}`, fields)
    this.path = path
    this.reason = reason
  }
}

/** Bytes the codec cannot read. */
export class CacheDecodeError extends CacheError {
  readonly reason: string

  constructor(codec: string, reason: string, fields: CacheErrorFields = {}) {
    super('CACHE_DECODE', `cache: codec ${codec} cannot read the stored bytes: ${reason}`, fields)
    this.reason = reason
  }
}

/** The cache was used after `close()`. */
export class CacheClosedError extends CacheError {
  constructor() {
    super('CACHE_CLOSED', 'cache: this cache is closed')
  }
}

/** Whether this is an error of the cache; tests the code, so that copies of the package agree. */
export function isCacheError(error: unknown): error is Error & { readonly code: CacheErrorCode } {
  if (!(error instanceof Error)) return false
  const code: unknown = Reflect.get(error, 'code')
  return typeof code === 'string' && CODES.has(code)
}

const CODES: ReadonlySet<string> = new Set<CacheErrorCode>([
  'CACHE_MISS',
  'CACHE_NOT_FOUND',
  'CACHE_REMOTE',
  'CACHE_LOAD_TIMEOUT',
  'CACHE_ENCODE',
  'CACHE_DECODE',
  'CACHE_CLOSED',
  'CACHE_OPTION',
])

/** A wrong argument or option of the wrong kind. */
export function optionTypeError(problem: string, remedy: string): TypeError {
  return withOptionCode(new TypeError(optionMessage(problem, remedy)))
}

/** An argument or option out of its range. */
export function optionRangeError(problem: string, remedy: string): RangeError {
  return withOptionCode(new RangeError(optionMessage(problem, remedy)))
}

function optionMessage(problem: string, remedy: string): string {
  return `${problem}. ${remedy} (see ${docsOf('CACHE_OPTION')})`
}

function withOptionCode<E extends Error>(error: E): E {
  return Object.assign(error, { code: 'CACHE_OPTION', docs: docsOf('CACHE_OPTION') })
}

/** A value as it should stand in a message: quoted, and short. */
export function shown(value: unknown): string {
  if (typeof value === 'string') {
    return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}...` : value)
  }
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object' && value !== null) return 'an object'
  if (typeof value === 'bigint') return `${value}n`
  return String(value)
}
