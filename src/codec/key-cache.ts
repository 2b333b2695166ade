/** Slots; a schema has tens of keys, and a slot lost to another key costs one slower read. */
const SLOTS = 2048

/** Longer keys are rare, and comparing them costs what it saves. */
export const LONGEST_CACHED_KEY = 32

interface CachedKey {
  readonly bytes: Uint8Array
  readonly text: string
}

/**
 * The strings of map keys by their bytes: keys repeat from record to record, and one string used
 * again saves its making and the engine's search for it. One slot per hash and the last key wins, so
 * that no input can make it large or slow.
 */
export class KeyCache {
  readonly #slots: (CachedKey | undefined)[] = new Array<CachedKey | undefined>(SLOTS).fill(
    undefined,
  )

  /** The key in `bytes` from `start`; `length` is from 1 to `LONGEST_CACHED_KEY`. */
  read(bytes: Buffer, start: number, length: number): string {
    const first = bytes[start] as number
    const middle = bytes[start + (length >> 1)] as number
    const last = bytes[start + length - 1] as number
    const slot = (first * 31 + middle * 17 + last * 7 + length * 131) & (SLOTS - 1)
    const known = this.#slots[slot]
    if (known !== undefined && isSame(known.bytes, bytes, start, length)) return known.text
    const text = bytes.toString('utf8', start, start + length)
    this.#slots[slot] = { bytes: new Uint8Array(bytes.subarray(start, start + length)), text }
    return text
  }
}

function isSame(known: Uint8Array, bytes: Buffer, start: number, length: number): boolean {
  if (known.length !== length) return false
  for (let i = 0; i < length; i++) if (known[i] !== bytes[start + i]) return false
  return true
}
