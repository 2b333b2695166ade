import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type {
  LeaseFill,
  LeaseRenewal,
  RemoteChangeOptions,
  RemoteLeases,
  RemoteRead,
  RemoteStore,
} from '../remote/remote-store.ts'

/** A store under test, with what the suite needs around it. */
export interface RemoteStoreTarget {
  /** Not opened yet. It may hold keys of others: the suite keeps to keys of its own. */
  readonly store: RemoteStore
  /**
   * Moves the store's time on, if the test holds its clock. Without it the suite uses lives of some
   * 100 ms and waits, with a deadline, for what must become true.
   */
  readonly advance?: ((ms: number) => void | Promise<void>) | undefined
  /** Writes a value that never expires, as foreign writers do, where the store can hold one. */
  readonly writeWithoutExpiry?: ((key: string, bytes: Uint8Array) => Promise<void>) | undefined
  /**
   * Hands over what is published on a channel of the store's server, in order, from when it resolves
   * until `dispose()`. For a store with an `origin`.
   */
  readonly listen?: ((channel: string, hear: (text: string) => void) => Promise<void>) | undefined
  /**
   * Whether the store opened itself what it works on, and so must reject every operation after its
   * last `close()`. `false` for one that was handed a client, which lives on.
   */
  readonly endsOnClose: boolean
  /** Called after the last `close()` of each check. */
  dispose(): Promise<void>
}

/** What a check works with. */
export interface Trial {
  readonly store: RemoteStore
  readonly target: RemoteStoreTarget
  /** A key that no other check uses; it ends in `name`, and is deleted after the check. */
  key(name?: string): string
  /** Lets `ms` pass until `over` holds: at once with `advance`, else within 10 s. */
  elapse(ms: number, over: () => Promise<boolean>): Promise<void>
}

/** A promise of the store, as a sentence, and what puts it to the test. */
export type Check = readonly [sentence: string, body: (trial: Trial) => Promise<void>]

/** Milliseconds that a slow machine may take between two steps of a check. */
const PATIENCE = 10_000

/** Long enough not to run out during any check. */
export const MINUTE = 60_000

export async function runCheck(
  create: () => Promise<RemoteStoreTarget>,
  [, body]: Check,
): Promise<void> {
  const target = await create()
  try {
    target.store.open()
    const unique = randomUUID()
    const used = new Set<string>()
    const key = (name = ''): string => {
      used.add(`${unique}${name}`)
      return `${unique}${name}`
    }
    const elapse = (ms: number, over: () => Promise<boolean>) => waitFor(target, ms, over)
    try {
      await body({ store: target.store, target, key, elapse })
      await target.store.delete([...used])
    } finally {
      await target.store.close()
    }
  } finally {
    await target.dispose()
  }
}

async function waitFor(
  target: RemoteStoreTarget,
  ms: number,
  over: () => Promise<boolean>,
): Promise<void> {
  if (target.advance !== undefined) {
    await target.advance(ms)
    assert.ok(await over(), `still not so after ${ms} ms`)
    return
  }
  const endsAt = performance.now() + ms + PATIENCE
  while (!(await over())) {
    assert.ok(performance.now() < endsAt, `still not so long after ${ms} ms`)
    await pause(5)
  }
}

/** UTF-8, for values that should be legible when a check fails. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Asserts that a read holds these bytes, and a life within the bounds of the interface. */
export function assertHolds(
  read: RemoteRead | undefined,
  bytes: Uint8Array,
  message?: string,
): asserts read is RemoteRead {
  assert.ok(read !== undefined, message ?? 'the key reads as absent')
  assert.ok(read.bytes instanceof Uint8Array, 'bytes is no Uint8Array')
  // Not deepEqual: slow on large values, and a Buffer is as good as a Uint8Array.
  assert.ok(Buffer.compare(read.bytes, bytes) === 0, message ?? 'the key holds other bytes')
  assert.ok(read.ttlLeft > 0, `ttlLeft is ${read.ttlLeft}`)
}

/** Milliseconds, of a key that holds something. */
export async function ttlLeft(store: RemoteStore, key: string): Promise<number> {
  const read = await store.get(key)
  assert.ok(read !== undefined, 'the key reads as absent')
  return read.ttlLeft
}

export function between(value: number, low: number, high: number): void {
  assert.ok(value >= low && value <= high, `${value} is not from ${low} to ${high}`)
}

/** For checks that are run on stores which are to have it. */
export function shorten(
  store: RemoteStore,
  key: string,
  left: number,
  options?: RemoteChangeOptions,
): Promise<boolean> {
  assert.ok(store.shorten !== undefined, 'it has no `shorten`')
  return store.shorten(key, left, options)
}

/** For checks that are run on leases which are to have it. */
export function touch(
  leases: RemoteLeases,
  key: string,
  token: string,
  renewal: LeaseRenewal,
): Promise<LeaseFill> {
  assert.ok(leases.touch !== undefined, 'its leases have no `touch`')
  return leases.touch(key, token, renewal)
}

/** Whether nothing is read under the key. */
export async function isAbsent(store: RemoteStore, key: string): Promise<boolean> {
  return (await store.get(key)) === undefined
}
