import { createCache, msgpack } from 'jetcache-ts'
import { nodeRedis } from 'jetcache-ts/redis'
import { createClient } from 'redis'

const client = await createClient({ url: process.env.REDIS_URL }).connect()

const cache = createCache({
  remote: nodeRedis(client),
  codec: msgpack({ interop: 'go' }), // what calls that name no codec use
})

const loadPage = async () => '<h1>Welcome</h1>' // a string in Go
const loadLogo = async () => Uint8Array.of(0x89, 0x50, 0x4e, 0x47) // a []byte in Go

const page = await cache.once('page:home', loadPage, { codec: 'text' })
const logo = await cache.once('logo', loadLogo, { codec: 'bytes' })

console.log(page, logo.length, await client.get('page:home'))

await cache.set('page:about', '<h1>About</h1>').catch((error) => console.log(error.reason))

await cache.close()
client.destroy()
