/** What stands where nothing does; a hash of 0 is remembered as 1. */
const NOTHING = 0

/**
 * Who has left of late: the hashes of the last keys that were sent away, oldest forgotten first. A hash
 * that another key shares is taken for it, which costs a hit and nothing else.
 *
 * A ring in the order of leaving, and a table of its places by hash (linear probing; what is taken out
 * leaves no gap in a run, D. Knuth, TAOCP vol. 3, 6.4, algorithm R).
 */
export class Ghost {
  readonly #ring: Int32Array
  /** Places of the ring, from 1. */
  readonly #places: Int32Array
  readonly #mask: number
  #next = 0

  /** @param size Hashes remembered; a whole number from 1. */
  constructor(size: number) {
    let places = 4
    while (places < size * 2) places *= 2
    this.#ring = new Int32Array(size)
    this.#places = new Int32Array(places)
    this.#mask = places - 1
  }

  get size(): number {
    return this.#ring.length
  }

  /** Forgets a hash; returns whether it was remembered. */
  take(hash: number): boolean {
    const known = known32(hash)
    const at = this.#find(known)
    if (at < 0) return false
    this.#ring[(this.#places[at] as number) - 1] = NOTHING
    this.#free(at)
    return true
  }

  remember(hash: number): void {
    const known = known32(hash)
    this.take(known)
    const place = this.#next
    const oldest = this.#ring[place] as number
    if (oldest !== NOTHING) this.#free(this.#find(oldest))
    this.#ring[place] = known
    let at = homeOf(known) & this.#mask
    while (this.#places[at] !== 0) at = (at + 1) & this.#mask
    this.#places[at] = place + 1
    this.#next = place + 1 === this.#ring.length ? 0 : place + 1
  }

  clear(): void {
    this.#ring.fill(NOTHING)
    this.#places.fill(0)
    this.#next = 0
  }

  #find(known: number): number {
    let at = homeOf(known) & this.#mask
    for (;;) {
      const place = this.#places[at] as number
      if (place === 0) return -1
      if (this.#ring[place - 1] === known) return at
      at = (at + 1) & this.#mask
    }
  }

  /** Takes a place out of the table, and moves up what would not be found across the gap. */
  #free(gap: number): void {
    const places = this.#places
    let free = gap
    for (let at = (free + 1) & this.#mask; ; at = (at + 1) & this.#mask) {
      const place = places[at] as number
      if (place === 0) break
      const home = homeOf(this.#ring[place - 1] as number) & this.#mask
      if (((at - home) & this.#mask) < ((at - free) & this.#mask)) continue
      places[free] = place
      free = at
    }
    places[free] = 0
  }
}

function known32(hash: number): number {
  return hash === NOTHING ? 1 : hash
}

/** The sketch has used the low bits. */
function homeOf(hash: number): number {
  return hash ^ (hash >>> 15)
}
