/** 4-bit counters in a block: four rows of 32 in 16 words, one line of the processor's cache. */
const BLOCK_WORDS = 16
const BLOCK_SHIFT = 4
/** Entries that one block serves; so there are 16 counters for each. */
const BLOCK_ENTRIES = 8

const MOST = 15

/** Counted increments per entry after which all counters are halved. */
const AGE = 15

/**
 * How often keys were used of late, from 0 to 15, whether they are here or not: a count-min sketch whose
 * estimates are never too low before they age, and rarely too high.
 *
 * Sketch: G. Cormode and S. Muthukrishnan, 2005; ageing: G. Einziger, R. Friedman and B. Manes, TinyLFU,
 * 2017. The four counters of a key lie in one block, so that a look costs one line of memory.
 */
export class FrequencySketch {
  #words: Int32Array
  #blockMask: number
  #counted = 0
  #ages = 0
  readonly #fixedPeriod: boolean
  #period: number

  /**
   * @param entries That it serves at first; a whole number from 1.
   * @param most That it will ever serve; `undefined`: that is not known.
   */
  constructor(entries: number, most: number | undefined) {
    const blocks = blocksFor(entries)
    this.#words = new Int32Array(blocks * BLOCK_WORDS)
    this.#blockMask = blocks - 1
    this.#fixedPeriod = most !== undefined
    this.#period = AGE * (most ?? entries)
  }

  /** How often all counters have been halved. */
  get ages(): number {
    return this.#ages
  }

  /** Serves more entries from now on; what it knows stays. */
  grow(entries: number): void {
    if (!this.#fixedPeriod) this.#period = AGE * entries
    const blocks = blocksFor(entries)
    for (let have = this.#blockMask + 1; have < blocks; have *= 2) {
      // A block is chosen by the low bits of a hash: with one bit more, either half knows what both did.
      const words = new Int32Array(have * 2 * BLOCK_WORDS)
      words.set(this.#words)
      words.set(this.#words, have * BLOCK_WORDS)
      this.#words = words
      this.#blockMask = have * 2 - 1
    }
  }

  // Written out row by row: a loop costs a third more.
  /** Returns whether it counted: not where the key's counters are at their end, until they age. */
  increment(hash: number): boolean {
    const words = this.#words
    const spread = spreadOf(hash)
    const block = (hash & this.#blockMask) << BLOCK_SHIFT
    const word0 = block | ((spread >>> 3) & 3)
    const word1 = block | 4 | ((spread >>> 11) & 3)
    const word2 = block | 8 | ((spread >>> 19) & 3)
    const word3 = block | 12 | ((spread >>> 27) & 3)
    const added =
      addOne(words, word0, (spread & 7) << 2) |
      addOne(words, word1, ((spread >>> 8) & 7) << 2) |
      addOne(words, word2, ((spread >>> 16) & 7) << 2) |
      addOne(words, word3, ((spread >>> 24) & 7) << 2)
    if (added === 0) return false
    if (++this.#counted >= this.#period) this.#age()
    return true
  }

  frequency(hash: number): number {
    const words = this.#words
    const spread = spreadOf(hash)
    const block = (hash & this.#blockMask) << BLOCK_SHIFT
    return Math.min(
      countAt(words, block | ((spread >>> 3) & 3), (spread & 7) << 2),
      countAt(words, block | 4 | ((spread >>> 11) & 3), ((spread >>> 8) & 7) << 2),
      countAt(words, block | 8 | ((spread >>> 19) & 3), ((spread >>> 16) & 7) << 2),
      countAt(words, block | 12 | ((spread >>> 27) & 3), ((spread >>> 24) & 7) << 2),
    )
  }

  /** Halves all counters; what is lost to rounding was counted for nothing. */
  #age(): void {
    const words = this.#words
    let odd = 0
    this.#ages++
    for (let i = 0; i < words.length; i++) {
      const value = words[i] as number
      odd += ones(value & 0x11111111)
      words[i] = (value >>> 1) & 0x77777777
    }
    this.#counted = (this.#counted - (odd >>> 2)) >>> 1
  }
}

/** Returns 1, or 0 if the counter is at its end. */
function addOne(words: Int32Array, word: number, shift: number): number {
  const value = words[word] as number
  if (((value >>> shift) & MOST) === MOST) return 0
  words[word] = value + (1 << shift)
  return 1
}

function countAt(words: Int32Array, word: number, shift: number): number {
  return ((words[word] as number) >>> shift) & MOST
}

function blocksFor(entries: number): number {
  let blocks = 2
  while (blocks * BLOCK_ENTRIES < entries) blocks *= 2
  return blocks
}

/** Bits that have little to do with those that choose the block. */
function spreadOf(hash: number): number {
  // The finish of MurmurHash3: with less, keys that share a block share counters as well.
  const mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  const more = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return more ^ (more >>> 16)
}

/** Of 8 bits at most, none beside another. */
function ones(bits: number): number {
  return Math.imul(bits, 0x11111111) >>> 28
}
