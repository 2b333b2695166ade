import type { Policy } from './policy.ts'
import { Shadow } from './shadow.ts'
import type { FrequencySketch } from './sketch.ts'

interface Expert {
  /** Share of the window. */
  readonly window: number
  readonly trusting: boolean
}

/** What may be right: for what is asked for often, for loops, for what is in between, for what is new. */
const EXPERTS: readonly Expert[] = [
  { window: 0.01, trusting: false },
  { window: 0.05, trusting: true },
  { window: 0.2, trusting: true },
  { window: 0.3, trusting: false },
  { window: 0.6, trusting: true },
  { window: 1, trusting: false },
]

/** The third: the best of all where nothing is known. */
const START: Expert = { window: 0.2, trusting: true }

/** Entries of a shadow; smaller ones tell little of larger caches. */
const SHADOW_ENTRIES = 128

/** Sampled uses between two decisions, at least. */
const SHORTEST_EPOCH = 64

/** What a score keeps of itself at each decision. */
const MEMORY = 0.93

/** A hit ratio better by so much counts e times as much for the width of the window. */
const TEMPERATURE = 0.01

/** Standard deviations by which the other way with returns must lead. */
const LEAD = 0.5

/**
 * Decides how wide the window is and whether returns are trusted, by trying: beside the cache run small
 * shadows of it with fixed settings, on a sample of the keys as large as they are small against the cache.
 * A sample of keys sees what the whole sees, in proportion (C. Waldspurger, T. Saemundsson, I. Ahmad and N.
 * Park, Cache Modeling and Optimization using Miniature Simulations, 2017).
 *
 * The window is the mean of the experts' windows, by ratio, each weighted by how close its score is to the
 * best. For trust there is nothing between: it follows the best when that leads clearly.
 */
export class Controller {
  readonly #policy: Policy
  readonly #entries: number | undefined
  readonly #shadowSize: number
  readonly #shadows: readonly Shadow[]
  readonly #scores: Float64Array
  readonly #epoch: number
  /** Sampled uses that the scores are of. */
  #weight = 0
  #seen = 0
  /** Hashes below it, of 2^32, are of the sample. */
  #threshold = 0

  /**
   * @param entries The most that the cache holds; `undefined`: that is not known, but is how many it holds
   * now.
   */
  constructor(policy: Policy, sketch: FrequencySketch, entries: number | undefined) {
    const size = Math.min(SHADOW_ENTRIES, entries ?? SHADOW_ENTRIES)
    this.#policy = policy
    this.#entries = entries
    this.#shadowSize = size
    this.#epoch = Math.max(SHORTEST_EPOCH, size)
    this.#shadows = EXPERTS.map(
      ({ window, trusting }) => new Shadow(size, sketch, window, trusting),
    )
    this.#scores = new Float64Array(EXPERTS.length)
    policy.setWindow(START.window)
    policy.trust(START.trusting)
    this.#sample()
  }

  /** Whether uses of a key are to be told. */
  samples(hash: number): boolean {
    return sampleOf(hash) < this.#threshold
  }

  /** A key of the sample has been used, whether it was there or not. */
  observe(hash: number): void {
    for (const shadow of this.#shadows) shadow.access(hash)
    if (++this.#seen >= this.#epoch) this.#decide()
  }

  #decide(): void {
    const scores = this.#scores
    this.#weight = this.#weight * MEMORY + this.#seen
    this.#seen = 0
    let best = 0
    this.#shadows.forEach((shadow, i) => {
      scores[i] = (scores[i] as number) * MEMORY + shadow.takeHits()
      if ((scores[i] as number) > (scores[best] as number)) best = i
    })
    this.#decideTrust(EXPERTS[best]?.trusting ?? START.trusting, scores[best] as number)
    this.#decideWindow(scores[best] as number)
    this.#sample()
  }

  #sample(): void {
    const entries = this.#entries ?? Math.max(1, this.#policy.size)
    this.#threshold = Math.min(1, this.#shadowSize / entries) * 2 ** 32
  }

  #decideTrust(trusting: boolean, best: number): void {
    if (trusting === this.#policy.trusting) return
    let other = 0
    EXPERTS.forEach((expert, i) => {
      if (expert.trusting !== trusting) other = Math.max(other, this.#scores[i] as number)
    })
    const deviation = Math.sqrt(Math.max(1, best * (1 - best / this.#weight)))
    if (best - other > LEAD * deviation) this.#policy.trust(trusting)
  }

  #decideWindow(best: number): void {
    let sum = 0
    let logarithms = 0
    EXPERTS.forEach(({ window }, i) => {
      const behind = (best - (this.#scores[i] as number)) / this.#weight
      const share = Math.exp(-behind / TEMPERATURE)
      sum += share
      logarithms += share * Math.log(window)
    })
    this.#policy.setWindow(Math.exp(logarithms / sum))
  }
}

/** From 0 to 2^32, independent of what the sketch and the ghost use of the hash. */
function sampleOf(hash: number): number {
  return Math.imul(hash ^ (hash >>> 13), 0x85ebca6b) >>> 0
}
