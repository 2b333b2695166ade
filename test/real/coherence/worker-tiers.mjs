// The tiers of a process of the crew, and the clients that it opens for them.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [built] = process.argv.slice(2)

/** A file of the compiled package. */
export const load = (file) => import(pathToFileURL(join(built, file)).href)

// A process loads only the packages that its setup needs: eight of them start at once.
const CONNECT = {
  'node-redis': async (port) => {
    const { createClient } = await import('redis')
    const { nodeRedis, redisPubSub, redisTracking } = await load('redis/index.js')
    const client = createClient({
      url: `redis://127.0.0.1:${port}`,
      socket: { reconnectStrategy: 50 },
    })
    client.on('error', () => undefined)
    await client.connect()
    return {
      remote: () => nodeRedis(client),
      pubSub: () => redisPubSub(client),
      tracking: (prefixes) => redisTracking(client, { prefixes }),
      end: () => client.destroy(),
    }
  },
  ioredis: async (port) => {
    const { Redis } = await import('ioredis')
    const { ioredis, redisPubSub, redisTracking } = await load('ioredis/index.js')
    const options = { port, maxRetriesPerRequest: 0, retryStrategy: () => 50 }
    const client = new Redis(options)
    client.on('error', () => undefined)
    return {
      remote: () => ioredis(client),
      pubSub: () => redisPubSub(client),
      tracking: (prefixes) => redisTracking(client, { prefixes }),
      end: () => client.disconnect(),
    }
  },
}

let connections = []

/** The store, and the bus if there is one. */
export async function tiers({ client, port, busPort, bus, prefixes, path }) {
  if (client === 'lmdb') {
    const { lmdb, lmdbBus } = await load('lmdb/index.js')
    return [lmdb({ path }), lmdbBus({ path })]
  }
  const own = await CONNECT[client](port)
  connections.push(own)
  if (bus === undefined) return [own.remote(), undefined]
  // Made of another client than the remote tier, its messages do not ride with the changes.
  const other = busPort === undefined ? own : await CONNECT[client](busPort)
  if (other !== own) connections.push(other)
  return [own.remote(), bus === 'tracking' ? other.tracking(prefixes) : other.pubSub()]
}

export function endConnections() {
  for (const connection of connections) connection.end()
  connections = []
}
