import { createCache } from 'jetcache-ts'
import { nodeRedis } from 'jetcache-ts/redis'
import { startRedis, tcpFaultProxy } from 'jetcache-ts/testing'
import { createClient } from 'redis'

const server = await startRedis() // on a free port of 127.0.0.1; nothing is written to disk
const proxy = await tcpFaultProxy({ target: server })

const client = createClient({ url: `redis://127.0.0.1:${proxy.port}` })
client.on('error', () => {}) // node-redis tells of each lost connection
await client.connect()
const cache = createCache({ remote: nodeRedis(client), remoteTimeout: '100ms' })

await cache.once('user:0', async () => 'Bob') // once: now the server knows our scripts
const before = proxy.counts()
await cache.once('user:1', async () => 'Ada')
const roundTrips = proxy.counts().bursts - before.bursts

proxy.blackHole() // connections stay, and are made, but nothing goes through
const during = await cache.once('user:1', async () => 'Grace')

await proxy.heal()
const back = await cache.ready({ timeout: '5s' })

console.log(roundTrips, during, back)

await cache.close()
client.destroy()
await proxy.close()
await server.stop()
