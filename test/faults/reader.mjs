// A process of its own that reads through the remote only, past the network. Arguments: the folder of
// the compiled package, `single` or `cluster`, and the ports of the servers. It is sent lists of keys.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createClient, createCluster } from 'redis'

const [built, kind, ...ports] = process.argv.slice(2)
const load = (file) => import(pathToFileURL(join(built, file)).href)
const { createCache } = await load('index.js')
const { nodeRedis } = await load('redis/index.js')

const nodes = ports.map((port) => ({ url: `redis://127.0.0.1:${port}` }))
const client = kind === 'cluster' ? createCluster({ rootNodes: nodes }) : createClient(nodes[0])
const cache = createCache({ remote: nodeRedis(client), remoteTimeout: '1s' })
await client.connect()

process.on('message', async (keys) => {
  const found = await Promise.all(keys.map((key) => cache.lookup(key)))
  process.send(found.map(({ status, value, error }) => ({ status, value, error: error?.message })))
})
process.on('disconnect', () => process.exit())
process.send('ready')
