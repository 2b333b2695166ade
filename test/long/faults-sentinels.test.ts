import { describe } from 'vitest'
import { WITH_SENTINELS } from '../faults/deployments.ts'
import { coldCallsLeaveNothing, deletesInAnOutage } from '../faults/rows/crowds.ts'
import { cutRepliesNeverMixUp } from '../faults/rows/cuts.ts'
import {
  failedChangesAcrossAFailover,
  failsOver,
  LOSSES,
  lostByAFailover,
  outlivesALongAbsence,
} from '../faults/rows/failovers.ts'
import { survivesFlapping } from '../faults/rows/flapping.ts'
import { hitsWorkWhenMemoryIsFull } from '../faults/rows/full-memory.ts'
import { lateBytes, leavesNothingOld, MAY_KILL, MAY_NOT_KILL } from '../faults/rows/late-writes.ts'
import {
  BLACK_HOLE,
  costsLittle,
  HELD_BACK,
  NEVER_UP,
  REFUSED,
  SLOW,
} from '../faults/rows/outages.ts'
import { isReadyWhenItSaysSo } from '../faults/rows/ready.ts'

/** What the sentinels see nothing of: it happens between the servers and the client. */
const OF_THE_NETWORK = [REFUSED, BLACK_HOLE, HELD_BACK]

describe.each(WITH_SENTINELS)('P6 on real servers with sentinels: $name', (deployment) => {
  isReadyWhenItSaysSo(deployment)
  describe('an outage', { concurrent: true }, () => {
    for (const outage of [NEVER_UP, ...OF_THE_NETWORK, SLOW]) costsLittle(deployment, outage)
  })
  describe('what an outage leaves behind', { concurrent: true }, () => {
    for (const outage of OF_THE_NETWORK) leavesNothingOld(deployment, outage)
    lateBytes(deployment, MAY_KILL)
    lateBytes(deployment, MAY_NOT_KILL)
  })
  describe('a failover', { concurrent: true }, () => {
    for (const loss of LOSSES) failsOver(deployment, loss)
    outlivesALongAbsence(deployment)
  })
  describe('what a failover leaves behind', { concurrent: true }, () => {
    for (const loss of LOSSES) failedChangesAcrossAFailover(deployment, loss)
    for (const loss of LOSSES) lostByAFailover(deployment, loss)
  })
  cutRepliesNeverMixUp(deployment)
  hitsWorkWhenMemoryIsFull(deployment)
  deletesInAnOutage(deployment, 30)
  coldCallsLeaveNothing(deployment, 1_000_000)
  survivesFlapping(deployment, 60)
})
