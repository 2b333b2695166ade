import { LRUCache } from 'lru-cache'
import {
  ALONE,
  checkEngineOptions,
  checkWhole,
  type EngineOptions,
  engineOf,
  type IsolationOptions,
} from '../local/engine-options.ts'
import type {
  LocalEngine,
  LocalEntry,
  LocalStore,
  RemovalCause,
  Removed,
} from '../local/local-store.ts'

/** A JavaScript Map, which lru-cache keeps its keys in, holds no more. */
const MOST_ENTRIES = 2 ** 24

interface LruSize extends EngineOptions {
  /**
   * The most entries kept, not-found placeholders included; beyond it the one that was used longest
   * ago leaves. A whole number from 1 to 16,777,216. The room for their bookkeeping (some 16 bytes
   * each) is taken at once.
   */
  readonly maxEntries: number
}

/** What `lru()` takes. */
export type LruOptions = LruSize & IsolationOptions

const NAMES = { maxEntries: true, ttl: true, isolation: true, copy: true, onRemoval: true } as const

/**
 * A local tier that keeps the entries used last, on the package `lru-cache` (an optional peer, to
 * be installed beside this one). Hits, replacements and evictions cost the same whatever its size.
 *
 * @throws TypeError (`code: 'CACHE_OPTION'`) for an unknown option or one of the wrong kind.
 * @throws RangeError (`code: 'CACHE_OPTION'`) for `maxEntries` or `ttl` out of range.
 */
export function lru(options: LruOptions): LocalEngine {
  checkEngineOptions('lru', options, NAMES, 'lru({ maxEntries: 10_000 })')
  const { maxEntries } = options
  checkWhole('lru: maxEntries', maxEntries, MOST_ENTRIES, 'Say how many entries may be kept.')
  return {
    ...engineOf('lru', options),
    create: ({ removed } = ALONE) => new LruStore(maxEntries, removed),
  }
}

class LruStore implements LocalStore {
  // Only its bound is used: lives are the reader's business, so that one clock decides them.
  readonly #entries: LRUCache<string, LocalEntry>
  /** Why entries are leaving that this store was asked to drop. */
  #cause: RemovalCause = 'deleted'

  constructor(maxEntries: number, removed: Removed | undefined) {
    const dispose = (entry: LocalEntry, key: string, reason: LRUCache.DisposeReason) => {
      if (reason === 'evict') removed?.(key, entry, 'evicted')
      else if (reason !== 'set') removed?.(key, entry, this.#cause)
      else if (this.#entries.peek(key)?.kept !== entry.kept) removed?.(key, entry, 'replaced')
    }
    this.#entries = new LRUCache({
      max: maxEntries,
      // After the change: whoever is told may come back.
      ...(removed === undefined ? {} : { disposeAfter: dispose }),
    })
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

  delete(key: string, cause: RemovalCause): boolean {
    this.#cause = cause
    return this.#entries.delete(key)
  }

  clear(cause: RemovalCause): void {
    this.#cause = cause
    this.#entries.clear()
  }
}
