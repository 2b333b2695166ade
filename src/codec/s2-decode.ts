/**
 * Reads S2 blocks, and so Snappy blocks, of which S2 is a superset. Written from the format's
 * description: https://github.com/klauspost/compress/tree/master/s2#format-extensions and
 * https://github.com/google/snappy/blob/main/format_description.txt
 *
 * A block is its decoded length, 7 bits to a byte, the lowest first; then elements. The two low bits of
 * an element's first byte tell its kind: 0 a literal, 1, 2 and 3 a copy from what is already decoded.
 * S2 adds one: a copy of kind 1 with offset 0 repeats the offset of the copy before it, with longer
 * lengths. Offsets may be as far as the block is long.
 */

/** Up to this many bytes a loop beats a call into the runtime. */
const SHORT = 48

/** The lengths a repeat adds to the bytes after its tag, by the tag's length code less 5. */
const REPEAT_BASE = [8, 260, 65_540] as const

/**
 * Decodes one block.
 *
 * @param maxBytes A block that declares more is refused before anything is allocated.
 * @throws RangeError if the block is damaged or larger than `maxBytes`.
 */
export function s2Decode(block: Uint8Array, maxBytes: number): Buffer {
  const { length, size } = declaredLength(block)
  if (length > maxBytes) {
    throw new RangeError(`a block declares ${length} bytes, more than the ${maxBytes} allowed`)
  }
  const out = Buffer.allocUnsafe(length)
  decodeElements(block, size, out)
  return out
}

function declaredLength(block: Uint8Array): { readonly length: number; readonly size: number } {
  let length = 0
  for (let i = 0; i < 5; i++) {
    const byte = block[i]
    if (byte === undefined) break
    // A shift would make it negative from 2^31 on.
    length += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return { length, size: i + 1 }
  }
  throw new RangeError('a block does not begin with its length')
}

function decodeElements(block: Uint8Array, from: number, out: Buffer): void {
  const end = block.length
  let pos = from
  let at = 0
  let offset = 0
  while (pos < end) {
    const tag = block[pos] as number
    const kind = tag & 3
    let length = tag >>> 2
    pos++
    if (kind === 0) {
      if (length >= 60) {
        const extra = length - 59
        length = littleEndian(block, pos, extra)
        pos += extra
      }
      length++
      if (length > end - pos || length > out.length - at) throw damaged()
      copyLiteral(block, pos, out, at, length)
      pos += length
      at += length
      continue
    }
    if (kind === 1) {
      const near = ((tag >>> 5) << 8) | littleEndian(block, pos, 1)
      length = (tag >>> 2) & 7
      pos++
      if (near !== 0) {
        offset = near
        length += 4
      } else if (length < 5) length += 4
      else {
        const extra = length - 4
        length = (REPEAT_BASE[length - 5] as number) + littleEndian(block, pos, extra)
        pos += extra
      }
    } else {
      const size = kind === 2 ? 2 : 4
      offset = littleEndian(block, pos, size)
      length++
      pos += size
    }
    if (offset === 0 || offset > at || length > out.length - at) throw damaged()
    copyBack(out, at, offset, length)
    at += length
  }
  if (at !== out.length) throw damaged()
}

function littleEndian(block: Uint8Array, pos: number, size: number): number {
  if (pos + size > block.length) throw damaged()
  let value = block[pos] as number
  if (size > 1) value |= (block[pos + 1] as number) << 8
  if (size > 2) value |= (block[pos + 2] as number) << 16
  return size > 3 ? value + (block[pos + 3] as number) * 2 ** 24 : value
}

function copyLiteral(
  block: Uint8Array,
  from: number,
  out: Buffer,
  at: number,
  length: number,
): void {
  if (length > SHORT) {
    out.set(block.subarray(from, from + length), at)
    return
  }
  for (let i = 0; i < length; i++) out[at + i] = block[from + i] as number
}

/** What is copied may reach into what the copy itself writes: then it repeats. */
function copyBack(out: Buffer, at: number, offset: number, length: number): void {
  const from = at - offset
  if (length <= SHORT) {
    for (let i = 0; i < length; i++) out[at + i] = out[from + i] as number
    return
  }
  // What is written doubles with each round, and so does what the next can take.
  let done = 0
  while (done < length) {
    const size = Math.min(offset + done, length - done)
    out.copyWithin(at + done, from, from + size)
    done += size
  }
}

function damaged(): RangeError {
  return new RangeError('a block is damaged')
}
