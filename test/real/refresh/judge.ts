import { expect } from 'vitest'

/** A call of a loader. Times are epoch milliseconds of the clock that all processes of a machine share. */
export interface Load {
  readonly who: string
  readonly at: number
  /** As our loaders are told; Go's: `miss` where a caller waits for it. */
  readonly reason: string
}

/** By key, in the order in which they began: the first has the version 1. */
export type Loads = ReadonlyMap<string, readonly Load[]>

/** What a call was answered. */
export interface Seen {
  /** Of the value. */
  readonly key: string
  readonly version: number
  readonly begunAt: number
  readonly settledAt: number
}

/** From `from`, before `to`, in epoch milliseconds. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** How many loads each key had in that time. */
export function countsIn(loads: Loads, { from, to }: Span): readonly number[] {
  return [...loads.values()].map((all) => all.filter(({ at }) => at >= from && at < to).length)
}

/** Between two loads of a key. */
export interface Gap extends Span {
  readonly key: string
  /** The second is still to come: it was as long as this at the end of the time that was asked for. */
  readonly open: boolean
}

export function lengthOf({ from, to }: Span): number {
  return to - from
}

/** Those that lie in that time in whole or in part. */
export function gapsIn(loads: Loads, { from, to }: Span): readonly Gap[] {
  return [...loads].flatMap(([key, all]) => {
    const gaps = all.map((load, i): Gap => {
      const next = all[i + 1]?.at
      return { key, from: load.at, to: next ?? to, open: next === undefined }
    })
    return gaps.filter((gap) => gap.to > from && gap.from < to)
  })
}

/** Who has loaded most in that time. */
export function busiest(loads: Loads, { from, to }: Span): string | undefined {
  const counts = new Map<string, number>()
  for (const { who, at } of [...loads.values()].flat()) {
    if (at >= from && at < to) counts.set(who, (counts.get(who) ?? 0) + 1)
  }
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0]
}

/** Versions, by key, that anybody was given: a loader whose process was killed may have stored none. */
export type Stored = ReadonlyMap<string, readonly number[]>

export function storedOf(seen: readonly Seen[]): Stored {
  const versions = new Map<string, Set<number>>()
  for (const { key, version } of seen) {
    const of = versions.get(key) ?? new Set()
    versions.set(key, of.add(version))
  }
  return new Map([...versions].map(([key, of]) => [key, [...of].sort((a, b) => a - b)]))
}

/** What all processes together have loaded and stored. */
export interface History {
  readonly keys: readonly string[]
  readonly loads: Loads
  readonly stored: Stored
}

interface Verdict {
  readonly answers: number
  /** The longest time for which a version was answered after the next one had begun to be loaded. */
  readonly outdated: number
}

/**
 * Of one process. Every answer is of its key and of a load that had begun by then, and no older version
 * is given after a newer one.
 *
 * @param wavers Whether one may be: Go copies to local what it has read, whatever it hears meanwhile.
 */
export function judge(
  { keys, loads, stored }: History,
  seen: readonly Seen[],
  wavers: boolean,
): Verdict {
  const faults: string[] = []
  const last = new Map<string, number>()
  let outdated = 0
  for (const [i, { key, version, begunAt, settledAt }] of seen.entries()) {
    // They are asked for in order, over and over.
    const asked = keys[i % keys.length]
    if (key !== asked) faults.push(`${asked} was answered as ${key}`)
    const of = loads.get(key) ?? []
    const loadedAt = of[version - 1]?.at ?? Number.POSITIVE_INFINITY
    if (loadedAt > settledAt) faults.push(`${key}: version ${version} before it was loaded`)
    const before = last.get(key) ?? 0
    if (version < before && !wavers) faults.push(`${key}: version ${version} after ${before}`)
    last.set(key, version)
    const next = stored.get(key)?.find((each) => each > version)
    const nextAt = of[(next ?? 0) - 1]?.at
    if (nextAt !== undefined) outdated = Math.max(outdated, begunAt - nextAt)
  }
  expect(faults).toEqual([])
  return { answers: seen.length, outdated }
}

/** The least, the middle and the most of them. */
export function spread(numbers: readonly number[]): string {
  if (numbers.length === 0) return 'none'
  const sorted = [...numbers].sort((a, b) => a - b)
  const [least, middle, most] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)]
  return `${least} / ${middle} / ${most}`
}
