/** Slots of a Redis cluster. */
export const SLOTS = 16_384

/**
 * The slot of a key: CRC16 (XMODEM: polynomial 0x1021, from 0) of its UTF-8 bytes, or of what stands
 * between the first `{` and the next `}` if that is not empty, modulo 16,384. Redis cluster
 * specification, "Key distribution model" and "Hash tags".
 */
export function slotOf(key: string): number {
  let crc = 0
  for (const byte of Buffer.from(hashed(key))) crc = crcAfter(crc, byte)
  return crc % SLOTS
}

/** The CRC of some bytes and one more. */
export function crcAfter(crc: number, byte: number): number {
  return ((crc << 8) & 0xffff) ^ (TABLE[(crc >> 8) ^ byte] ?? 0)
}

function hashed(key: string): string {
  const open = key.indexOf('{')
  if (open === -1) return key
  const close = key.indexOf('}', open + 1)
  return close > open + 1 ? key.slice(open + 1, close) : key
}

const TABLE: Uint16Array = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc
})
