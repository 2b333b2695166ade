/** After so many uses, sums are counted from a later moment: they stay numbers that are exact. */
const REBASE = 2 ** 30

/**
 * An entry is spared if it was used more recently than this multiple of the mean age of all. FreeCache
 * spares at 1, and then keeps a little less than LRU does. Chosen on six public traces (18 cells): from
 * 1.35 to 1.45 no cell is below FreeCache's rule, and the mean is above that of LRU; from 1.5 on too many
 * entries are spared for the rule to tell them apart.
 */
const SPARED_AGE = 1.45

/** As many in a row at the most (FreeCache: 5): one `set` moves no more for each entry that leaves. */
export const MOST_SPARED = 16

/**
 * How recently entries were used, and compared with all others: the sum of the moments of last use, a
 * moment being the number of uses so far. As in FreeCache (segment.go of coocood/freecache), except that
 * its clock has whole seconds, in which much of a busy cache is equally old, and that the mean age is
 * stretched.
 */
export class UseClock {
  readonly #rebaseAfter: number
  /** Uses so far; what entries keep are its lower 32 bits. */
  #now = 0
  /** From which on moments are summed up. */
  #base = 0
  #sum = 0
  #entries = 0

  /** @param rebaseAfter So many uses. */
  constructor(rebaseAfter: number = REBASE) {
    this.#rebaseAfter = rebaseAfter
  }

  /** An entry has come. Returns the moment that it keeps. */
  enter(): number {
    const now = this.#next()
    this.#entries++
    this.#sum += this.#now - this.#base
    return now
  }

  /** An entry is used that was used last at this moment. Returns the moment that it keeps from now on. */
  use(last: number): number {
    const now = this.#next()
    this.#sum += this.#age(last)
    return now
  }

  leave(last: number): void {
    this.#entries--
    this.#sum -= this.#now - this.#age(last) - this.#base
  }

  /** Asked for the sake of an entry that will come: with it, one more moment has passed. */
  isRecent(last: number): boolean {
    const mean = this.#sum / this.#entries
    return this.#age(last) + 1 < SPARED_AGE * (this.#now + 1 - this.#base - mean)
  }

  /** All entries have left. */
  clear(): void {
    this.#sum = 0
    this.#entries = 0
  }

  /** Wrong for what was not used for 4 billion uses: it counts as used just now, once. */
  #age(last: number): number {
    return (this.#now - last) >>> 0
  }

  #next(): number {
    this.#now++
    if (this.#now - this.#base === this.#rebaseAfter) {
      this.#sum -= this.#entries * this.#rebaseAfter
      this.#base = this.#now
    }
    return this.#now >>> 0
  }
}
