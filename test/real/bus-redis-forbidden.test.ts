import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { InvalidationBus } from '../../src/bus/invalidation-bus.ts'
import * as overIoredis from '../../src/ioredis/index.ts'
import * as overNodeRedis from '../../src/redis/index.ts'
import { startRedis } from '../../src/testing/servers/redis.ts'
import { Ear, listenersAt } from '../support/redis-buses.ts'
import { until } from '../support/until.ts'

interface Buses {
  readonly pubSub: InvalidationBus
  readonly tracking: InvalidationBus
}

const CLIENTS: Readonly<Record<string, (port: number) => Promise<Buses>>> = {
  'node-redis': async (port) => {
    const url = `redis://app:secret@127.0.0.1:${port}`
    const client = createClient({ url, socket: { reconnectStrategy: 50 } })
    client.on('error', () => undefined)
    await client.connect()
    onTestFinished(() => client.destroy())
    return {
      pubSub: overNodeRedis.redisPubSub(client),
      tracking: overNodeRedis.redisTracking(client, { prefixes: ['k'] }),
    }
  },
  ioredis: async (port) => {
    const url = `redis://app:secret@127.0.0.1:${port}`
    const client = new Redis(url, { maxRetriesPerRequest: 0, retryStrategy: () => 50 })
    client.on('error', () => undefined)
    onTestFinished(() => client.disconnect())
    return {
      pubSub: overIoredis.redisPubSub(client),
      tracking: overIoredis.redisTracking(client, { prefixes: ['k'] }),
    }
  },
}

describe.each(Object.keys(CLIENTS))('A user of %s', (name) => {
  it.each([
    ['pubSub', '-subscribe'],
    ['pubSub', 'resetchannels'],
    ['tracking', '-client|tracking'],
  ] as const)('who may not listen (%s, %s) is never told up, and may later', async (kind, rule) => {
    const server = await startRedis()
    onTestFinished(() => server.stop())
    await server.ask('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', rule)
    const bus = (await CLIENTS[name]?.(server.port))?.[kind]
    const ear = new Ear()
    const session = bus?.open(ear, { name: randomUUID() })
    onTestFinished(() => session?.close())
    await until('it was refused', async () => {
      const log = await server.ask('ACL', 'LOG')
      return Array.isArray(log) && log.length > 0
    })
    await expect(session?.beat()).rejects.toThrow()
    expect(await listenersAt(server)).toEqual([])
    expect(ear).toMatchObject({ ups: 0, downs: 0 })
    // It does not fill the log of the server meanwhile.
    expect(await server.ask('ACL', 'LOG')).toHaveLength(1)
    await server.ask('ACL', 'SETUSER', 'app', '&*', '+@all')
    await until('it is up', () => ear.isUp)
  })

  it('who may not publish is told so, for certain', async () => {
    const server = await startRedis()
    onTestFinished(() => server.stop())
    await server.ask('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-publish')
    const buses = await CLIENTS[name]?.(server.port)
    const ear = new Ear()
    const session = buses?.pubSub.open(ear, { name: randomUUID() })
    onTestFinished(() => session?.close())
    await until('it is up', () => ear.isUp)
    expect(await session?.publish('text')).toBe(false)
    await expect(session?.beat()).rejects.toThrow('NOPERM')
  })
})
