import { createCache, tinyLfu } from 'jetcache-ts'
import { nodeRedis, redisPubSub } from 'jetcache-ts/redis'
import { createClient } from 'redis'

const client = await createClient({ url: process.env.REDIS_URL }).connect()

class UserNotFound extends Error {}

const cache = createCache({
  name: 'users',
  local: tinyLfu({ maxEntries: 100_000, ttl: '30s' }),
  remote: nodeRedis(client),
  sync: { bus: redisPubSub(client) }, // what another process changes is dropped here
  notFound: { error: UserNotFound, ttl: '10s' },
  remoteTimeout: '100ms', // the most that Redis may cost one call
})

const loadUser = async ({ key, signal }) => {
  signal.throwIfAborted() // everybody who waited has left
  if (key !== 'user:1') throw new UserNotFound(key)
  return { id: 1, name: 'Ada' }
}

const user = await cache.once('user:1', loadUser, { ttl: '5m' })
const nobody = await cache.once('user:2', loadUser)
const seen = await cache.lookup('user:2')

console.log(user.name, nobody, seen.status)

await cache.close() // closes nothing that it was handed
client.destroy()
