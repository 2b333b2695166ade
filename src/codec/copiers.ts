import { copyPlain } from './copy.ts'
import { type Copy, compileCopy } from './copy-code.ts'
import { NOTHING, OTHER, type Shape, widen } from './shape.ts'

/** Shapes remembered, those asked for last. */
const MOST_SHAPES = 1024
/** Functions in memory: a few kilobytes each, with what V8 makes of them. */
const MOST_FUNCTIONS = 512
/** Characters of all keys together, beyond which a value has a shape of its own. */
const MOST_KEY_TEXT = 4096
/**
 * Compiling costs as much as some hundred copies, and V8 makes the function fast after some thousand:
 * it is for shapes that are copied all the time.
 */
const COMPILE_AFTER = 1024
/** A shape that still changes after that many functions is not worth another. */
const MOST_OUTGROWN = 8

/** Shapes of values whose outermost keys are the same, which are tried in turn. */
const MOST_VARIANTS = 64

/** A shape, and the function for it. */
interface Variant {
  shape: Shape
  /** Made by values of this shape since it was last widened. */
  copies: number
  /** Functions whose shape was widened after all. */
  outgrown: number
  /**
   * For this very shape. Values keep their function; one that no value keeps any more is collected,
   * and makes room for another.
   */
  copy: WeakRef<Copy> | undefined
}

/** Generated copy functions, one for all values of a shape. */
export class Copiers {
  readonly #variants = new Map<string, Variant[]>()
  readonly #compile: (shape: Shape) => Copy | undefined
  readonly #collected = new FinalizationRegistry<undefined>(() => {
    this.#functions--
  })
  #functions = 0
  #shapes = 0
  #forbidden = false

  constructor(compile: (shape: Shape) => Copy | undefined = compileCopy) {
    this.#compile = compile
  }

  /**
   * A function that copies `value`, now and later, as `copyPlain` would; `undefined`: there is none
   * yet, ask again after more copies.
   *
   * @param value Nobody changes it any more, so that its shape is looked at once.
   * @param copies Made of it since the last question.
   */
  copierOf(value: object, copies: number): Copy | undefined {
    if (this.#forbidden) return copyPlain
    const name = nameOf(value)
    const variant = name === undefined ? undefined : this.#variantFor(name, value)
    if (variant === undefined) return copyPlain
    variant.copies += copies
    return variant.copy?.deref() ?? this.#compiled(variant)
  }

  /** The first that covers the value or can be widened to; `undefined`: it is worth none. */
  #variantFor(name: string, value: object): Variant | undefined {
    const variants = this.#variants.get(name) ?? []
    for (const variant of variants) {
      const shape = widen(variant.shape, value)
      if (shape === undefined) continue
      this.#askedFor(name, variants)
      return shape === variant.shape ? variant : grown(variant, shape)
    }
    const shape = variants.length < MOST_VARIANTS ? widen(NOTHING, value) : OTHER
    if (shape === undefined || shape === OTHER) return undefined
    this.#askedFor(name, variants)
    const variant: Variant = { shape, copies: 0, outgrown: 0, copy: undefined }
    variants.push(variant)
    this.#shapes++
    this.#dropOldest()
    return variant
  }

  /** Moves it to the end, behind those that leave earlier. */
  #askedFor(name: string, variants: Variant[]): void {
    this.#variants.delete(name)
    this.#variants.set(name, variants)
  }

  #dropOldest(): void {
    for (const [name, variants] of this.#variants) {
      if (this.#shapes <= MOST_SHAPES) return
      this.#variants.delete(name)
      this.#shapes -= variants.length
    }
  }

  #compiled(variant: Variant): Copy | undefined {
    if (variant.copies < COMPILE_AFTER || this.#functions === MOST_FUNCTIONS) return undefined
    const copy = this.#compile(variant.shape)
    if (copy === undefined) {
      this.#forbidden = true
      this.#variants.clear()
      return copyPlain
    }
    variant.copy = new WeakRef(copy)
    this.#functions++
    this.#collected.register(copy, undefined)
    return copy
  }
}

function grown(variant: Variant, shape: Shape): Variant | undefined {
  if (variant.outgrown === MOST_OUTGROWN) return undefined
  if (variant.copy !== undefined) variant.outgrown++
  variant.shape = shape
  variant.copies = 0
  variant.copy = undefined
  return variant
}

/** What values of one shape have in common, cheaply. `undefined`: not worth a function. */
function nameOf(value: object): string | undefined {
  const isList = Array.isArray(value)
  const first: unknown = isList ? value[0] : value
  if (typeof first !== 'object' || first === null) return '['
  const keys = Array.isArray(first) ? [] : Object.keys(first)
  const name = `${isList ? '[' : '{'}${keys.join('\0')}`
  return name.length > MOST_KEY_TEXT ? undefined : name
}
