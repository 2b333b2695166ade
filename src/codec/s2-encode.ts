/**
 * Writes Snappy blocks, which every S2 reader takes:
 * https://github.com/google/snappy/blob/main/format_description.txt
 *
 * A greedy search: a table remembers where four bytes with the same hash were last seen; where they
 * are the same bytes again, a copy takes the place of the whole match. Offsets stay below 64 KiB, so
 * that each copy of up to 64 bytes costs three.
 */

const MIN_MATCH = 4
const MAX_OFFSET = 65_535
const MAX_TABLE_BITS = 14

/** Snappy's own: spreads four bytes over the upper bits. */
const HASH_FACTOR = 0x1e35_a7bd

/** Positions by hash, one past so that 0 is none; wiped before each block, in the part it uses. */
const table = new Int32Array(1 << MAX_TABLE_BITS)

/** Where the block is written, and how far it is. */
interface Sink {
  readonly bytes: Buffer
  at: number
}

/** Encodes `input` with `tail` after the block, in one piece of memory. */
export function s2Encode(input: Uint8Array, tail: number): Buffer {
  // Literals cost at most one byte in 60 more; the length up to 5.
  const sink = { bytes: Buffer.allocUnsafe(input.length + (input.length >>> 5) + 16), at: 0 }
  writeLength(sink, input.length)
  const rest = writeMatches(sink, input)
  writeLiteral(sink, input, rest, input.length)
  sink.bytes[sink.at++] = tail
  return sink.bytes.subarray(0, sink.at)
}

function writeLength(sink: Sink, length: number): void {
  let left = length
  while (left >= 0x80) {
    sink.bytes[sink.at++] = (left & 0x7f) | 0x80
    left = Math.floor(left / 0x80)
  }
  sink.bytes[sink.at++] = left
}

/** Writes all up to the last match, and returns where what follows it begins. */
function writeMatches(sink: Sink, input: Uint8Array): number {
  const limit = input.length - MIN_MATCH
  const bits = Math.min(MAX_TABLE_BITS, Math.max(8, 32 - Math.clz32(input.length)))
  const shift = 32 - bits
  table.fill(0, 0, 1 << bits)
  let literalFrom = 0
  let pos = 0
  // The longer nothing matches, the larger the steps: what does not compress costs little.
  let misses = 32
  while (pos <= limit) {
    const four = fourAt(input, pos)
    const slot = Math.imul(four, HASH_FACTOR) >>> shift
    const candidate = (table[slot] as number) - 1
    table[slot] = pos + 1
    if (candidate < 0 || pos - candidate > MAX_OFFSET || fourAt(input, candidate) !== four) {
      pos += misses++ >>> 5
      continue
    }
    let end = pos + MIN_MATCH
    let same = candidate + MIN_MATCH
    while (end < input.length && input[end] === input[same]) {
      end++
      same++
    }
    writeLiteral(sink, input, literalFrom, pos)
    writeCopy(sink, pos - candidate, end - pos)
    // Two positions inside the match help the next one; all of them would cost more than they find.
    if (end <= limit) table[Math.imul(fourAt(input, end - 1), HASH_FACTOR) >>> shift] = end
    literalFrom = end
    pos = end
    misses = 32
  }
  return literalFrom
}

function fourAt(input: Uint8Array, pos: number): number {
  return (
    (input[pos] as number) |
    ((input[pos + 1] as number) << 8) |
    ((input[pos + 2] as number) << 16) |
    ((input[pos + 3] as number) << 24)
  )
}

function writeLiteral(sink: Sink, input: Uint8Array, from: number, end: number): void {
  if (end === from) return
  const { bytes } = sink
  const last = end - from - 1
  if (last < 60) bytes[sink.at++] = last << 2
  else {
    const size = last < 0x100 ? 1 : last < 0x1_0000 ? 2 : last < 0x100_0000 ? 3 : 4
    bytes[sink.at++] = (59 + size) << 2
    for (let i = 0; i < size; i++) bytes[sink.at++] = last >>> (8 * i)
  }
  if (last < 32) for (let i = from; i < end; i++) bytes[sink.at++] = input[i] as number
  else {
    bytes.set(input.subarray(from, end), sink.at)
    sink.at += end - from
  }
}

/** `length` is at least 4, and no part of it gets shorter: a short copy of kind 1 is two bytes. */
function writeCopy(sink: Sink, offset: number, length: number): void {
  let left = length
  while (left > 64) {
    const part = left >= 68 ? 64 : 60
    writeFarCopy(sink, offset, part)
    left -= part
  }
  if (left > 11 || offset >= 2048) {
    writeFarCopy(sink, offset, left)
    return
  }
  sink.bytes[sink.at++] = ((offset >>> 8) << 5) | ((left - 4) << 2) | 1
  sink.bytes[sink.at++] = offset
}

function writeFarCopy(sink: Sink, offset: number, length: number): void {
  sink.bytes[sink.at++] = ((length - 1) << 2) | 2
  sink.bytes[sink.at++] = offset
  sink.bytes[sink.at++] = offset >>> 8
}
