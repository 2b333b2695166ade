import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'

/** How unequal the demand is: with 1.2 the first of 135,233 cities gets a fifth of the requests. */
export const SKEW = 1.2

/** Of all requests, those for a city that does not exist. */
export const UNKNOWN_RATIO = 0.03

/** The unknown ids: few, and asked for again and again, as dead links are. */
const UNKNOWN_IDS = Array.from({ length: 40 }, (_, index) => 900_000_000 + index)

const SEED = 1

/** City ids, the most populous asked for most (zipf); the same ones in every run. */
export function zipfSequence(cityIds, count) {
  const random = seededRandom(SEED)
  const pickRank = zipf(cityIds.length, SKEW, random)
  return Array.from({ length: count }, () =>
    random() < UNKNOWN_RATIO
      ? UNKNOWN_IDS[Math.floor(random() * UNKNOWN_IDS.length)]
      : cityIds[pickRank()],
  )
}

/**
 * City ids for the ranks that `readTrace` gave: rank 0 is the most populous city (round again,
 * should the trace have more keys than there are cities).
 */
export function traceSequence(cityIds, ranks) {
  return ranks.map((rank) => cityIds[rank % cityIds.length])
}

/**
 * The first `count` accesses of a trace. Its keys mean nothing here, only their repetition does: the
 * first key to appear becomes rank 0, the next new one rank 1, and so on.
 */
export async function readTrace(file, count) {
  try {
    const ranks = await ranksOf(file, count)
    if (ranks.length === 0) throw new Error('there is no key in it')
    return ranks
  } catch (error) {
    throw new Error(`${file}: ${error.message}`, { cause: error })
  }
}

async function ranksOf(file, count) {
  const rankOf = new Map()
  const ranks = []
  const source = createReadStream(file)
  const text = createGunzip()
  source.on('error', (error) => text.destroy(error))
  for await (const line of createInterface({ input: source.pipe(text) })) {
    const key = line.trim()
    if (!/^\d+$/.test(key)) throw new Error(`line ${ranks.length + 1} is no decimal key`)
    if (!rankOf.has(key)) rankOf.set(key, rankOf.size)
    ranks.push(rankOf.get(key))
    if (ranks.length === count) break
  }
  source.destroy()
  return ranks
}

/** Rank r is drawn with a probability proportional to 1 / (r + 1) ** skew. */
function zipf(size, skew, random) {
  const upTo = new Float64Array(size)
  let sum = 0
  for (let rank = 0; rank < size; rank++) {
    sum += 1 / (rank + 1) ** skew
    upTo[rank] = sum
  }
  return () => firstAbove(upTo, random() * sum)
}

function firstAbove(sorted, bound) {
  let low = 0
  let high = sorted.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle] > bound) high = middle
    else low = middle + 1
  }
  return low
}

/** A linear congruential generator; the constants are those of Numerical Recipes. */
function seededRandom(seed) {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
