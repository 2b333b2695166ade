import type { Timer } from '../../model/clock.ts'
import type { LocalEntry, LocalStore, LocalSurroundings, RemovalCause } from '../local-store.ts'
import { Controller } from './controller.ts'
import { KeyHash } from './key-hash.ts'
import { type Inspected, NONE, Policy } from './policy.ts'
import { FrequencySketch } from './sketch.ts'

/** Entries there is room for at first; it doubles. */
const FIRST_ROOM = 64

/** Milliseconds between two looks for entries whose life is over, and where the last found many. */
const SWEEP_EVERY = 1000
const SWEEP_SOON = 20

/** A look takes some 0.1 ms for the slots, and some 0.5 ms for those that leave. */
const MOST_LOOKED_AT = 65_536
const MOST_SWEPT = 1000

/**
 * What is noted down of an entry: the low bits say the age in which the sketch counts its uses no more, the
 * highest that the controller wants to hear of them.
 */
const SAMPLED = 0x80

/** The bound of a store. */
export interface Room {
  /** The most weight; without weights, entries. */
  readonly capacity: number
  /** Weighs an entry; `undefined`: each is 1. Not above 0: it is not taken. */
  readonly weigh: ((key: string, entry: LocalEntry) => number) | undefined
}

/** The inside of a store, for tests. */
interface StoreInspected extends Inspected {
  /** Of the tables, those before the first included. */
  readonly slots: number
  /** By slot. */
  readonly held: ReadonlyMap<
    number,
    {
      readonly key: string
      readonly at: string | undefined
      readonly weight: number
      readonly hashes: boolean
      readonly entry: LocalEntry | undefined
      readonly ends: number | undefined
    }
  >
}

/**
 * Entries by key, their lives, and who is told of those that leave. Who that is is decided by `Policy`.
 *
 * Everything that belongs to an entry lies in its slot and leaves with it. Hits are noted down and counted
 * some at a time, always before anything else is decided: the order of uses stays what it was.
 */
export class TinyLfuStore implements LocalStore {
  readonly #surroundings: LocalSurroundings
  readonly #room: Room
  readonly #hash: KeyHash
  readonly #sketch: FrequencySketch
  readonly #policy: Policy
  readonly #controller: Controller
  readonly #slots = new Map<string, number>()
  readonly #keys: (string | undefined)[] = []
  readonly #entries: (LocalEntry | undefined)[] = []
  /** When the life of what lies in a slot is over. */
  #ends: Float64Array
  /** Of the sketch, as of the last count. */
  #age = 0
  #refused = 0
  #sweep: Timer | undefined
  /** The slot that the next look begins with. */
  #hand = 0
  /** As of the last look: what ended before it is over for certain. */
  #now = Number.NEGATIVE_INFINITY

  constructor(room: Room, surroundings: LocalSurroundings, random: () => number = Math.random) {
    const { capacity, weigh } = room
    const weighted = weigh !== undefined
    this.#surroundings = surroundings
    this.#room = room
    this.#hash = new KeyHash(random)
    const most = weighted ? undefined : capacity
    this.#sketch = new FrequencySketch(FIRST_ROOM, most)
    this.#policy = new Policy(capacity, this.#sketch, FIRST_ROOM, weighted)
    this.#controller = new Controller(this.#policy, this.#sketch, most)
    this.#ends = new Float64Array(this.#policy.slots)
  }

  get size(): number {
    return this.#slots.size
  }

  get refused(): number {
    return this.#refused
  }

  get(key: string): LocalEntry | undefined {
    const slot = this.#slots.get(key)
    if (slot === undefined) return undefined
    // Most hits are of a few: what would change nothing is not noted down.
    if (!this.#policy.isQuiet(slot)) this.#use(slot)
    return this.#entries[slot]
  }

  peek(key: string): LocalEntry | undefined {
    const slot = this.#slots.get(key)
    return slot === undefined ? undefined : this.#entries[slot]
  }

  set(key: string, entry: LocalEntry): void {
    const weight = this.#weightFor(key, entry)
    const held = this.#slots.get(key)
    if (!(weight > 0 && weight <= this.#room.capacity)) {
      this.#refused++
      if (held !== undefined) this.#drop(held, 'replaced', false)
      return
    }
    if (held === undefined) this.#add(key, entry, weight)
    else this.#replace(held, entry, weight)
    this.#makeRoom()
    if (this.#sweep === undefined) this.#sweepIn(SWEEP_EVERY)
  }

  delete(key: string, cause: RemovalCause): boolean {
    const slot = this.#slots.get(key)
    if (slot === undefined) return false
    this.#drop(slot, cause, true)
    return true
  }

  clear(cause: RemovalCause): void {
    const { removed } = this.#surroundings
    if (removed !== undefined) {
      for (const [key, slot] of this.#slots) {
        removed(key, this.#entries[slot] as LocalEntry, cause)
      }
    }
    this.#slots.clear()
    this.#policy.clear()
    this.#keys.length = 0
    this.#entries.length = 0
    this.#sweep?.cancel()
    this.#sweep = undefined
  }

  /** For tests: the policy's inside, and what lies in its slots. */
  inspect(): StoreInspected {
    return {
      ...this.#policy.inspect(),
      slots: this.#policy.slots,
      held: new Map(
        [...this.#slots].map(([key, slot]) => [
          slot,
          {
            key,
            at: this.#keys[slot],
            weight: this.#policy.weightOf(slot),
            hashes: this.#policy.hashOf(slot) === this.#hash.of(key),
            entry: this.#entries[slot],
            ends: this.#ends[slot],
          },
        ]),
      ),
    }
  }

  /** A value that is stored again with another life weighs what it did. */
  #weightFor(key: string, entry: LocalEntry): number {
    if (this.#room.weigh === undefined) return 1
    const held = this.#slots.get(key)
    if (held !== undefined && this.#entries[held]?.kept === entry.kept) {
      return this.#policy.weightOf(held)
    }
    return this.#room.weigh(key, entry)
  }

  #add(key: string, entry: LocalEntry, weight: number): void {
    const hash = this.#hash.of(key)
    this.#increment(hash)
    const slot = this.#policy.insert(hash, weight)
    if (this.#ends.length < this.#policy.slots) this.#grow()
    const sampled = this.#controller.samples(hash)
    this.#policy.note(slot, sampled ? SAMPLED : 0)
    if (sampled) this.#controller.observe(hash)
    this.#slots.set(key, slot)
    this.#keys[slot] = key
    this.#entries[slot] = entry
    this.#ends[slot] = entry.keptUntil
  }

  /** It keeps its place: to be written is no use. */
  #replace(slot: number, entry: LocalEntry, weight: number): void {
    const before = this.#entries[slot] as LocalEntry
    this.#entries[slot] = entry
    this.#ends[slot] = entry.keptUntil
    if (this.#room.weigh !== undefined) this.#policy.reweigh(slot, weight)
    if (before.kept === entry.kept) return
    this.#surroundings.removed?.(this.#keys[slot] as string, before, 'replaced')
  }

  /** Those leave who must for the newest, if there are any. */
  #makeRoom(): void {
    for (let slot = this.#policy.victim(); slot !== NONE; slot = this.#policy.victim()) {
      this.#forget(slot, (this.#ends[slot] as number) <= this.#now ? 'expired' : 'evicted')
    }
  }

  /** @param mayReturn Whether it is remembered for the place that it had. */
  #drop(slot: number, cause: RemovalCause, mayReturn: boolean): void {
    this.#policy.remove(slot, mayReturn)
    this.#forget(slot, cause)
  }

  #forget(slot: number, cause: RemovalCause): void {
    const key = this.#keys[slot] as string
    const entry = this.#entries[slot] as LocalEntry
    this.#slots.delete(key)
    this.#keys[slot] = undefined
    this.#entries[slot] = undefined
    this.#surroundings.removed?.(key, entry, cause)
  }

  #use(slot: number): void {
    const done = (this.#age % 127) + 1
    let note = this.#policy.noteOf(slot)
    if (note !== done) {
      const hash = this.#policy.hashOf(slot)
      if ((note & ~SAMPLED) !== done && !this.#increment(hash)) {
        note = (note & SAMPLED) | done
        this.#policy.note(slot, note)
      }
      if ((note & SAMPLED) !== 0 && this.#controller.samples(hash)) this.#controller.observe(hash)
    }
    this.#policy.touch(slot)
    if (note === done) this.#policy.quieten(slot, this.#policy.youngUntil(slot))
  }

  /** Returns whether it counted. */
  #increment(hash: number): boolean {
    const counted = this.#sketch.increment(hash)
    if (this.#age !== this.#sketch.ages) {
      // All are counted again.
      this.#age = this.#sketch.ages
      this.#policy.quietenNone()
    }
    return counted
  }

  #grow(): void {
    const { slots } = this.#policy
    const ends = new Float64Array(slots)
    ends.set(this.#ends)
    this.#ends = ends
    this.#sketch.grow(slots)
  }

  #sweepIn(ms: number): void {
    this.#sweep = this.#surroundings.clock.setTimer(ms, () => this.#sweepSome())
  }

  /** Entries leave whose life is over, though nobody has asked for them. */
  #sweepSome(): void {
    const now = this.#surroundings.clock.now()
    this.#now = now
    const { slots } = this.#policy
    let left = 0
    let looked = 0
    for (; looked < Math.min(slots, MOST_LOOKED_AT) && left < MOST_SWEPT; looked++) {
      if (this.#hand >= slots) this.#hand = 0
      const slot = this.#hand++
      if ((this.#ends[slot] as number) > now || this.#entries[slot] === undefined) continue
      this.#drop(slot, 'expired', true)
      left++
    }
    if (this.#slots.size === 0) this.#sweep = undefined
    else this.#sweepIn(left === MOST_SWEPT ? SWEEP_SOON : SWEEP_EVERY)
  }
}
