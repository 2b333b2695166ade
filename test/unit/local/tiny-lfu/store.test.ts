import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LocalEntry, RemovalCause } from '../../../../src/local/local-store.ts'
import { TinyLfuStore } from '../../../../src/local/tiny-lfu/tiny-lfu-store.ts'
import { manualClock } from '../../../../src/testing/manual-clock.ts'
import { randomStep, type Step, seeded, TinyLfuWalk } from '../../../support/tiny-lfu-walk.ts'

const key = fc.nat(11).map((i) => `k${i}`)
const cause = fc.constantFrom<RemovalCause[]>('deleted', 'invalidated', 'expired', 'replaced')
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 40,
    arbitrary: fc.record({
      kind: fc.constant('set' as const),
      key,
      weight: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: -1, max: 12 })),
      life: fc.constantFrom(1, 500, 2000, 100_000),
      again: fc.boolean(),
    }),
  },
  { weight: 40, arbitrary: fc.record({ kind: fc.constantFrom('get', 'get', 'peek'), key }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('delete' as const), key, cause }) },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('advance' as const),
      ms: fc.constantFrom(0, 1, 999, 1001),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const), cause }) },
)

const ROOMS = [
  ['30 entries', { capacity: 30, weighted: false }],
  ['a weight of 60', { capacity: 60, weighted: true }],
] as const

describe.each(ROOMS)('a store with room for %s', (_, room) => {
  it('holds what it must after any steps, tells of each that left, and is in order inside', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.array(step, { maxLength: 120, size: 'max' }),
        (capacity, steps) => {
          const walk = new TinyLfuWalk({ ...room, capacity, random: () => 0.3 })
          for (const each of steps) walk.take(each)
        },
      ),
      { numRuns: 150, seed: 20_261_201 },
    )
  })

  it('does so for 50,000 random steps', () => {
    const random = seeded(7)
    const walk = new TinyLfuWalk({ ...room, random: () => random(2 ** 32) / 2 ** 32 })
    for (let i = 0; i < 50_000; i++) walk.take(randomStep(random, 90))
    for (const cause of ['evicted', 'expired', 'deleted', 'replaced', 'invalidated'] as const) {
      expect(walk.counts.get(cause)).toBeGreaterThan(100)
    }
    expect(walk.store.refused > 0).toBe(room.weighted)
  }, 30_000)
})

interface Told {
  readonly key: string
  readonly cause: RemovalCause
}

function open(capacity: number, weigh?: (key: string, entry: LocalEntry) => number) {
  const clock = manualClock()
  const told: Told[] = []
  const store = new TinyLfuStore(
    { capacity, weigh },
    { clock, removed: (key, _, cause) => void told.push({ key, cause }) },
    () => 0.7,
  )
  const put = (key: string, kept: unknown, life = 3_600_000) => {
    const until = clock.now() + life
    const lives = { freshUntil: until, keptUntil: until, aheadAt: Infinity }
    store.set(key, { kept, ...lives, answer: undefined })
  }
  return { clock, told, store, put }
}

describe.each([1, 2, 3, 5])('a store with room for %i', (capacity) => {
  it('never holds more, has the newest right after it came, and gives it to who asks', () => {
    const { store, put, told } = open(capacity)
    const random = seeded(capacity)
    let came = 0
    for (let i = 0; i < 3000; i++) {
      const key = `k${random(capacity * 3)}`
      if (store.peek(key) === undefined) came++
      put(key, i)
      expect(store.size).toBeLessThanOrEqual(capacity)
      expect(store.get(key)?.kept).toBe(i)
      if (random(2) === 0) store.get(`k${random(capacity)}`)
    }
    expect(store.size).toBe(capacity)
    expect(told.filter((each) => each.cause === 'evicted').length).toBe(came - capacity)
  })
})

describe('a life that is over', () => {
  it('ends with the entry gone, though nobody asks, and told as expired; the clock is then left alone', () => {
    const { clock, store, put, told } = open(10)
    expect(clock.pendingTimers).toBe(0)
    put('short', 1, 500)
    put('long', 2, 5000)
    expect(clock.pendingTimers).toBe(1)
    clock.advance(999)
    expect([told, store.size]).toEqual([[], 2])
    clock.advance(1)
    expect([told, store.size]).toEqual([[{ key: 'short', cause: 'expired' }], 1])
    expect(clock.pendingTimers).toBe(1)
    clock.advance(4000)
    expect([told.length, store.size, clock.pendingTimers]).toEqual([2, 0, 0])
    put('next', 3, 100)
    expect(clock.pendingTimers).toBe(1)
    clock.advance(1000)
    expect([told.length, store.size, clock.pendingTimers]).toEqual([3, 0, 0])
  })

  it('is no reason to hold up others: of very many a thousand leave at a time, soon one after another', () => {
    const { clock, store, put, told } = open(20_000)
    for (let i = 0; i < 10_500; i++) put(`k${i}`, i, 500)
    put('other', 1)
    clock.advance(1000)
    expect(told.length).toBe(1000)
    clock.advance(20)
    expect(told.length).toBe(2000)
    clock.advance(8 * 20)
    expect(told.length).toBe(10_000)
    clock.advance(20)
    expect([told.length, store.size]).toEqual([10_500, 1])
    expect(new Set(told.map((each) => each.cause))).toEqual(new Set(['expired']))
    expect(store.peek('other')?.kept).toBe(1)
    expect(clock.pendingTimers).toBe(1)
  })

  it('is looked for in 65,536 places at a time, and in the others at the next look', () => {
    const { clock, put, told } = open(200_000)
    for (let i = 0; i < 140_000; i++) put(`k${i}`, i, i === 100_000 ? 500 : 3_600_000)
    clock.advance(1000)
    expect(told).toEqual([])
    clock.advance(1000)
    expect(told).toEqual([{ key: 'k100000', cause: 'expired' }])
  })

  it('is over as last told: an entry stored again with a longer one stays', () => {
    const { clock, store, put, told } = open(10)
    put('k', 1, 500)
    put('k', 1, 5000)
    clock.advance(1000)
    expect([store.get('k')?.kept, told]).toEqual([1, []])
  })

  it('is told as expired where a look has seen its end, and the entry makes room before its turn', () => {
    const { clock, put, told } = open(3000)
    for (let i = 0; i < 3000; i++) put(`old${i}`, i, 500)
    clock.advance(999)
    put('before', 0)
    expect(told.map((each) => each.cause)).toEqual(['evicted'])
    clock.advance(1)
    expect(told.length).toBe(1001)
    for (let i = 0; i < 1200; i++) put(`new${i}`, i)
    const made = told.slice(1001).filter((each) => each.key.startsWith('old'))
    expect(made.length).toBeGreaterThan(50)
    expect(new Set(made.map((each) => each.cause))).toEqual(new Set(['expired']))
  })
})

describe('a clear', () => {
  it('leaves nothing behind, no timer either, and tells of each once', () => {
    const { clock, store, put, told } = open(10)
    for (let i = 0; i < 10; i++) put(`k${i}`, i)
    store.clear('invalidated')
    expect([store.size, clock.pendingTimers, told.length]).toEqual([0, 0, 10])
    store.clear('invalidated')
    expect(told.length).toBe(10)
    for (let i = 0; i < 10; i++) put(`k${i}`, i)
    expect([store.size, told.length]).toEqual([10, 10])
  })
})

describe('an entry that is written again', () => {
  it('keeps its place: it leaves when it would have left', () => {
    const { store, put } = open(20)
    for (let i = 0; i < 20; i++) put(`k${i}`, i)
    const before = store.inspect()
    expect(before.probation.slots.length).toBeGreaterThan(3)
    for (let i = 0; i < 20; i++) put(`k${i}`, i + 100)
    const { window, probation } = store.inspect()
    expect([window.slots, probation.slots]).toEqual([before.window.slots, before.probation.slots])
  })

  it('is told as replaced only if it is another value', () => {
    const { store, put, told } = open(3)
    const value = { a: 1 }
    put('k', value)
    put('k', value, 5)
    expect([told, store.peek('k')?.keptUntil]).toEqual([[], 1_700_000_000_005])
    put('k', { a: 1 })
    expect(told).toEqual([{ key: 'k', cause: 'replaced' }])
  })
})

describe('weights', () => {
  const byValue = (_: string, { kept }: LocalEntry) => kept as number

  it('are taken anew when an entry is written again, and others leave for what became heavier', () => {
    const { store, put, told } = open(10, byValue)
    for (const key of ['a', 'b', 'c', 'd', 'e']) put(key, 2)
    expect([store.size, store.inspect().weight]).toEqual([5, 10])
    put('c', 1)
    expect(store.inspect().weight).toBe(9)
    put('f', 1)
    expect([store.size, told.length]).toEqual([6, 1])
    put('c', 6)
    expect(store.inspect().weight).toBeLessThanOrEqual(10)
    expect(told.slice(2).every((each) => each.cause === 'evicted')).toBe(true)
    expect(told.length).toBeGreaterThan(2)
  })

  it('above the whole, none, or no number are refused and counted, and the key has nothing then', () => {
    const { store, put, told } = open(10, byValue)
    put('k', 10)
    expect([store.peek('k')?.kept, store.refused]).toEqual([10, 0])
    let refused = 0
    for (const weight of [10.01, 11, Infinity, 0, -1, Number.NaN]) {
      put('k', weight)
      expect([store.peek('k'), store.size, store.refused]).toEqual([undefined, 0, ++refused])
      expect(told.at(-1)).toEqual({ key: 'k', cause: 'replaced' })
      put('k', 10)
    }
    put('new', 11)
    expect([store.peek('new'), store.refused, told.length]).toEqual([
      undefined,
      refused + 1,
      refused,
    ])
    expect(store.peek('k')?.kept).toBe(10)
  })

  it('are asked for once for each value: another life is no other value', () => {
    const asked: unknown[] = []
    const { put } = open(100, (key, { kept }) => {
      asked.push([key, kept])
      return 1
    })
    const value = {}
    put('k', value)
    put('k', value, 5)
    expect(asked).toEqual([['k', value]])
    put('k', {})
    put('other', value)
    expect(asked.length).toBe(3)
  })

  it('of a newcomer bring out as many as it takes, and none if it is used less than those together', () => {
    const { store, put, told } = open(100, byValue)
    for (let i = 0; i < 50; i++) put(`k${i}`, 2)
    for (let round = 0; round < 3; round++) for (let i = 0; i < 50; i++) store.get(`k${i}`)
    put('heavy', 60)
    expect(told).toEqual([{ key: 'heavy', cause: 'evicted' }])
    expect([store.size, store.inspect().weight]).toEqual([50, 100])
  })
})
