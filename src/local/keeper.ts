import { copyPlain } from '../codec/copy.ts'
import { Copied, Encoded, Kept, Recopied } from './kept.ts'
import type { Isolation } from './local-store.ts'

/** Keeps values so that no caller can change what another gets. */
export interface Keeper {
  /**
   * @param value A value nobody else holds, unless isolation is `shared`.
   * @param bytes What `value` was decoded from, where it was.
   */
  keep(value: unknown, bytes: Uint8Array | undefined): unknown
  /** What one caller gets. */
  give(kept: unknown): unknown
  /** Whether every caller gets the same, so that one promise can serve all. */
  givesOne(kept: unknown): boolean
}

/** How a codec's values become a caller's own. */
export interface Copying {
  /** Copies a value; without one, what is no primitive is kept as bytes. */
  readonly copy: ((value: unknown) => unknown) | undefined
  /** Reads bytes that were read before. */
  readonly decode: (bytes: Uint8Array) => unknown
}

/**
 * @param copying Of the codec whose values are kept.
 * @param usual Of the cache's own codec: values that it copies are kept as they are, others know how
 * they are given.
 */
export function keeperFor(isolation: Isolation, copying: Copying, usual: Copying): Keeper {
  switch (isolation) {
    case 'shared':
      return SHARED
    case 'copy':
      return {
        keep: (value, bytes) => keepForCopies(value, bytes, copying, usual),
        give: (kept) => giveCopy(kept, usual),
        givesOne: isPrimitive,
      }
    case 'frozen':
      return {
        keep: (value, bytes) =>
          freezeDeeply(value)
            ? value
            : new Unfreezable(keepForCopies(value, bytes, copying, usual), usual),
        give: (kept) => (kept instanceof Kept ? kept.give() : kept),
        givesOne: (kept) => !(kept instanceof Kept),
      }
  }
}

const SHARED: Keeper = {
  keep: (value) => value,
  give: (kept) => kept,
  givesOne: () => true,
}

/** A value that holds something JavaScript cannot freeze. */
class Unfreezable extends Kept {
  readonly #kept: unknown
  readonly #usual: Copying

  constructor(kept: unknown, usual: Copying) {
    super()
    this.#kept = kept
    this.#usual = usual
  }

  give(): unknown {
    const value = giveCopy(this.#kept, this.#usual)
    freezeDeeply(value)
    return value
  }

  get held(): unknown {
    return this.#kept
  }
}

function keepForCopies(
  value: unknown,
  bytes: Uint8Array | undefined,
  copying: Copying,
  usual: Copying,
): unknown {
  const { copy, decode } = copying
  if (isPrimitive(value)) return value
  if (copy === undefined) return bytes === undefined ? value : new Encoded(bytes, decode)
  if (copy === copyPlain && isPlain(value as object)) return new Recopied(value as object)
  return copying === usual ? value : new Copied(value, copy)
}

function giveCopy(kept: unknown, usual: Copying): unknown {
  if (isPrimitive(kept)) return kept
  if (kept instanceof Kept) return kept.give()
  return usual.copy === undefined ? kept : usual.copy(kept)
}

export function isPrimitive(value: unknown): boolean {
  return (typeof value !== 'object' || value === null) && typeof value !== 'function'
}

/**
 * Freezes plain objects and arrays; tells whether that was all there is.
 *
 * @param seen What was met already: a value may hold itself, or one part in two places. (Whether it
 * is frozen says nothing: a codec may have frozen it, and not what it holds.)
 */
function freezeDeeply(value: unknown, seen: Set<object> = new Set()): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'function'
  if (seen.has(value)) return true
  seen.add(value)
  let whole = isPlain(value)
  if (value instanceof Map) {
    for (const [key, member] of value) {
      freezeDeeply(key, seen)
      freezeDeeply(member, seen)
    }
  } else if (value instanceof Set) {
    for (const member of value) freezeDeeply(member, seen)
  } else if (whole) {
    Object.freeze(value)
    for (const member of Object.values(value)) whole = freezeDeeply(member, seen) && whole
  }
  return whole
}

function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
