// A local hit through `once`, sequentially awaited, against awaiting an async function around
// `Map.get`; with the same shape for all keys, and with 40. Build first: npm run build (in the folder above).
import { createCache } from '../dist/index.js'
import { lru } from '../dist/lru/index.js'
import { median, print } from './compare.js'
import { shaped, small } from './objects.js'

const KEYS = Array.from({ length: 1000 }, (_, i) => `product:${i}`)
const CALLS = 200_000
const REPETITIONS = 9

const map = new Map(KEYS.map((key) => [key, small]))
const unexpected = () => {
  throw new Error('a hit was expected')
}

const contestants = { 'async function, Map.get': async (key) => map.get(key) }
contestants['Map.get, JSON.parse(stringify)'] = async (key) =>
  JSON.parse(JSON.stringify(map.get(key)))
for (const isolation of ['shared', 'frozen', 'copy']) {
  const cache = createCache({ local: lru({ maxEntries: 10_000, isolation }) })
  for (const key of KEYS) await cache.set(key, small)
  contestants[`once, ${isolation}`] = (key) => cache.once(key, unexpected)
}
const many = createCache({ local: lru({ maxEntries: 10_000 }) })
for (const [i, key] of KEYS.entries()) await many.set(key, shaped(i % 40))
contestants['once, copy, 40 shapes'] = (key) => many.once(key, unexpected)

const times = new Map(Object.keys(contestants).map((name) => [name, []]))
for (let repetition = 0; repetition < REPETITIONS; repetition++) {
  for (const [name, call] of Object.entries(contestants)) {
    const from = performance.now()
    for (let i = 0; i < CALLS; i++) await call(KEYS[i % KEYS.length])
    times.get(name).push(((performance.now() - from) * 1e6) / CALLS)
  }
}
print('local hit', new Map([...times].map(([name, all]) => [name, median(all)])))
