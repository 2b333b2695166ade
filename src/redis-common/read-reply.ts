import type { LeaseHeld, LeaseRead, RemoteRead } from '../remote/remote-store.ts'

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

/** What the READ_OR_LEASE script replied to `count` keys. */
export function toLeaseReads(reply: unknown, count: number): LeaseRead[] {
  const parts: readonly unknown[] = Array.isArray(reply) ? reply : []
  const reads: LeaseRead[] = []
  for (let i = 0; i < count; i++) reads.push(toLeaseRead(parts[i], parts[count + i]))
  return reads
}

function toLeaseRead(value: unknown, second: unknown): LeaseRead {
  const read = toRead(value, second)
  if (read !== undefined) return { kind: 'value', read }
  return second === -2 ? { kind: 'granted' } : toHeld(second)
}

/** Of `token pttl`, or `token* pttl` where somebody waited for it already. */
export function toHeld(reply: unknown): LeaseHeld {
  const [token = '', pttl] = String(reply).split(' ')
  const by = token.endsWith('*') ? token.slice(0, -1) : token
  return { kind: 'held', by, left: Math.max(Number(pttl), LEAST_LIFE) }
}
