import { expect, it } from 'vitest'
import type { Cache } from '../../../src/cache.ts'
import { CacheRemoteError } from '../../../src/model/errors.ts'
import { rows } from '../database.ts'
import type { Deployment } from '../deployments.ts'
import { PATIENT, Trial } from '../trial.ts'

const CUTS = 200

/** Caches that are cut beside each other, each on a server of its own: it is reconnecting that takes the time. */
const LANES = 4

/** Reads that travel together, so that a cut falls into the middle of many values. */
const AT_ONCE = 16

interface Value {
  readonly key: string
  readonly padding: string
}

/** Values of 1 byte to some kilobytes: replies that come in one piece, and in several. */
function namingItsKey(key: string, i: number): Value {
  return { key, padding: key.repeat(2 ** (i % 9)) }
}

/** Numbers from 0 to below 1, always the same for one seed (Lehmer: Park and Miller, 1988). */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}

export function cutRepliesNeverMixUp(deployment: Deployment): void {
  it(`200 connections cut in the middle of replies give answers or typed errors, never another key's value: ${deployment.name}`, {
    timeout: 120_000,
  }, async () => {
    const lanes = Array.from({ length: LANES }, (_, lane) =>
      Trial.on(deployment, (trial) => cutAgainAndAgain(trial, CUTS / LANES, 20_241_122 + lane)),
    )
    await Promise.all(lanes)
  })
}

async function cutAgainAndAgain(trial: Trial, times: number, seed: number): Promise<void> {
  const { network } = trial.remote
  const { cache } = await trial.openReady({ tiers: 'remote', reconnectEvery: 5, settings: PATIENT })
  const written = rows('written', 8)
  const keys = [...rows('cut', 56), ...written]
  // By another: what this cache has changed itself it may delete again, when it doubts a server.
  const other = await trial.openReady({ tiers: 'remote', pastNetwork: true, settings: PATIENT })
  for (const [i, key] of keys.entries()) await other.cache.set(key, namingItsKey(key, i))
  const next = numbers(seed)
  const seen: Seen = { hits: 0, errors: 0, written: new Set(written) }
  for (let cuts = 0; cuts < times; cuts++) {
    const { connections } = network.counts()
    network.cutAfterBytes(Math.floor(next() * 20_000))
    while (network.counts().connections === connections) {
      const from = Math.floor(next() * (keys.length - AT_ONCE + 1))
      const reads = keys
        .slice(from, from + AT_ONCE)
        .map((key, i) => read(cache, key, from + i, seen))
      const key = written[cuts % written.length] ?? ''
      await Promise.all([...reads, write(cache, key, keys.indexOf(key), seen)])
      // What was lost opens the breaker; this closes it as soon as the client is connected.
      expect(await cache.ready({ timeout: '5s' })).toBe(true)
    }
  }
  expect(seen.hits, 'reads answered').toBeGreaterThan(times * AT_ONCE)
  expect(seen.errors, 'operations that a cut has ended').toBeGreaterThan(times)
}

interface Seen {
  hits: number
  errors: number
  /** A write that has failed is repaired by a deletion; all other keys are there throughout. */
  readonly written: ReadonlySet<string>
}

async function read(cache: Cache, key: string, i: number, seen: Seen): Promise<void> {
  const looked = await cache.lookup<Value>(key)
  if (looked.status === 'hit') {
    expect(looked.value).toEqual(namingItsKey(key, i))
    seen.hits++
  } else if (looked.status === 'error') {
    expect(looked.error).toBeInstanceOf(CacheRemoteError)
    seen.errors++
  } else {
    expect(seen.written, 'keys read as absent').toContain(key)
  }
}

/** The value that it has: readers need not know which of them is the last. */
async function write(cache: Cache, key: string, i: number, seen: Seen): Promise<void> {
  try {
    await cache.set(key, namingItsKey(key, i))
  } catch (error) {
    expect(error).toBeInstanceOf(CacheRemoteError)
    seen.errors++
  }
}
