import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { s2Decode } from '../../../src/codec/s2-decode.ts'
import { s2Encode } from '../../../src/codec/s2-encode.ts'

const CAP = 1 << 20

/** Records numbered by 37, cut after 600 bytes. */
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
  ['a repeat with one more byte of length', 'ZAAAEQEVAFM=', Buffer.alloc(100)],
  ['a repeat with three', '8KIEAAARAR0AYxEA', Buffer.alloc(70_000)],
  ['a repeat of two bytes', 'kAMEYWIRAhkAggA=', Buffer.from('ab'.repeat(200))],
  [
    'repeats across literals',
    '2AQYeyJpZCI6MAUBJCwibmFtZSI6InMBBzAsImZsYWciOnRydWV9GScEMzcVAB0ENzSOJwAIMTExkicABDQ4FQAdBDg1jicACDIyMpInAAQ1ORUAHQQ5No4nAAgzMzOSJwAENzAVABwENDCShgEENDQVAB0ENDiShgEENTEVAB0UNTU1LCJu',
    Buffer.from(records),
  ],
]

const inputs = fc.oneof(
  fc.uint8Array({ maxLength: 400 }),
  // Few letters, and pieces said again: both have matches.
  fc
    .array(fc.integer({ min: 97, max: 99 }), { maxLength: 2000 })
    .map((codes) => Uint8Array.from(codes)),
  fc
    .tuple(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 80 }), { minLength: 1 }),
      fc.array(fc.nat(), { maxLength: 80 }),
    )
    .map(([pieces, order]) =>
      Buffer.concat(order.map((at) => pieces[at % pieces.length] as Uint8Array)),
    ),
)

function encode(input: Uint8Array): Buffer {
  return s2Encode(input, 0x01).subarray(0, -1)
}

function decodeHex(hex: string): Buffer {
  return s2Decode(Buffer.from(hex.replaceAll(' ', ''), 'hex'), CAP)
}

describe('a block is read', () => {
  it.each(WRITTEN_BY_GO)('that Go wrote: %s', (_, block, plain) => {
    expect(s2Decode(Buffer.from(block, 'base64'), CAP).equals(plain)).toBe(true)
  })

  it.each([
    ['a literal with 1 byte of length', '03 f0 02 616263', 'abc'],
    ['a literal with 2 bytes of length', '03 f4 0200 616263', 'abc'],
    ['a literal with 3 bytes of length', '03 f8 020000 616263', 'abc'],
    ['a literal with 4 bytes of length', '03 fc 02000000 616263', 'abc'],
    ['a copy with an offset of 11 bits', '05 0061 0101', 'a'.repeat(5)],
    ['a copy with an offset of 2 bytes', '05 0061 0e 0100', 'a'.repeat(5)],
    ['a copy with an offset of 4 bytes', '05 0061 0f 01000000', 'a'.repeat(5)],
    ['a repeat of 4', '09 0061 0101 0100', 'a'.repeat(9)],
    ['a repeat of 8', '0d 0061 0101 1100', 'a'.repeat(13)],
    ['a repeat of 8 and one byte', '8c02 0061 0101 1500ff', 'a'.repeat(268)],
    ['a repeat of 260 and two bytes', '8a04 0061 0101 1900 0101', 'a'.repeat(522)],
    ['a repeat of 65,540 and three bytes', '8a8004 0061 0101 1d00 010000', 'a'.repeat(65_546)],
    ['a repeat of the offset before a literal', '0b 0461 62 0e 0200 00 63 0100', 'abababcbcbc'],
  ])('with %s', (_, hex, text) => {
    expect(decodeHex(hex).toString()).toBe(text)
  })

  it.each([
    ['nothing', ''],
    ['a length of 6 bytes', 'ffffffffff01'],
    ['a length of 2^32', '8080808010 00'],
    ['more than the cap, in 5 bytes', 'ffffffff0f 0061'],
    ['a repeat before any copy', '05 0061 0100'],
    ['an offset of 0', '05 0061 0e0000'],
    ['an offset before the beginning', '05 0061 0102'],
    ['a copy past the length', '04 0061 0101'],
    ['a literal past the length', '01 04 6161'],
    ['a literal cut short', '02 04 61'],
    ['a copy cut short', '05 0061 0e01'],
    ['a repeat cut short', '8a04 0061 0101 1900 01'],
    ['the length of a literal cut short', '03 f4 02'],
    ['less than the length', '06 0061 0101'],
  ])('but not %s', (_, hex) => {
    expect(() => decodeHex(hex)).toThrow(RangeError)
  })

  it('or refused with a RangeError, whatever the bytes', () => {
    const damaged = fc
      .tuple(inputs, fc.nat(), fc.integer({ min: 1, max: 255 }))
      .map(([input, at, bits]) => {
        const block = Uint8Array.from(encode(input))
        const i = at % block.length
        block[i] = (block[i] as number) ^ bits
        return block
      })
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array()), (block) => {
        try {
          s2Decode(block, CAP)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
          expect((error as Error).message).toMatch(/^a block /)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('a block that we write', () => {
  it('is read back as what went in', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        expect(s2Decode(encode(input), CAP).equals(input)).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  it.each([
    ['200 KB of few letters', letters(200_000, 4)],
    ['70,000 random bytes', letters(70_000, 256)],
    ['a match just within reach', withMatchAt(65_535)],
    ['a match just beyond reach', withMatchAt(65_536)],
  ])('is read back: %s', (_, input) => {
    expect(s2Decode(encode(input), CAP).equals(input)).toBe(true)
  })

  it('is read back for every length of a match, near and far', () => {
    for (const distance of [100, 3000]) {
      const random = letters(distance, 256)
      for (let length = 4; length <= Math.min(distance, 200); length++) {
        const input = Buffer.concat([random, random.subarray(0, length), Buffer.of(255)])
        expect(s2Decode(encode(input), CAP).equals(input)).toBe(true)
      }
    }
  })

  it('is small where the input repeats itself', () => {
    expect(encode(Buffer.from(records)).length).toBeLessThan(records.length / 4)
    expect(encode(Buffer.alloc(64_000)).length).toBeLessThan(64_000 / 20)
  })

  it('finds matches 65,535 bytes back, and writes no offset that needs more than two bytes', () => {
    expect(encode(withMatchAt(65_535)).length).toBeLessThan(65_535 + 600)
    expect(encode(withMatchAt(65_536)).length).toBeGreaterThan(65_536 + 600)
  })

  it('is hardly larger than an input without repetition', () => {
    expect(encode(letters(70_000, 256)).length).toBeLessThan(70_000 + 100)
  })

  it('is followed by the tail', () => {
    expect(s2Encode(Buffer.from('a'), 0x2b).toString('hex')).toBe('0100612b')
  })
})

/** Bytes of a fixed generator, with `kinds` different values. */
function letters(length: number, kinds: number): Buffer {
  let seed = 1
  return Buffer.from(
    Uint8Array.from({ length }, () => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
      return Math.floor((seed / 2 ** 32) * kinds)
    }),
  )
}

/** Random bytes whose first 1,000 come again at `distance`. */
function withMatchAt(distance: number): Buffer {
  const random = letters(distance, 256)
  return Buffer.concat([random, random.subarray(0, 1000)])
}
