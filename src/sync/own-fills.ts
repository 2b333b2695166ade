import type { Clock } from '../model/clock.ts'

/** Fills remembered; at some 200 bytes each they take 2 MB at the most. */
const MOST_FILLS = 10_000

interface Fill {
  readonly digest: number
  /** A change by a cache of ours would have stopped it. */
  readonly leased: boolean
  at: number
  /** Nobody knows yet whether it has landed. */
  onItsWay: boolean
  /** Foreign news have come meanwhile. */
  overtaken: boolean
}

/** Whether bytes are what was filled. */
type IsOurs = (bytes: Uint8Array) => boolean

/**
 * What this process has filled in the last moments: the news of a writer that knows of no leases may
 * come after a fill whose value was loaded before that write. Only a digest is kept of the bytes.
 */
export class OwnFills {
  readonly #clock: Clock
  readonly #window: number
  readonly #onForgotten: () => void
  /** In the order in which they were made. */
  readonly #fills = new Map<string, Fill>()
  /** Goes on where it was: a new one would walk over all that have been deleted. */
  #order = this.#fills.entries()
  #oldest: [string, Fill] | undefined

  /**
   * @param window Milliseconds; 0 remembers none.
   * @param onForgotten One was pushed out while it still mattered.
   */
  constructor(clock: Clock, window: number, onForgotten: () => void) {
    this.#clock = clock
    this.#window = window
    this.#onForgotten = onForgotten
  }

  /**
   * A fill is being sent.
   *
   * @returns Says whether it has landed (`undefined`: nobody knows); what it returns says which bytes
   * are to be undone then, since such news came while it was on its way.
   */
  add(
    key: string,
    bytes: Uint8Array,
    leased: boolean,
  ): (landed: boolean | undefined) => IsOurs | undefined {
    if (this.#window === 0) return () => undefined
    const at = this.#clock.monotonic()
    const fill: Fill = { digest: digestOf(bytes), leased, at, onItsWay: true, overtaken: false }
    this.#fills.delete(key)
    this.#fills.set(key, fill)
    this.#forget()
    return (landed) => {
      fill.onItsWay = false
      fill.at = this.#clock.monotonic()
      // What lies there is another's, be it the same bytes.
      if (landed === false && this.#fills.get(key) === fill) this.#fills.delete(key)
      return landed !== false && fill.overtaken ? isThatOf(fill) : undefined
    }
  }

  /**
   * Whether bytes are what was filled; `undefined` if it was not, or too long ago. Told once.
   *
   * @param foreign Whether it is asked because of a writer who knows of no leases.
   */
  take(key: string, foreign: boolean): IsOurs | undefined {
    const fill = this.#fills.get(key)
    if (fill === undefined || (fill.leased && !foreign)) return undefined
    this.#fills.delete(key)
    // To be undone when it has landed: what is sent now might come before it.
    fill.overtaken = fill.onItsWay
    return fill.onItsWay || this.#isOver(fill) ? undefined : isThatOf(fill)
  }

  #forget(): void {
    for (;;) {
      this.#oldest ??= this.#order.next().value
      if (this.#oldest === undefined) {
        this.#order = this.#fills.entries()
        return
      }
      const [key, fill] = this.#oldest
      if (this.#fills.get(key) === fill) {
        const over = this.#isOver(fill)
        if (!over && this.#fills.size <= MOST_FILLS) return
        this.#fills.delete(key)
        if (!over) this.#onForgotten()
      }
      this.#oldest = undefined
    }
  }

  #isOver({ at, onItsWay }: Fill): boolean {
    return !onItsWay && this.#clock.monotonic() - at > this.#window
  }
}

function isThatOf({ digest }: Fill): IsOurs {
  return (bytes) => digestOf(bytes) === digest
}

/**
 * 53 bits, of two lanes that are multiplied and mixed by constants of MurmurHash3 (Austin Appleby). Two
 * values that share it cost a load: what is taken for ours is deleted, never served. A cryptographic one
 * took 2 microseconds of each fill.
 */
function digestOf(bytes: Uint8Array): number {
  let a = bytes.length
  let b = 0x9747b28c
  for (let i = 0; i < bytes.length; i += 4) {
    // Behind the end there are zeros; the length tells.
    const word =
      (bytes[i] ?? 0) |
      ((bytes[i + 1] ?? 0) << 8) |
      ((bytes[i + 2] ?? 0) << 16) |
      ((bytes[i + 3] ?? 0) << 24)
    a = Math.imul(a ^ word, 0xcc9e2d51)
    a ^= a >>> 15
    b = Math.imul(b ^ word, 0x85ebca6b)
    b ^= b >>> 13
  }
  return (a >>> 0) * 2 ** 21 + (b >>> 11)
}
