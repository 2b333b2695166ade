import { describe } from 'vitest'
import { IOREDIS, NODE_REDIS } from './deployments.ts'
import { cutRepliesNeverMixUp } from './rows/cuts.ts'
import {
  frozenAndReconnected,
  lateBytes,
  leavesNothingOld,
  lostByARestart,
  MAY_KILL,
  MAY_NOT_KILL,
} from './rows/late-writes.ts'
import { BLACK_HOLE, FROZEN, HELD_BACK, KILLED, REFUSED } from './rows/outages.ts'

describe('P6 on a real server, what an outage leaves behind', { concurrent: true }, () => {
  cutRepliesNeverMixUp(NODE_REDIS)
  leavesNothingOld(NODE_REDIS, KILLED)
  leavesNothingOld(IOREDIS, REFUSED)
  leavesNothingOld(NODE_REDIS, FROZEN)
  leavesNothingOld(IOREDIS, BLACK_HOLE)
  leavesNothingOld(NODE_REDIS, HELD_BACK)
  frozenAndReconnected(IOREDIS)
  lateBytes(NODE_REDIS, MAY_KILL)
  lateBytes(IOREDIS, MAY_NOT_KILL)
  lostByARestart(IOREDIS)
})
