// A remote hit through `once`, promoted to a local tier that is too small to answer, against a bare
// client's GET and JSON.parse: speed, and CPU time of the server, as multiples of the bare ones.
// Starts a redis-server (PATH) of its own. Build first: npm run build (in the folder above).
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createClient } from 'redis'
import { createCache } from '../dist/index.js'
import { lru } from '../dist/lru/index.js'
import { nodeRedis } from '../dist/redis/index.js'
import { median } from './compare.js'
import { small } from './objects.js'

const CONCURRENCIES = [1, 64, 512]
const REPETITIONS = 31
const ROUND_MS = 60
const KEYS = 10_000
/** Keys are asked for in turn, so that none is still local when its turn comes again. */
const LOCAL_ENTRIES = 2000

const server = await startServer()
const client = createClient({ url: server.url })
client.on('error', () => {})
await client.connect()
const remote = nodeRedis(client)
try {
  const contestants = await prepare()
  for (const concurrency of CONCURRENCIES)
    report(concurrency, await measure(contestants, concurrency))
} finally {
  client.destroy()
  server.stop()
}

async function prepare() {
  const text = JSON.stringify(small)
  for (let i = 0; i < KEYS; i++) await client.set(`bare:${i}`, text, { PX: 3_600_000 })
  const bare = async (i) => JSON.parse(await client.get(`bare:${i}`))
  const contestants = [
    { name: 'GET, JSON.parse', read: inTurn(bare) },
    { name: 'the same again (control)', read: inTurn(bare) },
  ]
  const loader = () => {
    throw new Error('a hit was expected')
  }
  for (const codec of ['msgpack', 'json']) {
    const local = lru({ maxEntries: LOCAL_ENTRIES })
    const cache = createCache({ local, remote, codec, remoteTimeout: '10s' })
    for (let i = 0; i < KEYS; i++) await cache.set(`${codec}:${i}`, small)
    const read = inTurn((i) => cache.once(`${codec}:${i}`, loader))
    assert.deepEqual(await read(), small)
    contestants.push({ name: `once, ${codec}`, read, stats: () => cache.stats() })
  }
  return contestants
}

function inTurn(read) {
  let next = 0
  return () => read(next++ % KEYS)
}

async function measure(contestants, concurrency) {
  const rounds = new Map(contestants.map(({ name }) => [name, []]))
  const counts = new Map()
  for (const { name, read } of contestants) {
    await run(read, concurrency, 20 * concurrency)
    const { perSecond } = await run(read, concurrency, Math.max(2000, 20 * concurrency))
    counts.set(name, Math.ceil((perSecond * ROUND_MS) / 1000))
  }
  for (let repetition = 0; repetition < REPETITIONS; repetition++) {
    for (const { name, read, stats } of shuffled(contestants)) {
      const before = stats?.()
      const count = counts.get(name)
      rounds.get(name).push(await run(read, concurrency, count))
      if (before !== undefined) assert.equal(stats().remoteHit - before.remoteHit, count)
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
async function run(read, concurrency, count) {
  let left = count
  const reader = async () => {
    while (left-- > 0) await read()
  }
  const server = await serverCpu()
  const own = process.cpuUsage()
  const from = performance.now()
  await Promise.all(Array.from({ length: concurrency }, reader))
  const perSecond = (count * 1000) / (performance.now() - from)
  const { user, system } = process.cpuUsage(own)
  return {
    perSecond,
    clientCpu: (user + system) / count,
    serverCpu: ((await serverCpu()) - server) / count,
  }
}

/** Microseconds of CPU time that the server has used. */
async function serverCpu() {
  const answer = await client.info('cpu')
  const seconds = (name) => Number(new RegExp(`^${name}:(.*)$`, 'm').exec(answer)?.[1])
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1e6
}

function report(concurrency, rounds) {
  const [bare] = rounds.values()
  console.log(`\n${concurrency} at a time`)
  for (const [name, all] of rounds) {
    const of = (field) => median(all.map((round) => round[field]))
    // Ratios of neighbours in time: what slowed one round down slowed the one beside it too.
    const times = (field) => median(all.map((round, i) => round[field] / bare[i][field]))
    console.log(
      `${name.padEnd(26)} ${of('perSecond').toFixed(0).padStart(7)}/s ${times('perSecond').toFixed(2)}x` +
        `   client CPU ${of('clientCpu').toFixed(1).padStart(5)} us ${times('clientCpu').toFixed(2)}x` +
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
