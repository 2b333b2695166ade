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
export interface ListShape {
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

/** Finds the next wider shape. */
export class Widening {
  /** Whether the last `widen` left something to the plain copy that had a shape before. */
  lossy = false

  /** Returns `shape` itself if it covers `value` already, else the next wider one that does. */
  widen(shape: Shape, value: unknown): Shape {
    this.lossy = false
    return this.#part(shape, value, 0, false)
  }

  /** @param own Whether `shape` was made of other parts of this very value. */
  #part(shape: Shape, value: unknown, depth: number, own: boolean): Shape {
    if (shape === OTHER) return OTHER
    if (typeof value !== 'object' || value === null) {
      if (shape === NOTHING || shape === PRIMITIVE) return PRIMITIVE
      return shape !== DATE && shape.kind === 'maybe' ? shape : maybe(shape)
    }
    if (shape === PRIMITIVE) {
      const object = this.#object(NOTHING, value, depth, own)
      return object === OTHER ? this.#other(own) : maybe(object)
    }
    if (shape === NOTHING || shape === DATE || shape.kind !== 'maybe') {
      return this.#object(shape, value, depth, own)
    }
    const object = this.#object(shape.object, value, depth, own)
    if (object === shape.object) return shape
    return object === OTHER ? OTHER : maybe(object)
  }

  #object(shape: Known, value: object, depth: number, own: boolean): Found {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Object.prototype) {
      return this.#record(shape, value as Readonly<Record<string, unknown>>, depth, own)
    }
    if (prototype === Array.prototype && Array.isArray(value)) {
      return this.#list(shape, value, depth, own)
    }
    if (prototype === Date.prototype && (shape === NOTHING || shape === DATE)) return DATE
    return this.#other(own || shape === NOTHING)
  }

  #record(
    shape: Known,
    value: Readonly<Record<string, unknown>>,
    depth: number,
    own: boolean,
  ): typeof OTHER | RecordShape {
    const keys = Object.keys(value)
    if (shape === NOTHING) {
      if (depth === MOST_DEPTH || keys.length > MOST_KEYS) return OTHER
      const parts = keys.map((key) => this.#part(NOTHING, value[key], depth + 1, true))
      return record(keys, parts)
    }
    if (shape === DATE || shape.kind !== 'record' || shape.keys.length !== keys.length) {
      return this.#other(own)
    }
    let parts: Shape[] | undefined
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as string
      if (key !== shape.keys[i]) return this.#other(own)
      const part = shape.parts[i] as Shape
      const widened = this.#part(part, value[key], depth + 1, own)
      if (widened === part) continue
      parts ??= [...shape.parts]
      parts[i] = widened
    }
    if (parts === undefined) return shape
    const widened = record(shape.keys, parts)
    return widened === OTHER ? this.#other(own) : widened
  }

  #list(
    shape: Known,
    value: readonly unknown[],
    depth: number,
    own: boolean,
  ): typeof OTHER | ListShape {
    if (shape === NOTHING && depth === MOST_DEPTH) return OTHER
    if (shape !== NOTHING && (shape === DATE || shape.kind !== 'list')) return this.#other(own)
    const before = shape === NOTHING ? NOTHING : shape.part
    let part: Shape = before
    for (let i = 0; i < value.length && part !== OTHER; i++) {
      part = this.#part(part, value[i], depth + 1, own || before === NOTHING)
    }
    if (shape !== NOTHING && part === before) return shape
    return { kind: 'list', part, size: 1 + sizeOf(part) }
  }

  #other(expected: boolean): typeof OTHER {
    if (!expected) this.lossy = true
    return OTHER
  }
}

type Known = typeof NOTHING | typeof DATE | Compound
type Found = typeof DATE | typeof OTHER | Compound

function record(keys: readonly string[], parts: readonly Shape[]): typeof OTHER | RecordShape {
  const size = parts.reduce((sum, part) => sum + sizeOf(part), 1)
  return size > MOST_PARTS ? OTHER : { kind: 'record', keys, parts, size }
}

function maybe(object: Compound | typeof DATE): Maybe {
  return { kind: 'maybe', object, size: sizeOf(object) }
}

function sizeOf(shape: Shape): number {
  return typeof shape === 'string' ? 1 : shape.size
}
