import { Copiers } from '../codec/copiers.ts'
import { copyPlain } from '../codec/copy.ts'

/** A value that knows how it is given. */
export abstract class Kept {
  abstract give(): unknown
  /** What it keeps in memory. */
  abstract get held(): unknown
}

/** Kept as the bytes it came in. */
export class Encoded extends Kept {
  readonly #bytes: Uint8Array
  readonly #decode: (bytes: Uint8Array) => unknown

  constructor(bytes: Uint8Array, decode: (bytes: Uint8Array) => unknown) {
    super()
    this.#bytes = bytes
    this.#decode = decode
  }

  /**
   * A codec may hand out views of what it reads, so each caller's bytes are their own. (Not by
   * `slice`: a Buffer's is a view itself.)
   */
  give(): unknown {
    return this.#decode(new Uint8Array(this.#bytes))
  }

  get held(): Uint8Array {
    return this.#bytes
  }
}

/** Copied by a function of its own. */
export class Copied extends Kept {
  readonly #value: unknown
  readonly #copy: (value: unknown) => unknown

  constructor(value: unknown, copy: (value: unknown) => unknown) {
    super()
    this.#value = value
    this.#copy = copy
  }

  give(): unknown {
    return this.#copy(this.#value)
  }

  get held(): unknown {
    return this.#value
  }
}

/** One for the process, since that is what its bounds are about. */
const copiers = new Copiers()

/** A function for a value is first looked for after so many copies, then each time they have doubled. */
const FIRST_LOOK = 4

/** Copied as `copyPlain` does it: by that, until there is a function made for values like this one. */
export class Recopied extends Kept {
  readonly #value: object
  #copy: ((value: unknown) => unknown) | undefined
  #copies = 0

  constructor(value: object) {
    super()
    this.#value = value
  }

  give(): unknown {
    const copy = this.#copy
    return copy === undefined ? this.#early() : copy(this.#value)
  }

  get held(): object {
    return this.#value
  }

  #early(): unknown {
    const copies = ++this.#copies
    if (copies >= FIRST_LOOK && (copies & (copies - 1)) === 0) {
      const since = copies === FIRST_LOOK ? copies : copies / 2
      this.#copy = copiers.copierOf(this.#value, since)
    }
    return copyPlain(this.#value)
  }
}
