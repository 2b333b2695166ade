// The hits of tinyLfu and freeCache, in %, on public traces and on generated ones. Public: beside LRU,
// S3-FIFO, ARC, Caffeine and OPT, and beside FreeCache's own rule; freeCache has as much memory as so many
// entries of one size take. Generated: beside LRU and Caffeine. TRACES: the folder of the public traces.
// Build first: npm run build (in the folder above).
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { FreeStore } from '../dist/local/free-cache/free-store.js'
import { HashIndex } from '../dist/local/free-cache/hash-index.js'
import { seededHash } from '../dist/local/free-cache/key-hash.js'
import { Ring } from '../dist/local/free-cache/ring.js'
import { UseClock } from '../dist/local/free-cache/use-clock.js'
import { TinyLfuStore } from '../dist/local/tiny-lfu/tiny-lfu-store.js'
import { generateTrace } from '../test/support/generated-traces.mjs'
import {
  GENERATED_CELLS,
  hitRatio,
  keysOf,
  lruHitRatio,
  medianOf,
  PUBLIC_CELLS,
  randomOf,
} from '../test/support/hit-ratio.mjs'

const FOLDER = resolve(import.meta.dirname, '..', process.env.TRACES ?? '../shared/traces')
const PUBLIC_SEEDS = 5
const GENERATED_SEEDS = 3

/** Longer than any key of a trace: all records of freeCache are of one size. */
const KEY_LENGTH = 16
const UNITS = 6

const clock = { now: () => 0, monotonic: () => 0, setTimer: () => ({ cancel: () => {} }) }
const lives = { freshUntil: Infinity, keptUntil: Infinity, aheadAt: Infinity, answer: undefined }
const object = { ...lives, kept: {} }
const bytes = { ...lives, kept: { form: 0, bytes: new Uint8Array(0) } }

if (existsSync(resolve(FOLDER, 'README.md'))) printPublic()
else console.log('no public traces (TRACES)')
printGenerated()

function printPublic() {
  console.log(`public traces; tinyLfu: median of ${PUBLIC_SEEDS} key hashes`)
  const columns = ['LRU', 'S3-FIFO', 'ARC', 'Caffeine', 'OPT']
  printRow('', ['tinyLfu', ...columns, '- LRU', '- Caff.', 'freeCache', 'its rule'])
  const rows = []
  let trace
  let keys
  for (const cell of PUBLIC_CELLS) {
    if (cell.trace !== trace) keys = readTrace(cell.trace)
    trace = cell.trace
    const own = medianOf(PUBLIC_SEEDS, (seed) =>
      hitRatio(tinyLfu(cell.capacity, seed), keys, object),
    )
    const { lru, s3Fifo, arc, caffeine, opt } = cell
    const free = hitRatio(freeCache(cell.capacity), keys, bytes)
    const rule = (cell.ring * 100) / keys.length
    const row = [own, lru, s3Fifo, arc, caffeine, opt, own - lru, own - caffeine, free, rule]
    rows.push(row)
    printRow(`${trace} ${cell.capacity}`, row)
  }
  printMean(rows)
}

function printGenerated() {
  console.log(`\ngenerated traces; tinyLfu: median of ${GENERATED_SEEDS} key hashes`)
  printRow('', ['tinyLfu', 'LRU', 'Caffeine', '- LRU', '- Caff.'])
  const rows = GENERATED_CELLS.map(({ kind, capacity, caffeine }) => {
    const ids = generateTrace(kind, capacity)
    const keys = keysOf(ids)
    const lru = lruHitRatio(ids, capacity)
    const own = medianOf(GENERATED_SEEDS, (seed) => hitRatio(tinyLfu(capacity, seed), keys, object))
    const row = [own, lru, caffeine, own - lru, own - caffeine]
    printRow(`${kind} ${capacity}`, row)
    return row
  })
  printMean(rows)
}

function tinyLfu(capacity, seed) {
  const room = { capacity, weigh: undefined }
  return new TinyLfuStore(room, { clock, removed: undefined }, randomOf(seed))
}

function freeCache(capacity) {
  const ring = new Ring({ chunks: 1, chunkUnits: capacity * UNITS })
  return new FreeStore({
    ring,
    index: new HashIndex(ring, capacity),
    uses: new UseClock(),
    hash: seededHash(),
    mostUnits: UNITS,
    clock,
    removed: undefined,
  })
}

/** One string for each key. */
function readTrace(trace) {
  const keys = new Map()
  const text = gunzipSync(readFileSync(resolve(FOLDER, `${trace}.txt.gz`))).toString()
  return text
    .trimEnd()
    .split('\n')
    .map((number) => {
      let key = keys.get(number)
      if (key === undefined) {
        key = number.padStart(KEY_LENGTH, '0')
        keys.set(number, key)
      }
      return key
    })
}

function printMean(rows) {
  const means = rows[0].map((_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length)
  printRow(`mean of ${rows.length}`, means)
}

function printRow(title, columns) {
  const cells = columns.map((value) => (typeof value === 'number' ? value.toFixed(2) : value))
  console.log(title.padEnd(24) + cells.map((cell) => cell.padStart(10)).join(''))
}
