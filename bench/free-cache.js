// A million 240-byte objects in freeCache, and in lru-cache as what they are: what they take in memory,
// what the garbage collector costs, and what a hit costs. Each contestant of memory and collector in a
// process of its own. Build first: npm run build (in the folder above).
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { PerformanceObserver, performance } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { LRUCache } from 'lru-cache'
import { freeCache, msgpack } from '../dist/index.js'
import { median } from './compare.js'
import { small } from './objects.js'

const ENTRIES = 1_000_000
const OPERATIONS = 2_000_000
/** Beyond the entries: the rest of the keys is set when it is missed. */
const KEYS = 1_300_000
const REPETITIONS = 9
const ROUND = 100_000
const MAX_BYTES = 512 * 2 ** 20

const codec = msgpack()
const encoded = codec.encode(small)
const clock = { now: Date.now, monotonic: () => performance.now() }
/** Put together from parts, for the engine keeps strings of numbers, and its collector visits them each time. */
const HIGH = Array.from({ length: KEYS / 1000 }, (_, i) => `product:${i}`)
const LOW = Array.from({ length: 1000 }, (_, i) => `${i}`.padStart(3, '0'))
const keyOf = (number) => HIGH[Math.floor(number / 1000)] + LOW[number % 1000]

/** Each makes what is stored itself, as a cache does: nothing is shared. */
const CONTESTANTS = {
  freeCache: () => {
    const store = freeCache({ maxBytes: MAX_BYTES }).create({ clock, removed: undefined })
    return {
      set: (key) => store.set(key, entryOf(codec.encode(small))),
      get: (key) => {
        const entry = store.get(key)
        return entry === undefined ? undefined : codec.decode(entry.kept.bytes)
      },
      find: (key) => store.get(key),
      size: () => store.size,
    }
  },
  'lru-cache, objects': () => {
    const cache = new LRUCache({ max: ENTRIES })
    return {
      set: (key) => cache.set(key, codec.decode(encoded)),
      get: (key) => cache.get(key),
      size: () => cache.size,
    }
  },
  'lru-cache, buffers': () => {
    const cache = new LRUCache({ max: ENTRIES })
    return {
      set: (key) => cache.set(key, Buffer.from(codec.encode(small))),
      get: (key) => {
        const bytes = cache.get(key)
        return bytes === undefined ? undefined : codec.decode(bytes)
      },
      find: (key) => cache.get(key),
      size: () => cache.size,
    }
  },
}

/** Written out: to spread one object into another costs more than all the rest. */
function entryOf(bytes) {
  return {
    freshUntil: Infinity,
    keptUntil: Infinity,
    aheadAt: Infinity,
    kept: { form: 0, bytes },
    answer: undefined,
  }
}

const [task, name] = process.argv.slice(2)
if (task === undefined) runAll()
else if (task === 'memory') console.log(JSON.stringify(memory(CONTESTANTS[name]())))
else if (task === 'collector' || task === 'collector, decoding') {
  const contestant = CONTESTANTS[name]()
  const look = task === 'collector' ? contestant.find : contestant.get
  console.log(JSON.stringify(await collector(contestant, look ?? contestant.get)))
} else if (task === 'time') times()

function runAll() {
  const payload = ENTRIES * encoded.length + sum(ENTRIES, (i) => keyOf(i).length)
  console.log(
    `${ENTRIES} entries, payload ${encoded.length} bytes each, with keys ${mib(payload)} MiB`,
  )
  for (const name of Object.keys(CONTESTANTS)) {
    const runs = Array.from({ length: 5 }, () => inProcess('memory', name))
    const rss = median(runs.map((run) => run.rss))
    const heap = median(runs.map((run) => run.heap))
    console.log(
      `${name.padEnd(20)} resident ${mib(rss).padStart(7)} MiB ${(rss / payload).toFixed(2)}x` +
        `   heap ${mib(heap).padStart(7)} MiB`,
    )
  }
  for (const task of ['collector', 'collector, decoding']) {
    console.log(
      `\n${task}: ${OPERATIONS} zipf operations, a tenth of them sets; medians of 5 processes`,
    )
    for (const name of Object.keys(CONTESTANTS)) {
      const runs = Array.from({ length: 5 }, () => inProcess(task, name))
      const of = (field) =>
        median(runs.map((run) => run[field]))
          .toFixed(1)
          .padStart(8)
      console.log(
        `${name.padEnd(20)} in all ${of('total')} ms   p99 ${of('p99')} ms   longest ${of('longest')} ms` +
          `   run ${of('run')} ms`,
      )
    }
  }
  run('time', '', 'inherit')
}

function inProcess(task, name) {
  return JSON.parse(run(task, name, ['ignore', 'pipe', 'inherit']).stdout)
}

function run(task, name, stdio) {
  const result = spawnSync(process.execPath, [import.meta.filename, task, name], { stdio })
  if (result.status !== 0) throw new Error(`${task} ${name}: exit code ${result.status}`)
  return result
}

/** Collected twice: the first time lets go of what the second one frees. */
function collect() {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc')
  gc()
  gc()
}

function memory({ set, get, size }) {
  // What the code takes, and the place of what is young, comes before: a service has been running.
  for (let i = 0; i < 300_000; i++) get(keyOf(i)) ?? codec.decode(codec.encode(small))
  set(keyOf(0))
  collect()
  const before = process.memoryUsage()
  for (let i = 0; i < ENTRIES; i++) set(keyOf(i))
  assert.equal(size(), ENTRIES)
  assert.deepEqual(get(keyOf(ENTRIES >> 1)), small)
  collect()
  const after = process.memoryUsage()
  return { rss: after.rss - before.rss, heap: after.heapUsed - before.heapUsed }
}

/** @param look A hit without decoding, whose garbage is the codec's, or with it. */
async function collector({ set, size }, look) {
  for (let i = 0; i < ENTRIES; i++) set(keyOf(i))
  const keys = zipf(OPERATIONS)
  const pauses = []
  collect()
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) pauses.push(duration)
  })
  observer.observe({ entryTypes: ['gc'] })
  const from = performance.now()
  for (let i = 0; i < OPERATIONS; i++) {
    const key = keyOf(keys[i])
    if (i % 10 === 0 || look(key) === undefined) set(key)
    // Pauses are told in turns of the event loop.
    if (i % 20_000 === 0) await new Promise(setImmediate)
  }
  const run = performance.now() - from
  await new Promise((resolve) => setTimeout(resolve, 50))
  observer.disconnect()
  assert.ok(size() > 0)
  pauses.sort((a, b) => a - b)
  return {
    total: sum(pauses.length, (i) => pauses[i]),
    p99: pauses[Math.floor(pauses.length * 0.99)] ?? 0,
    longest: pauses.at(-1) ?? 0,
    run,
  }
}

function times() {
  const contestants = Object.entries(CONTESTANTS).map(([name, make]) => [name, make()])
  for (const [, { set }] of contestants) for (let i = 0; i < ENTRIES; i++) set(keyOf(i))
  const keys = Array.from(zipf(ROUND * 4, ENTRIES), keyOf)
  const rounds = new Map(contestants.map(([name]) => [name, []]))
  for (let repetition = 0; repetition < REPETITIONS; repetition++) {
    for (const [name, { get }] of contestants) {
      const first = (repetition % 4) * ROUND
      const from = process.cpuUsage()
      for (let i = 0; i < ROUND; i++) assert.ok(get(keys[first + i]) !== undefined)
      const { user, system } = process.cpuUsage(from)
      rounds.get(name).push(((user + system) * 1000) / ROUND)
    }
  }
  console.log(
    `\nA hit of ${ENTRIES}, zipf, with decoding where bytes are held; medians of ${REPETITIONS}`,
  )
  const of = (name) => median(rounds.get(name))
  for (const [name] of contestants) {
    const ratio = of(name) === 0 ? 0 : of('freeCache') / of(name)
    console.log(
      `${name.padEnd(20)} ${of(name).toFixed(0).padStart(6)} ns   freeCache ${(1 / ratio).toFixed(2)}x its speed`,
    )
  }
}

/** Numbers of keys: the nth most wanted is asked for in proportion to n^-0.9. Always the same ones. */
function zipf(count, keys = KEYS) {
  const exponent = 0.9
  let seed = 7
  const random = () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return (seed + 0.5) / 2 ** 32
  }
  // The inverse of the integral of x^-exponent, and spread over the keys: neighbours are not wanted alike.
  const top = keys ** (1 - exponent)
  return Int32Array.from({ length: count }, () => {
    const rank = Math.floor((1 + random() * (top - 1)) ** (1 / (1 - exponent))) - 1
    return (rank * 7919) % keys
  })
}

function sum(count, term) {
  let total = 0
  for (let i = 0; i < count; i++) total += term(i)
  return total
}

function mib(bytes) {
  return (bytes / 2 ** 20).toFixed(1)
}
