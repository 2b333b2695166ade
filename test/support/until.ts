import { setTimeout as pause } from 'node:timers/promises'

/**
 * Waits for a condition of the outside world (a server, another process), never for time to pass.
 *
 * @throws Error naming the condition once `deadline` milliseconds are over.
 */
export async function until(
  condition: string,
  holds: () => boolean | Promise<boolean>,
  deadline = 10_000,
): Promise<void> {
  const endsAt = performance.now() + deadline
  while (!(await holds())) {
    if (performance.now() > endsAt) throw new Error(`not within ${deadline} ms: ${condition}`)
    await pause(5)
  }
}
