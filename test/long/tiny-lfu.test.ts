import { expect, it } from 'vitest'
import { randomStep, seeded, TinyLfuWalk } from '../support/tiny-lfu-walk.ts'

const STEPS = 1_000_000

it.each([
  ['30 entries', { capacity: 30, weighted: false }],
  ['a weight of 60', { capacity: 60, weighted: true }],
])(
  'a million random steps leave a store with room for %s in order, after each of them',
  (_, room) => {
    const random = seeded(20_261_201)
    const walk = new TinyLfuWalk({ ...room, random: () => random(2 ** 32) / 2 ** 32 })
    for (let i = 0; i < STEPS; i++) walk.take(randomStep(random, 90))
    expect(walk.counts.get('evicted')).toBeGreaterThan(STEPS / 20)
  },
)
