// The hits of freeCache on public traces, with as much memory as so many entries of one size take, beside
// FreeCache's own rule and LRU. TRACES: the folder of the traces and of the README that lists the counts of
// the others. Build first: npm run build (in the folder above).
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { FreeStore } from '../dist/local/free-cache/free-store.js'
import { HashIndex } from '../dist/local/free-cache/hash-index.js'
import { seededHash } from '../dist/local/free-cache/key-hash.js'
import { Ring } from '../dist/local/free-cache/ring.js'
import { UseClock } from '../dist/local/free-cache/use-clock.js'

const FOLDER = resolve(import.meta.dirname, '..', process.env.TRACES ?? '../shared/traces')
const KEY_LENGTH = 16
const UNITS = 6

const CELL = /^\| ([a-z0-9-]+) \| (\d+) \| (\d+) \| \d+ \| \d+ \| \d+ \| \d+ \| (\d+) \| \d+ \|$/gm
const listed = readFileSync(resolve(FOLDER, 'README.md'), 'utf8').matchAll(CELL)
const traces = new Map()
let mean = 0
let count = 0
for (const [, trace, ...numbers] of listed) {
  const [capacity, lru, rule] = numbers.map(Number)
  const keys = keysOf(trace)
  const hits = hitsOf(keys, capacity)
  const percent = (hits) => ((hits * 100) / keys.length).toFixed(2).padStart(6)
  console.log(
    `${`${trace} ${capacity}`.padEnd(20)} ${String(hits).padStart(8)} ${percent(hits)} %   FreeCache's rule ` +
      `${percent(rule)} (${signed(hits - rule)} hits)   LRU ${percent(lru)} (${signed(hits - lru)})`,
  )
  mean += ((hits - lru) * 100) / keys.length
  count++
}
console.log(`mean of ${count} cells: ${signed((mean / count).toFixed(2))} points beside LRU`)

function hitsOf(keys, capacity) {
  const ring = new Ring({ chunks: 1, chunkUnits: capacity * UNITS })
  const index = new HashIndex(ring, capacity)
  const store = new FreeStore({
    ring,
    index,
    uses: new UseClock(),
    hash: seededHash(),
    mostUnits: UNITS,
    clock: { now: Date.now },
    removed: undefined,
  })
  const kept = { form: 0, bytes: new Uint8Array(0) }
  const entry = { kept, freshUntil: Infinity, keptUntil: Infinity, aheadAt: Infinity }
  let hits = 0
  for (const key of keys) {
    if (store.get(key) === undefined) store.set(key, entry)
    else hits++
  }
  return hits
}

function keysOf(trace) {
  let keys = traces.get(trace)
  if (keys === undefined) {
    const text = gunzipSync(readFileSync(resolve(FOLDER, `${trace}.txt.gz`))).toString()
    keys = text
      .trimEnd()
      .split('\n')
      .map((number) => number.padStart(KEY_LENGTH, '0'))
    traces.set(trace, keys)
  }
  return keys
}

function signed(number) {
  return number >= 0 ? `+${number}` : `${number}`
}
