import { describe, expect, it } from 'vitest'
import { exploreAll } from '../support/explore.ts'
import {
  acrossProcesses,
  CORE,
  mayClash,
  NAMES,
  type Publishing,
  randomSchedules,
  stepLists,
} from '../support/processes.ts'

describe.each<Publishing>(['rides', 'after'])('P2 across processes, a message %s', (publishing) => {
  it.each([
    [2, NAMES, true],
    [3, CORE, false],
  ] as const)(
    'no schedule of %i operations in 2 processes leaves an old value',
    async (length, names, replies) => {
      let schedules = 0
      for (const steps of stepLists(names, length, 2).filter(mayClash)) {
        for (const warm of [false, true]) {
          const options = { processes: 2, publishing, warm, replies }
          schedules += await exploreAll(() => acrossProcesses(steps, options), 2000)
        }
      }
      console.log(`P2, messages ${publishing}: ${schedules} schedules of ${length} operations`)
      expect(schedules).toBeGreaterThan(10_000)
    },
    7_200_000,
  )

  it('no random schedule of 3 to 7 operations in 3 processes leaves an old value', async () => {
    await randomSchedules(publishing, 50_000)
  }, 7_200_000)

  it('nor a random one with stale values, refreshes, loads ahead and expire', async () => {
    await randomSchedules(publishing, 50_000, true)
  }, 7_200_000)
})
