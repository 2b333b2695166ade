import type { LocalEntry, LocalSurroundings } from '../../src/local/local-store.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'

/** Of a store that nobody listens to, its clock moved by nobody. */
export function alone(): LocalSurroundings {
  return { clock: manualClock(), removed: undefined }
}

/** An entry whose life is over; who reads a store directly does not mind. */
export function entryOf(kept: unknown): LocalEntry {
  return { kept, answer: undefined, freshUntil: 1, keptUntil: 1, aheadAt: Infinity }
}
