import { shown } from '../model/errors.ts'
import type { LocalEntry, RemovalCause, RemovalListener, Removed } from './local-store.ts'

/** An entry that has left. */
interface Removal {
  readonly key: string
  readonly entry: LocalEntry
  readonly cause: RemovalCause
}

/**
 * Tells the user's listener of what has left, in a microtask: whatever it does, it does not do it in the
 * middle of a change. An entry that is stored again with the value it had has not left.
 *
 * @param give What a caller would get.
 * @param warn Told what the listener threw.
 */
export function tellRemovals(
  listener: RemovalListener,
  give: (kept: unknown) => unknown,
  warn: (message: string) => void,
): Removed {
  let left: Removal[] = []
  const warnOf = (cause: RemovalCause, error: unknown) =>
    warn(`onRemoval threw for a key that was ${cause}: ${textOf(error)}`)
  const tell = () => {
    const removals = left
    left = []
    for (const { key, entry, cause } of removals) {
      try {
        const done: unknown = listener(key, give(entry.kept), cause)
        // An async function is a listener too.
        if (done instanceof Promise) done.catch((error) => warnOf(cause, error))
      } catch (error) {
        warnOf(cause, error)
      }
    }
  }
  return (key, entry, cause) => {
    if (left.push({ key, entry, cause }) === 1) queueMicrotask(tell)
  }
}

/** Anything can be thrown, and not all of it has a text. */
function textOf(error: unknown): string {
  return error instanceof Error ? `${error}` : shown(error)
}
