import fc from 'fast-check'
import { expect, it } from 'vitest'
import { runOne } from '../support/explore.ts'
import { NAMES, scenario, type Tiers } from '../support/one-key.ts'

it.each<Tiers>(['local', 'remote', 'both'])(
  'no random schedule of 4 to 12 operations leaves an old value, tiers: %s',
  async (tiers) => {
    const lists = fc.array(fc.constantFrom(...NAMES), { minLength: 4, maxLength: 12 })
    const picks = fc.infiniteStream(fc.nat())
    let runs = 0
    await fc.assert(
      fc.asyncProperty(lists, fc.boolean(), picks, async (names, warm, pick) => {
        runs++
        await runOne(scenario(tiers, names, warm), [], (of) => (pick.next().value ?? 0) % of)
      }),
      { numRuns: 50_000 },
    )
    expect(runs).toBeGreaterThanOrEqual(50_000)
  },
)
