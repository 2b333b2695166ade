import { Chunk, UNIT } from './chunk.ts'

/** No place. */
export const NOWHERE = -1

/** How big a ring may become. */
export interface RingSize {
  readonly chunks: number
  /** Units of each chunk. */
  readonly chunkUnits: number
}

/**
 * Records in the order in which they were written, in chunks of memory that are taken as they are needed,
 * and which follow one another in a circle. Between the head, where the next record is written, and the
 * tail, where the oldest one lies, there is a gap; once the last chunk is full, only passing the tail over
 * the oldest record makes it wider. No record lies across the end of a chunk: what is left there is dead
 * space.
 *
 * That the oldest record always has a place at the head is what makes second chances safe: it either fits
 * into the gap before the end of the head's chunk, which its own room is then part of, or the head goes on
 * to the next chunk, whose beginning is free up to the tail, and there it slides towards the beginning.
 *
 * A position is a number of units, the chunk's number in its upper bits.
 */
export class Ring {
  readonly #size: RingSize
  readonly #shift: number
  readonly #mask: number
  #chunks: Chunk[] = []
  /** Of which there will be so many. */
  #count: number
  #headChunk = 0
  #headUnit = 0
  #tailChunk = 0
  #tailUnit = 0
  /** Whether all chunks have been filled: before, the tail is where it began, and the rest is free. */
  #full = false

  constructor(size: RingSize) {
    this.#size = size
    this.#count = size.chunks
    this.#shift = 32 - Math.clz32(size.chunkUnits - 1)
    this.#mask = 2 ** this.#shift - 1
  }

  /** Memory taken. */
  get bytes(): number {
    return this.#chunks.length * this.#size.chunkUnits * UNIT
  }

  chunkAt(position: number): Chunk {
    return this.#chunks[position >>> this.#shift] as Chunk
  }

  /** The word of its chunk that a record at this position begins with. */
  wordAt(position: number): number {
    return (position & this.#mask) << 1
  }

  /**
   * Room at the head, for a record of at most half a chunk; `NOWHERE` if it is not free, or there is no memory at all. The caller
   * writes the record, or the ring cannot be walked any more.
   */
  take(units: number): number {
    for (;;) {
      if (this.#headChunk === this.#chunks.length && !this.#grow()) {
        if (this.#count === 0) return NOWHERE
        this.#turnHead()
      }
      const rest = this.#size.chunkUnits - this.#headUnit
      // Where the tail lies ahead in the chunk of the head, the gap ends there.
      const ahead =
        this.#full && this.#tailChunk === this.#headChunk && this.#tailUnit >= this.#headUnit
      if (units <= (ahead ? this.#tailUnit - this.#headUnit : rest)) return this.#advance(units)
      if (ahead) return NOWHERE
      if (rest > 0) this.#headChunkNow.bury(this.#headUnit << 1, rest)
      this.#turnHead()
    }
  }

  /** The oldest record, dead ones included; `NOWHERE` while the ring has not been full yet. */
  get oldest(): number {
    return this.#full ? this.#tailChunk * 2 ** this.#shift + this.#tailUnit : NOWHERE
  }

  /** The oldest record's room becomes free. */
  pass(): void {
    const chunk = this.#chunks[this.#tailChunk] as Chunk
    this.#tailUnit += chunk.room(this.#tailUnit << 1)
    if (this.#tailUnit < this.#size.chunkUnits) return
    this.#tailUnit = 0
    this.#tailChunk = (this.#tailChunk + 1) % this.#count
  }

  /** Writes the oldest record again at the head, in as much room as it needs. Returns where it is now. */
  renew(): number {
    const fromChunk = this.#chunks[this.#tailChunk] as Chunk
    const from = this.#tailUnit * UNIT
    const units = fromChunk.needs(this.#tailUnit << 1)
    this.pass()
    const position = this.take(units)
    const toChunk = this.chunkAt(position)
    const to = (position & this.#mask) * UNIT
    if (toChunk === fromChunk) toChunk.bytes.copyWithin(to, from, from + units * UNIT)
    else fromChunk.bytes.copy(toChunk.bytes, to, from, from + units * UNIT)
    toChunk.resize(to >> 2, units)
    return position
  }

  /** Visits each record from the oldest to the newest, dead space included. */
  walk(visit: (position: number) => void): void {
    let chunk = this.#tailChunk
    let unit = this.#tailUnit
    let first = this.#full
    while (first || chunk !== this.#headChunk || unit !== this.#headUnit) {
      first = false
      if (unit === this.#size.chunkUnits) {
        chunk = (chunk + 1) % this.#count
        unit = 0
        continue
      }
      visit(chunk * 2 ** this.#shift + unit)
      unit += (this.#chunks[chunk] as Chunk).room(unit << 1)
    }
  }

  /** Gives all memory back. */
  clear(): void {
    this.#chunks = []
    this.#count = this.#size.chunks
    this.#headChunk = 0
    this.#headUnit = 0
    this.#tailChunk = 0
    this.#tailUnit = 0
    this.#full = false
  }

  get #headChunkNow(): Chunk {
    return this.#chunks[this.#headChunk] as Chunk
  }

  #advance(units: number): number {
    const position = this.#headChunk * 2 ** this.#shift + this.#headUnit
    this.#headChunkNow.resize(this.#headUnit << 1, units)
    this.#headUnit += units
    return position
  }

  #turnHead(): void {
    this.#headUnit = 0
    this.#headChunk++
    if (this.#headChunk < this.#count) return
    this.#headChunk = 0
    this.#full = true
  }

  /** Where the process has no memory left, the ring stays as big as it is. */
  #grow(): boolean {
    try {
      this.#chunks.push(new Chunk(this.#size.chunkUnits))
      return true
    } catch {
      this.#count = this.#chunks.length
      return false
    }
  }
}
