/**
 * Copies a value that msgpack or json decoded: equal to decoding again, and sharing nothing that can
 * be changed. Knows the kinds these codecs return and no others.
 */
export function copyPlain(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? copyObject(value) : value
}

function copyObject(value: object): unknown {
  if (Array.isArray(value)) return copyArray(value)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype) return copyProperties(value as Record<string, unknown>)
  if (value instanceof Date) return new Date(value.getTime())
  if (value instanceof Uint8Array) return new Uint8Array(value)
  if (value instanceof Set) return copySet(value)
  if (value instanceof Map) return copyMap(value)
  return copyProperties(value as Record<string, unknown>)
}

/** Like `copyProperties`: most parts are primitives, and those are copied all at once. */
function copyArray(value: readonly unknown[]): unknown[] {
  const copy = value.slice()
  for (let i = 0; i < copy.length; i++) {
    const part = copy[i]
    if (typeof part === 'object' && part !== null) copy[i] = copyObject(part)
  }
  return copy
}

/**
 * A spread copies all properties at once, then the nested ones are replaced. An own `__proto__` is an
 * ordinary property to both: the spread defines it, and assigning finds it defined.
 */
function copyProperties(value: Record<string, unknown>): Record<string, unknown> {
  const copy: Record<string, unknown> = { ...value }
  for (const key in value) {
    const part = value[key]
    if (typeof part === 'object' && part !== null) copy[key] = copyObject(part)
  }
  return copy
}

function copySet(value: ReadonlySet<unknown>): Set<unknown> {
  const copy = new Set<unknown>()
  for (const part of value) copy.add(copyPlain(part))
  return copy
}

function copyMap(value: ReadonlyMap<unknown, unknown>): Map<unknown, unknown> {
  const copy = new Map<unknown, unknown>()
  for (const [key, part] of value) copy.set(copyPlain(key), copyPlain(part))
  return copy
}
