// A process with a store and a bus on one directory; does what its parent sends. Arguments: the folder
// of the compiled package, the directory.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [built, path] = process.argv.slice(2)
const load = (file) => import(pathToFileURL(join(built, file)).href)
const { lmdb, lmdbBus } = await load('lmdb/index.js')
const { Environment } = await load('lmdb/environment.js')

const store = lmdb({ path })
store.open()

const told = []
/** Keys that were read when a message named them, and did not hold what it said. */
let tooEarly = 0
const reads = []

const listener = {
  message: (text) => {
    told.push(text)
    const [, key, value] = /^set (\w+) (\w+)$/.exec(text) ?? []
    if (key === undefined) return
    const read = store.get(key).then((found) => {
      // It may hold a later value already.
      if (Number(Buffer.from(found?.bytes ?? '-1').toString()) < Number(value)) tooEarly++
    })
    reads.push(read)
  },
  changed: () => undefined,
  up: () => told.push('up'),
  down: () => told.push('down'),
}
const bus = lmdbBus({ path }).open(listener, { name: 'cache' })

const stop = () => process.kill(process.pid, 'SIGSTOP')
const message = (text) => ({ channel: 'cache', text })

async function inTransaction(run) {
  const environment = Environment.acquire(path)
  return environment.write(run, 0).finally(() => environment.release())
}

const tasks = {
  told: () => told,
  beat: () => bus.beat(),
  publish: (text) => bus.publish(text),
  store: (method, ...args) => store[method](...args),
  lease: (method, ...args) => store.leases[method](...args),

  /** One after the other, until it is killed or has said so many. */
  publishMany: async (name, count) => {
    for (let i = 0; i < count; i++) {
      await bus.publish(`${name} ${i}`)
      if (i % 20 === 0) process.send({ progress: i })
    }
    return count
  },

  /** Writes a counter, and tells of each value of it in the same step. */
  count: async (key, until) => {
    for (let i = 0; i < until; i++) {
      const announce = message(`set ${key} ${i}`)
      await store.set(key, Buffer.from(`${i}`), { ttl: 60_000, announce })
    }
    return until
  },

  /** How many messages came before what they told of could be read. */
  tooEarly: async () => {
    await Promise.all(reads)
    return { tooEarly, reads: reads.length }
  },

  /** More than is kept, of others, in one step. */
  overflow: () =>
    inTransaction((space) => {
      for (let i = 0; i <= 20_000; i++) space.log.append({ channel: 'x', text: 'x' }, Date.now())
    }),

  /** Stops itself with a change and its message written, and nothing committed. */
  stopInside: () =>
    inTransaction((space) => {
      space.log.append(message('from inside'), Date.now())
      stop()
    }),

  /** Fills what it has the lease of, but is stopped before. */
  stopThenFill: (key, token) => {
    setImmediate(stop)
    return new Promise((resolve) => {
      setImmediate(() => setImmediate(resolve))
    }).then(() =>
      store.leases.fill(key, token, {
        expected: undefined,
        bytes: Buffer.from('loaded'),
        ttl: 60_000,
      }),
    )
  },

  /** How many of 10 owners here were granted the lease of a key. */
  race: async (key) => {
    const owners = Array.from({ length: 10 }, (_, i) => `${process.pid}-${i}.1`)
    const answers = await Promise.all(
      owners.map((token) => store.leases.read([key], token, 60_000)),
    )
    return answers.filter(([answer]) => answer.kind === 'granted').length
  },

  /** Leaves everything open, and its parent, and waits for nothing. */
  leave: () => {
    setImmediate(() => process.disconnect())
  },
}

let leaving = false
process.on('message', async ({ id, task, args }) => {
  leaving ||= task === 'leave'
  try {
    process.send({ id, answer: await tasks[task](...args) })
  } catch (error) {
    process.send({ id, failure: error.message })
  }
})
process.on('disconnect', () => leaving || process.exit())
process.send({ progress: 'started' })
