import { describe } from 'vitest'
import { IOREDIS } from './deployments.ts'
import { survivesFlapping } from './rows/flapping.ts'

describe('P6 on a real server that comes and goes', () => {
  survivesFlapping(IOREDIS, 6)
})
