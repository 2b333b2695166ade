/** The tier that the services share. Its client is loaded here, so that only one of both is. */
export async function openRemote({ redisUrl, lmdbPath }) {
  return redisUrl === undefined ? openLmdb(lmdbPath) : openRedis(redisUrl)
}

/** What the demo calls it: never the whole URL, it may hold a password. */
export function remoteName(redisUrl) {
  return redisUrl === undefined ? 'LMDB' : `Redis at ${new URL(redisUrl).host}`
}

async function openLmdb(path) {
  const { lmdb } = await import('../dist/lmdb/index.js')
  return { name: remoteName(), store: lmdb({ path }), close: async () => {} }
}

async function openRedis(url) {
  const { createClient } = await import('redis')
  const { nodeRedis } = await import('../dist/redis/index.js')
  const client = createClient({ url })
  // A lost connection is the cache's business: it goes on without Redis. The client reconnects.
  client.on('error', () => {})
  const connected = client.connect().catch(() => {})
  const close = async () => {
    client.destroy()
    await connected
  }
  return { name: remoteName(url), store: nodeRedis(client), close }
}
