import type { RemoteRead } from '../remote/remote-store.ts'

/** A key whose PTTL is 0 is there until the millisecond is over: to every command, so to us. */
const LEAST_LIFE = 0.001

/**
 * What the READ script replied to `count` keys, from a client that gives strings of the server as
 * Buffers and integers as numbers.
 */
export function toReads(reply: unknown, count: number): (RemoteRead | undefined)[] {
  const parts: readonly unknown[] = Array.isArray(reply) ? reply : []
  const reads: (RemoteRead | undefined)[] = []
  for (let i = 0; i < count; i++) reads.push(toRead(parts[i], parts[count + i]))
  return reads
}

function toRead(value: unknown, pttl: unknown): RemoteRead | undefined {
  if (!(value instanceof Uint8Array) || typeof pttl !== 'number') return undefined
  const ttlLeft = pttl === -1 ? Number.POSITIVE_INFINITY : Math.max(pttl, LEAST_LIFE)
  // Copied: the client's Buffer is a view of what the socket received.
  return { bytes: new Uint8Array(value), ttlLeft }
}
