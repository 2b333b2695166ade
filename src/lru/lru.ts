import { LRUCache } from 'lru-cache'
import type { Isolation, LocalEngine, LocalEntry, LocalStore } from '../local/local-store.ts'
import { type Duration, parseDuration } from '../model/duration.ts'
import { optionRangeError, optionTypeError, shown } from '../model/errors.ts'

/** A JavaScript Map, which lru-cache keeps its keys in, holds no more. */
const MOST_ENTRIES = 2 ** 24

interface LruSize {
  /**
   * The most entries kept, not-found placeholders included; beyond it the one that was used longest
   * ago leaves. A whole number from 1 to 16,777,216. The room for their bookkeeping (some 16 bytes
   * each) is taken at once.
   */
  readonly maxEntries: number
  /**
   * The most a value lives in the local tier, 1 ms to 10 years; never longer than its ttl, nor than
   * what it has left in the remote tier.
   *
   * @default no bound but these
   */
  readonly ttl?: Duration | undefined
}

type LruIsolation =
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

/** What `lru()` takes. */
export type LruOptions = LruSize & LruIsolation

const NAMES: ReadonlySet<string> = new Set(['maxEntries', 'ttl', 'isolation', 'copy'])

const ISOLATIONS: ReadonlySet<unknown> = new Set<Isolation>(['copy', 'frozen', 'shared'])

/**
 * A local tier that keeps the entries used last, on the package `lru-cache` (an optional peer, to
 * be installed beside this one). Hits, replacements and evictions cost the same whatever its size.
 *
 * @throws TypeError (`code: 'CACHE_OPTION'`) for an unknown option or one of the wrong kind.
 * @throws RangeError (`code: 'CACHE_OPTION'`) for `maxEntries` or `ttl` out of range.
 */
export function lru(options: LruOptions): LocalEngine {
  checkNames(options)
  const { maxEntries, ttl, isolation = 'copy', copy } = options
  checkMaxEntries(maxEntries)
  checkIsolation(isolation, copy)
  return {
    name: 'lru',
    ttl: ttl === undefined ? undefined : parseDuration(ttl, 'lru: ttl'),
    isolation,
    copy,
    create: () => new LruStore(maxEntries),
  }
}

class LruStore implements LocalStore {
  // Only its bound is used: lives are the reader's business, so that one clock decides them.
  readonly #entries: LRUCache<string, LocalEntry>

  constructor(maxEntries: number) {
    this.#entries = new LRUCache({ max: maxEntries })
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string): LocalEntry | undefined {
    return this.#entries.get(key)
  }

  peek(key: string): LocalEntry | undefined {
    return this.#entries.peek(key)
  }

  set(key: string, entry: LocalEntry): void {
    this.#entries.set(key, entry)
  }

  delete(key: string): boolean {
    return this.#entries.delete(key)
  }

  clear(): void {
    this.#entries.clear()
  }
}

function checkNames(options: unknown): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw optionTypeError(
      `lru: options must be an object, but is ${shown(options)}`,
      'Call lru({ maxEntries: 10_000 }).',
    )
  }
  for (const name of Object.keys(options)) {
    if (NAMES.has(name)) continue
    throw optionTypeError(
      `lru: there is no option ${shown(name)}`,
      `The options are ${[...NAMES].join(', ')}.`,
    )
  }
}

function checkMaxEntries(maxEntries: unknown): void {
  if (typeof maxEntries !== 'number') {
    throw optionTypeError(
      `lru: maxEntries must be a number, but is ${shown(maxEntries)}`,
      'Say how many entries may be kept.',
    )
  }
  if (Number.isInteger(maxEntries) && maxEntries >= 1 && maxEntries <= MOST_ENTRIES) return
  throw optionRangeError(
    `lru: maxEntries must be a whole number from 1 to ${MOST_ENTRIES}, but is ${shown(maxEntries)}`,
    'Say how many entries may be kept.',
  )
}

function checkIsolation(isolation: unknown, copy: unknown): void {
  if (!ISOLATIONS.has(isolation)) {
    throw optionTypeError(
      `lru: isolation must be 'copy', 'frozen' or 'shared', but is ${shown(isolation)}`,
      "Leave it out for 'copy'.",
    )
  }
  if (copy === undefined) return
  if (typeof copy !== 'function') {
    throw optionTypeError(
      `lru: copy must be a function, but is ${shown(copy)}`,
      "Leave it out to use the codec's copy.",
    )
  }
  if (isolation === 'copy') return
  throw optionTypeError(
    `lru: copy does nothing with isolation ${shown(isolation)}`,
    "Leave out copy, or choose isolation 'copy'.",
  )
}
