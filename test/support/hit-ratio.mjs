// How the hits of a store are counted, and what others have on the same accesses. In % all along.

/**
 * Public traces (test/support/traces.ts); `ring`: hits of FreeCache's own rule with the number of the access
 * as its clock. LRU, S3-FIFO, ARC and OPT from exact models, Caffeine 3.2.2 itself (direct executor), the
 * median of 7 key hashes: all from the README that lies with the traces.
 */
export const PUBLIC_CELLS = [
  {
    trace: 'db-oltp',
    capacity: 934,
    lru: 31.64,
    s3Fifo: 40.14,
    arc: 38.19,
    caffeine: 39.41,
    opt: 52.93,
    ring: 286810,
  },
  {
    trace: 'db-oltp',
    capacity: 3738,
    lru: 50.13,
    s3Fifo: 52.65,
    arc: 52.24,
    caffeine: 51.9,
    opt: 65.88,
    ring: 455751,
  },
  {
    trace: 'db-oltp',
    capacity: 18688,
    lru: 66.52,
    s3Fifo: 67.78,
    arc: 67.25,
    caffeine: 64.24,
    opt: 76.21,
    ring: 604239,
  },
  {
    trace: 'loop-multi3',
    capacity: 149,
    lru: 9.93,
    s3Fifo: 27.41,
    arc: 26.44,
    caffeine: 30.11,
    opt: 35.37,
    ring: 2973,
  },
  {
    trace: 'loop-multi3',
    capacity: 745,
    lru: 35.49,
    s3Fifo: 45.28,
    arc: 38.97,
    caffeine: 47.45,
    opt: 52.92,
    ring: 10635,
  },
  {
    trace: 'loop-multi3',
    capacity: 1864,
    lru: 44.51,
    s3Fifo: 55.09,
    arc: 46.65,
    caffeine: 57.66,
    opt: 67.52,
    ring: 13536,
  },
  {
    trace: 'fs-sprite',
    capacity: 142,
    lru: 29.81,
    s3Fifo: 37.61,
    arc: 33.5,
    caffeine: 38.57,
    opt: 60.01,
    ring: 40089,
  },
  {
    trace: 'fs-sprite',
    capacity: 708,
    lru: 86.51,
    s3Fifo: 86.15,
    arc: 85.53,
    caffeine: 82.53,
    opt: 91.37,
    ring: 114325,
  },
  {
    trace: 'fs-sprite',
    capacity: 1769,
    lru: 93.25,
    s3Fifo: 92.57,
    arc: 92.77,
    caffeine: 89.3,
    opt: 94.41,
    ring: 124443,
  },
  {
    trace: 'app-orm',
    capacity: 268,
    lru: 61.13,
    s3Fifo: 58.2,
    arc: 64.43,
    caffeine: 60.01,
    opt: 71.96,
    ring: 911637,
  },
  {
    trace: 'app-orm',
    capacity: 1071,
    lru: 79.04,
    s3Fifo: 78.01,
    arc: 78.75,
    caffeine: 74.51,
    opt: 84.42,
    ring: 1182987,
  },
  {
    trace: 'app-orm',
    capacity: 5357,
    lru: 85.58,
    s3Fifo: 86.94,
    arc: 85.67,
    caffeine: 85.22,
    opt: 91.62,
    ring: 1278838,
  },
  {
    trace: 'web-shop',
    capacity: 275,
    lru: 47.93,
    s3Fifo: 52.07,
    arc: 50.2,
    caffeine: 50.55,
    opt: 65.95,
    ring: 45471,
  },
  {
    trace: 'web-shop',
    capacity: 1376,
    lru: 68.49,
    s3Fifo: 72.26,
    arc: 70.89,
    caffeine: 70.02,
    opt: 80.04,
    ring: 64986,
  },
  {
    trace: 'web-shop',
    capacity: 3439,
    lru: 77.69,
    s3Fifo: 79.46,
    arc: 79.08,
    caffeine: 76.78,
    opt: 84.7,
    ring: 73888,
  },
  {
    trace: 'block-vm',
    capacity: 212,
    lru: 67.79,
    s3Fifo: 66.38,
    arc: 66.89,
    caffeine: 68.33,
    opt: 74.13,
    ring: 1343894,
  },
  {
    trace: 'block-vm',
    capacity: 850,
    lru: 76.49,
    s3Fifo: 77.85,
    arc: 76.64,
    caffeine: 77.46,
    opt: 83.4,
    ring: 1528418,
  },
  {
    trace: 'block-vm',
    capacity: 4248,
    lru: 84.93,
    s3Fifo: 86.7,
    arc: 85.25,
    caffeine: 85.83,
    opt: 89.26,
    ring: 1690604,
  },
]

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
