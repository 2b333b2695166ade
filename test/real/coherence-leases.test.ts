import { afterAll, beforeAll, describe, it } from 'vitest'
import { startRedis } from '../../src/testing/servers/redis.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'
import { Crew } from './coherence/crew.ts'
import { coldCrowds, failingCrowds } from './coherence/crowds.ts'
import { frozenHolder, hungHolder, killedHolder, lateFill } from './coherence/holders.ts'
import { PATIENT } from './coherence/mixed-load.ts'
import { hotKey, manyInvalidations } from './coherence/outages.ts'
import type { Stage } from './coherence/scenarios.ts'

describe('processes on one Redis, half of them on ioredis, with redisPubSub', () => {
  let server: RedisProcess
  let stage: Stage
  beforeAll(async () => {
    const [started, crew] = await Promise.all([startRedis(), Crew.muster(9)])
    server = started
    stage = {
      crew,
      setup: (name, place) => ({
        name,
        client: place % 2 === 0 ? 'node-redis' : 'ioredis',
        port: server.port,
        bus: 'pubSub',
        options: PATIENT,
      }),
    }
  }, 90_000)
  afterAll(async () => {
    await stage?.crew.dismiss()
    await server?.stop()
  })

  it('load a cold key once, however many ask for it', async ({ annotate }) => {
    for (const line of await coldCrowds(stage, 4, 20)) await annotate(line)
  }, 60_000)

  it('run a failing loader once per process at the most', async ({ annotate }) => {
    for (const line of await failingCrowds(stage, 4, 5)) await annotate(line)
  }, 60_000)

  it('store nothing of a fill that arrives after another has deleted the key', async () => {
    await lateFill(stage, server)
  }, 60_000)

  it('load at most once a second each what is asked for while a Redis is down', async ({
    annotate,
  }) => {
    for (const line of await hotKey(stage, 4)) await annotate(line)
  }, 60_000)

  it('serve nothing old after many changes that they could not hear of', async ({ annotate }) => {
    const sizes = { keys: 1000, changes: 5 }
    for (const line of await manyInvalidations(stage, server.port, sizes)) await annotate(line)
  }, 60_000)

  // The last, since it ends a process.
  it('wait no longer for a holder that hangs, is frozen or killed than they must', async ({
    annotate,
  }) => {
    stage.crew.renew()
    const reports = [killedHolder(stage), frozenHolder(stage), hungHolder(stage)]
    for (const line of (await Promise.all(reports)).flat()) await annotate(line)
  }, 60_000)
})
