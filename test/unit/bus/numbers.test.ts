import { describe, expect, it } from 'vitest'
import { Numbers } from '../../../src/bus/numbers.ts'

describe('the numbers of a source', () => {
  it('begin at 1 and say how long ago the one before was given', () => {
    const numbers = new Numbers()
    expect(numbers.begun).toBe(false)
    expect(numbers.next(500)).toEqual({ number: 1, since: 0, void: [], repeat: false })
    expect(numbers.begun).toBe(true)
    expect(numbers.next(700)).toEqual({ number: 2, since: 200, void: [], repeat: false })
  })

  it('are repeated with the time since the one that is repeated, however often', () => {
    const numbers = new Numbers()
    numbers.next(500)
    expect(numbers.repeat(1500)).toEqual({ number: 1, since: 1000, void: [], repeat: true })
    expect(numbers.repeat(5500)).toEqual({ number: 1, since: 5000, void: [], repeat: true })
    expect(numbers.next(6500).since).toBe(6000)
  })

  it('never make the one before older than it is', () => {
    const numbers = new Numbers()
    numbers.next(0.9)
    expect(numbers.next(2).since).toBe(1)
  })

  it('that are void are named until a message that names them went out for certain', () => {
    const numbers = new Numbers()
    for (let i = 0; i < 3; i++) numbers.next(0)
    numbers.withdrawn(2)
    numbers.withdrawn(3)
    expect(numbers.next(0).void).toEqual([2, 3])
    const named = numbers.repeat(0).void
    numbers.withdrawn(1)
    numbers.told(named)
    expect(numbers.next(0).void).toEqual([1])
    numbers.told([1])
    expect(numbers.next(0).void).toEqual([])
  })

  it('that are void must be named soon only if others know of them', () => {
    const numbers = new Numbers()
    numbers.next(0)
    numbers.next(0)
    numbers.withdrawn(2)
    expect(numbers.voidsUntold).toBe(false)
    const { void: named } = numbers.next(0)
    expect(numbers.voidsUntold).toBe(true)
    numbers.told(named)
    expect(numbers.voidsUntold).toBe(false)
    numbers.withdrawn(1)
    expect(numbers.voidsUntold).toBe(true)
    numbers.told([1])
    numbers.withdrawn(3)
    expect(numbers.voidsUntold).toBe(false)
    numbers.repeat(0)
    expect(numbers.voidsUntold).toBe(true)
  })

  it('that are void are named 1000 at the most, the latest', () => {
    const numbers = new Numbers()
    for (let number = 1; number <= 1500; number++) numbers.withdrawn(numbers.next(0).number)
    const named = numbers.repeat(0).void
    expect([named.length, named[0], named.at(-1)]).toEqual([1000, 501, 1500])
  })
})
