import { createCache, tinyLfu } from 'jetcache-ts'
import { lmdb, lmdbBus } from 'jetcache-ts/lmdb'

const path = './cache-directory' // shared by the processes of this machine

const cache = createCache({
  name: 'users',
  local: tinyLfu({ maxEntries: 10_000, ttl: '1m' }), // in this process
  remote: lmdb({ path }),
  sync: { bus: lmdbBus({ path }) }, // what another process changes is dropped here
  ttl: '1h',
})

const loadUser = async (id) => (id === 1 ? { id, name: 'Ada', joined: new Date(0) } : null)

const user = await cache.once('user:1', () => loadUser(1)) // asks the database
const same = await cache.once('user:1', () => loadUser(1)) // does not
const nobody = await cache.once('user:2', () => loadUser(2)) // null, and remembered as such

console.log(user.name, same.joined instanceof Date, nobody, cache.stats().query)

await cache.delete('user:1') // after an update in the database
await cache.close()
