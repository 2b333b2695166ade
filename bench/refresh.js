// 10,000 keys that are refreshed every 30 s in one process: the delays of its event loop, against those of
// a process that has the same cache, with the same in it, and refreshes nothing. One after the other, in
// turn. Starts a redis-server (PATH) of its own. Build first: npm run build (in the folder above).
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createClient } from 'redis'
import { createCache } from '../dist/index.js'
import { lru } from '../dist/lru/index.js'
import { nodeRedis, redisPubSub } from '../dist/redis/index.js'
import { median } from './compare.js'
import { small } from './objects.js'

const KEYS = 10_000
const INTERVAL = 30_000
const REPETITIONS = 5
/** Before anything is measured: what fills the cache is garbage then, and the code is compiled. */
const WARM_UP_MS = 10_000
const MEASURED_MS = 20_000
/** The sampling interval of `monitorEventLoopDelay`, which each of its values includes. */
const RESOLUTION_MS = 1
const MODES = ['idle', 'refreshing']

const [url, mode] = process.argv.slice(2)
if (url === undefined) await runAll()
else await runOne()

async function runAll() {
  const results = new Map(MODES.map((name) => [name, []]))
  const server = await startServer()
  try {
    for (let repetition = 0; repetition < REPETITIONS; repetition++) {
      // In both orders: what warms the machine up favours whoever comes after it.
      for (const name of repetition % 2 === 0 ? MODES : MODES.toReversed()) {
        const result = await measured(server, name)
        results.get(name).push(result)
        print(`${repetition + 1} ${name}`, result)
      }
    }
  } finally {
    server.stop()
  }
  report(results)
}

/** In a process of its own, as in a service. */
async function measured(server, name) {
  const child = spawn(process.execPath, [import.meta.filename, server.url, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${name}: exit code ${code}`)
  return JSON.parse(text)
}

async function runOne() {
  const client = createClient({ url })
  client.on('error', () => {})
  await client.connect()
  await client.flushAll()
  const cache = createCache({
    local: lru({ maxEntries: 2 * KEYS }),
    remote: nodeRedis(client),
    remoteTimeout: '10s',
    sync: { bus: redisPubSub(client) },
    refresh: { interval: INTERVAL, stopAfterLastAccess: '1h', maxTasks: KEYS },
  })
  await cache.ready()
  while (!cache.stats().busArmed) await pause(5)
  await fill(cache, mode === 'refreshing')
  await pause(WARM_UP_MS)

  const before = cache.stats()
  const cpu = process.cpuUsage()
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  await pause(MEASURED_MS)
  delay.disable()
  const { user, system } = process.cpuUsage(cpu)
  const after = cache.stats()
  const refreshes = after.refreshes - before.refreshes
  check(after, refreshes)
  const at = (percentile) => delay.percentile(percentile) / 1e6
  const [p50, p99, max] = [at(50), at(99), delay.max / 1e6]
  const cpuShare = (user + system) / 1000 / MEASURED_MS
  process.stdout.write(JSON.stringify({ p50, p99, max, cpuShare, refreshes }))
  await cache.close()
  client.destroy()
}

async function fill(cache, refresh) {
  const load = async () => small
  for (let i = 0; i < KEYS; i += 100) {
    const keys = Array.from({ length: 100 }, (_, j) => `key:${i + j}`)
    await Promise.all(keys.map((key) => cache.once(key, load, { refresh })))
  }
}

/** It did what it was to do. */
function check({ refreshesFailed }, refreshes) {
  assert.equal(refreshesFailed, 0)
  const due = mode === 'refreshing' ? (KEYS * MEASURED_MS) / INTERVAL : 0
  assert.ok(Math.abs(refreshes - due) <= due / 10, `${refreshes} refreshes, not ${due}`)
}

function report(results) {
  console.log('')
  const of = (name, field) => results.get(name).map((result) => result[field])
  for (const name of MODES) {
    const medians = ['p50', 'p99', 'max', 'cpuShare', 'refreshes'].map((field) => [
      field,
      median(of(name, field)),
    ])
    print(`median ${name}`, Object.fromEntries(medians))
  }
  const [idle, refreshing] = MODES.map((name) => of(name, 'p99'))
  // Neighbours in time: what slowed one down slowed the other too.
  const ratio = (less) => median(idle.map((p99, i) => (refreshing[i] - less) / (p99 - less)))
  console.log(
    `p99 of refreshing, as a multiple of idle's: ${ratio(0).toFixed(2)}` +
      ` (less the ${RESOLUTION_MS} ms between two samples: ${ratio(RESOLUTION_MS).toFixed(2)})`,
  )
}

function print(title, { p50, p99, max, cpuShare, refreshes }) {
  const ms = (value) => `${value.toFixed(2).padStart(6)} ms`
  console.log(
    `${title.padEnd(18)} p50 ${ms(p50)}   p99 ${ms(p99)}   max ${ms(max)}` +
      `   CPU ${(100 * cpuShare).toFixed(1).padStart(4)} %   ${String(refreshes).padStart(5)} refreshes`,
  )
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
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
