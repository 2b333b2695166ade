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

/**
 * @param copy A copier for values; without one, what is no primitive is kept as bytes.
 * @param decode Reads bytes that were read before.
 */
export function keeperFor(
  isolation: Isolation,
  copy: ((value: unknown) => unknown) | undefined,
  decode: (bytes: Uint8Array) => unknown,
): Keeper {
  if (isolation === 'shared') return SHARED
  const copies = copy === undefined ? bytesKeeper(decode) : copyKeeper(copy)
  return isolation === 'frozen' ? frozenKeeper(copies) : copies
}

function isPrimitive(value: unknown): boolean {
  return (typeof value !== 'object' || value === null) && typeof value !== 'function'
}

const SHARED: Keeper = {
  keep: (value) => value,
  give: (kept) => kept,
  givesOne: () => true,
}

function copyKeeper(copy: (value: unknown) => unknown): Keeper {
  return {
    keep: (value) => value,
    give: (kept) => (isPrimitive(kept) ? kept : copy(kept)),
    givesOne: isPrimitive,
  }
}

class Encoded {
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

function bytesKeeper(decode: (bytes: Uint8Array) => unknown): Keeper {
  return {
    keep: (value, bytes) =>
      isPrimitive(value) || bytes === undefined ? value : new Encoded(bytes),
    // A codec may hand out views of what it reads, so each caller's bytes are their own. (Not
    // `slice`: a Buffer's is a view itself.)
    give: (kept) => (kept instanceof Encoded ? decode(new Uint8Array(kept.bytes)) : kept),
    givesOne: isPrimitive,
  }
}

/** A value that holds something JavaScript cannot freeze. */
class Unfreezable {
  readonly kept: unknown

  constructor(kept: unknown) {
    this.kept = kept
  }
}

function frozenKeeper(copies: Keeper): Keeper {
  return {
    keep: (value, bytes) => {
      const kept = copies.keep(value, bytes)
      return freezeDeeply(value) ? value : new Unfreezable(kept)
    },
    give: (kept) => {
      if (!(kept instanceof Unfreezable)) return kept
      const value = copies.give(kept.kept)
      freezeDeeply(value)
      return value
    },
    givesOne: (kept) => !(kept instanceof Unfreezable),
  }
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
