import type { Keeper } from './keeper.ts'

/** A value as an engine keeps it that holds bytes. */
export interface KeptBytes {
  /** Which of the cache's codecs wrote it; 0: the cache's own. An engine keeps it beside the bytes. */
  readonly form: number
  readonly bytes: Uint8Array
}

/** What is written by a codec beyond these has a form that nobody could read again: it is not kept. */
export const MOST_FORMS = 255

/** How the bytes of a codec become a value. */
interface Reading {
  decode(bytes: Uint8Array): unknown
  /** Whether what it returns holds no view of the bytes. */
  readonly detached: boolean
}

/**
 * How values are kept where the engine holds bytes: as their payload, which each caller has decoded anew.
 *
 * A codec may hand out views of what it reads, and callers may write into them; so each gets bytes of their
 * own to be decoded, unless the codec says that it hands out none. Such a codec's value that was decoded
 * already goes to the first who is given it: nobody else has it.
 */
export class BytesKeeping {
  /** By form. They are never let go: the engine may hold bytes of each. */
  readonly #readings: Reading[] = []
  readonly #give = (kept: unknown): unknown => {
    if (kept instanceof Payload) return kept.give()
    const { form, bytes } = kept as KeptBytes
    return read(this.#readings[form] as Reading, bytes)
  }

  /** The keeper of one codec's values, which hands out those of all; the first is the cache's own. */
  keeperOf(reading: Reading): Keeper {
    const form = this.#readings.length
    if (form < MOST_FORMS) this.#readings.push(reading)
    return {
      keep: (value, bytes) => new Payload(form, bytes as Uint8Array, reading, value),
      give: this.#give,
      givesOne: () => false,
    }
  }
}

/** Given to somebody, or not there. */
const GONE = Symbol('gone')

/** A value on its way into the engine, or to those who have waited for it. */
class Payload implements KeptBytes {
  readonly form: number
  readonly bytes: Uint8Array
  readonly #reading: Reading
  #value: unknown

  constructor(form: number, bytes: Uint8Array, reading: Reading, value: unknown) {
    this.form = form
    this.bytes = bytes
    this.#reading = reading
    this.#value = reading.detached ? value : GONE
  }

  give(): unknown {
    const value = this.#value
    this.#value = GONE
    return value === GONE ? read(this.#reading, this.bytes) : value
  }
}

/** (Not by `slice`: a Buffer's is a view itself.) */
function read(reading: Reading, bytes: Uint8Array): unknown {
  return reading.decode(reading.detached ? bytes : new Uint8Array(bytes))
}
