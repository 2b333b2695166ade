import { describe, expect, it } from 'vitest'
import { Acknowledged } from '../../../src/remote/acknowledged.ts'

function open(keep = 1000, spread = false) {
  let overflows = 0
  const acknowledged = new Acknowledged(keep, spread, () => {
    overflows++
  })
  return { acknowledged, overflows: () => overflows }
}

describe('Acknowledged changes', () => {
  it('of the time before the last reply are handed over, once, the oldest first', () => {
    const { acknowledged } = open()
    acknowledged.add('old', 0)
    acknowledged.add('a', 600)
    acknowledged.add('b', 1500)
    expect(acknowledged.take(1600)).toEqual(['a', 'b'])
    expect(acknowledged.take(1600)).toEqual([])
  })

  it('do not age while nothing is acknowledged: only the last reply counts', () => {
    const { acknowledged } = open()
    acknowledged.add('a', 600)
    // Taken an hour later; the server has not answered since.
    expect(acknowledged.take(600)).toEqual(['a'])
  })

  it('are kept by the newest of a key', () => {
    const { acknowledged } = open()
    acknowledged.add('a', 0)
    acknowledged.add('b', 500)
    acknowledged.add('a', 1200)
    expect(acknowledged.take(2100)).toEqual(['a'])
  })

  it('are not kept beyond their time, so that a key changed once costs nothing for long', () => {
    const { acknowledged } = open()
    for (let key = 0; key < 200_000; key++) acknowledged.add(`key ${key}`, key)
    expect(acknowledged.take(199_999)).toHaveLength(1001)
  })

  it('are bounded: beyond 100,000 the oldest is given up, and counted', () => {
    const { acknowledged, overflows } = open()
    for (let key = 0; key < 100_002; key++) acknowledged.add(`key ${key}`, 5)
    expect(overflows()).toBe(2)
    const keys = acknowledged.take(5)
    expect([keys.length, keys[0]]).toEqual([100_000, 'key 2'])
  })

  it('of one among several servers are handed over although the others went on answering', () => {
    const { acknowledged } = open(1000, true)
    acknowledged.add('of the dead one', 0)
    acknowledged.add('of another', 30_000)
    expect(acknowledged.take(30_000)).toEqual(['of the dead one', 'of another'])
  })

  it('are not kept at all where nothing is to be replayed', () => {
    const { acknowledged } = open(0)
    acknowledged.add('a', 0)
    expect(acknowledged.take(0)).toEqual([])
  })
})
