import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, it, onTestFinished } from 'vitest'
import { startRedis } from '../../src/testing/servers/redis.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'
import { type TcpFaultProxy, tcpFaultProxy } from '../../src/testing/tcp-fault-proxy.ts'
import { Crew, type Setup } from '../real/coherence/crew.ts'
import { coldCrowds, failingCrowds } from '../real/coherence/crowds.ts'
import { foreignWriter } from '../real/coherence/foreign-writer.ts'
import { PATIENT } from '../real/coherence/mixed-load.ts'
import { hotKey, manyInvalidations } from '../real/coherence/outages.ts'
import {
  cutBus,
  cutOff,
  killedListeners,
  killedReaders,
  killedWriters,
  type Report,
  restored,
  type Stage,
  steady,
} from '../real/coherence/scenarios.ts'
import { listenersAt } from '../support/redis-buses.ts'

const SECONDS = 60

describe('eight processes, for a minute,', () => {
  let server: RedisProcess
  let crew: Crew
  let path: string
  beforeAll(async () => {
    ;[server, crew] = await Promise.all([startRedis(), Crew.muster(8)])
    path = await mkdtemp(join(tmpdir(), 'jetcache-ts-coherence-'))
  }, 90_000)
  afterAll(async () => {
    await crew?.dismiss()
    await server?.stop()
    await rm(path, { recursive: true, force: true })
  })

  const redis = (name: string, place: number, more: Partial<Setup>): Setup => ({
    name,
    client: place % 2 === 0 ? 'node-redis' : 'ioredis',
    port: server.port,
    options: PATIENT,
    ...more,
  })
  const pubSub = (): Stage => ({
    crew,
    setup: (name, place) => redis(`long-${name}`, place, { bus: 'pubSub' }),
  })
  const tracking = (): Stage => ({
    crew,
    setup: (name, place) =>
      redis(name, place, {
        bus: 'tracking',
        prefixes: [`${name}:`],
        options: { ...PATIENT, codec: 'json' },
      }),
    foreignWriter: foreignWriter(crew, server),
  })
  const lmdb = (): Stage => ({
    crew,
    setup: (name) => ({ name, client: 'lmdb', path, options: PATIENT }),
  })

  async function onBadWays(run: (proxy: TcpFaultProxy) => Promise<Report>): Promise<Report> {
    const proxy = await tcpFaultProxy({ target: server })
    onTestFinished(() => proxy.close())
    return run(proxy)
  }
  const listeners = () => listenersAt(server)

  const cells: Readonly<Record<string, () => Promise<Report>>> = {
    'with redisPubSub': () => steady(pubSub(), SECONDS),
    'with redisPubSub, readers killed each second': () => killedReaders(pubSub(), SECONDS),
    'with redisPubSub, writers killed each second': () => killedWriters(pubSub(), SECONDS),
    'with redisPubSub, the bus cut every 2 s': () =>
      onBadWays((proxy) => cutBus(pubSub(), server, proxy, SECONDS)),
    'with redisPubSub, the remote cut every 2 s': () =>
      onBadWays((proxy) => cutOff(pubSub(), proxy, SECONDS)),
    'with redisPubSub, listeners killed each second': () =>
      killedListeners(pubSub(), server, listeners, SECONDS),
    'with redisPubSub, the server restored from 5 s ago': () => restored(pubSub(), server, 5),
    'with redisPubSub, 30 s without a server': () => hotKey(pubSub(), 30),
    'with redisPubSub, 100,000 changes that are not heard of': () =>
      manyInvalidations(pubSub(), server.port, { keys: 20_000, changes: 5 }),
    'with redisPubSub, crowds at cold keys': () => coldCrowds(pubSub(), 4, 200),
    'with redisPubSub, crowds at failing loaders': () => failingCrowds(pubSub(), 4, 100),
    'with redisTracking and a foreign writer': () => steady(tracking(), SECONDS),
    'with redisTracking, the bus cut every 2 s': () =>
      onBadWays((proxy) => cutBus(tracking(), server, proxy, SECONDS)),
    'with redisTracking, listeners killed each second': () =>
      killedListeners(tracking(), server, listeners, SECONDS),
    'with lmdbBus': () => steady(lmdb(), SECONDS),
    'with lmdbBus, readers killed each second': () => killedReaders(lmdb(), SECONDS),
    'with lmdbBus, crowds at cold keys': () => coldCrowds(lmdb(), 4, 200),
  }

  it.for(Object.keys(cells))(
    'serve nothing old and load no more than they must: %s',
    async (name, { annotate }) => {
      for (const line of (await cells[name]?.()) ?? []) await annotate(line)
    },
  )
})
