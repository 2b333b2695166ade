import { CacheEncodeError } from '../model/errors.ts'

/**
 * How deep arrays, objects, Maps and Sets may nest, both ways. Far beyond what records have, and far
 * below what exhausts the stack (some 7,000 frames with Node's default of 984 KB).
 */
export const MAX_DEPTH = 512

/** From this depth on each container is compared with those around it; few values come so far. */
const CYCLE_DEPTH = 16

/** One step from a container inwards: a property, a position, a Map key; or none, for `toPlain`. */
type Step = string | number | undefined

const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u

/**
 * A value that cannot be written. Thrown where it is met; each container adds on the way out which
 * of its parts it was in, so that a value that can be written pays nothing for the path.
 */
export class Refusal extends Error {
  readonly #steps: Step[] = []
  readonly #containers: object[] = []

  within(step: Step, container: object): this {
    this.#steps.push(step)
    this.#containers.push(container)
    return this
  }

  toEncodeError(codec: string): CacheEncodeError {
    const containers = this.#containers.toReversed()
    const steps = this.#steps.toReversed()
    const again = containers.findIndex((container, at) => containers.indexOf(container) < at)
    if (again === -1) return new CacheEncodeError(codec, pathOf(steps), this.message)
    const first = containers.indexOf(containers[again] as object)
    const reason = `a cycle: it is ${pathOf(steps.slice(0, first))} again. Store ids instead of references`
    return new CacheEncodeError(codec, pathOf(steps.slice(0, again)), reason)
  }
}

/** What a container rethrows when one of its parts failed; an error of a getter passes as it is. */
export function within(error: unknown, step: Step, container: object): unknown {
  return error instanceof Refusal ? error.within(step, container) : error
}

/** The containers around the one being written, kept only where they are deep. */
export class Ancestry {
  readonly #deep: object[] = []

  /** @throws Refusal beyond `MAX_DEPTH`, or at a container that is inside itself. */
  enter(container: object, depth: number): void {
    if (depth < CYCLE_DEPTH) return
    if (this.#deep.includes(container)) throw new Refusal('a cycle').within(undefined, container)
    if (depth >= MAX_DEPTH) throw new Refusal(`nested more than ${MAX_DEPTH} deep`)
    this.#deep[depth - CYCLE_DEPTH] = container
    this.#deep.length = depth - CYCLE_DEPTH + 1
  }

  clear(): void {
    this.#deep.length = 0
  }
}

function pathOf(steps: readonly Step[]): string {
  let path = '$'
  for (const step of steps) {
    if (typeof step === 'number') path += `[${step}]`
    else if (step !== undefined)
      path += IDENTIFIER.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`
  }
  return path.length > 400 ? `${path.slice(0, 397)}...` : path
}
