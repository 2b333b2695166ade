import { createSentinel } from 'redis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { nodeRedis } from '../../src/redis/node-redis-store.ts'
import { type RedisSentinels, startSentinels } from '../../src/testing/servers/sentinels.ts'
import { until } from '../support/until.ts'

const ttl = 60_000
const bytes = new TextEncoder().encode('x')

let servers: RedisSentinels

beforeAll(async () => {
  servers = await startSentinels()
})

afterAll(async () => {
  await servers.stop()
})

it('finds the new master when the client had given up looking for one', async () => {
  const client = createSentinel({
    name: servers.masterName,
    sentinelRootNodes: servers.sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
    nodeClientOptions: { socket: { reconnectStrategy: 50 } },
    // Gives up after some 2 s; by default after some 16 s.
    maxCommandRediscovers: 1,
  })
  let gaveUp = false
  client.on('error', (error) => {
    gaveUp ||= error.message === 'None of the sentinels are available'
  })
  await client.connect()
  const store = nodeRedis(client)
  store.open()
  await until('it takes writes', () => store.set('key', bytes, { ttl }).catch(() => false))
  const [master, replica] = servers.servers
  for (const sentinel of servers.sentinels) await sentinel.kill()
  await master.kill()
  await until('the client has given up', () => gaveUp)
  for (const sentinel of servers.sentinels) await sentinel.restart()
  await until('the replica is promoted', async () => (await servers.master()) === replica, 60_000)
  await until(
    'the store takes writes again',
    async () => {
      await store.ping().catch(() => {})
      return store.set('key', bytes, { ttl }).catch(() => false)
    },
    30_000,
  )
  expect((await store.get('key'))?.bytes).toEqual(bytes)
  await store.close()
  await client.destroy()
})
