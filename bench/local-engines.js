// tinyLfu's store against lru-cache and mnemonist's LRUMap, by reference, on one thread: CPU nanoseconds of
// a hit, and of a set where many drive another out. Keys by zipf, in an order that is not theirs. Each size
// in a process of its own. Build first: npm run build (in the folder above).
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { LRUCache } from 'lru-cache'
import { LRUMap } from 'mnemonist'
import { TinyLfuStore } from '../dist/local/tiny-lfu/tiny-lfu-store.js'
import { median } from './compare.js'

const SIZES = [10_000, 1_000_000]
const ROUND = 1_000_000
const REPETITIONS = Number(process.env.REPETITIONS ?? 9)

const clock = { now: () => 0, monotonic: () => 0, setTimer: () => ({ cancel: () => {} }) }

/** The loops are written out for each: one loop for all would be compiled for none. */
const ENGINES = {
  tinyLfu: {
    make: (capacity) =>
      new TinyLfuStore({ capacity, weigh: undefined }, { clock, removed: undefined }),
    get: (store, keys) => {
      let found = 0
      for (let i = 0; i < keys.length; i++) if (store.get(keys[i]) !== undefined) found++
      return found
    },
    set: (store, keys) => {
      for (let i = 0; i < keys.length; i++) store.set(keys[i], entry())
    },
  },
  'lru-cache': {
    make: (max) => new LRUCache({ max }),
    get: (cache, keys) => {
      let found = 0
      for (let i = 0; i < keys.length; i++) if (cache.get(keys[i]) !== undefined) found++
      return found
    },
    set: (cache, keys) => {
      for (let i = 0; i < keys.length; i++) cache.set(keys[i], entry())
    },
  },
  LRUMap: {
    make: (capacity) => new LRUMap(capacity),
    get: (map, keys) => {
      let found = 0
      for (let i = 0; i < keys.length; i++) if (map.get(keys[i]) !== undefined) found++
      return found
    },
    set: (map, keys) => {
      for (let i = 0; i < keys.length; i++) map.set(keys[i], entry())
    },
  },
}

if (process.argv[2] === undefined) {
  for (const size of SIZES) {
    const { status } = spawnSync(process.execPath, [import.meta.filename, size], {
      stdio: 'inherit',
    })
    if (status !== 0) throw new Error(`${size}: exit code ${status}`)
  }
} else {
  measure(Number(process.argv[2]))
}

function measure(size) {
  const random = seeded(7)
  const held = keysFor(size)
  const hits = zipf(random, held, 0.99)
  // Four times as many as fit.
  const wanted = zipf(random, keysFor(size * 4), 0.8)
  const gets = {}
  const sets = {}
  for (const [name, { make, get, set }] of Object.entries(ENGINES)) {
    const full = make(size)
    for (const key of held) full.set(key, entry())
    gets[name] = () => assert.equal(get(full, hits), ROUND)
    const filling = make(size)
    sets[name] = () => set(filling, wanted)
  }
  print(`get, ${size} entries, all hits`, time(gets))
  print(`set, ${size} entries, ${size * 4} keys`, time(sets))
}

function time(contestants) {
  const times = new Map(Object.keys(contestants).map((name) => [name, []]))
  // The first round is not counted: it fills, and compiles.
  for (let repetition = -1; repetition < REPETITIONS; repetition++) {
    for (const [name, run] of Object.entries(contestants)) {
      const from = process.cpuUsage()
      run()
      const { user, system } = process.cpuUsage(from)
      if (repetition >= 0) times.get(name).push(((user + system) * 1000) / ROUND)
    }
  }
  return times
}

function print(title, times) {
  const own = median(times.get('tinyLfu'))
  console.log(`\n${title}`)
  for (const [name, all] of times) {
    const time = median(all)
    const range = `${Math.min(...all).toFixed(0)} to ${Math.max(...all).toFixed(0)}`
    const ratio = name === 'tinyLfu' ? '' : `   tinyLfu ${(time / own).toFixed(2)}x its speed`
    console.log(`${name.padEnd(12)} ${time.toFixed(1).padStart(7)} ns (${range})${ratio}`)
  }
}

/** What a cache stores is an object of its own each time. */
function entry() {
  return {
    kept: 1,
    freshUntil: Infinity,
    keptUntil: Infinity,
    aheadAt: Infinity,
    answer: undefined,
  }
}

function keysFor(count) {
  return Array.from({ length: count }, (_, i) => `user:${(i * 7919) % 1_000_003}:${i}`)
}

/** Draws keys: the nth most wanted in proportion to n to the power of -exponent; who that is, is shuffled. */
function zipf(random, keys, exponent) {
  const ranked = [...keys]
  for (let i = ranked.length - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1))
    const key = ranked[i]
    ranked[i] = ranked[other]
    ranked[other] = key
  }
  // The inverse of the integral of x^-exponent.
  const top = keys.length ** (1 - exponent)
  return Array.from({ length: ROUND }, () => {
    const rank = (1 + random() * (top - 1)) ** (1 / (1 - exponent))
    return ranked[Math.min(keys.length, Math.floor(rank)) - 1]
  })
}

function seeded(seed) {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return (state + 0.5) / 2 ** 32
  }
}
