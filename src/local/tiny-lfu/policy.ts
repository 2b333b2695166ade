import { Ghost } from './ghost.ts'
import type { FrequencySketch } from './sketch.ts'

/** No slot. */
export const NONE = 0

/** The lists, and where a slot stands. Each is a ring through a slot of its own number. */
const WINDOW = 1
const PROBATION = 2
const PROTECTED = 3
const FIRST_SLOT = 4

/**
 * The words of a slot, side by side: what a use reads lies in one line of the processor's cache. State: the
 * list in the low bits, and above them the owner's note.
 */
const RECORD_SHIFT = 2
const PREVIOUS = 1
const QUIET_UNTIL = 2
const STATE = 3
const LIST_MASK = 3
const NOTE_SHIFT = 8

/** Of the room beside the window. */
const PROTECTED_SHARE = 0.8

/**
 * Of the window and of the protected list, all but a quarter at their old ends: who is young there need not
 * be moved again, and most hits are of those. Hit ratios are the same as with a half.
 */
const OLD_SHIFT = 2

/** Of the entries. */
const GHOST_SHARE = 0.5

/** With a wider window, what comes back soon is what the window is for. */
const WIDEST_FOR_RETURNS = 0.75

/** Entries that a wide window gives up at each arrival, until it has the width it should have. */
const MOST_MOVED = 4

/** From this frequency on, one in 128 that lose come in all the same: an attacker could else keep others out. */
const WARM = 6
const LUCK_MASK = 127

/** One heavy newcomer looks at no more victims than these. */
const MOST_VICTIMS = 16

/** A list as it is linked, for tests. */
interface InspectedList {
  /** From the oldest on. */
  readonly slots: readonly number[]
  /** The same as the links back have it. */
  readonly backwards: readonly number[]
  /** What is kept of its weight, in place of a sum. */
  readonly weight: number | undefined
  readonly most: number | undefined
}

/** The inside of a policy, for tests. */
export interface Inspected {
  readonly window: InspectedList
  readonly probation: InspectedList
  readonly protected: InspectedList
  readonly protectedCount: number
  readonly free: readonly number[]
  readonly weight: number
  readonly sentenced: number
}

/**
 * Which entries stay and which leave. It knows hashes and weights in numbered slots, and neither keys nor
 * values.
 *
 * W-TinyLFU (G. Einziger, O. Eytan, R. Friedman and B. Manes, Adaptive Software Cache Management, 2018): a
 * newcomer begins in a window, in order of use. What falls out of the window duels with the main part's
 * victim, and the less frequent of the two leaves. The main part is a segmented LRU: probation until the
 * first use, protected after it.
 *
 * Beyond it: whoever has left is remembered for a while (`Ghost`). What comes back within that time is used
 * at distances that a cache of this size can just not hold, where a sketch is too coarse to see it: it comes
 * into the main part at once ("trusted"), or, in loops, where everybody comes back, only if it is more
 * frequent than the victim. Which, and how wide the window is, is decided by `Controller`.
 *
 * A newcomer that is heavier than others must outdo all whom it would drive away together (G. Einziger, O.
 * Eytan, R. Friedman and B. Manes, Lightweight Robust Size Aware Cache Management, 2021: aggregated victims).
 */
export class Policy {
  readonly capacity: number
  readonly #sketch: FrequencySketch
  readonly #weighted: boolean
  #ghost: Ghost
  /** Of each slot `1 << RECORD_SHIFT` words, the next one in its list first. */
  #records: Int32Array
  #hashes: Int32Array
  /** Only where entries have weights. */
  #weights: Float64Array
  /** The first free slot; a free one has the next free one as its next. */
  #free = NONE
  #size = 0
  #windowWeight = 0
  #protectedWeight = 0
  #windowCount = 0
  #protectedCount = 0
  /** Entries that have come to the end of the window or of the protected list; it begins anew after 2^32. */
  #moves = 0
  #weight = 0
  #windowMost = 0
  #protectedMost = 0
  #trusting = true
  /** Whether the newest has come into the main part, being known. */
  #returned = false
  #newest = NONE
  /** Whom a heavy winner has driven out, but for those that have been told. */
  readonly #sentenced = new Int32Array(MOST_VICTIMS)
  #sentencedCount = 0
  #luck = 0x2545f491

  /**
   * @param capacity The most weight; without weights, entries.
   * @param sketch Counts uses; whoever owns it grows it.
   * @param slots Entries there is room for at first.
   */
  constructor(capacity: number, sketch: FrequencySketch, slots: number, weighted: boolean) {
    this.capacity = capacity
    this.#sketch = sketch
    this.#weighted = weighted
    this.#records = new Int32Array(0)
    this.#hashes = new Int32Array(0)
    this.#weights = new Float64Array(0)
    this.#ghost = new Ghost(1)
    this.#makeRoom(slots)
    this.#emptyLists()
    this.setWindow(1)
  }

  /** Entries held. */
  get size(): number {
    return this.#size
  }

  /** Slots there are, those before the first included. */
  get slots(): number {
    return this.#hashes.length
  }

  hashOf(slot: number): number {
    return this.#hashes[slot] as number
  }

  weightOf(slot: number): number {
    return this.#weighted ? (this.#weights[slot] as number) : 1
  }

  /** Whether what comes back soon comes into the main part without being compared. */
  trust(trusting: boolean): void {
    this.#trusting = trusting
  }

  get trusting(): boolean {
    return this.#trusting
  }

  /** @param ratio Of the window to the whole, above 0 to 1. What is too much in it leaves it bit by bit. */
  setWindow(ratio: number): void {
    const { capacity } = this
    const whole = Math.round(ratio * capacity)
    // With something beside it: else no newcomer would have anybody to be compared with.
    this.#windowMost = Math.max(1, Math.min(capacity - 1, whole))
    this.#protectedMost = Math.floor(PROTECTED_SHARE * (capacity - this.#windowMost))
  }

  /** An entry has been used. */
  touch(slot: number): void {
    const list = this.#listOf(slot)
    if (list === WINDOW) {
      if (this.#after(slot) === WINDOW) return
      this.#moves = (this.#moves + 1) | 0
      this.#toEnd(slot, WINDOW)
      return
    }
    if (list === PROTECTED) {
      this.#moves = (this.#moves + 1) | 0
      this.#toEnd(slot, PROTECTED)
      return
    }
    this.#unlink(slot)
    this.#append(slot, PROTECTED)
    while (this.#protectedWeight > this.#protectedMost) {
      const oldest = this.#after(PROTECTED)
      if (oldest === slot) break
      this.#unlink(oldest)
      this.#append(oldest, PROBATION)
    }
  }

  /** A clock that goes on as entries move; compare by difference, in 32 bits. */
  get moves(): number {
    return this.#moves
  }

  /** Until when, by `moves`, an entry that was touched just now is near the young end for certain. */
  youngUntil(slot: number): number {
    const list = this.#listOf(slot)
    if (list === PROBATION) return this.#moves
    const count = list === PROTECTED ? this.#protectedCount : this.#windowCount
    return this.#moves + count - (count >>> OLD_SHIFT)
  }

  /** Whether whoever owns the entry has said that its uses need not be told for now. */
  isQuiet(slot: number): boolean {
    const until = this.#records[(slot << RECORD_SHIFT) | QUIET_UNTIL] as number
    return ((until - this.#moves) | 0) > 0
  }

  /** @param until By `moves`, which may be past. */
  quieten(slot: number, until: number): void {
    this.#records[(slot << RECORD_SHIFT) | QUIET_UNTIL] = until
  }

  quietenNone(): void {
    for (let slot = FIRST_SLOT; slot < this.slots; slot++) this.quieten(slot, this.#moves)
  }

  /** What whoever owns the entry has noted down of it, from 0 to 255. */
  noteOf(slot: number): number {
    return (this.#records[(slot << RECORD_SHIFT) | STATE] as number) >>> NOTE_SHIFT
  }

  note(slot: number, note: number): void {
    this.#records[(slot << RECORD_SHIFT) | STATE] = this.#listOf(slot) | (note << NOTE_SHIFT)
  }

  /**
   * Takes in an entry, and returns its slot. Whoever calls it asks for victims next, until there are none.
   *
   * @param weight Above 0, at most the capacity; 1 without weights.
   */
  insert(hash: number, weight: number): number {
    if (this.#free === NONE) this.#makeRoom(this.#size * 2)
    const slot = this.#free
    this.#free = this.#after(slot)
    this.#hashes[slot] = hash
    if (this.#weighted) this.#weights[slot] = weight
    this.#size++
    this.#weight += weight
    this.#newest = slot
    this.#returned = this.#isWelcomeBack(hash)
    this.#append(slot, this.#returned ? PROBATION : WINDOW)
    // It is compared first: else all in the window would have to go before it is.
    if (!this.#returned && weight > this.#windowMost) this.#toStart(slot, WINDOW)
    return slot
  }

  /**
   * The slot of an entry that must leave for the newest; `NONE`: there is room. The slot may be used until
   * it is asked for the next.
   */
  victim(): number {
    if (this.#weight <= this.capacity) {
      this.#sentencedCount = 0
      this.#narrowWindow()
      return NONE
    }
    if (this.#sentencedCount > 0) {
      return this.#leave(this.#sentenced[--this.#sentencedCount] as number, true)
    }
    if (!this.#returned && this.#windowWeight > this.#windowMost) {
      const candidate = this.#after(WINDOW)
      if (!this.#wins(candidate)) return this.#leave(candidate, true)
      this.#unlink(candidate)
      this.#append(candidate, PROBATION)
      return this.#leave(this.#sentenced[--this.#sentencedCount] as number, true)
    }
    return this.#leave(this.#leastWanted(), false)
  }

  /**
   * An entry leaves that nobody drove out.
   *
   * @param mayReturn It had to go whatever its worth: when it comes back it takes its place among the main.
   */
  remove(slot: number, mayReturn: boolean): void {
    this.#leave(slot, mayReturn && this.#listOf(slot) !== WINDOW)
  }

  /** All entries leave. */
  clear(): void {
    this.#records.fill(NONE)
    this.#emptyLists()
    this.#free = NONE
    this.#release(FIRST_SLOT)
    this.#size = 0
    this.#weight = 0
    this.#windowWeight = 0
    this.#protectedWeight = 0
    this.#windowCount = 0
    this.#protectedCount = 0
    this.#newest = NONE
  }

  /** An entry weighs more or less than it did. */
  reweigh(slot: number, weight: number): void {
    const list = this.#listOf(slot)
    this.#add(list, weight - this.weightOf(slot))
    this.#weight += weight - this.weightOf(slot)
    this.#weights[slot] = weight
    this.#newest = slot
    this.#returned = list !== WINDOW
  }

  /** For tests: what stands where, as plain data. Links that lead in circles are cut. */
  inspect(): Inspected {
    const after = (slot: number) => this.#after(slot)
    const before = (slot: number) => this.#records[(slot << RECORD_SHIFT) | PREVIOUS] as number
    const walk = (link: (slot: number) => number, from: number, end: number) => {
      const slots: number[] = []
      for (let at = from; at !== end && slots.length <= this.slots; at = link(at)) slots.push(at)
      return slots
    }
    const list = (of: number, weight?: number, most?: number): InspectedList => ({
      slots: walk(after, after(of), of),
      backwards: walk(before, before(of), of).reverse(),
      weight,
      most,
    })
    return {
      window: list(WINDOW, this.#windowWeight, this.#windowMost),
      probation: list(PROBATION),
      protected: list(PROTECTED, this.#protectedWeight, this.#protectedMost),
      protectedCount: this.#protectedCount,
      free: walk(after, this.#free, NONE),
      weight: this.#weight,
      sentenced: this.#sentencedCount,
    }
  }

  /** Whether a key that is taken in now has a place in the main part, having left it of late. */
  #isWelcomeBack(hash: number): boolean {
    if (!this.#ghost.take(hash)) return false
    if (this.#windowMost > WIDEST_FOR_RETURNS * this.capacity) return false
    const victim = this.#oldestOfMain()
    if (this.#trusting || victim === NONE) return true
    return this.#sketch.frequency(hash) > this.#sketch.frequency(this.hashOf(victim))
  }

  /** Whether a candidate is worth more than those whom it would drive out; they are sentenced then. */
  #wins(candidate: number): boolean {
    const wanted = this.weightOf(candidate)
    const frequency = this.#sketch.frequency(this.hashOf(candidate))
    let freed = 0
    let against = 0
    let count = 0
    for (let slot = this.#oldestOfMain(); freed < wanted; slot = this.#afterInMain(slot)) {
      if (slot === NONE || count === MOST_VICTIMS) return false
      this.#sentenced[count++] = slot
      against += this.#sketch.frequency(this.hashOf(slot))
      freed += this.weightOf(slot)
    }
    if (frequency <= against && !(frequency >= WARM && this.#isLucky())) return false
    // They leave from the last to the first.
    for (let i = 0, j = count - 1; i < j; i++, j--) {
      const slot = this.#sentenced[i] as number
      this.#sentenced[i] = this.#sentenced[j] as number
      this.#sentenced[j] = slot
    }
    this.#sentencedCount = count
    return true
  }

  /** Of the main part, whoever leaves first; `NONE` if it is empty. */
  #oldestOfMain(): number {
    const slot = this.#after(PROBATION)
    if (slot !== PROBATION) return slot
    const other = this.#after(PROTECTED)
    return other === PROTECTED ? NONE : other
  }

  #afterInMain(slot: number): number {
    const next = this.#after(slot)
    if (next >= FIRST_SLOT) return next
    if (next === PROTECTED) return NONE
    const other = this.#after(PROTECTED)
    return other === PROTECTED ? NONE : other
  }

  /** Who leaves without a duel: anybody but the newest. */
  #leastWanted(): number {
    let slot = this.#oldestOfMain()
    if (slot === this.#newest) slot = this.#afterInMain(slot)
    if (slot !== NONE) return slot
    slot = this.#after(WINDOW)
    return slot === WINDOW ? this.#newest : slot
  }

  #narrowWindow(): void {
    for (let i = 0; i < MOST_MOVED && this.#windowWeight > this.#windowMost; i++) {
      const oldest = this.#after(WINDOW)
      this.#unlink(oldest)
      this.#append(oldest, PROBATION)
    }
  }

  /** @param remembered Whether it is welcome back. */
  #leave(slot: number, remembered: boolean): number {
    if (remembered) this.#ghost.remember(this.hashOf(slot))
    this.#weight -= this.weightOf(slot)
    this.#unlink(slot)
    this.#size--
    this.#records[(slot << RECORD_SHIFT) | STATE] = NONE
    this.#records[slot << RECORD_SHIFT] = this.#free
    this.#free = slot
    return slot
  }

  /** The next one in its list; of a list, the first. */
  #after(slot: number): number {
    return this.#records[slot << RECORD_SHIFT] as number
  }

  #listOf(slot: number): number {
    return (this.#records[(slot << RECORD_SHIFT) | STATE] as number) & LIST_MASK
  }

  #emptyLists(): void {
    for (const list of [WINDOW, PROBATION, PROTECTED]) {
      this.#records[list << RECORD_SHIFT] = list
      this.#records[(list << RECORD_SHIFT) | PREVIOUS] = list
    }
  }

  #toEnd(slot: number, list: number): void {
    const records = this.#records
    const at = slot << RECORD_SHIFT
    const before = records[at | PREVIOUS] as number
    const after = records[at] as number
    records[before << RECORD_SHIFT] = after
    records[(after << RECORD_SHIFT) | PREVIOUS] = before
    const end = (list << RECORD_SHIFT) | PREVIOUS
    const last = records[end] as number
    records[last << RECORD_SHIFT] = slot
    records[at | PREVIOUS] = last
    records[at] = list
    records[end] = slot
  }

  /** `#toEnd` puts a slot before another; the list's own stands before its first. */
  #toStart(slot: number, list: number): void {
    const first = this.#after(list)
    if (first !== slot) this.#toEnd(slot, first)
  }

  #append(slot: number, list: number): void {
    const records = this.#records
    const at = slot << RECORD_SHIFT
    const end = (list << RECORD_SHIFT) | PREVIOUS
    const last = records[end] as number
    records[last << RECORD_SHIFT] = slot
    records[at | PREVIOUS] = last
    records[at] = list
    records[end] = slot
    records[at | STATE] = ((records[at | STATE] as number) & ~LIST_MASK) | list
    // Whatever was young elsewhere is not here.
    records[at | QUIET_UNTIL] = this.#moves
    if (list !== PROBATION) this.#moves = (this.#moves + 1) | 0
    if (list === WINDOW) this.#windowCount++
    else if (list === PROTECTED) this.#protectedCount++
    this.#add(list, this.weightOf(slot))
  }

  #unlink(slot: number): void {
    const records = this.#records
    const at = slot << RECORD_SHIFT
    const before = records[at | PREVIOUS] as number
    const after = records[at] as number
    records[before << RECORD_SHIFT] = after
    records[(after << RECORD_SHIFT) | PREVIOUS] = before
    const list = (records[at | STATE] as number) & LIST_MASK
    if (list === WINDOW) this.#windowCount--
    else if (list === PROTECTED) this.#protectedCount--
    this.#add(list, -this.weightOf(slot))
  }

  #add(list: number, weight: number): void {
    if (list === WINDOW) this.#windowWeight += weight
    else if (list === PROTECTED) this.#protectedWeight += weight
  }

  #isLucky(): boolean {
    // Xorshift, G. Marsaglia, 2003.
    this.#luck ^= this.#luck << 13
    this.#luck ^= this.#luck >>> 17
    this.#luck ^= this.#luck << 5
    return (this.#luck & LUCK_MASK) === 0
  }

  /** @param entries To make room for. What has left is forgotten. */
  #makeRoom(entries: number): void {
    const have = this.slots
    // One more than fit: the newest comes before the victim goes.
    const most = this.#weighted ? entries : Math.min(entries, this.capacity)
    const slots = FIRST_SLOT + most + 1
    const records = new Int32Array(slots << RECORD_SHIFT)
    const hashes = new Int32Array(slots)
    records.set(this.#records)
    hashes.set(this.#hashes)
    this.#records = records
    this.#hashes = hashes
    if (this.#weighted) {
      const weights = new Float64Array(slots)
      weights.set(this.#weights)
      this.#weights = weights
    }
    this.#release(Math.max(FIRST_SLOT, have))
    this.#ghost = new Ghost(Math.max(1, Math.round(GHOST_SHARE * most)))
  }

  /** Slots from this one on are free, in order. */
  #release(from: number): void {
    for (let slot = this.slots - 1; slot >= from; slot--) {
      this.#records[slot << RECORD_SHIFT] = this.#free
      this.#free = slot
    }
  }
}
