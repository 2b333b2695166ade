import { describe, expect, it } from 'vitest'
import { exploreAll } from '../support/explore.ts'
import {
  acrossProcesses,
  CORE,
  mayClash,
  type Publishing,
  randomSchedules,
  type Step,
  stepLists,
} from '../support/processes.ts'

describe.each<Publishing>(['rides', 'after'])('P2 across processes, a message %s', (publishing) => {
  it('no schedule of one operation in each of 2 processes leaves an old value', async () => {
    let schedules = 0
    const lists = stepLists(CORE, 2, 2).filter(mayClash)
    const apart = lists.filter(([, second]) => second?.[1] === 1)
    // One who asks after the news, while what was loaded before them is on its way.
    const after: Step[] = [
      ['once', 0],
      ['updateAndDelete', 1],
      ['once', 0],
    ]
    for (const steps of [...apart, after]) {
      const options = { processes: 2, publishing, warm: false, replies: false }
      schedules += await exploreAll(() => acrossProcesses(steps, options), 400)
    }
    console.log(`P2, messages ${publishing}: ${schedules} schedules of 2 operations in 2 processes`)
    expect(schedules).toBeGreaterThan(500)
  }, 300_000)

  it('no random schedule of 3 to 7 operations in 3 processes leaves an old value', async () => {
    await randomSchedules(publishing, 2500)
  }, 300_000)

  it('nor one with stale values, refreshes, loads ahead and expire', async () => {
    await randomSchedules(publishing, 1500, true)
  }, 300_000)
})
