import { describe, expect, it } from 'vitest'
import { type Answer, Ledger } from './ledger.ts'
import { judge, loadsPerKey } from './oracle.ts'

/** The key is at version 2 from 1,000, and at 3 from 2,000. */
function changed(...answers: readonly Partial<Answer>[]): Ledger {
  const ledger = new Ledger()
  for (const [version, at] of [
    [2, 1000],
    [3, 2000],
  ] as const) {
    ledger.updates.push({ key: 'k', version, at })
    ledger.acknowledged.push({ key: 'k', version, at })
  }
  for (const answer of answers) {
    const begunAt = answer.begunAt ?? 0
    const whole = { worker: 1, key: 'k', version: 1, begunAt, settledAt: begunAt, armed: true }
    ledger.answers.push({ ...whole, ...answer })
  }
  return ledger
}

const DELAY = { delay: 100 }

describe('the oracle', () => {
  it('finds an answer that is older than a change which was over before it was asked for', () => {
    const ledger = changed({ version: 1, begunAt: 1101 }, { version: 2, begunAt: 2500 })
    expect(judge(ledger, DELAY).stale.map(({ by }) => by)).toEqual([101, 500])
  })

  it('lets pass what was asked for before a change, or within the delay, or is newer', () => {
    const ledger = changed(
      { version: 1, begunAt: 999, settledAt: 5000 },
      { version: 1, begunAt: 1100 },
      { version: 3, begunAt: 1500 },
      { version: 3, begunAt: 9000 },
    )
    expect(judge(ledger, DELAY)).toMatchObject({ answers: 4, stale: [], delays: [100] })
  })

  it('does not take the change of one key for that of another', () => {
    expect(judge(changed({ key: 'other', begunAt: 9000 }), DELAY).stale).toEqual([])
  })

  it('keeps apart the processes that did not hear of changes, whether they knew it or not', () => {
    const ledger = changed({ begunAt: 3000, armed: false }, { begunAt: 4000 }, { begunAt: 5001 })
    const verdict = judge(ledger, { ...DELAY, deaf: [{ from: 4000, to: 5000 }] })
    expect(verdict.staleUnarmed).toHaveLength(1)
    expect(verdict.staleDeaf).toHaveLength(1)
    expect(verdict.stale).toHaveLength(1)
  })

  it('allows a load for the first time, each change, each expiry, and a holder that was killed', () => {
    const ledger = changed({ worker: 1, begunAt: 100, settledAt: 300 })
    const span = { from: 0, to: 10_000 }
    const bound = () => loadsPerKey(ledger, span, 3000)[0]?.bound
    ledger.loads.push({ worker: 1, key: 'k', at: 200 }, { worker: 2, key: 'k', at: 400 })
    expect(loadsPerKey(ledger, span, Infinity)).toEqual([{ key: 'k', loads: 2, bound: 3 }])
    expect(bound()).toBe(6)
    // What it had loaded was answered before it died.
    ledger.kills.push({ worker: 1, at: 500 })
    expect(bound()).toBe(6)
    ledger.kills.push({ worker: 2, at: 600 })
    expect(bound()).toBe(7)
  })
})
