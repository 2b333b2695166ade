import { setTimeout as pause } from 'node:timers/promises'

/** Milliseconds between two looks. */
const PACE = 10

/**
 * Waits until a server is as it should be.
 *
 * @throws Error (as a rejection) naming the state once `deadline` milliseconds are over; its cause
 * is what the last look threw, which counts as "not yet".
 */
export async function until(
  state: string,
  holds: () => Promise<boolean>,
  deadline: number,
): Promise<void> {
  const endsAt = performance.now() + deadline
  let cause: unknown
  for (;;) {
    try {
      if (await holds()) return
      cause = undefined
    } catch (error) {
      cause = error
    }
    if (performance.now() > endsAt)
      throw new Error(`not within ${deadline} ms: ${state}`, { cause })
    await pause(PACE)
  }
}
