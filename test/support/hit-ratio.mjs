// How the hits of a store are counted, and what others have on the same accesses. In % all along.

/** The trace, the capacity, then LRU, S3-FIFO, ARC, Caffeine, OPT, and the hits of FreeCache's rule. */
const PUBLIC = [
  ['db-oltp', 934, 31.64, 40.14, 38.19, 39.41, 52.93, 286_810],
  ['db-oltp', 3738, 50.13, 52.65, 52.24, 51.9, 65.88, 455_751],
  ['db-oltp', 18_688, 66.52, 67.78, 67.25, 64.24, 76.21, 604_239],
  ['loop-multi3', 149, 9.93, 27.41, 26.44, 30.11, 35.37, 2973],
  ['loop-multi3', 745, 35.49, 45.28, 38.97, 47.45, 52.92, 10_635],
  ['loop-multi3', 1864, 44.51, 55.09, 46.65, 57.66, 67.52, 13_536],
  ['fs-sprite', 142, 29.81, 37.61, 33.5, 38.57, 60.01, 40_089],
  ['fs-sprite', 708, 86.51, 86.15, 85.53, 82.53, 91.37, 114_325],
  ['fs-sprite', 1769, 93.25, 92.57, 92.77, 89.3, 94.41, 124_443],
  ['app-orm', 268, 61.13, 58.2, 64.43, 60.01, 71.96, 911_637],
  ['app-orm', 1071, 79.04, 78.01, 78.75, 74.51, 84.42, 1_182_987],
  ['app-orm', 5357, 85.58, 86.94, 85.67, 85.22, 91.62, 1_278_838],
  ['web-shop', 275, 47.93, 52.07, 50.2, 50.55, 65.95, 45_471],
  ['web-shop', 1376, 68.49, 72.26, 70.89, 70.02, 80.04, 64_986],
  ['web-shop', 3439, 77.69, 79.46, 79.08, 76.78, 84.7, 73_888],
  ['block-vm', 212, 67.79, 66.38, 66.89, 68.33, 74.13, 1_343_894],
  ['block-vm', 850, 76.49, 77.85, 76.64, 77.46, 83.4, 1_528_418],
  ['block-vm', 4248, 84.93, 86.7, 85.25, 85.83, 89.26, 1_690_604],
]

/**
 * Public traces (test/support/traces.ts); `ring`: hits of FreeCache's own rule with the number of the access
 * as its clock. LRU, S3-FIFO, ARC and OPT are of exact models, Caffeine is version 3.2.2 itself (direct
 * executor, the median of 7 key hashes): all from the README that lies with the traces.
 */
export const PUBLIC_CELLS = PUBLIC.map(
  ([trace, capacity, lru, s3Fifo, arc, caffeine, opt, ring]) => ({
    trace,
    capacity,
    lru,
    s3Fifo,
    arc,
    caffeine,
    opt,
    ring,
  }),
)

/**
 * Generated ones (test/support/generated-traces.mjs), by kind and capacity: Caffeine 3.2.2 itself, recorded
 * with a direct executor, the median of 5 key hashes.
 */
export const GENERATED_CELLS = [
  ...cells('bursts', { 200: 49.35, 1000: 83.52, 5000: 81.59 }),
  ...cells('drift-fast', { 200: 8.29, 1000: 17.22, 5000: 23.09 }),
  ...cells('drift-jump', { 200: 33.74, 1000: 45.36, 5000: 54.59 }),
  ...cells('drift-mid', { 200: 15.6, 1000: 29.75, 5000: 41.77 }),
  ...cells('drift-perm', { 200: 30.21, 1000: 39.37, 5000: 58.16 }),
  ...cells('drift-slow', { 200: 25.4, 1000: 38.8, 5000: 57.28 }),
  ...cells('hotset-shift', { 200: 43.05, 1000: 88.3, 5000: 88.29 }),
  ...cells('loop1.3', { 200: 74.38, 1000: 73.15, 5000: 70.39 }),
  ...cells('loop1.3+zipf', { 200: 49.63, 1000: 52.99, 5000: 53.64 }),
  ...cells('loop2', { 200: 44.2, 1000: 47.86, 5000: 47.76 }),
  ...cells('loop2+zipf', { 200: 37.72, 1000: 40.68, 5000: 42.38 }),
  ...cells('loop3', { 200: 27.37, 1000: 31.39, 5000: 31.28 }),
  ...cells('loop3+zipf', { 200: 29.77, 1000: 33.3, 5000: 34.92 }),
  ...cells('loop5', { 200: 18.5, 1000: 18.18, 5000: 18.27 }),
  ...cells('loop5+zipf', { 200: 27.35, 1000: 30.07, 5000: 32.54 }),
  ...cells('lru-stack', { 200: 94.98, 1000: 97.89, 5000: 99.03 }),
  ...cells('onehit+zipf', { 200: 13.55, 1000: 18.77, 5000: 24.77 }),
  ...cells('phases', { 200: 18.34, 1000: 33.53, 5000: 57.36 }),
  ...cells('scan+zipf', { 200: 15.13, 1000: 25.15, 5000: 29.68 }),
  ...cells('scan-repeat+zipf', { 200: 16.45, 1000: 24.92, 5000: 34.58 }),
  ...cells('twice', { 200: 0.01, 1000: 0.78, 5000: 1.37 }),
  ...cells('twice-near', { 200: 0.2, 1000: 1.2, 5000: 7.95 }),
  ...cells('zipf0.7', { 500: 15.39, 2000: 25.63, 10000: 44.19 }),
  ...cells('zipf0.9', { 500: 38.58, 2000: 50.83, 10000: 67.44 }),
  ...cells('zipf1.1', { 500: 68.26, 2000: 77.58, 10000: 86.99 }),
]

function cells(kind, caffeine) {
  return Object.entries(caffeine).map(([capacity, ratio]) => ({
    kind,
    capacity: Number(capacity),
    caffeine: ratio,
  }))
}

/** Every access is a get, and a miss sets the key. */
export function hitRatio(store, keys, entry) {
  let hits = 0
  for (const key of keys) {
    if (store.get(key) === undefined) store.set(key, entry)
    else hits++
  }
  return (hits * 100) / keys.length
}

/** Of exact LRU. */
export function lruHitRatio(ids, capacity) {
  const held = new Set()
  let hits = 0
  for (const id of ids) {
    if (held.delete(id)) hits++
    else if (held.size === capacity) held.delete(held.values().next().value)
    held.add(id)
  }
  return (hits * 100) / ids.length
}

/** Keys of generated accesses; one string for each id. */
export function keysOf(ids) {
  const keys = []
  return Array.from(ids, (id) => {
    keys[id] ??= `k${id}`
    return keys[id]
  })
}

/** What an engine draws its key hash from: another for each number, always the same one. */
export function randomOf(number) {
  // Xorshift, G. Marsaglia, 2003.
  let state = Math.imul(number + 1, 0x9e3779b1)
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

/** The middle one; of an even count the upper of the two. */
export function medianOf(count, measure) {
  const measured = Array.from({ length: count }, (_, i) => measure(i))
  return measured.sort((a, b) => a - b)[count >> 1]
}
