import assert from 'node:assert/strict'
import type { LocalEntry, RemovalCause } from '../../src/local/local-store.ts'
import { TinyLfuStore } from '../../src/local/tiny-lfu/tiny-lfu-store.ts'
import { type ManualClock, manualClock } from '../../src/testing/manual-clock.ts'

/** One thing that is done to a store. */
export type Step =
  | {
      readonly kind: 'set'
      readonly key: string
      readonly weight: number
      readonly life: number
      /** Stores what is there already, with another life. */
      readonly again: boolean
    }
  | { readonly kind: 'get' | 'peek'; readonly key: string }
  | { readonly kind: 'delete'; readonly key: string; readonly cause: RemovalCause }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'clear'; readonly cause: RemovalCause }

export interface WalkOptions {
  readonly capacity: number
  /** Whether entries have the weights that the steps give them, or count 1 each. */
  readonly weighted: boolean
  readonly random?: (() => number) | undefined
}

interface Told {
  readonly key: string
  readonly entry: LocalEntry
  readonly cause: RemovalCause
}

interface Kept {
  readonly serial: number
  readonly weight: number
}

type Inspected = ReturnType<TinyLfuStore['inspect']>

/** Milliseconds between two looks for what is over; the first comes so long after the first entry. */
const LOOK_EVERY = 1000

/**
 * A store beside a plain map of what must be in it: all that was stored, but for what was told to have left.
 * After every step map and store are compared, and the inside of the store with itself.
 */
export class TinyLfuWalk {
  readonly clock: ManualClock = manualClock()
  readonly store: TinyLfuStore
  readonly model = new Map<string, LocalEntry>()
  /** How many have left, by cause. */
  readonly counts = new Map<RemovalCause, number>()
  readonly #options: WalkOptions
  #told: Told[] = []
  #refused = 0
  #serial = 0
  #inside: Inspected
  /** When the next look for what is over is due; `undefined`: none is. */
  #lookAt: number | undefined
  #lookedAt = Number.NEGATIVE_INFINITY

  constructor(options: WalkOptions) {
    const { capacity, weighted, random = Math.random } = options
    this.#options = options
    const weigh = weighted
      ? (_: string, entry: LocalEntry) => (entry.kept as Kept).weight
      : undefined
    const removed = (key: string, entry: LocalEntry, cause: RemovalCause) => {
      this.#told.push({ key, entry, cause })
      this.counts.set(cause, (this.counts.get(cause) ?? 0) + 1)
    }
    this.store = new TinyLfuStore({ capacity, weigh }, { clock: this.clock, removed }, random)
    this.#inside = this.store.inspect()
  }

  take(step: Step): void {
    switch (step.kind) {
      case 'set':
        this.#set(step)
        break
      case 'get':
        this.#get(step.key)
        break
      case 'peek': {
        assert.equal(this.store.peek(step.key), this.model.get(step.key))
        const before = this.#inside
        const after = this.store.inspect()
        for (const list of ['window', 'probation', 'protected'] as const) {
          assert.deepEqual(after[list], before[list], 'a peek is no use')
        }
        break
      }
      case 'delete':
        assert.equal(this.store.delete(step.key, step.cause), this.model.has(step.key))
        if (this.model.has(step.key)) this.#expectLeft(step.key, step.cause)
        break
      case 'advance':
        this.#advance(step.ms)
        break
      case 'clear':
        this.store.clear(step.cause)
        for (const key of [...this.model.keys()]) this.#expectLeft(key, step.cause)
        this.#lookAt = undefined
        break
    }
    assert.deepEqual(this.#told, [], 'more is told than has left')
    this.#compare()
  }

  #set({ key, weight, life, again }: Extract<Step, { kind: 'set' }>): void {
    const { capacity, weighted } = this.#options
    const before = this.model.get(key)
    const same = again && before !== undefined
    const entry: LocalEntry = {
      kept: same ? before.kept : { serial: ++this.#serial, weight },
      freshUntil: this.clock.now() + life,
      keptUntil: this.clock.now() + life,
      aheadAt: Infinity,
      answer: undefined,
    }
    this.store.set(key, entry)
    const weighs = this.#weightOf(entry)
    if (weighted && !(weighs > 0 && weighs <= capacity)) {
      this.#refused++
      if (before !== undefined) this.#expectLeft(key, 'replaced')
      return
    }
    this.#lookAt ??= this.clock.now() + LOOK_EVERY
    if (before !== undefined && !same) this.#expectLeft(key, 'replaced')
    this.model.set(key, entry)
    this.#expectVictims()
    if (!weighted) assert.equal(this.store.peek(key), entry, 'the newest is not there')
  }

  /** No more leave than must, and each as what it was at the last look. */
  #expectVictims(): void {
    const { capacity } = this.#options
    let weight = this.#weight()
    for (const { key, entry, cause } of this.#told) {
      assert.ok(weight > capacity, `${key} had to go though there was room`)
      assert.equal(this.model.get(key), entry, `${key} is told with another value`)
      assert.equal(cause, entry.keptUntil <= this.#lookedAt ? 'expired' : 'evicted')
      this.model.delete(key)
      weight -= this.#weightOf(entry)
    }
    this.#told = []
    assert.ok(weight <= capacity, `it holds ${weight}`)
  }

  #get(key: string): void {
    const before = this.#inside
    assert.equal(this.store.get(key), this.model.get(key))
    const slot = before.probation.slots.find((each) => before.held.get(each)?.key === key)
    if (slot === undefined) return
    const { weight = 0, most = 0, slots } = this.store.inspect().protected
    assert.equal(slots.at(-1), slot, 'what was used is not protected')
    if (weight > most && slots.length > 1) assert.fail(`protected: ${weight} of ${most}`)
  }

  #advance(ms: number): void {
    const until = this.clock.now() + ms
    let looked = false
    for (; this.#lookAt !== undefined && this.#lookAt <= until; looked = true) {
      this.clock.advance(this.#lookAt - this.clock.now())
      this.#lookedAt = this.clock.now()
      for (const { key, entry, cause } of this.#told) {
        assert.equal(cause, 'expired')
        assert.equal(this.model.get(key), entry)
        assert.ok(entry.keptUntil <= this.#lookedAt, `${key} left too early`)
        this.model.delete(key)
      }
      this.#told = []
      this.#lookAt = this.model.size > 0 ? this.#lookedAt + LOOK_EVERY : undefined
    }
    this.clock.advance(until - this.clock.now())
    if (!looked) return
    for (const [key, { keptUntil }] of this.model) {
      assert.ok(keptUntil > this.#lookedAt, `${key} did not leave though its life is over`)
    }
  }

  #expectLeft(key: string, cause: RemovalCause): void {
    const at = this.#told.findIndex((told) => told.key === key && told.cause === cause)
    assert.ok(at >= 0, `${key} is not told as ${cause}`)
    const [told] = this.#told.splice(at, 1)
    assert.equal(told?.entry, this.model.get(key), `${key} is told with another value`)
    this.model.delete(key)
  }

  #compare(): void {
    const { store, model } = this
    assert.equal(store.size, model.size)
    assert.equal(store.refused, this.#refused)
    assert.equal(this.clock.pendingTimers, this.#lookAt === undefined ? 0 : 1)
    this.#inside = store.inspect()
    assert.equal(this.#inside.held.size, model.size)
    for (const { key, at, weight, hashes, entry, ends } of this.#inside.held.values()) {
      const should = model.get(key)
      const agrees =
        should !== undefined &&
        entry === should &&
        at === key &&
        weight === this.#weightOf(should) &&
        hashes &&
        ends === should.keptUntil
      if (!agrees) assert.fail(`${key} is not what it should be`)
    }
    checkInside(this.#inside, this.#options.capacity)
  }

  #weight(): number {
    let weight = 0
    for (const entry of this.model.values()) weight += this.#weightOf(entry)
    return weight
  }

  #weightOf(entry: LocalEntry): number {
    return this.#options.weighted ? (entry.kept as Kept).weight : 1
  }
}

/** Fails unless every slot is in one list or free, links agree both ways, and sums are those of the parts. */
function checkInside(inside: Inspected, capacity: number): void {
  const places = new Uint8Array(inside.slots)
  let listed = 0
  let whole = 0
  for (const list of [inside.window, inside.probation, inside.protected]) {
    if (!areSame(list.slots, list.backwards)) assert.fail('links that do not agree')
    let weight = 0
    for (const slot of list.slots) {
      if (visit(places, slot)) assert.fail(`slot ${slot} is in two places`)
      weight += inside.held.get(slot)?.weight ?? assert.fail(`slot ${slot} holds nothing`)
    }
    listed += list.slots.length
    whole += weight
    if (list.weight !== undefined) assert.equal(list.weight, weight)
  }
  for (const slot of inside.free) {
    if (visit(places, slot)) assert.fail(`free slot ${slot} is in two places`)
  }
  assert.equal(listed, inside.held.size)
  // Three stand for the lists, and the first for none.
  assert.equal(listed + inside.free.length, inside.slots - 4, 'a slot is lost')
  assert.equal(inside.protectedCount, inside.protected.slots.length)
  assert.equal(inside.weight, whole)
  if (inside.weight > capacity) assert.fail(`${inside.weight} of ${capacity}`)
  assert.equal(inside.sentenced, 0)
}

/** Returns whether it was visited before. */
function visit(places: Uint8Array, slot: number): boolean {
  const before = places[slot] === 1
  places[slot] = 1
  return before
}

function areSame(some: readonly number[], others: readonly number[]): boolean {
  return some.length === others.length && some.every((each, i) => each === others[i])
}

/** Numbers below a bound, the same for the same seed. */
export function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const CAUSES = ['deleted', 'invalidated', 'expired', 'replaced'] as const

/** A step as users take them: often for the same few keys. */
export function randomStep(random: (below: number) => number, keys: number): Step {
  const key = `k${Math.min(random(keys), random(keys))}`
  const action = random(1000)
  if (action < 500) return { kind: 'get', key }
  if (action < 890) {
    // Mostly light, some heavy, a few that are refused.
    const kind = random(20)
    const weight = kind === 0 ? random(40) : kind < 3 ? 1 + random(15) : 1 + random(3)
    const life = 1 + random(random(3) === 0 ? 3000 : 60_000)
    return { kind: 'set', key, weight, life, again: random(8) === 0 }
  }
  if (action < 920) return { kind: 'peek', key }
  const cause = CAUSES[random(CAUSES.length)] as RemovalCause
  if (action < 960) return { kind: 'delete', key, cause }
  if (action < 999) return { kind: 'advance', ms: random(700) }
  return { kind: 'clear', cause }
}
