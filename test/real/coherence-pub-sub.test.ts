import { afterAll, beforeAll, describe, it, onTestFinished } from 'vitest'
import { startRedis } from '../../src/testing/servers/redis.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'
import { tcpFaultProxy } from '../../src/testing/tcp-fault-proxy.ts'
import { listenersAt } from '../support/redis-buses.ts'
import { Crew } from './coherence/crew.ts'
import { lastMessageLost } from './coherence/last-message.ts'
import { PATIENT } from './coherence/mixed-load.ts'
import {
  cutBus,
  cutOff,
  killedListeners,
  killedReaders,
  killedWriters,
  restored,
  type Stage,
  steady,
} from './coherence/scenarios.ts'

describe('eight processes on one Redis, half of them on ioredis, with redisPubSub', () => {
  let server: RedisProcess
  let stage: Stage
  beforeAll(async () => {
    const [started, crew] = await Promise.all([startRedis(), Crew.muster(8)])
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

  it('load a key once per change, and serve nothing old', async ({ annotate }) => {
    for (const line of await steady(stage, 4)) await annotate(line)
  }, 60_000)

  it('do so while readers are killed and replaced', async ({ annotate }) => {
    for (const line of await killedReaders(stage, 2.5)) await annotate(line)
  }, 60_000)

  it('serve for no longer than its ttl what a killed writer has not told of', async ({
    annotate,
  }) => {
    for (const line of await killedWriters(stage, 2.5)) await annotate(line)
  }, 60_000)

  it('serve nothing old while the way to the bus is cut, once they are armed', async ({
    annotate,
  }) => {
    const proxy = await tcpFaultProxy({ target: server })
    onTestFinished(() => proxy.close())
    for (const line of await cutBus(stage, server, proxy, 5)) await annotate(line)
  }, 60_000)

  it('do so when they are cut from the remote as well', async ({ annotate }) => {
    const proxy = await tcpFaultProxy({ target: server })
    onTestFinished(() => proxy.close())
    for (const line of await cutOff(stage, proxy, 5)) await annotate(line)
  }, 60_000)

  it('serve nothing old while their listening connections are killed', async ({ annotate }) => {
    const listeners = () => listenersAt(server)
    for (const line of await killedListeners(stage, server, listeners, 2.5)) await annotate(line)
  }, 60_000)

  it('notice that the last message before a silence was lost', async ({ annotate }) => {
    for (const line of await lastMessageLost(stage, server.port)) await annotate(line)
  }, 60_000)

  it('serve nothing old once a server that lost changes is back', async ({ annotate }) => {
    for (const line of await restored(stage, server, 2)) await annotate(line)
  }, 60_000)
})
