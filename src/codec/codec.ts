/** Turns values into bytes and back. */
export interface Codec {
  /** Names it in options, errors and counters. */
  readonly name: string
  /**
   * Writes a value other than `null` and `undefined`. The caller owns the returned bytes: they are
   * not part of a buffer that is used again.
   *
   * @throws CacheEncodeError naming the path of what it cannot write; any other error is wrapped in one.
   */
  encode(value: unknown): Uint8Array
  /**
   * Reads what `encode` wrote, or a foreign writer of the same format. May throw anything on bytes
   * that are not of its format; must not crash, hang or allocate beyond the size of its input by much.
   */
  decode(bytes: Uint8Array): unknown
  /**
   * Copies a value that `decode` returned, faster than decoding again and with an equal result.
   * Without it, the local tier keeps the bytes and decodes them for each caller.
   */
  copy?(value: unknown): unknown
  /**
   * Whether what `decode` returns holds no view of the bytes it was given: nobody who changes the one
   * changes the other. A local tier that holds bytes then need not copy them for each caller.
   *
   * @default false
   */
  readonly detached?: boolean
  /** Whether empty bytes mean "not found" rather than a value. Go writes a nil as empty bytes. */
  readonly emptyIsNotFound?: boolean
}
