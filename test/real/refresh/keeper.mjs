// A process that has keys refreshed on a Redis that it shares with others, and asks for them now and
// then. Arguments: the folder of the compiled package, and its task as JSON (`Task` in keepers.ts). It
// writes what it saw to its standard output, a JSON object a line, and ends with its standard input.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createClient } from 'redis'

const [built, json] = process.argv.slice(2)
const task = JSON.parse(json)
const load = (file) => import(pathToFileURL(join(built, file)).href)
const { createCache } = await load('index.js')
const { lru } = await load('lru/index.js')
const { nodeRedis, redisPubSub } = await load('redis/index.js')

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

async function connect() {
  const client = createClient({ url: task.url })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

const client = await connect()
const database = await connect()
const cache = createCache({
  name: task.who,
  local: lru({ maxEntries: 1000 }),
  remote: nodeRedis(client),
  // A busy machine is no server that is down.
  remoteTimeout: '10s',
  ttl: task.ttl,
  refresh: { interval: task.interval, stopAfterLastAccess: '1h' },
  ...(task.channel === '' ? {} : { sync: { bus: redisPubSub(client, { channel: task.channel }) } }),
})
await cache.ready()
while (task.channel !== '' && !cache.stats().busArmed) await pause(5)

/** The number of a load is its place in a list that all write to. */
async function version(key, reason) {
  return await database.rPush(`${key}${task.logs}`, `${task.who} ${Date.now()} ${reason}`)
}

async function loader({ key, reason }) {
  const loaded = { Key: key, Version: await version(key, reason) }
  await pause(task.loaderMs)
  return loaded
}

async function ask(key) {
  const begunAt = Date.now()
  try {
    const value = await cache.once(key, loader, { refresh: true })
    return { key: value.Key, version: value.Version, begunAt, settledAt: Date.now() }
  } catch (error) {
    return { failure: String(error) }
  }
}

process.stdin.on('end', () => process.exit()).resume()
for (;;) {
  const seen = await Promise.all(task.keys.map(ask))
  process.stdout.write(`${JSON.stringify({ seen, stats: cache.stats() })}\n`)
  await pause(task.askEvery)
}
