// A cold `once`, whose loader answers at once, against a bare client's GET, JSON and SET: the median
// time of a call, and CPU time of both sides, as multiples of the bare ones; with what each part costs.
// Starts a redis-server (PATH) of its own. Build first: npm run build (in the folder above).
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { createCache } from '../dist/index.js'
import { ioredis, redisPubSub as ioredisPubSub } from '../dist/ioredis/index.js'
import { lru } from '../dist/lru/index.js'
import { nodeRedis, redisPubSub } from '../dist/redis/index.js'
import { median } from './compare.js'
import { small } from './objects.js'

const CONCURRENCIES = [1, 64]
const REPETITIONS = 31
const ROUND_MS = 60
const TTL = 600_000
/** Calls before anything counts: a service is older than its first thousand requests. */
const WARM_UP = 10_000

/** What a cache is made with, besides its tiers. */
const CACHES = {
  'once, lease and bus': (bus) => ({ sync: { bus: bus() } }),
  'once, lease and bus, json': (bus) => ({ sync: { bus: bus() }, codec: 'json' }),
  'once, lease': () => ({}),
  'once, bus': (bus) => ({ sync: { bus: bus() }, lease: false }),
  'once, neither': () => ({ lease: false }),
}

const CLIENTS = {
  'node-redis': async (url) => {
    const client = createClient({ url })
    client.on('error', () => {})
    await client.connect()
    return {
      get: (key) => client.get(key),
      set: (key, text) => client.set(key, text, { PX: TTL }),
      remote: () => nodeRedis(client),
      bus: () => redisPubSub(client),
      end: () => client.destroy(),
    }
  },
  ioredis: async (url) => {
    const client = new Redis(url, { maxRetriesPerRequest: 0 })
    client.on('error', () => {})
    await client.ping()
    return {
      get: (key) => client.get(key),
      set: (key, text) => client.set(key, text, 'PX', TTL),
      remote: () => ioredis(client),
      bus: () => ioredisPubSub(client),
      end: () => client.disconnect(),
    }
  },
}

const [url, clientName, cacheName] = process.argv.slice(2)
if (url === undefined) await runAll()
else await runOne(await CLIENTS[clientName](url))

/** Each cache in a process of its own, as in a service: one process with all would optimise for none. */
async function runAll() {
  const server = await startServer()
  try {
    for (const client of Object.keys(CLIENTS)) {
      for (const cache of Object.keys(CACHES)) {
        const child = spawn(process.execPath, [import.meta.filename, server.url, client, cache], {
          stdio: 'inherit',
        })
        const [code] = await once(child, 'exit')
        if (code !== 0) throw new Error(`${client}, ${cache}: exit code ${code}`)
      }
    }
  } finally {
    server.stop()
  }
}

async function runOne(client) {
  const watcher = await createClient({ url }).connect()
  const contestants = await prepare(client)
  for (const concurrency of CONCURRENCIES) {
    const rounds = await measure(contestants, concurrency, watcher)
    report(`${clientName}, ${concurrency} at a time`, rounds)
    await watcher.flushAll()
  }
  await Promise.all(contestants.map(({ cache }) => cache?.close()))
  client.end()
  watcher.destroy()
}

async function prepare({ get, set, remote, bus }) {
  const load = async () => small
  const bare = async (key) => {
    const text = await get(key)
    if (text !== null) return JSON.parse(text)
    const value = await load()
    await set(key, JSON.stringify(value))
    return value
  }
  const cache = createCache({
    local: lru({ maxEntries: 2000 }),
    remote: remote(),
    remoteTimeout: '10s',
    ttl: TTL,
    ...CACHES[cacheName](bus),
  })
  await cache.ready()
  while (cache.stats().busArmed === false) await new Promise((resolve) => setTimeout(resolve, 5))
  const read = inTurn('cache', (key) => cache.once(key, load))
  assert.deepEqual(await read(), small)
  return [
    { name: 'GET, JSON, SET', read: inTurn('bare', bare) },
    { name: 'the same again (control)', read: inTurn('again', bare) },
    { name: cacheName, read, cache },
  ]
}

/** Asks for another key each time. */
function inTurn(prefix, read) {
  let next = 0
  return () => read(`${prefix}:${next++}`)
}

async function measure(contestants, concurrency, watcher) {
  const rounds = new Map(contestants.map(({ name }) => [name, []]))
  const counts = new Map()
  for (const { name, read } of contestants) {
    await run(read, concurrency, watcher, Math.max(WARM_UP, 20 * concurrency))
    const { perSecond } = await run(read, concurrency, watcher, Math.max(WARM_UP, 20 * concurrency))
    counts.set(name, Math.ceil((perSecond * ROUND_MS) / 1000))
  }
  for (let repetition = 0; repetition < REPETITIONS; repetition++) {
    for (const { name, read, cache } of shuffled(contestants)) {
      const before = cache?.stats()
      const count = counts.get(name)
      rounds.get(name).push(await run(read, concurrency, watcher, count))
      if (before !== undefined) assert.equal(cache.stats().query - before.query, count)
    }
  }
  return rounds
}

/** In a new order each time: some of one's garbage is collected in the turn of the next. */
function shuffled(contestants) {
  const order = new Map(contestants.map((contestant) => [contestant, Math.random()]))
  return contestants.toSorted((a, b) => order.get(a) - order.get(b))
}

/** Reads `count` times, `concurrency` at a time, each reader one after the other. */
async function run(read, concurrency, watcher, count) {
  let left = count
  const times = []
  const reader = async () => {
    while (left-- > 0) {
      const from = performance.now()
      await read()
      times.push(performance.now() - from)
    }
  }
  const server = await serverCpu(watcher)
  const own = process.cpuUsage()
  const from = performance.now()
  await Promise.all(Array.from({ length: concurrency }, reader))
  const perSecond = (count * 1000) / (performance.now() - from)
  const { user, system } = process.cpuUsage(own)
  return {
    perSecond,
    p50: median(times) * 1000,
    clientCpu: (user + system) / count,
    serverCpu: ((await serverCpu(watcher)) - server) / count,
  }
}

/** Microseconds of CPU time that the server has used. */
async function serverCpu(watcher) {
  const answer = await watcher.info('cpu')
  const seconds = (name) => Number(new RegExp(`^${name}:(.*)$`, 'm').exec(answer)?.[1])
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1e6
}

function report(title, rounds) {
  const [bare] = rounds.values()
  console.log(`\n${title}`)
  for (const [name, all] of rounds) {
    const of = (field) => median(all.map((round) => round[field]))
    // Ratios of neighbours in time: what slowed one round down slowed the one beside it too.
    const times = (field) => median(all.map((round, i) => round[field] / bare[i][field]))
    console.log(
      `${name.padEnd(26)} p50 ${of('p50').toFixed(0).padStart(5)} us ${times('p50').toFixed(2)}x` +
        `   client CPU ${of('clientCpu').toFixed(1).padStart(6)} us ${times('clientCpu').toFixed(2)}x` +
        `   server CPU ${of('serverCpu').toFixed(1).padStart(5)} us ${times('serverCpu').toFixed(2)}x`,
    )
  }
}

async function startServer() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const stop = () => child.kill('SIGKILL')
  process.once('exit', stop)
  for await (const text of child.stdout) if (`${text}`.includes('Ready to accept')) break
  child.stdout.resume()
  return { url: `redis://127.0.0.1:${port}`, stop }
}
