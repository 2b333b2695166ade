import { createClient } from 'redis'
import { expect, it, onTestFinished } from 'vitest'
import { createCache } from '../../src/cache.ts'
import { nodeRedis } from '../../src/redis/node-redis-store.ts'
import { startRedis } from '../../src/testing/servers/redis.ts'
import { until } from '../support/until.ts'

/** A cache on a server whose user may do what `rules` say. */
async function onServerWith(...rules: readonly string[]) {
  const server = await startRedis()
  onTestFinished(() => server.stop())
  await server.ask('ACL', 'SETUSER', 'app', 'on', '>secret', ...rules)
  const client = createClient({
    url: server.url,
    username: 'app',
    password: 'secret',
    socket: { reconnectStrategy: 50 },
  })
  client.on('error', () => undefined)
  await client.connect()
  const told: string[] = []
  const cache = createCache({
    remote: nodeRedis(client),
    codec: 'json',
    logger: { warn: (message) => void told.push(message) },
  })
  onTestFinished(async () => {
    await cache.close()
    client.destroy()
  })
  return { server, cache, told }
}

it('A server that forbids INFO, CLIENT ID and CLIENT KILL is used, and they are named once', async () => {
  const rules = ['~*', '+@all', '-info', '-client|id', '-client|kill']
  const { server, cache, told } = await onServerWith(...rules)
  await cache.set('k', 'value')
  expect(await cache.get('k')).toBe('value')
  await until('it is named', () => told.length > 0)
  expect(told).toEqual([expect.stringContaining('does not allow INFO, CLIENT ID, CLIENT KILL')])
  // Nobody can tell whether it is the same server: what was acknowledged is made again.
  await server.ask('CLIENT', 'KILL', 'TYPE', 'normal')
  await until('it is used again', () => cache.ready({ timeout: '1s' }))
  await until('what was changed is made again', async () => {
    const { remoteReplaced, recoveryPending } = cache.stats()
    return remoteReplaced > 0 && recoveryPending === 0
  })
  expect(await server.ask('EXISTS', 'k')).toBe(0)
  expect(told.filter((message) => message.includes('does not allow'))).toHaveLength(1)
})

it('A user who may use some keys gets their values, and an error for each other one', async () => {
  const { server, cache } = await onServerWith('~mine:*', '~_#JL#*', '+@all')
  for (const i of [1, 2, 3]) await cache.set(`mine:${i}`, i)
  await server.ask('SET', 'theirs', '"secret"')
  const keys = ['mine:1', 'theirs', 'mine:2', 'mine:3']
  // Asked for in one turn, so in one command, which the server refuses whole.
  const found = await Promise.all(keys.map((key) => cache.lookup(key)))
  expect(found.map(({ status }) => status)).toEqual(['hit', 'error', 'hit', 'hit'])
  await expect(cache.set('theirs', 1)).rejects.toMatchObject({
    code: 'CACHE_REMOTE',
    outcome: 'refused',
    message: expect.stringContaining('NOPERM'),
  })
  expect(await cache.once('theirs', async () => 'loaded')).toBe('loaded')
  // A server that says no is well.
  expect(cache.stats()).toMatchObject({ breaker: 'closed', breakerOpened: 0 })
})

it('A user who may run no scripts loads each time, and is told which command it lacks', async () => {
  const { cache, told } = await onServerWith('~*', '+@all', '-@scripting')
  await until('it is named', () => told.some((message) => message.includes('EVAL')))
  expect(await cache.once('k', async () => 'loaded')).toBe('loaded')
  expect(await cache.lookup('k')).toMatchObject({
    status: 'error',
    error: { message: expect.stringContaining('NOPERM') },
  })
})
