/**
 * What values have in common that one generated function copies: the names of their properties, in
 * order, and what is found under each.
 *
 * Shapes form a lattice and are only ever widened, so that code made for one still copies every value
 * that was seen before it grew.
 */
export type Shape =
  | typeof NOTHING
  | typeof PRIMITIVE
  | typeof DATE
  | typeof OTHER
  | Compound
  | Maybe

/** Of parts that nobody has seen yet. */
export const NOTHING = 'nothing'
/** Copied by assigning it. */
export const PRIMITIVE = 'primitive'
export const DATE = 'date'
/** Left to the plain copy, whatever it is. */
export const OTHER = 'other'

type Compound = RecordShape | ListShape

/** A plain object with just these keys. */
export interface RecordShape {
  readonly kind: 'record'
  readonly keys: readonly string[]
  readonly parts: readonly Shape[]
  readonly size: number
}

/** An array whose parts are alike, of any length. */
interface ListShape {
  readonly kind: 'list'
  readonly part: Shape
  readonly size: number
}

/** A primitive, `null` for instance, in the one value and an object in the other. */
interface Maybe {
  readonly kind: 'maybe'
  readonly object: Compound | typeof DATE
  readonly size: number
}

/** What a function may be generated for: larger ones save little and cost much to compile. */
const MOST_KEYS = 64
const MOST_PARTS = 256
const MOST_DEPTH = 8

/**
 * Returns `shape` itself if it covers `value` already, else the next wider one that does; `undefined`
 * if that would leave something to the plain copy that had a shape before.
 */
export function widen(shape: Shape, value: unknown): Shape | undefined {
  return widenPart(shape, value, 0, false)
}

/** @param own Whether `shape` was made of other parts of this very value, so that it may lose some. */
function widenPart(shape: Shape, value: unknown, depth: number, own: boolean): Shape | undefined {
  if (shape === OTHER) return OTHER
  if (typeof value !== 'object' || value === null) {
    if (shape === NOTHING || shape === PRIMITIVE) return PRIMITIVE
    return shape !== DATE && shape.kind === 'maybe' ? shape : maybe(shape)
  }
  if (shape === NOTHING || shape === DATE) return widenObject(shape, value, depth, own)
  const before = shape === PRIMITIVE ? NOTHING : shape.kind === 'maybe' ? shape.object : shape
  const object = widenObject(before, value, depth, own)
  if (before === shape || object === undefined || object === OTHER) {
    return object === OTHER && shape === PRIMITIVE ? lost(own) : object
  }
  return object === before ? shape : maybe(object)
}

function widenObject(shape: Known, value: object, depth: number, own: boolean): Found | undefined {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype) {
    return widenRecord(shape, value as Readonly<Record<string, unknown>>, depth, own)
  }
  if (prototype === Array.prototype && Array.isArray(value)) {
    return widenList(shape, value, depth, own)
  }
  if (prototype === Date.prototype && (shape === NOTHING || shape === DATE)) return DATE
  return lost(own || shape === NOTHING)
}

function widenRecord(
  shape: Known,
  value: Readonly<Record<string, unknown>>,
  depth: number,
  own: boolean,
): typeof OTHER | RecordShape | undefined {
  const keys = Object.keys(value)
  if (shape === NOTHING) {
    if (depth === MOST_DEPTH || keys.length > MOST_KEYS) return OTHER
    // Nothing that is new is lost.
    const parts = keys.map((key) => widenPart(NOTHING, value[key], depth + 1, true) as Shape)
    return record(keys, parts) ?? OTHER
  }
  if (shape === DATE || shape.kind !== 'record' || shape.keys.length !== keys.length) {
    return lost(own)
  }
  let parts: Shape[] | undefined
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string
    if (key !== shape.keys[i]) return lost(own)
    const part = shape.parts[i] as Shape
    const widened = widenPart(part, value[key], depth + 1, own)
    if (widened === undefined) return undefined
    if (widened === part) continue
    parts ??= [...shape.parts]
    parts[i] = widened
  }
  return parts === undefined ? shape : (record(shape.keys, parts) ?? lost(own))
}

function widenList(
  shape: Known,
  value: readonly unknown[],
  depth: number,
  own: boolean,
): typeof OTHER | ListShape | undefined {
  if (shape === NOTHING && depth === MOST_DEPTH) return OTHER
  if (shape !== NOTHING && (shape === DATE || shape.kind !== 'list')) return lost(own)
  const before = shape === NOTHING ? NOTHING : shape.part
  let part: Shape | undefined = before
  for (let i = 0; i < value.length && part !== OTHER; i++) {
    part = widenPart(part, value[i], depth + 1, own || before === NOTHING)
    if (part === undefined) return undefined
  }
  if (shape !== NOTHING && part === before) return shape
  return { kind: 'list', part, size: 1 + sizeOf(part) }
}

function lost(may: boolean): typeof OTHER | undefined {
  return may ? OTHER : undefined
}

type Known = typeof NOTHING | typeof DATE | Compound
type Found = typeof DATE | typeof OTHER | Compound

/** `undefined`: too large. */
function record(keys: readonly string[], parts: readonly Shape[]): RecordShape | undefined {
  const size = parts.reduce((sum, part) => sum + sizeOf(part), 1)
  return size > MOST_PARTS ? undefined : { kind: 'record', keys, parts, size }
}

function maybe(object: Compound | typeof DATE): Maybe {
  return { kind: 'maybe', object, size: sizeOf(object) }
}

function sizeOf(shape: Shape): number {
  return typeof shape === 'string' ? 1 : shape.size
}
