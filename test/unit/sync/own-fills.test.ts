import { expect, it } from 'vitest'
import { OwnFills } from '../../../src/sync/own-fills.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

function newFills(window = 2000) {
  const clock = manualClock()
  let forgotten = 0
  const fills = new OwnFills(clock, window, () => {
    forgotten++
  })
  const fill = (key: string, text: string) => fills.add(key, bytes(text), true)(true)
  return { clock, fills, fill, forgotten: () => forgotten }
}

it('tells the bytes of a fill from others, once', () => {
  const { fills, fill } = newFills()
  fill('k', 'ours')
  const isOurs = fills.take('k', true)
  expect(isOurs?.(bytes('ours'))).toBe(true)
  expect(isOurs?.(bytes('their'))).toBe(false)
  expect(fills.take('k', true)).toBeUndefined()
})

it('the last fill of a key counts', () => {
  const { fills, fill } = newFills()
  fill('k', 'one')
  fill('k', 'two')
  expect(fills.take('k', true)?.(bytes('two'))).toBe(true)
})

it('a fill of longer ago than the window is not told', () => {
  const { clock, fills, fill } = newFills()
  fill('late', 'x')
  fill('in time', 'x')
  clock.advance(2000)
  expect(fills.take('in time', true)).toBeDefined()
  clock.advance(1)
  expect(fills.take('late', true)).toBeUndefined()
})

it('a window of 0 remembers nothing', () => {
  const { fills, fill } = newFills(0)
  fill('k', 'x')
  expect(fills.take('k', true)).toBeUndefined()
})

it('of more than 10,000 the oldest is pushed out, and counted only if it was still in the window', () => {
  const { clock, fills, fill, forgotten } = newFills()
  for (let i = 0; i <= 10_000; i++) fill(`k${i}`, 'x')
  expect(forgotten()).toBe(1)
  expect(fills.take('k0', true)).toBeUndefined()
  expect(fills.take('k1', true)).toBeDefined()
  clock.advance(2001)
  for (let i = 0; i < 10_000; i++) fill(`n${i}`, 'x')
  expect(forgotten()).toBe(1)
  expect(fills.take('n0', true)).toBeDefined()
})

it('news that come while a fill is on its way are told when it has landed', () => {
  const { fills } = newFills()
  const settle = fills.add('k', bytes('ours'), true)
  expect(fills.take('k', true)).toBeUndefined()
  const isOurs = settle(true)
  expect(isOurs?.(bytes('ours'))).toBe(true)
  expect(isOurs?.(bytes('their'))).toBe(false)
  expect(fills.take('k', true)).toBeUndefined()
})

it('a fill that has not landed leaves nothing to be taken back', () => {
  const { fills } = newFills()
  const settle = fills.add('k', bytes('ours'), true)
  fills.take('k', true)
  expect(settle(false)).toBeUndefined()
})

it('a fill that has not landed is not told, though the same bytes may lie there', () => {
  const { fills } = newFills()
  fills.add('k', bytes('same'), true)(false)
  expect(fills.take('k', true)).toBeUndefined()
})

it('a fill that has not landed leaves the one after it to be told', () => {
  const { fills, fill } = newFills()
  const settle = fills.add('k', bytes('first'), true)
  fill('k', 'second')
  settle(false)
  expect(fills.take('k', true)?.(bytes('second'))).toBe(true)
})

it('the window begins when a fill has landed, however long that took', () => {
  const { clock, fills } = newFills()
  const settle = fills.add('k', bytes('ours'), true)
  clock.advance(60_000)
  expect(settle(true)).toBeUndefined()
  clock.advance(2000)
  expect(fills.take('k', true)).toBeDefined()
})

it('a fill that no lease protects is undone for everybody’s news, one that has a lease only for foreign ones', () => {
  const { fills } = newFills()
  fills.add('bare', bytes('v'), false)(true)
  fills.add('leased', bytes('v'), true)(true)
  expect(fills.take('bare', false)?.(bytes('v'))).toBe(true)
  expect(fills.take('leased', false)).toBeUndefined()
  expect(fills.take('leased', true)?.(bytes('v'))).toBe(true)
})
