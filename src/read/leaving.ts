/** Who leaves when a signal aborts: one listener per signal, however many wait under it. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls `leave` when the signal aborts. A request's one signal often goes into dozens of calls, and
 * Node.js warns of a leak from the eleventh listener on.
 *
 * @returns Says that nobody waits any more.
 */
export function whenAborted(signal: AbortSignal, leave: () => void): () => void {
  let all = waiting.get(signal)
  if (all === undefined) {
    all = new Set()
    waiting.set(signal, all)
  }
  const leaving = all
  leaving.add(leave)
  if (leaving.size === 1) signal.addEventListener('abort', leaveAll)
  return () => {
    leaving.delete(leave)
    if (leaving.size === 0) signal.removeEventListener('abort', leaveAll)
  }
}

function leaveAll(this: AbortSignal): void {
  for (const leave of [...(waiting.get(this) ?? [])]) leave()
}

/** Resolves with the promise, which never rejects, or rejects with the signal's reason. */
export function unlessAborted(
  promise: Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const stopWaiting = whenAborted(signal, () => {
      stopWaiting()
      reject(signal.reason)
    })
    promise.then(() => {
      stopWaiting()
      if (signal.aborted) reject(signal.reason)
      else resolve()
    })
  })
}
