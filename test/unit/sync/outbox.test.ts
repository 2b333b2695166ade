import { expect, it } from 'vitest'
import { type BusMessage, decodeMessage } from '../../../src/bus/message.ts'
import { newCounters } from '../../../src/stats/counters.ts'
import { Outbox } from '../../../src/sync/outbox.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'

type Fate = 'out' | 'not out' | 'unknown' | 'silent' | Promise<boolean>

function read(text: string): BusMessage {
  const result = decodeMessage(text)
  if (!result.ok) throw new Error(result.reason)
  return result.message
}

/** An outbox whose messages meet the fates of a list, and go out once it is empty. */
function newOutbox(...fates: Fate[]) {
  const clock = manualClock()
  const counters = newCounters()
  const sent: (BusMessage & { readonly at: number })[] = []
  const outbox = new Outbox({
    cacheName: 'c',
    sourceId: 's',
    clock,
    counters,
    publish: async (text) => {
      sent.push({ ...read(text), at: clock.monotonic() })
      const fate = fates.shift() ?? 'out'
      if (fate === 'unknown') throw new Error('connection lost')
      if (fate === 'silent') return new Promise(() => undefined)
      return typeof fate === 'string' ? fate === 'out' : fate
    },
  })
  const numbers = () => sent.map(({ place }) => place?.number)
  const keys = () => sent.map((message) => message.keys)
  return { clock, counters, outbox, sent, numbers, keys, fates }
}

it('keys that change in one turn go in one message, each once, the newest last', async () => {
  const { clock, outbox, sent } = newOutbox()
  outbox.add(['a'], 'delete')
  outbox.add(['b'], 'delete')
  await Promise.resolve()
  outbox.add(['a'], 'delete')
  await clock.advanceAsync(0)
  expect(sent).toMatchObject([
    { cacheName: 'c', sourceId: 's', type: 'delete', keys: ['b', 'a'], flush: false, wake: [] },
  ])
  expect(sent[0]?.place).toMatchObject({ number: 1, void: [] })
})

it('one message is under way at a time, and what changes meanwhile shares the next', async () => {
  let go: (out: boolean) => void = () => undefined
  const held = new Promise<boolean>((resolve) => {
    go = resolve
  })
  const { clock, outbox, keys } = newOutbox(held)
  outbox.add(['a'], 'delete')
  await clock.advanceAsync(10)
  outbox.add(['b'], 'delete')
  await clock.advanceAsync(10)
  outbox.add(['c', 'a'], 'delete')
  await clock.advanceAsync(10)
  expect(keys()).toEqual([['a']])
  go(true)
  await clock.advanceAsync(0)
  expect(keys()).toEqual([['a'], ['b', 'c', 'a']])
})

it('no message has more than 500 keys', async () => {
  const { clock, outbox, keys } = newOutbox()
  outbox.add(
    Array.from({ length: 1001 }, (_, i) => `k${i}`),
    'delete',
  )
  await clock.advanceAsync(0)
  expect(keys().map((list) => list.length)).toEqual([500, 500, 1])
  expect(new Set(keys().flat()).size).toBe(1001)
})

it('no message has more than 256 KiB of keys, but for a single longer one', async () => {
  const { clock, outbox, keys } = newOutbox()
  const long = (name: string) => name.padEnd(200_000, name)
  outbox.add([long('a'), long('b'), long('c')], 'delete')
  await clock.advanceAsync(0)
  expect(keys().map((list) => list.length)).toEqual([1, 1, 1])
})

it('fills and changes go in messages of their own, and a change outweighs a fill of its key', async () => {
  const { clock, outbox, sent } = newOutbox()
  outbox.add(['filled', 'both'], 'setByOnce')
  outbox.add(['both'], 'delete')
  outbox.add(['both'], 'setByOnce')
  await clock.advanceAsync(0)
  expect(sent).toMatchObject([
    { type: 'setByOnce', keys: ['filled'] },
    { type: 'delete', keys: ['both'] },
  ])
})

it('a message that certainly did not go out leaves a void number, and its keys go a second later', async () => {
  const { clock, outbox, sent, counters } = newOutbox('not out')
  outbox.add(['a'], 'delete')
  await clock.advanceAsync(999)
  outbox.add(['b'], 'delete')
  await clock.advanceAsync(0)
  expect(sent).toHaveLength(1)
  await clock.advanceAsync(1)
  expect(sent).toHaveLength(2)
  expect(new Set(sent[1]?.keys)).toEqual(new Set(['a', 'b']))
  expect(sent[1]?.place).toMatchObject({ number: 2, void: [1] })
  expect(counters.busSent).toBe(1)
  outbox.add(['c'], 'delete')
  await clock.advanceAsync(0)
  expect(sent[2]?.place).toMatchObject({ number: 3, void: [] })
})

it('a message of which nobody knows goes again under another number, and its own is not void', async () => {
  const { clock, outbox, sent } = newOutbox('unknown')
  outbox.add(['a'], 'delete')
  await clock.advanceAsync(1000)
  expect(sent[1]).toMatchObject({ keys: ['a'], place: { number: 2, void: [] } })
})

it('a message without an answer holds the others up for 5 s', async () => {
  const { clock, outbox, sent } = newOutbox('silent')
  outbox.add(['a'], 'delete')
  await clock.advanceAsync(0)
  outbox.add(['b'], 'delete')
  await clock.advanceAsync(5999)
  expect(sent).toHaveLength(1)
  await clock.advanceAsync(1)
  expect(new Set(sent[1]?.keys)).toEqual(new Set(['a', 'b']))
  expect(sent[1]?.place).toMatchObject({ number: 2, void: [] })
})

it('what waits goes as soon as the bus may be used again', async () => {
  const { clock, outbox, keys } = newOutbox('not out')
  outbox.add(['a'], 'delete')
  await clock.advanceAsync(100)
  outbox.resume()
  await clock.advanceAsync(0)
  expect(keys()).toEqual([['a'], ['a']])
})

it('more than 10,000 waiting keys become one message that says everything', async () => {
  const { clock, outbox, sent } = newOutbox('not out', 'not out')
  outbox.add(['first'], 'delete')
  await clock.advanceAsync(0)
  for (let i = 0; i < 10_000; i++) outbox.add([`k${i}`], 'delete')
  outbox.add(['one more'], 'delete')
  await clock.advanceAsync(1000)
  expect(sent[1]).toMatchObject({ flush: true, keys: [] })
  // Not out either: still everything.
  outbox.add(['and another'], 'delete')
  await clock.advanceAsync(1000)
  expect(sent[2]).toMatchObject({ flush: true, keys: [], place: { number: 3, void: [1, 2] } })
  await clock.advanceAsync(500)
  expect(sent).toHaveLength(3)
})

it('10,000 keys are still told one by one', async () => {
  const { clock, outbox, keys } = newOutbox('not out')
  outbox.add(['k0'], 'delete')
  await clock.advanceAsync(0)
  for (let i = 0; i < 10_000; i++) outbox.add([`k${i}`], 'delete')
  await clock.advanceAsync(1000)
  expect(new Set(keys().flat()).size).toBe(10_000)
})

it('what changes while a flush is under way is told after it', async () => {
  let go: (out: boolean) => void = () => undefined
  const held = new Promise<boolean>((resolve) => {
    go = resolve
  })
  const { clock, outbox, sent } = newOutbox(held)
  for (let i = 0; i <= 10_000; i++) outbox.add([`k${i}`], 'delete')
  await clock.advanceAsync(0)
  outbox.add(['later'], 'delete')
  go(true)
  await clock.advanceAsync(0)
  expect(sent).toMatchObject([{ flush: true }, { flush: false, keys: ['later'] }])
})

it('the last number is repeated 1 s and 5 s after the last message, and then no more', async () => {
  const { clock, outbox, sent } = newOutbox()
  await clock.advanceAsync(60_000)
  outbox.wake('k')
  await clock.advanceAsync(60_000)
  expect(sent).toEqual([])
  outbox.add(['a'], 'delete')
  await clock.advanceAsync(600)
  outbox.add(['b'], 'delete')
  await clock.advanceAsync(120_000)
  expect(sent).toMatchObject([
    { at: 120_000, keys: ['a'], place: { number: 1, repeat: false } },
    { at: 120_600, keys: ['b'], place: { number: 2, since: 600, repeat: false } },
    { at: 121_600, keys: [], type: undefined, place: { number: 2, since: 1000, repeat: true } },
    { at: 125_600, keys: [], type: undefined, place: { number: 2, since: 5000, repeat: true } },
  ])
  expect(sent).toHaveLength(4)
  expect(clock.pendingTimers).toBe(0)
})

it('a message between the two repeats begins them anew', async () => {
  const { clock, outbox, sent } = newOutbox()
  outbox.ride('a', 'ch').settle(true)
  await clock.advanceAsync(2000)
  outbox.ride('b', 'ch').settle(true)
  await clock.advanceAsync(60_000)
  expect(sent.map(({ at, place }) => [at, place?.number])).toEqual([
    [1000, 1],
    [3000, 2],
    [7000, 2],
  ])
})

it('a repeat that did not go out is tried again', async () => {
  const { clock, outbox, numbers, sent } = newOutbox('not out', 'unknown')
  outbox.ride('a', 'ch').settle(true)
  await clock.advanceAsync(4000)
  expect(numbers()).toEqual([1, 1, 1])
  expect(sent.every(({ place }) => place?.repeat && place.void.length === 0)).toBe(true)
})

it('a message rides with the next number, for the one key', () => {
  const { outbox } = newOutbox()
  const ride = outbox.ride('a', 'ch')
  expect(ride.announcement.channel).toBe('ch')
  expect(read(ride.announcement.text)).toMatchObject({
    keys: ['a'],
    type: 'delete',
    place: { number: 1 },
  })
  expect(read(outbox.ride('b', 'ch').announcement.text).place?.number).toBe(2)
})

it('a wake-up has no number and says nothing of a change', () => {
  const { outbox } = newOutbox()
  expect(read(outbox.wake('a'))).toMatchObject({
    wake: ['a'],
    keys: [],
    flush: false,
    place: undefined,
  })
  expect(read(outbox.ride('b', 'ch').announcement.text).place?.number).toBe(1)
})

it('a ride that did not go out is named by the next message, and no repeat is needed for it', async () => {
  const { clock, outbox, sent } = newOutbox()
  outbox.ride('a', 'ch').settle(false)
  const next = outbox.ride('b', 'ch')
  expect(read(next.announcement.text).place?.void).toEqual([1])
  next.settle(true)
  await clock.advanceAsync(999)
  expect(sent).toEqual([])
})

it('a ride found void after later numbers were given out is named by a repeat within 250 ms', async () => {
  const { clock, outbox, sent, counters } = newOutbox()
  const first = outbox.ride('a', 'ch')
  outbox.ride('b', 'ch').settle(true)
  await clock.advanceAsync(200)
  first.settle(false)
  await clock.advanceAsync(250)
  expect(sent).toMatchObject([{ at: 450, place: { number: 2, repeat: true, void: [1] } }])
  expect(counters.busSent).toBe(2)
  // It has been told: the repeats of the last message do not name it again.
  await clock.advanceAsync(550)
  expect(sent[1]?.place).toMatchObject({ number: 2, void: [] })
})

it('a ride found void after a repeat has told of it is named by another within 250 ms', async () => {
  const { clock, outbox, sent } = newOutbox()
  const first = outbox.ride('a', 'ch')
  const second = outbox.ride('b', 'ch')
  first.settle(false)
  await clock.advanceAsync(250)
  second.settle(false)
  await clock.advanceAsync(250)
  expect(sent).toMatchObject([
    { at: 250, place: { number: 2, repeat: true, void: [1] } },
    { at: 500, place: { number: 2, repeat: true, void: [2] } },
  ])
})

it('that repeat is left out if a message has named the number meanwhile', async () => {
  const { clock, outbox, sent } = newOutbox()
  const first = outbox.ride('a', 'ch')
  outbox.ride('b', 'ch').settle(true)
  first.settle(false)
  await clock.advanceAsync(100)
  outbox.ride('c', 'ch').settle(true)
  await clock.advanceAsync(500)
  expect(sent).toEqual([])
})

it('a message that named a void number and did not go out for certain has not told it', async () => {
  const { outbox } = newOutbox()
  outbox.ride('a', 'ch').settle(false)
  outbox.ride('b', 'ch').settle(undefined)
  outbox.ride('c', 'ch').settle(false)
  expect(read(outbox.ride('d', 'ch').announcement.text).place?.void).toEqual([1, 3])
})

it('a close sends what waits, and leaves no timer', async () => {
  const { clock, outbox, keys } = newOutbox('not out')
  outbox.add(['a'], 'delete')
  await clock.advanceAsync(10)
  outbox.add(['b'], 'delete')
  await outbox.close(1000)
  expect(keys().map((list) => [...list].sort())).toEqual([['a'], ['a', 'b']])
  expect(clock.pendingTimers).toBe(0)
  outbox.add(['c'], 'delete')
  outbox.ride('d', 'ch').settle(false)
  await clock.advanceAsync(60_000)
  expect(keys()).toHaveLength(2)
})

it('a close waits no longer than it may', async () => {
  const { clock, outbox } = newOutbox('silent')
  outbox.add(['a'], 'delete')
  let closed = false
  void outbox.close(1000).then(() => {
    closed = true
  })
  await clock.advanceAsync(999)
  expect(closed).toBe(false)
  await clock.advanceAsync(1)
  expect(closed).toBe(true)
  await clock.advanceAsync(60_000)
  expect(clock.pendingTimers).toBe(0)
})
