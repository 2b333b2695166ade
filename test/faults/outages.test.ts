import { describe } from 'vitest'
import { IOREDIS, NODE_REDIS } from './deployments.ts'
import {
  BLACK_HOLE,
  costsLittle,
  FROZEN,
  HELD_BACK,
  KILLED,
  NEVER_UP,
  REFUSED,
  SLOW,
} from './rows/outages.ts'

describe('P6 on a real server', { concurrent: true }, () => {
  costsLittle(NODE_REDIS, NEVER_UP)
  costsLittle(IOREDIS, KILLED)
  costsLittle(NODE_REDIS, REFUSED)
  costsLittle(IOREDIS, FROZEN)
  costsLittle(NODE_REDIS, BLACK_HOLE)
  costsLittle(IOREDIS, HELD_BACK)
  costsLittle(NODE_REDIS, SLOW)
})
