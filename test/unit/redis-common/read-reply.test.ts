import { describe, expect, it } from 'vitest'
import { toHeld, toLeaseReads, toReads } from '../../../src/redis-common/read-reply.ts'

describe('The reply of the READ script', () => {
  it('is values and then lives; a value without expiry lives for ever', () => {
    const reply = [Buffer.from('a'), null, Buffer.from(''), 1500, -2, -1]
    expect(toReads(reply, 3)).toEqual([
      { bytes: Uint8Array.of(97), ttlLeft: 1500 },
      undefined,
      { bytes: new Uint8Array(), ttlLeft: Number.POSITIVE_INFINITY },
    ])
  })

  it('gives a value in its last millisecond a life above 0', () => {
    const [read] = toReads([Buffer.from('a'), 0], 1)
    expect(read?.ttlLeft).toBeGreaterThan(0)
    expect(read?.ttlLeft).toBeLessThan(1)
  })

  it('is copied out of what the socket received', () => {
    const received = Buffer.from('-value-')
    const [read] = toReads([received.subarray(1, 6), 10], 1)
    received.fill(0)
    expect(read?.bytes).toEqual(new TextEncoder().encode('value'))
    expect(read?.bytes.buffer.byteLength).toBe(5)
  })
})

describe('The reply of the READ_OR_LEASE script', () => {
  it('is a value with its life, a lease that was granted, or whose it is and for how long', () => {
    const of = (text: string) => Buffer.from(text)
    const reply = [of('a'), null, null, null, of('b'), 1500, -2, of('p.1 900'), of('p.q.2* 7'), -1]
    expect(toLeaseReads(reply, 5)).toEqual([
      { kind: 'value', read: { bytes: Uint8Array.of(97), ttlLeft: 1500 } },
      { kind: 'granted' },
      { kind: 'held', by: 'p.1', left: 900 },
      { kind: 'held', by: 'p.q.2', left: 7 },
      { kind: 'value', read: { bytes: Uint8Array.of(98), ttlLeft: Number.POSITIVE_INFINITY } },
    ])
  })

  it('leaves a lease in its last millisecond a life above 0', () => {
    expect(toHeld(Buffer.from('p.1 0')).left).toBeGreaterThan(0)
  })
})
