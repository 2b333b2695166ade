import { expect, it } from 'vitest'
import { NONE, Policy } from '../../../../src/local/tiny-lfu/policy.ts'
import { FrequencySketch } from '../../../../src/local/tiny-lfu/sketch.ts'

/** Who leaves for a newcomer of weight 20 that was used so often, where all others weigh 2, used once. */
function leaversFor(uses: number): { readonly heavy: boolean; readonly others: number } {
  const sketch = new FrequencySketch(4096, 4096)
  const policy = new Policy(100, sketch, 64, true)
  policy.setWindow(0.1)
  for (let i = 1; i <= 50; i++) {
    sketch.increment(i * 7919)
    policy.insert(i * 7919, 2)
    while (policy.victim() !== NONE) expect.fail('there is room')
  }
  for (let i = 0; i < uses; i++) sketch.increment(-5)
  const heavy = policy.insert(-5, 20)
  const left: number[] = []
  for (let slot = policy.victim(); slot !== NONE; slot = policy.victim()) left.push(slot)
  return { heavy: left.includes(heavy), others: left.filter((slot) => slot !== heavy).length }
}

it('a heavy newcomer must be used more often than all those together whom it would drive out', () => {
  for (const uses of [1, 2, 5, 9, 10]) expect(leaversFor(uses)).toEqual({ heavy: true, others: 0 })
  for (const uses of [11, 15]) expect(leaversFor(uses)).toEqual({ heavy: false, others: 10 })
})
