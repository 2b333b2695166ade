import { describe } from 'vitest'
import { IOREDIS_SENTINEL, NODE_REDIS_SENTINEL } from './deployments.ts'
import {
  failsOver,
  lostByAFailover,
  MASTER_FROZEN,
  MASTER_KILLED,
  outlivesALongAbsence,
} from './rows/failovers.ts'

describe('P6 on real servers, when another takes the place of the master', {
  concurrent: true,
}, () => {
  failsOver(NODE_REDIS_SENTINEL, MASTER_FROZEN)
  failsOver(IOREDIS_SENTINEL, MASTER_KILLED)
  lostByAFailover(NODE_REDIS_SENTINEL, MASTER_KILLED)
  outlivesALongAbsence(IOREDIS_SENTINEL)
})
