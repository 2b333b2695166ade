/**
 * Accesses of many kinds, always the same ones: ids from 0 in the order in which they first appear. What is
 * drawn, and in which order, must stay as it is: figures of other caches on them were recorded once.
 */

/** The state of the generator; each trace begins with a seed of its own. */
let state = 0

/** From 0 to below 1: xorshift, G. Marsaglia, 2003. */
function random() {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) / 2 ** 32
}

/** Draws ranks from 0: the nth is drawn in proportion to n to the power of -exponent. */
function zipf(count, exponent) {
  const upTo = new Float64Array(count)
  let total = 0
  for (let i = 0; i < count; i++) {
    total += 1 / (i + 1) ** exponent
    upTo[i] = total
  }
  for (let i = 0; i < count; i++) upTo[i] /= total
  return () => {
    const at = random()
    let low = 0
    let high = count - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (upTo[middle] < at) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Ids that no other part of a trace has. */
const APART = 1_000_000

/** Ranks of 50,000; `shift` moves who has them, by the number of the access. */
function drifting(shift) {
  const draw = zipf(50_000, 0.9)
  let i = 0
  return () => {
    i++
    return draw() + shift(i)
  }
}

/** Rarely, the ids that `next` gives are read 2,000 in a row. */
function scanning(next) {
  const draw = zipf(50_000, 0.9)
  let left = 0
  return () => {
    if (left > 0) {
      left--
      return next()
    }
    if (random() < 0.0005) left = 2000
    return draw()
  }
}

/** Each id twice; between the two about as many others as wait. */
function twice(waiting) {
  const queue = []
  let next = 0
  return () => {
    if (queue.length >= waiting && random() < 0.5) return queue.shift()
    queue.push(next)
    return next++
  }
}

/** Some 300 ids live at a time, each asked for often and then never again. */
function bursts() {
  const live = []
  let next = 0
  return () => {
    if (live.length >= 300 && random() >= 0.15) return live[Math.floor(random() * live.length)]
    live.push(next++)
    if (live.length > 300) live.splice(Math.floor(random() * live.length), 1)
    return live[live.length - 1]
  }
}

/** What was used of late is used again, the sooner the likelier. */
function recency() {
  const stack = []
  let next = 0
  return () => {
    const distance = Math.floor(random() ** (-1 / 0.6)) - 1
    if (distance >= stack.length) {
      stack.push(next)
      if (stack.length > 20_000) stack.shift()
      return next++
    }
    const [id] = stack.splice(stack.length - 1 - distance, 1)
    stack.push(id)
    return id
  }
}

/** The ids change places, one of the 500 most wanted with any, every 20 accesses. */
function permuted() {
  const draw = zipf(50_000, 0.9)
  const ids = Int32Array.from({ length: 50_000 }, (_, i) => i)
  let i = 0
  return () => {
    if (++i % 20 === 0) {
      const one = Math.floor(random() * 500)
      const other = Math.floor(random() * 50_000)
      const id = ids[one]
      ids[one] = ids[other]
      ids[other] = id
    }
    return ids[draw()]
  }
}

/** By turns: what is wanted often, a loop of 3,000, a fast drift, and others that are wanted often. */
function phases() {
  const draw = zipf(50_000, 0.9)
  let i = 0
  let looped = 0
  return () => {
    i++
    const phase = Math.floor(i / 150_000) % 4
    if (phase === 1) return APART + (looped++ % 3000)
    if (phase === 2) return 2 * APART + draw() + Math.floor(i / 3)
    return draw() + 50_000 * phase
  }
}

function hotSet() {
  let i = 0
  return () => {
    i++
    const first = Math.floor(i / 3000) * 40
    if (random() < 0.9) return first + Math.floor(random() * 400)
    return APART + Math.floor(random() * 100_000)
  }
}

/** Longer than the cache by a factor; mixed: half of the accesses are of what is wanted often. */
function loop(factor, mixed) {
  return (capacity) => {
    const length = Math.round(capacity * factor)
    const draw = mixed ? zipf(capacity * 10, 0.9) : undefined
    let i = 0
    const next = () => {
      if (draw !== undefined && random() < 0.5) return 10 * APART + draw()
      return i++ % length
    }
    return { count: Math.max(200_000, length * 40), next }
  }
}

function fixed(count, make) {
  return () => ({ count, next: make() })
}

const MAKERS = new Map()
for (const exponent of [0.7, 0.9, 1.1]) {
  MAKERS.set(
    `zipf${exponent}`,
    fixed(1_000_000, () => zipf(100_000, exponent)),
  )
}
for (const [name, every, by] of [
  ['slow', 50, 1],
  ['mid', 10, 1],
  ['fast', 2, 1],
  ['jump', 100_000, 50_000],
]) {
  MAKERS.set(
    `drift-${name}`,
    fixed(800_000, () => drifting((i) => Math.floor(i / every) * by)),
  )
}
MAKERS.set('drift-perm', fixed(800_000, permuted))
for (const factor of [1.3, 2, 3, 5]) {
  MAKERS.set(`loop${factor}`, loop(factor, false))
  MAKERS.set(`loop${factor}+zipf`, loop(factor, true))
}
MAKERS.set(
  'scan+zipf',
  fixed(800_000, () => {
    let next = APART
    return scanning(() => next++)
  }),
)
MAKERS.set(
  'scan-repeat+zipf',
  fixed(800_000, () => {
    let next = 0
    return scanning(() => APART + (next++ % 20_000))
  }),
)
MAKERS.set(
  'onehit+zipf',
  fixed(800_000, () => {
    const draw = zipf(50_000, 0.9)
    let next = APART
    return () => (random() < 0.6 ? next++ : draw())
  }),
)
MAKERS.set('bursts', fixed(800_000, bursts))
MAKERS.set('lru-stack', fixed(500_000, recency))
MAKERS.set(
  'twice',
  fixed(800_000, () => twice(2000)),
)
MAKERS.set(
  'twice-near',
  fixed(800_000, () => twice(150)),
)
MAKERS.set('phases', fixed(1_200_000, phases))
MAKERS.set('hotset-shift', fixed(800_000, hotSet))

/** The accesses of a kind that are made for a cache of so many entries. */
export function generateTrace(kind, capacity) {
  state = 12_345 + kind.length * 77 + capacity
  const { count, next } = MAKERS.get(kind)(capacity)
  const ids = new Map()
  const accesses = new Int32Array(count)
  for (let i = 0; i < count; i++) {
    const drawn = next()
    let id = ids.get(drawn)
    if (id === undefined) {
      id = ids.size
      ids.set(drawn, id)
    }
    accesses[i] = id
  }
  return accesses
}
