import { describe } from 'vitest'
import { IOREDIS, NODE_REDIS } from './deployments.ts'
import { coldCallsLeaveNothing, deletesInAnOutage } from './rows/crowds.ts'
import { hitsWorkWhenMemoryIsFull } from './rows/full-memory.ts'

describe('P6 on a real server, in numbers', () => {
  hitsWorkWhenMemoryIsFull(NODE_REDIS)
  deletesInAnOutage(IOREDIS, 2)
  coldCallsLeaveNothing(NODE_REDIS, 100_000)
})
