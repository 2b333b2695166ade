import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { exploreAll, runOne } from '../support/explore.ts'
import { canOverlap, NAMES, SMALL, scenario, sequences, type Tiers } from '../support/one-key.ts'

describe.each<Tiers>(['local', 'remote', 'both'])('P2 in one process, tiers: %s', (tiers) => {
  it.each([2, 3])(
    'no schedule of %i operations leaves an old value',
    async (length) => {
      let schedules = 0
      const overlapping = sequences(SMALL, length).filter(canOverlap)
      for (const warm of tiers === 'local' ? [false] : [false, true]) {
        for (const names of overlapping) {
          schedules += await exploreAll(() => scenario(tiers, names, warm))
        }
      }
      expect(schedules).toBeGreaterThan(overlapping.length)
      console.log(`P2, tiers ${tiers}: ${schedules} schedules of ${length} operations`)
    },
    120_000,
  )

  it('no random schedule of 4 to 7 operations leaves an old value', async () => {
    const lists = fc.array(fc.constantFrom(...NAMES), { minLength: 4, maxLength: 7 })
    await fc.assert(
      fc.asyncProperty(
        lists,
        fc.boolean(),
        fc.infiniteStream(fc.nat()),
        async (names, warm, picks) => {
          const trace: string[] = []
          const pick = (of: number) => (picks.next().value ?? 0) % of
          await runOne(scenario(tiers, names, warm), trace, pick)
        },
      ),
      { numRuns: 1000 },
    )
  }, 120_000)
})
