import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeGoEvent } from '../../../src/bus/go-event.ts'
import { type BusMessage, decodeMessage, encodeMessage } from '../../../src/bus/message.ts'

const message: BusMessage = {
  cacheName: 'users',
  sourceId: 'users#5b1cb1bb2f5a4f1e',
  type: 'delete',
  keys: ['user:1'],
  place: { number: 7, since: 1200, void: [5], repeat: false },
  flush: false,
  wake: [],
}

const FIRST = { number: 1, since: 0, void: [], repeat: false }

function read(text: string): BusMessage {
  const result = decodeMessage(text)
  return result.ok ? result.message : expect.fail(result.reason)
}

/** A message with one key, or other fields of jetcache-go, and this in our own field. */
function withOurs(ours: unknown, fields: object = {}): BusMessage {
  return read(
    JSON.stringify({
      ...{ CacheName: 'c', SourceID: 's', EventType: 5, Keys: ['k'], JetCacheTS: ours },
      ...fields,
    }),
  )
}

const NO_KEYS = { EventType: 0, Keys: [] }

describe('a message', () => {
  it('is an event of jetcache-go with one more field', () => {
    expect(encodeMessage(message)).toBe(
      '{"CacheName":"users","SourceID":"users#5b1cb1bb2f5a4f1e","EventType":5,"Keys":["user:1"],' +
        '"JetCacheTS":{"v":1,"n":7,"s":1200,"x":[5]}}',
    )
  })

  it('leaves out what is not so', () => {
    const { place: _, ...rest } = message
    expect(encodeMessage({ ...rest, place: FIRST })).toContain('"JetCacheTS":{"v":1,"n":1}}')
    expect(encodeMessage({ ...rest, place: undefined })).toContain('"JetCacheTS":{"v":1}}')
  })

  it.each<[string, Partial<BusMessage>]>([
    ['a repeat', { place: { ...FIRST, repeat: true } }],
    ['a wake-up', { place: undefined, wake: ['user:2'] }],
    ['a flush', { flush: true }],
  ])('has event type 0 and no keys if it is %s', (_, part) => {
    const text = encodeMessage({ ...message, ...part, keys: [] })
    expect(text).toContain('"EventType":0,"Keys":[],')
    expect(decodeGoEvent(text).ok).toBe(true)
    expect(read(text)).toEqual({ ...message, ...part, type: undefined, keys: [] })
  })

  it('is read as it was written', () => {
    const numbers = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
    const texts = fc.array(fc.string({ unit: 'binary' }))
    const place = fc.record({
      number: numbers,
      since: fc.nat(),
      void: fc.array(numbers),
      repeat: fc.boolean(),
    })
    const messages: fc.Arbitrary<BusMessage> = fc.record({
      cacheName: fc.string({ unit: 'binary' }),
      sourceId: fc.string({ unit: 'binary' }),
      type: fc.constantFrom('set', 'setByOnce', 'setByRefresh', 'setByMGet', 'delete', undefined),
      keys: texts,
      place: fc.option(place, { nil: undefined }),
      flush: fc.boolean(),
      wake: texts,
    })
    fc.assert(
      fc.property(messages, (sent) => {
        const { keys, type, place: at } = sent
        expect(read(encodeMessage(sent))).toEqual({
          ...sent,
          type: keys.length === 0 ? undefined : type,
          // What names keys and has no number is not of ours.
          flush: sent.flush || (keys.length > 0 && at === undefined),
        })
      }),
    )
  })

  it('of jetcache-go has no place, and flushes nothing', () => {
    const go = '{"CacheName":"c","SourceID":"s","EventType":2,"Keys":["k"]}'
    expect(read(go)).toEqual({
      ...{ cacheName: 'c', sourceId: 's', type: 'setByOnce', keys: ['k'] },
      ...{ place: undefined, flush: false, wake: [] },
    })
  })
})

describe('a message of a later version', () => {
  it('is read as far as we know it', () => {
    const later = { v: 2, n: 3, s: 10, region: 'eu', wake: ['w'], flush: { prefix: 'user:' } }
    expect(withOurs(later, { EventType: 9, Tags: ['t'] })).toEqual({
      ...{ cacheName: 'c', sourceId: 's', type: undefined, keys: ['k'] },
      place: { ...FIRST, number: 3, since: 10 },
      // It says to drop something that we cannot name.
      flush: true,
      wake: ['w'],
    })
  })
})

describe('a place that cannot be read', () => {
  it.each<[string, unknown, object?]>([
    ['is a text', { v: 1, n: '7' }],
    ['is 0', { v: 1, n: 0 }],
    ['is negative', { v: 1, n: -1 }],
    ['has a fraction', { v: 1, n: 1.5 }],
    ['is beyond the safe integers', { v: 1, n: 2 ** 53 }],
    ['is missing beside keys', { v: 1, wake: ['w'] }],
    ['is wrong where there are no keys', { v: 1, n: 'x' }, NO_KEYS],
    ['stands in no object', 'n=7'],
    ['stands in a list', [7]],
  ])('flushes, as a message that we did not hear would: it %s', (_, ours, fields) => {
    expect(withOurs(ours, fields)).toMatchObject({ place: undefined, flush: true })
  })

  it('is none in a wake-up, which has no number', () => {
    const woken = withOurs({ v: 1, wake: ['w'] }, NO_KEYS)
    expect(woken).toMatchObject({ place: undefined, flush: false, wake: ['w'] })
  })

  it.each([-5, '9', null, [1]])('counts the one before it as just sent if its age is %j', (s) => {
    expect(withOurs({ v: 1, n: 7, s }).place).toEqual({ ...FIRST, number: 7 })
  })

  it('counts the one before it as just sent if its age is beyond all numbers', () => {
    const text = '{"Keys":["k"],"JetCacheTS":{"n":7,"s":1e999}}'
    expect(read(text).place?.since).toBe(0)
  })

  it('takes for void what is a number, and nothing else', () => {
    expect(withOurs({ n: 7, x: [3, '4', null, -1, 0, 2.5, 5] }).place?.void).toEqual([3, 5])
    expect(withOurs({ n: 7, x: { 3: true } }).place?.void).toEqual([])
  })

  it('is a repeat in doubt, which shows a gap, not a message, which closes one', () => {
    expect(withOurs({ n: 7, r: 'no' }).place?.repeat).toBe(true)
    expect(withOurs({ n: 7, r: false }).place?.repeat).toBe(false)
  })
})

describe('whatever comes', () => {
  it.each([
    ['no JSON', 'hello'],
    ['nothing', ''],
    ['keys that are no strings', '{"Keys":[1],"JetCacheTS":{"n":1}}'],
  ])('is refused with a reason, not thrown: %s', (_, text) => {
    expect(decodeMessage(text)).toEqual({ ok: false, reason: expect.stringMatching(/./) as string })
  })

  it('throws nothing, and nothing of it reaches a prototype', () => {
    const fields = fc.record(
      {
        CacheName: fc.oneof(fc.string(), fc.jsonValue()),
        SourceID: fc.string(),
        EventType: fc.oneof(fc.nat(6), fc.jsonValue()),
        Keys: fc.oneof(fc.array(fc.string()), fc.jsonValue()),
        JetCacheTS: fc.oneof(
          fc.jsonValue(),
          fc.dictionary(
            fc.constantFrom('v', 'n', 's', 'x', 'r', 'flush', 'wake', '__proto__'),
            fc.jsonValue(),
          ),
        ),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fields.map((it) => JSON.stringify(it)),
        ),
        (text) => {
          const result = decodeMessage(text)
          if (!result.ok) {
            expect(result.reason).not.toBe('')
            return
          }
          const { keys, wake, place, flush } = result.message
          expect([...keys, ...wake].every((key) => typeof key === 'string')).toBe(true)
          expect(typeof flush).toBe('boolean')
          expect(place === undefined || place.number >= 1).toBe(true)
        },
      ),
      { numRuns: 2000 },
    )
    const polluting = '{"__proto__":{"Keys":["k"]},"JetCacheTS":{"__proto__":{"flush":true}}}'
    expect(read(polluting)).toMatchObject({ keys: [], flush: false })
    expect(Object.keys(Object.prototype)).toEqual([])
  })

  it('is read in a time that is bounded by its length', () => {
    const keys = Array.from({ length: 100_000 }, (_, i) => `user:${i}`)
    const go = JSON.stringify({ CacheName: 'c', SourceID: 's', EventType: 4, Keys: keys })
    const numbers = Array.from({ length: 100_000 }, (_, i) => i + 1)
    const voids = JSON.stringify({ Keys: ['k'], JetCacheTS: { n: 100_001, x: numbers } })
    const deep = `{"JetCacheTS":${'['.repeat(1e6)}${']'.repeat(1e6)}}`
    const startedAt = performance.now()
    expect(read(go).keys).toEqual(keys)
    expect(read(voids).place?.void.length).toBe(100_000)
    decodeMessage(deep)
    expect(performance.now() - startedAt).toBeLessThan(2000)
  })
})
