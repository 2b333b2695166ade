import { afterAll, beforeAll, describe, it } from 'vitest'
import { startRedis } from '../../src/testing/servers/redis.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'
import { Crew } from './coherence/crew.ts'
import { measure } from './scale/measure.ts'

describe('processes on one Redis, half of them on ioredis,', () => {
  let server: RedisProcess
  let crew: Crew
  beforeAll(async () => {
    ;[server, crew] = await Promise.all([startRedis(), Crew.muster(1)])
  }, 60_000)
  afterAll(async () => {
    await crew?.dismiss()
    await server?.stop()
  })

  it.for([1, 2, 4])(
    'cost it what the model says: %i',
    { timeout: 60_000 },
    async (processes, { annotate }) => {
      while (crew.workers.length < processes) await crew.recruit()
      for (const bus of ['pubSub', 'tracking'] as const) {
        for (const line of await measure({ crew, server, bus })) await annotate(line)
      }
    },
  )
})
