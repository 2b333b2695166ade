import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeGoEvent, encodeGoEvent } from '../../../src/bus/go-event.ts'

const event = {
  cacheName: 'any',
  sourceId: '5b1cb1bb2f5a4f1e',
  type: 'delete',
  keys: ['user:1', 'user:2'],
} as const

describe('an invalidation event of jetcache-go', () => {
  it("is Go's JSON of its struct", () => {
    expect(encodeGoEvent(event)).toBe(
      '{"CacheName":"any","SourceID":"5b1cb1bb2f5a4f1e","EventType":5,"Keys":["user:1","user:2"]}',
    )
  })

  it.each([
    [1, 'set'],
    [2, 'setByOnce'],
    [3, 'setByRefresh'],
    [4, 'setByMGet'],
    [5, 'delete'],
    [6, undefined],
    [0, undefined],
  ] as const)('has type %j for %j, and for a number of a later version none', (number, type) => {
    const text = `{"CacheName":"c","SourceID":"s","EventType":${number},"Keys":["k"]}`
    expect(decodeGoEvent(text)).toEqual({
      ok: true,
      event: { cacheName: 'c', sourceId: 's', type, keys: ['k'] },
    })
  })

  it('is read as it was written, whatever names and keys it has', () => {
    const events = fc.record({
      cacheName: fc.string({ unit: 'grapheme' }),
      sourceId: fc.string(),
      type: fc.constantFrom('set', 'setByOnce', 'setByRefresh', 'setByMGet', 'delete'),
      keys: fc.array(fc.string({ unit: 'grapheme' })),
    })
    fc.assert(
      fc.property(events, (sent) => {
        expect(decodeGoEvent(encodeGoEvent(sent))).toEqual({ ok: true, event: sent })
      }),
    )
  })

  it('may have fields that we do not know, and lack keys', () => {
    const text = '{"CacheName":"c","SourceID":"s","EventType":5,"Keys":null,"Region":"eu"}'
    expect(decodeGoEvent(text)).toEqual({
      ok: true,
      event: { cacheName: 'c', sourceId: 's', type: 'delete', keys: [] },
    })
  })

  it.each([
    ['no JSON', '{"Keys":', /not a JSON object/],
    ['a list', '[]', /not a JSON object/],
    ['null', 'null', /not a JSON object/],
    ['a name that is no string', '{"CacheName":1}', /CacheName/],
    ['a source that is no string', '{"SourceID":{}}', /SourceID/],
    ['a type that is no integer', '{"EventType":"5"}', /EventType/],
    ['a type with a fraction', '{"EventType":1.5}', /EventType/],
    ['keys that are no list', '{"Keys":"k"}', /Keys/],
    ['keys that are no strings', '{"Keys":["k",1]}', /Keys/],
  ])('is refused without an exception: %s', (_, text, reason) => {
    const result = decodeGoEvent(text)
    expect(result).toEqual({ ok: false, reason: expect.stringMatching(reason) as string })
  })
})
