import { describe, expect, it } from 'vitest'
import { Controller } from '../../../../src/local/tiny-lfu/controller.ts'
import { KeyHash } from '../../../../src/local/tiny-lfu/key-hash.ts'
import { NONE, Policy } from '../../../../src/local/tiny-lfu/policy.ts'
import { Shadow } from '../../../../src/local/tiny-lfu/shadow.ts'
import { FrequencySketch } from '../../../../src/local/tiny-lfu/sketch.ts'
import { seeded } from '../../../support/tiny-lfu-walk.ts'

const CAPACITY = 512

function open(capacity = CAPACITY, entries: number | undefined = capacity) {
  const sketch = new FrequencySketch(capacity, capacity)
  const policy = new Policy(capacity, sketch, capacity, false)
  const controller = new Controller(policy, sketch, entries)
  const hash = new KeyHash(() => 0.37)
  const slots = new Map<number, number>()
  let told = 0
  const use = (key: number) => {
    const hashed = hash.of(`k${key}`)
    sketch.increment(hashed)
    if (controller.samples(hashed)) {
      told++
      controller.observe(hashed)
    }
    const slot = slots.get(hashed)
    if (slot !== undefined) return policy.touch(slot)
    slots.set(hashed, policy.insert(hashed, 1))
    for (let left = policy.victim(); left !== NONE; left = policy.victim()) {
      slots.delete(policy.hashOf(left))
    }
  }
  const window = () => (policy.inspect().window.most ?? 0) / capacity
  return { policy, controller, hash, use, window, told: () => told }
}

describe('the controller', () => {
  it('begins with a fifth for the window, and trusts returns', () => {
    const { policy, window } = open()
    expect([window(), policy.trusting]).toEqual([102 / 512, true])
  })

  it('narrows the window in a loop over twice what fits, and trusts no returns', () => {
    const { policy, use, window } = open()
    for (let round = 0; round < 60; round++) {
      for (let key = 0; key < 2 * CAPACITY; key++) use(key)
    }
    expect(window()).toBeLessThan(0.05)
    expect(policy.trusting).toBe(false)
  })

  it('widens the window where what was used last is used next', () => {
    const { use, window } = open()
    const random = seeded(5)
    for (let i = 0; i < 100_000; i++) {
      // Each key is used a few times soon after it first came, and never again.
      use(Math.max(0, (i >>> 2) - random(300)))
    }
    expect(window()).toBeGreaterThan(0.55)
  })

  it('comes back from a wide window when the work becomes a loop', () => {
    const { use, window } = open()
    const random = seeded(5)
    for (let i = 0; i < 50_000; i++) use(Math.max(0, (i >>> 2) - random(300)))
    expect(window()).toBeGreaterThan(0.5)
    for (let i = 0; i < 120 * CAPACITY; i++) use(1e6 + (i % (2 * CAPACITY)))
    expect(window()).toBeLessThan(0.1)
  })

  it('samples as many keys as its shadows are small against the cache, always the same', () => {
    const { controller, hash } = open(1024)
    const sampled = Array.from({ length: 8000 }, (_, i) => hash.of(`s${i}`)).filter((each) =>
      controller.samples(each),
    )
    expect(sampled.length / 8000).toBeGreaterThan(0.1)
    expect(sampled.length / 8000).toBeLessThan(0.15)
    expect(sampled.every((each) => controller.samples(each))).toBe(true)
  })

  it('samples all keys of a small cache, and fewer as one grows of which nobody knows how large', () => {
    const small = open(64)
    for (let key = 0; key < 300; key++) small.use(key)
    expect(small.told()).toBe(300)
    const sketch = new FrequencySketch(64, undefined)
    const policy = new Policy(4096, sketch, 64, true)
    const controller = new Controller(policy, sketch, undefined)
    const hash = new KeyHash(() => 0.37)
    const share = () =>
      Array.from({ length: 4000 }, (_, i) => hash.of(`s${i}`)).filter((each) =>
        controller.samples(each),
      ).length / 4000
    expect(share()).toBe(1)
    for (let i = 0; i < 1280; i++) {
      const hashed = hash.of(`k${i}`)
      policy.insert(hashed, 1)
      controller.observe(hashed)
    }
    expect(share()).toBeGreaterThan(0.08)
    expect(share()).toBeLessThan(0.13)
  })
})

describe('a shadow', () => {
  it('counts the hits that a cache of its size would have, and begins anew when it is asked', () => {
    const sketch = new FrequencySketch(64, 64)
    const shadow = new Shadow(8, sketch, 1, false)
    for (let hash = 1; hash <= 8; hash++) shadow.access(hash)
    expect(shadow.takeHits()).toBe(0)
    for (let hash = 1; hash <= 8; hash++) shadow.access(hash)
    expect([shadow.takeHits(), shadow.takeHits()]).toEqual([8, 0])
    for (let hash = 100; hash < 200; hash++) shadow.access(hash)
    expect(shadow.takeHits()).toBe(0)
  })

  it('tells apart what settings bring: a loop is for a narrow window, a drift for a wide one', () => {
    const hits = (window: number, key: (i: number) => number) => {
      const sketch = new FrequencySketch(64, 64)
      const shadow = new Shadow(64, sketch, window, false)
      for (let i = 0; i < 20_000; i++) {
        sketch.increment(key(i))
        shadow.access(key(i))
      }
      return shadow.takeHits()
    }
    const hash = new KeyHash(() => 0.37)
    const loop = (i: number) => hash.of(`${i % 128}`)
    expect(hits(0.01, loop)).toBeGreaterThan(hits(1, loop) + 4000)
    const drift = (i: number) => hash.of(`${(i >>> 2) - ((i * 7) % 40)}`)
    expect(hits(1, drift)).toBeGreaterThan(hits(0.01, drift) + 1000)
  })
})
