import { expect } from 'vitest'
import { until } from '../../support/until.ts'
import type { Crew, MixedLoad } from './crew.ts'
import { now } from './ledger.ts'
import { type JudgeOptions, judge, loadsPerKey, told, type Verdict } from './oracle.ts'

/** Milliseconds that news may take on a machine whose processors are all busy. */
export const DELAY = 500

/** Remote operations do not time out on a busy machine: then each load has its one reason. */
export const PATIENT: Readonly<Record<string, unknown>> = { remoteTimeout: '5s' }

export function keysOf(prefix: string, count = 64): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`)
}

/**
 * What a process does as one of several: the keys have one writer each.
 *
 * @param place Its place among the writers; no other ones change anything.
 */
export function share(keys: readonly string[], place: number, writers: number): MixedLoad {
  const all = keys.map((_, i) => i)
  const own = place < writers ? all.filter((i) => i % writers === place) : []
  return { keys, own, reads: 3, writeRatio: 0.2, loaderMs: 10 }
}

/** Runs the load in all processes until something else is over. */
export async function underLoad(
  crew: Crew,
  keys: readonly string[],
  writers: number,
  meanwhile: () => Promise<unknown>,
): Promise<void> {
  await crew.each((worker, place) => worker.begin(share(keys, place, writers)))
  try {
    await meanwhile()
  } finally {
    await crew.each((worker) => worker.ask('end'))
  }
}

/** The length of a run, by the clock: there is no condition that ends it. */
export async function lasting(ms: number): Promise<void> {
  const endsAt = now() + ms
  await until('the run is over', () => now() >= endsAt, ms + 10_000)
}

/** Does something again and again while a run lasts; less often if it takes longer. */
export async function every(
  ms: number,
  lasts: number,
  work: (round: number) => Promise<unknown>,
): Promise<void> {
  const endsAt = now() + lasts
  for (let round = 0, next = now() + ms; next < endsAt; round++) {
    await lasting(next - now())
    await work(round)
    next = Math.max(next + ms, now())
  }
  await lasting(endsAt - now())
}

/** Nothing is out of date, of enough to tell. */
export function expectFresh(crew: Crew, options: JudgeOptions): Verdict {
  const verdict = judge(crew.ledger, options)
  expect(verdict.answers).toBeGreaterThan(500)
  expect(verdict.changes).toBeGreaterThan(30)
  expect(verdict.stale.slice(0, 5), told(verdict)).toEqual([])
  return verdict
}

export interface LoadOptions {
  /** Milliseconds after which a value may be gone. @default none goes by itself */
  readonly shortestLife?: number
  /** Only loads from then on. */
  readonly from?: number
  /** Further reasons to load, counted. */
  readonly more?: number
  /** Something fails: loads that stored nothing because news overlapped them, or alone, are reasons. */
  readonly disturbed?: boolean
}

/**
 * No key is loaded more often than there are reasons: expiries, changes, killed holders, and the first
 * time.
 *
 * @returns What to tell of it.
 */
export async function expectFewLoads(crew: Crew, options: LoadOptions = {}): Promise<string> {
  const {
    shortestLife = Infinity,
    from = crew.ledger.startedAt,
    more = 0,
    disturbed = false,
  } = options
  const keys = loadsPerKey(crew.ledger, { from, to: now() }, shortestLife)
  const sum = (of: 'loads' | 'bound') => keys.reduce((total, each) => total + each[of], 0)
  const fenced = await crew.sum((stats) => stats.fillsFenced)
  const alone = await crew.sum((stats) => stats.loadsAlone)
  const over = keys.map(({ loads, bound }) => loads - bound).filter((each) => each > 0)
  const report = [
    `${sum('loads')} loads of ${keys.length} keys, changes and first loads ${sum('bound')}`,
    `${fenced} fenced, ${alone} alone, ${more} for other reasons`,
    `${over.length} keys above their own bound, by ${over.join(', ')}`,
  ].join('; ')
  expect(keys.length).toBeGreaterThan(10)
  const above = over.reduce((total, each) => total + each, 0)
  expect(above, report).toBeLessThanOrEqual(more + (disturbed ? fenced + alone : 0))
  return report
}
