import type { Acknowledged, Answer, Ledger } from './ledger.ts'

/** An answer that was out of date when it was asked for. */
export interface Late {
  readonly answer: Answer
  /** Milliseconds since a newer version was acknowledged. */
  readonly by: number
}

export interface Verdict {
  readonly answers: number
  readonly changes: number
  /** Late by more than the delay, in a process that heard of changes. */
  readonly stale: readonly Late[]
  /** The same in processes that knew that they did not. */
  readonly staleUnarmed: readonly Late[]
  /** The same in processes that could not know yet that nothing reached them. */
  readonly staleDeaf: readonly Late[]
  /** How late those were, in ascending order, that heard of changes. */
  readonly delays: readonly number[]
  /** Milliseconds that the slowest answer took. */
  readonly slowest: number
}

export interface JudgeOptions {
  /** Milliseconds that news may take from the acknowledgement of a change to another process. */
  readonly delay: number
  /** Only answers asked for from then on. */
  readonly from?: number
  /** When nothing reached some processes, and nobody told them so. */
  readonly deaf?: readonly Span[]
}

export interface Span {
  readonly from: number
  readonly to: number
}

/**
 * Whether answers are as new as they must be: each call that begins more than `delay` after a change
 * was acknowledged to its writer gets that version or a newer one. Each key has one writer at a time,
 * so that its versions are acknowledged in their order.
 */
export function judge(ledger: Ledger, options: JudgeOptions): Verdict {
  const { delay, from = 0, deaf = [] } = options
  const changes = byKey(ledger.acknowledged)
  const isDeaf = ({ begunAt }: Answer) => deaf.some((at) => at.from <= begunAt && begunAt <= at.to)
  const stale: Late[] = []
  const staleUnarmed: Late[] = []
  const staleDeaf: Late[] = []
  const delays: number[] = []
  let answers = 0
  let slowest = 0
  for (const answer of ledger.answers) {
    if (answer.begunAt < from) continue
    answers++
    slowest = Math.max(slowest, answer.settledAt - answer.begunAt)
    const newer = firstNewer(changes.get(answer.key) ?? [], answer.version)
    const by = newer === undefined ? 0 : answer.begunAt - newer.at
    if (by <= 0) continue
    const kind = !answer.armed ? staleUnarmed : isDeaf(answer) ? staleDeaf : stale
    if (kind === stale) delays.push(by)
    if (by > delay) kind.push({ answer, by })
  }
  delays.sort((a, b) => a - b)
  const { length } = ledger.acknowledged
  return { answers, changes: length, stale, staleUnarmed, staleDeaf, delays, slowest }
}

function byKey(all: readonly Acknowledged[]): Map<string, Acknowledged[]> {
  const keys = new Map<string, Acknowledged[]>()
  for (const change of all) {
    const changes = keys.get(change.key)
    if (changes === undefined) keys.set(change.key, [change])
    else changes.push(change)
  }
  for (const changes of keys.values()) changes.sort((a, b) => a.version - b.version)
  return keys
}

/** By bisection: changes stand in the order of their versions. */
function firstNewer(changes: readonly Acknowledged[], version: number): Acknowledged | undefined {
  let low = 0
  let high = changes.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((changes[middle]?.version ?? 0) > version) high = middle
    else low = middle + 1
  }
  return changes[low]
}

/** How often a key was loaded, and how often at the most it may have been. */
export interface Loads {
  readonly key: string
  readonly loads: number
  readonly bound: number
}

/**
 * Of each key the loads, and the bound: expiries + changes + killed holders + 1.
 *
 * @param shortestLife Milliseconds after which a value may be gone; `Infinity`: none expires.
 */
export function loadsPerKey(ledger: Ledger, { from, to }: Span, shortestLife: number): Loads[] {
  const within = ({ at }: { readonly at: number }) => at >= from && at <= to
  const loads = countByKey(ledger.loads.filter(within))
  const changes = countByKey(ledger.updates.filter(within))
  const killed = countByKey(loadsOfKilled(ledger))
  const expiries = Math.floor((to - from) / shortestLife)
  return [...loads].map(([key, count]) => {
    const bound = expiries + (changes.get(key) ?? 0) + (killed.get(key) ?? 0) + 1
    return { key, loads: count, bound }
  })
}

/** Loads of killed processes of which no end was reported. */
function loadsOfKilled(ledger: Ledger): { readonly key: string }[] {
  return ledger.kills.flatMap(({ worker }) =>
    ledger.loads.filter(
      (load) =>
        load.worker === worker &&
        !ledger.answers.some(
          ({ worker: by, key, begunAt, settledAt }) =>
            by === worker && key === load.key && begunAt <= load.at && settledAt >= load.at,
        ),
    ),
  )
}

function countByKey(all: readonly { readonly key: string }[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { key } of all) counts.set(key, (counts.get(key) ?? 0) + 1)
  return counts
}

/** In words, for whoever reads the report of a run. */
export function told(verdict: Verdict): string {
  const { answers, changes, stale, staleUnarmed, staleDeaf, delays, slowest } = verdict
  const at = (ratio: number) => (delays[Math.floor(delays.length * ratio)] ?? 0).toFixed(1)
  const worst = (late: readonly Late[]) => Math.max(0, ...late.map(({ by }) => by)).toFixed(0)
  return [
    `${answers} answers, the slowest took ${slowest.toFixed(0)} ms; ${changes} changes`,
    `${delays.length} late: p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1 - 1e-9)} ms`,
    `${stale.length} stale (up to ${worst(stale)} ms)`,
    `unarmed ${staleUnarmed.length} stale (up to ${worst(staleUnarmed)} ms)`,
    `deaf ${staleDeaf.length} stale (up to ${worst(staleDeaf)} ms)`,
  ].join('; ')
}
