// A local hit through `once` of tinyLfu, sequentially awaited, against awaiting an async function around
// `Map.get`; with the same shape for all keys, and with 40; with few keys and with many. Build first:
// npm run build (in the folder above).
import { createCache, tinyLfu } from '../dist/index.js'
import { median, print } from './compare.js'
import { shaped, small } from './objects.js'

const COUNTS = [1000, 100_000]
const CALLS = 100_000
const REPETITIONS = 9

const unexpected = () => {
  throw new Error('a hit was expected')
}

for (const count of COUNTS) await measure(count)

async function measure(count) {
  const keys = Array.from({ length: count }, (_, i) => `product:${i}`)
  const local = (isolation) => tinyLfu({ maxEntries: count * 2, isolation })
  const map = new Map(keys.map((key) => [key, small]))
  const contestants = {
    'async function, Map.get': async (key) => map.get(key),
    'Map.get, JSON.parse(stringify)': async (key) => JSON.parse(JSON.stringify(map.get(key))),
  }
  for (const isolation of ['shared', 'frozen', 'copy']) {
    const cache = createCache({ local: local(isolation) })
    for (const key of keys) await cache.set(key, small)
    contestants[`once, ${isolation}`] = (key) => cache.once(key, unexpected)
  }
  const many = createCache({ local: local('copy') })
  for (const [i, key] of keys.entries()) await many.set(key, shaped(i % 40))
  contestants['once, copy, 40 shapes'] = (key) => many.once(key, unexpected)

  const times = new Map(Object.keys(contestants).map((name) => [name, []]))
  for (let repetition = 0; repetition < REPETITIONS; repetition++) {
    for (const [name, call] of Object.entries(contestants)) {
      const from = performance.now()
      for (let i = 0; i < CALLS; i++) await call(keys[i % count])
      times.get(name).push(((performance.now() - from) * 1e6) / CALLS)
    }
  }
  const medians = new Map([...times].map(([name, all]) => [name, median(all)]))
  print(`local hit, ${count} keys`, medians)
}
