// The demo: Postgres, two services that share a remote tier, and the same requests sent to them
// twice, past the cache and through it.
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startChild } from './children.mjs'
import { CONNECTIONS, sendAll } from './load.mjs'
import { readOptions, USAGE } from './options.mjs'
import { bar, Progress } from './progress.mjs'
import { remoteName } from './remote.mjs'
import { readTrace, SKEW, traceSequence, UNKNOWN_RATIO, zipfSequence } from './sequence.mjs'
import { renderTable, resultRows, whole } from './table.mjs'

const SERVICES = 2

/** Sent past the cache before the first phase: neither phase pays for compiling and connecting. */
const WARM_UP = 40

const NEXT = `  Next: README.md says what else there is; demo/service.mjs is the code behind these figures
        REDIS_URL=redis://127.0.0.1:6379 npm start       shares a Redis instead of LMDB
        npm start -- --trace FILE.gz --requests 10000    replays a trace: one key per line
`

const HOME = fileURLToPath(new URL('../.demo/', import.meta.url))
const CITIES = join(HOME, 'cities')
const RUN = `run-${process.pid}`

const children = []
const progress = new Progress(process.stdout)
/** Set once everything is being stopped. */
let leaving

async function demo(options) {
  const shared = remoteName(options.redisUrl)
  console.log(
    `\n  jetcache-ts: ${SERVICES} services, Postgres behind them, ${shared} between them\n`,
  )
  const { trace, requests, redisUrl } = options
  const ranks = trace && (await readTrace(trace, requests))
  const { port, ids } = await startDatabase()
  const services = await startServices(port, redisUrl)
  const sequence = ranks ? traceSequence(ids, ranks) : zipfSequence(ids, requests)
  describe(sequence, options)
  const { without, cached } = await bothPhases(sequence, services, options)
  console.log(`\n${renderTable(resultRows(without, cached, shared.split(' ')[0]))}\n`)
  reportEquality(without.digests, cached.digests)
  console.log(NEXT)
}

async function startDatabase() {
  const text = existsSync(CITIES)
    ? 'Starting Postgres (PGlite)'
    : 'Importing 135,233 cities into Postgres (PGlite), this once'
  const database = startChild('database.mjs')
  children.push(database)
  const scratch = join(HOME, RUN, 'import')
  const copy = join(HOME, RUN, 'database')
  return progress.during(text, database.ask('start', { directory: CITIES, scratch, copy }))
}

async function startServices(databasePort, redisUrl) {
  const services = Array.from({ length: SERVICES }, () => startChild('service.mjs'))
  // Ahead of the database: a service closes its connections when it stops.
  children.unshift(...services)
  const lmdbPath = join(HOME, RUN, 'lmdb')
  const options = { databasePort, redisUrl, lmdbPath, keyPrefix: `demo-${RUN}-${Date.now()}` }
  const started = Promise.all(services.map((service) => service.ask('start', options)))
  const ports = await progress.during(`Starting ${SERVICES} services`, started)
  return services.map(({ ask }, index) => ({ ask, port: ports[index].port }))
}

function describe(sequence, { trace }) {
  const kind =
    trace === undefined
      ? `zipf with skew ${SKEW}, ${100 * UNKNOWN_RATIO} % unknown ids`
      : `trace ${trace.split(/[\\/]/).at(-1)}, its first keys`
  const different = new Set(sequence).size
  console.log(`  Requests: up to ${whole(sequence.length)} for ${whole(different)} ids (${kind})`)
  console.log(
    `            from ${CONNECTIONS} connections, the same ones without and with the cache\n`,
  )
}

async function bothPhases(sequence, services, { longestPhase }) {
  const past = { services, query: '?cache=off' }
  await phase({ ...past, ids: sequence.slice(0, WARM_UP) })
  const without = await phase({
    ...past,
    ids: sequence,
    longest: longestPhase,
    name: 'without cache',
  })
  const ids = sequence.slice(0, without.latencies.length)
  const cached = await phase({ services, query: '', ids, name: 'with cache   ' })
  const stats = await Promise.all(services.map(({ ask }) => ask('stats')))
  return { without, cached: { ...cached, stats: sum(stats) } }
}

async function phase({ services, query, ids, longest = Number.POSITIVE_INFINITY, name }) {
  const before = await queries()
  const line = (done, duration) => {
    const rate = whole((1000 * done) / duration)
    return `${name}  ${bar(done / ids.length)}  ${whole(done)} of ${whole(ids.length)}  ${rate} /s`
  }
  const measured = await sendAll({
    ids,
    ports: services.map(({ port }) => port),
    query,
    longest,
    onProgress: name && ((done, duration) => progress.show(line(done, duration))),
  })
  const sent = measured.latencies.length
  const cut = sent < ids.length ? `, cut after ${longest / 1000} s` : ''
  if (name) progress.end(`${line(sent, measured.duration)}${cut}`)
  return { ...measured, queries: (await queries()) - before }
}

function queries() {
  return children.at(-1).ask('queries')
}

function sum(stats) {
  const total = (name) => stats.reduce((all, one) => all + one[name], 0)
  return {
    localHit: total('localHit'),
    remoteHit: total('remoteHit'),
    coalesced: total('coalesced'),
  }
}

function reportEquality(expected, got) {
  const different = expected.filter((digest, turn) => digest !== got[turn]).length
  if (different > 0) throw new Error(`${different} answers differ with the cache`)
  console.log(`  All ${whole(got.length)} answers through the cache equal the database's.\n`)
}

async function cleanUp() {
  for (const child of children) await child.stop()
  await rm(join(HOME, RUN), { recursive: true, force: true })
}

/** A run that was killed could not remove its folder. */
async function removeAbandonedRuns() {
  for (const name of await readdir(HOME)) {
    const pid = /^run-(\d+)$/.exec(name)?.[1]
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(HOME, name), { recursive: true })
  }
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function leave(code) {
  leaving ??= cleanUp().finally(() => process.exit(code))
}

/** A terminal's Ctrl-C comes twice: npm hands on what the whole group has had. */
function interrupted() {
  if (leaving !== undefined) return
  progress.clear()
  console.log('  Stopping')
  leave(130)
}

function failed(error) {
  // What is under way fails when the services are stopped.
  if (leaving !== undefined) return
  progress.clear()
  console.error(`  The demo failed: ${error.message}\n`)
  leave(1)
}

async function main() {
  const options = readOptions(process.argv.slice(2), process.env)
  if (options.help) return console.log(USAGE)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, interrupted)
  await mkdir(join(HOME, RUN), { recursive: true })
  await removeAbandonedRuns()
  await demo(options)
}

main().then(() => leave(0), failed)
