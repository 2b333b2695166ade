import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Line, Place } from '../../../src/refresh/line.ts'

describe('a line', () => {
  it('keeps the order in which its items last joined, whatever joins and leaves', () => {
    const steps = fc.array(fc.tuple(fc.constantFrom('join', 'leave'), fc.nat(4)))
    fc.assert(
      fc.property(steps, (all) => {
        const line = new Line<number>()
        const places = [0, 1, 2, 3, 4].map((item) => new Place(item))
        let model: number[] = []
        for (const [step, item] of all) {
          model = model.filter((other) => other !== item)
          const place = places[item] as Place<number>
          if (step === 'leave') place.leave()
          else {
            line.join(place)
            model.push(item)
          }
          expect(line.first).toBe(model[0])
        }
        for (const item of model) {
          expect(line.first).toBe(item)
          places[item]?.leave()
        }
        expect(line.first).toBeUndefined()
      }),
    )
  })

  it('has nobody in it once it was cleared', () => {
    const line = new Line<number>()
    for (let item = 0; item < 3; item++) line.join(new Place(item))
    line.clear()
    expect(line.first).toBeUndefined()
  })
})
