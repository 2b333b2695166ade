import { NOT_FOUND } from '../../model/entry.ts'
import { shown } from '../../model/errors.ts'
import { Kept } from '../kept.ts'
import type { LocalEntry } from '../local-store.ts'
import { estimateBytes } from '../weigh.ts'

/** Of an entry beside its key and its value: object, lives, place in the table of keys, slot. Measured. */
const ENTRY_BYTES = 240

/** What is not to be kept weighs nothing. */
const WEIGHTLESS = 0

/**
 * What entries weigh, in bytes.
 *
 * @param weigh The user's own weight of a value; `undefined`: the estimate.
 */
export function weigher(
  weigh: ((key: string, value: unknown) => number) | undefined,
  warn: ((message: string) => void) | undefined,
): (key: string, entry: LocalEntry) => number {
  return (key, { kept }) => {
    const own = ENTRY_BYTES + estimateBytes(key)
    if (kept === NOT_FOUND) return own
    if (weigh === undefined) return own + estimateBytes(kept)
    try {
      const weight: unknown = weigh(key, heldBy(kept))
      if (typeof weight === 'number' && weight >= 0) return own + weight
      warn?.(`tinyLfu: weigh must return a number of 0 or more, but returned ${shown(weight)}`)
    } catch (error) {
      warn?.(`tinyLfu: weigh threw: ${error}`)
    }
    return WEIGHTLESS
  }
}

/** What is kept, without what says how it is given: one may stand in another. */
function heldBy(kept: unknown): unknown {
  return kept instanceof Kept ? heldBy(kept.held) : kept
}
