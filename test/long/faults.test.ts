import { describe } from 'vitest'
import { DEPLOYMENTS } from '../faults/deployments.ts'
import { coldCallsLeaveNothing, deletesInAnOutage } from '../faults/rows/crowds.ts'
import { cutRepliesNeverMixUp } from '../faults/rows/cuts.ts'
import { survivesFlapping } from '../faults/rows/flapping.ts'
import { hitsWorkWhenMemoryIsFull } from '../faults/rows/full-memory.ts'
import {
  frozenAndReconnected,
  lateBytes,
  leavesNothingOld,
  lostByARestart,
  MAY_KILL,
  MAY_NOT_KILL,
} from '../faults/rows/late-writes.ts'
import { costsLittle, NEVER_UP, OUTAGES, SLOW } from '../faults/rows/outages.ts'
import { isReadyWhenItSaysSo } from '../faults/rows/ready.ts'

/** Where nothing was there is nothing old, and a slow server takes all. */
const THAT_LOSE = OUTAGES.filter((outage) => outage !== NEVER_UP && outage !== SLOW)

describe.each(DEPLOYMENTS)('P6 on real servers: $name', (deployment) => {
  isReadyWhenItSaysSo(deployment)
  describe('an outage', { concurrent: true }, () => {
    for (const outage of OUTAGES) costsLittle(deployment, outage)
  })
  describe('what an outage leaves behind', { concurrent: true }, () => {
    for (const outage of THAT_LOSE) leavesNothingOld(deployment, outage)
    frozenAndReconnected(deployment)
    lateBytes(deployment, MAY_KILL)
    lateBytes(deployment, MAY_NOT_KILL)
    lostByARestart(deployment)
  })
  cutRepliesNeverMixUp(deployment)
  hitsWorkWhenMemoryIsFull(deployment)
  deletesInAnOutage(deployment, 30)
  coldCallsLeaveNothing(deployment, 1_000_000)
  survivesFlapping(deployment, 60)
})
