// A process with a cache of its own, on servers that it shares with others; does what its parent
// sends. Argument: the folder of the compiled package. The parent is also its database.
import { endConnections, load, tiers } from './worker-tiers.mjs'

const { createCache } = await load('index.js')
const { lru } = await load('lru/index.js')

/** Milliseconds of the clock that all processes of a machine share. */
const now = () => Number(process.hrtime.bigint()) / 1e6

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Milliseconds between two parcels of what was seen: a killed process takes the last with it. */
const REPORT_EVERY = 50

/** Milliseconds between two turns of the load. */
const TICK = 5

let cache
let names = []

async function close() {
  await cache?.close()
  cache = undefined
  endConnections()
}

// The parent as a database.
const rows = new Map()
let asked = 0

function database(verb, key) {
  const id = asked++
  const row = new Promise((resolve) => rows.set(id, resolve))
  process.send({ database: { id, verb, key } })
  return row
}

// What is seen: of each answer five numbers, of each change three.
let answers = []
let changes = []
let failures = 0

function report() {
  if (answers.length === 0 && changes.length === 0 && failures === 0) return
  process.send({
    seen: { answers: Float64Array.from(answers), changes: Float64Array.from(changes), failures },
  })
  answers = []
  changes = []
  failures = 0
}

async function answer(index, loaderMs) {
  const armed = cache.stats().busArmed ? 1 : 0
  const begunAt = now()
  try {
    const row = await cache.once(names[index], async () => {
      const read = await database('read', names[index])
      await pause(Math.random() * loaderMs)
      return read
    })
    if (row.key !== names[index]) throw new Error(`${names[index]} was answered as ${row.key}`)
    answers.push(index, row.version, begunAt, now(), armed)
  } catch {
    failures++
  }
}

const changing = new Set()

/** First the database, then the cache; one at a time per key, as a transaction would see to. */
async function change(index) {
  if (changing.has(index)) return
  changing.add(index)
  const key = names[index]
  try {
    const row = await database('update', key)
    if (Math.random() < 0.5) await cache.delete(key)
    else await cache.set(key, row)
    changes.push(index, row.version, now())
  } catch {
    failures++
  } finally {
    changing.delete(index)
  }
}

/** Chooses among the first keys more often than among the last: the n-th at 1/n. */
function zipf(count) {
  const sums = []
  let sum = 0
  for (let i = 1; i <= count; i++) {
    sum += 1 / i
    sums.push(sum)
  }
  return () => {
    const drawn = Math.random() * sum
    return sums.findIndex((each) => each >= drawn)
  }
}

let running = false
let lastTurn = Promise.resolve()

/** Reads keys, and changes those of them that are its own. */
async function run({ keys, own, reads, writeRatio, loaderMs }) {
  names = keys
  running = true
  const readable = zipf(keys.length)
  const writable = zipf(own.length)
  const underWay = new Set()
  const track = (work) => {
    underWay.add(work)
    work.finally(() => underWay.delete(work))
  }
  const reporting = setInterval(report, REPORT_EVERY)
  while (running) {
    await pause(TICK)
    // What has arrived meanwhile is heard before a call begins, also after the process had no
    // processor for a while: timers that read something are a turn late then.
    for (let turns = 0; turns < 3; turns++) await new Promise(setImmediate)
    for (let i = 0; i < reads && underWay.size < 200; i++) track(answer(readable(), loaderMs))
    if (own.length > 0 && Math.random() < writeRatio) track(change(own[writable()]))
  }
  await Promise.all(underWay)
  clearInterval(reporting)
  report()
}

const held = new Map()

const tasks = {
  /** Resolves when the cache may be used, and hears of changes if it has a bus. */
  open: async (setup) => {
    await close()
    const [remote, bus] = await tiers(setup)
    cache = createCache({
      name: setup.name,
      local: lru({ maxEntries: 200_000 }),
      remote,
      logger: false,
      ...(bus === undefined ? {} : { sync: { bus, ...setup.sync } }),
      ...setup.options,
    })
    await cache.ready()
    const endsAt = now() + 10_000
    while (bus !== undefined && !cache.stats().busArmed) {
      if (now() > endsAt) throw new Error('the bus is not armed within 10 s')
      await pause(5)
    }
  },

  close,

  begin: (load) => {
    lastTurn = run(load)
  },

  /** Resolves when all that was begun is settled and reported. */
  end: async () => {
    running = false
    await lastTurn
  },

  stats: () => cache.stats(),

  once: async (key) => {
    const begunAt = now()
    const row = await cache.once(key, () => database('read', key))
    return { version: row.version, took: now() - begunAt }
  },

  /** As `once`, but the loader returns only with `letGo`. */
  onceHeld: async (key) => {
    const row = await cache.once(key, async () => {
      const read = await database('read', key)
      await new Promise((resolve) => held.set(key, resolve))
      return read
    })
    return { version: row.version }
  },

  /** Whether the loader of `onceHeld` waits. */
  isHeld: (key) => held.has(key),

  letGo: (key) => held.get(key)(),

  change: async (verb, key) => {
    const row = await database('update', key)
    if (verb === 'set') await cache.set(key, row)
    else await cache.delete(key)
    return row.version
  },

  /** What the remote holds. */
  lookup: async (key) => {
    const { status, value } = await cache.lookup(key, { skipLocal: true })
    return { status, version: value?.version }
  },

  /** Sets all keys anew, some at a time. */
  changeAll: async (keys) => {
    let next = 0
    const work = async () => {
      for (let i = next++; i < keys.length; i = next++) {
        await cache.set(keys[i], { key: keys[i], version: 2 })
      }
    }
    await Promise.all(Array.from({ length: 200 }, work))
  },

  /** Has a copy of each key in local. */
  readAll: async (keys) => {
    for (let i = 0; i < keys.length; i += 1000) {
      const some = keys.slice(i, i + 1000)
      await Promise.all(some.map((key) => cache.once(key, () => ({ key, version: 1 }))))
    }
  },

  /** How many copies in local are of the first version. */
  outdated: (keys) => keys.filter((key) => cache.peek(key)?.version === 1).length,

  /** So many callers in one turn; how many different values or errors they got. */
  crowd: async (key, callers, loaderMs, fails) => {
    const loader = async () => {
      await database('read', key)
      await pause(loaderMs)
      if (fails) throw new Error(`no ${key} from process ${process.pid}`)
      return { key, version: 1 }
    }
    const calls = Array.from({ length: callers }, () => cache.once(key, loader))
    const settled = await Promise.allSettled(calls)
    const errors = settled.filter(({ status }) => status === 'rejected')
    return {
      answered: callers - errors.length,
      errors: new Set(errors.map(({ reason }) => reason)).size,
    }
  },

  /** One key asked at a steady pace; how long the slowest answer took. */
  hot: async (key, perSecond, ms) => {
    const endsAt = now() + ms
    let slowest = 0
    let asked = 0
    const calls = []
    const ask = async () => {
      const begunAt = now()
      await cache.once(key, () => database('read', key))
      slowest = Math.max(slowest, now() - begunAt)
    }
    for (let next = now(); next < endsAt; next += 1000 / perSecond) {
      await pause(Math.max(0, next - now()))
      calls.push(ask())
      asked++
    }
    await Promise.all(calls)
    return { asked, slowest }
  },
}

process.on('message', async ({ id, task, args, row }) => {
  if (task === undefined) {
    rows.get(id)(row)
    rows.delete(id)
    return
  }
  try {
    process.send({ id, answer: await tasks[task](...args) })
  } catch (error) {
    process.send({ id, failure: error.message })
  }
})
process.on('disconnect', () => process.exit())
process.send({ id: -1 })
