import { createCache, tinyLfu } from 'jetcache-ts'
import { lmdb } from 'jetcache-ts/lmdb'

let version = 1
const loadPrice = async ({ stale, notModified }) => {
  if (stale?.version === version) return notModified() // as after "304 Not Modified"
  return { version, euro: 10 * version }
}

const cache = createCache({
  name: 'prices',
  local: tinyLfu({ maxEntries: 10_000 }),
  remote: lmdb({ path: './price-directory' }),
  ttl: '10m',
  staleWhileRevalidate: '1m', // answered at once for a minute more, and loaded behind
  staleIfError: '1h', // and for an hour if that fails
  refresh: { interval: '5m' },
})

const options = { refresh: true, softTimeout: '100ms', hardTimeout: '2s' }
const price = await cache.once('price:1', loadPrice, options)

version = 2
await cache.expire('price:1') // it has changed: stale from now on
const told = await cache.once('price:1', loadPrice, { ...options, meta: true })
const fresh = await cache.once('price:1', loadPrice, { staleWhileRevalidate: false })

console.log(price.euro, told.status, told.value.euro, fresh.euro, cache.taskSize)

await cache.close()
