import { crcAfter, SLOTS, slotOf } from './slot.ts'

/**
 * The name of the lease of a key: another name in the same slot of a cluster, so that one script
 * reaches both. Each key has its own, and none is the name of a key that does not begin like it.
 *
 * ```
 * user:1         _#JL#{user:1}              the whole key is what is hashed
 * {tenant}:1     _#JL#{tenant}:{tenant}:1   its own tag is
 * a}b, x{}{y}    _#JL#{20658}:a}b           it cannot stand between braces: the least number of its slot
 * ```
 *
 * It goes out as it is, without the client's key prefix: so no prefix of an application covers it, and
 * all clients agree on it.
 *
 * @param key As it is sent, with the client's key prefix.
 */
export function leaseKey(key: string): string {
  const tag = tagOf(key)
  if (tag !== undefined) return `_#JL#{${tag}}:${key}`
  if (key !== '' && !key.includes('}')) return `_#JL#{${key}}`
  return `_#JL#{${leastNumberIn(slotOf(key))}}:${key}`
}

/** What stands between the first `{` and the next `}`; `undefined`: nothing does. */
function tagOf(key: string): string | undefined {
  const open = key.indexOf('{')
  if (open === -1) return undefined
  const close = key.indexOf('}', open + 1)
  return close > open + 1 ? key.slice(open + 1, close) : undefined
}

/** In UTF-8. */
const DIGIT_0 = 0x30

let numbers: ReadonlyMap<number, number> | undefined

/** The least number whose decimal digits hash to the slot. */
function leastNumberIn(slot: number): number {
  numbers ??= leastNumbers()
  return numbers.get(slot) ?? 0
}

/** All at once, some 170,000 numbers: a search for one slot would look at a tenth of them. */
function leastNumbers(): ReadonlyMap<number, number> {
  const found = new Map<number, number>()
  const crcs: number[] = []
  for (let number = 0; found.size < SLOTS; number++) {
    const before = number < 10 ? 0 : (crcs[Math.floor(number / 10)] ?? 0)
    const crc = crcAfter(before, DIGIT_0 + (number % 10))
    crcs.push(crc)
    if (!found.has(crc % SLOTS)) found.set(crc % SLOTS, number)
  }
  return found
}
