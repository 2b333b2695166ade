/**
 * Waits for a condition, which is looked at in each turn of the event loop.
 *
 * @throws Error naming the condition once `deadline` milliseconds are over.
 */
export async function untilTheTurn(
  condition: string,
  holds: () => boolean,
  deadline: number,
): Promise<void> {
  const endsAt = performance.now() + deadline
  while (!holds()) {
    if (performance.now() > endsAt) throw new Error(`not within ${deadline} ms: ${condition}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
