import { NOWHERE, type Ring } from './ring.ts'

/** Buckets are taken so many at a time. */
const PAGE = 2 ** 15
const PAGE_BITS = 15

/**
 * Finds records by the hash of their key. A bucket holds the position of a record, each record that of the
 * next one (as position + 1, so that 0 is none). There is a bucket for each record, as far as there is room
 * for buckets; after that chains grow, to four records on average where all are as small as can be.
 *
 * Linear hashing (Litwin 1980): each record that is added divides at most one bucket, so that nobody ever
 * waits for the whole table to be built anew, and no two tables lie in memory at once.
 */
export class HashIndex {
  readonly #ring: Ring
  readonly #most: number
  #pages: Uint32Array[] = []
  #buckets = 1
  /** The largest power of two not above the number of buckets. */
  #level = 1
  #records = 0

  /** @param most Buckets at the most; 4 bytes each. */
  constructor(ring: Ring, most: number) {
    this.#ring = ring
    this.#most = most
  }

  get records(): number {
    return this.#records
  }

  /** Memory taken. */
  get bytes(): number {
    return this.#pages.reduce((sum, page) => sum + page.byteLength, 0)
  }

  /** The first record of the chain in which a key of this hash would be. */
  first(hash: number): number {
    const bucket = this.#bucketOf(hash)
    const page = this.#pages[bucket >>> PAGE_BITS]
    return page === undefined ? NOWHERE : (page[bucket & (PAGE - 1)] as number) - 1
  }

  /** The record after this one in its chain. */
  after(position: number): number {
    return this.#ring.chunkAt(position).next(this.#ring.wordAt(position)) - 1
  }

  add(hash: number, position: number): void {
    this.#records++
    if (this.#records > this.#buckets && this.#buckets < this.#most) this.#divide()
    const next = this.first(hash) + 1
    this.#ring.chunkAt(position).link(this.#ring.wordAt(position), next)
    this.#setFirst(this.#bucketOf(hash), position + 1)
  }

  remove(hash: number, position: number): void {
    this.#records--
    this.#relink(hash, position, this.after(position) + 1)
  }

  /** A record has been written again elsewhere, its link to the next one with it. */
  move(hash: number, from: number, to: number): void {
    this.#relink(hash, from, to + 1)
  }

  /** Gives all memory back. */
  clear(): void {
    this.#pages = []
    this.#buckets = 1
    this.#level = 1
    this.#records = 0
  }

  #bucketOf(hash: number): number {
    const bucket = (hash & (2 * this.#level - 1)) >>> 0
    return bucket < this.#buckets ? bucket : bucket & (this.#level - 1)
  }

  #setFirst(bucket: number, link: number): void {
    const number = bucket >>> PAGE_BITS
    let page = this.#pages[number]
    if (page === undefined) {
      page = new Uint32Array(Math.min(PAGE, this.#most - number * PAGE))
      this.#pages[number] = page
    }
    page[bucket & (PAGE - 1)] = link
  }

  /** Whatever refers to the record at `from` refers to `link` from now on. */
  #relink(hash: number, from: number, link: number): void {
    let before = NOWHERE
    let position = this.first(hash)
    while (position !== from) {
      before = position
      position = this.after(position)
    }
    if (before === NOWHERE) this.#setFirst(this.#bucketOf(hash), link)
    else this.#ring.chunkAt(before).link(this.#ring.wordAt(before), link)
  }

  /** One more bucket takes its records from the one that has had them until now. */
  #divide(): void {
    const low = this.#buckets - this.#level
    const high = this.#buckets
    let position = this.first(low)
    let stay = 0
    let go = 0
    while (position !== NOWHERE) {
      const chunk = this.#ring.chunkAt(position)
      const at = this.#ring.wordAt(position)
      const next = chunk.next(at) - 1
      if ((chunk.hash(at) & this.#level) === 0) {
        chunk.link(at, stay)
        stay = position + 1
      } else {
        chunk.link(at, go)
        go = position + 1
      }
      position = next
    }
    this.#buckets++
    if (this.#buckets === 2 * this.#level) this.#level *= 2
    this.#setFirst(low, stay)
    this.#setFirst(high, go)
  }
}
