// A process of its own on a store of lmdb(); does what its parent sends. Arguments: the folder of the
// compiled package, the directory of the store, maxBytes.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'

const [built, path, maxBytes] = process.argv.slice(2)
const load = (file) => import(pathToFileURL(join(built, file)).href)
const { createCache } = await load('index.js')
const { lmdb } = await load('lmdb/index.js')
const { prepareDirectory } = await load('lmdb/directory.js')
const { Environment } = await load('lmdb/environment.js')
const { Gate } = await load('lmdb/gate.js')
const { newRecord, placeOf } = await load('lmdb/records.js')
const store = lmdb({ path, maxBytes: Number(maxBytes) })
store.open()

const MINUTE = 60_000
const KEYS = 40

/** A value that tells whether it is whole: a digest, then what it is of. */
function sealed(size, seed) {
  const body = Buffer.alloc(size, `${process.pid}:${seed};`)
  return Buffer.concat([createHash('sha1').update(body).digest(), body])
}

function isWhole(bytes) {
  const digest = createHash('sha1').update(bytes.subarray(20)).digest()
  return Buffer.compare(digest, bytes.subarray(0, 20)) === 0
}

let cache

const stop = () => process.kill(process.pid, 'SIGSTOP')

const tasks = {
  call: (method, ...args) => store[method](...args),

  /** As `call`, and tells what is certain of a rejection. */
  attempt: async (method, ...args) => {
    try {
      return { value: await store[method](...args) }
    } catch (error) {
      return { verdict: store.judge(error), message: error.message }
    }
  },

  /** Stops itself with a value written and the transaction open. */
  stopInside: (key, text) => {
    const { key: place } = placeOf(key)
    const environment = Environment.acquire(path)
    const write = environment.write((space) => {
      const record = newRecord(placeOf(key), Buffer.from(text))
      space.put(place, space.read(place), record, Date.now() + MINUTE, Number(maxBytes))
      stop()
    }, 0)
    return write.finally(() => environment.release())
  },

  /** Stops itself where it would open the directory, or begin a transaction. */
  stopAtGate: async () => {
    const gate = new Gate(prepareDirectory(path))
    let leave = gate.take()
    while (leave === undefined) {
      await new Promise(setImmediate)
      leave = gate.take()
    }
    stop()
    leave()
  },

  /** Changes three keys, and takes it back once the gate has been found held. */
  withdraw: async (set, fill, deleted) => {
    const withdrawal = new AbortController()
    const { signal } = withdrawal
    const late = Buffer.from('late')
    const writes = [
      store.set(set, late, { ttl: MINUTE, signal }),
      store.compareAndSet(fill, undefined, late, MINUTE, signal),
      store.delete([deleted], { signal }),
      store.shorten(deleted, 1, { signal }),
      store.leases.touch(deleted, 'a.1', { expected: late, ttl: 1, signal }),
    ]
    for (let turns = 0; turns < 3; turns++) await new Promise(setImmediate)
    withdrawal.abort(new Error('too late'))
    const settled = await Promise.allSettled(writes)
    return settled.map(({ reason }) => reason?.message)
  },

  /** What became of so many writes under keys of their own. */
  flood: async (writes) => {
    const verdicts = Array.from({ length: writes }, (_, i) =>
      tasks.attempt('set', `flood:${i}`, Buffer.from('x'), { ttl: MINUTE }),
    )
    return [...new Set((await Promise.all(verdicts)).map(({ verdict }) => verdict))]
  },

  /** Through a cache of this process, without a local tier. */
  cached: async (method, ...args) => {
    cache ??= createCache({ remote: lmdb({ path, maxBytes: Number(maxBytes) }) })
    try {
      return { value: await cache[method](...args) }
    } catch (error) {
      return { code: error.code, outcome: error.outcome }
    }
  },

  cachedOnce: (key, loaded) => tasks.cached('once', key, () => loaded),

  cacheStats: () => cache.stats(),

  /** Opens and closes the directory, with a write and a read in between; how often that went well. */
  comeAndGo: async (rounds) => {
    await store.close()
    let visits = 0
    for (let round = 0; round < rounds; round++) {
      store.open()
      const { value, message } = await tasks.visit(`${round}`)
      if (value === true) visits++
      // On a machine without time the others can look as if they were stopped.
      else if (!message.includes('stopped')) throw new Error(`round ${round}: ${message}`)
      await store.close()
    }
    store.open()
    return visits
  },

  visit: async (text) => {
    const wrote = await tasks.attempt('set', `visit:${process.pid}`, Buffer.from(text), {
      ttl: MINUTE,
    })
    if (!wrote.value) return wrote
    const read = await store.get(`visit:${process.pid}`)
    return { value: `${Buffer.from(read.bytes)}` === text, message: 'it reads something else' }
  },

  /** Starts threads one after the other that open the directory and end without closing it. */
  threads: async (rounds) => {
    const store = JSON.stringify(pathToFileURL(join(built, 'lmdb/index.js')).href)
    const code = `import(${store}).then(({ lmdb }) => {
      const store = lmdb(${JSON.stringify({ path })})
      store.open()
      return store.get('k').catch((error) => {
        if (!error.message.includes('stopped')) throw error
      })
    })`
    for (let round = 0; round < rounds; round++) {
      await new Promise((resolve, reject) => {
        new Worker(code, { eval: true }).on('error', reject).on('exit', resolve)
      })
    }
    return rounds
  },

  /** Ends with a write that cannot be carried out under way. */
  exit: () => {
    store.set('k', Buffer.from('never'), { ttl: MINUTE }).catch(() => undefined)
    setImmediate(() => process.exit(0))
  },

  /** How many of 10 callers here were told that they wrote the key first. */
  race: async (key) => {
    const callers = Array.from({ length: 10 }, (_, i) => Buffer.from(`${process.pid}:${i}`))
    const won = await Promise.all(
      callers.map((bytes) => store.compareAndSet(key, undefined, bytes, MINUTE)),
    )
    return won.filter((each) => each).length
  },

  /** Writes, replaces and deletes under keys that the other processes use too. */
  churn: async (writes) => {
    let next = 0
    const work = async () => {
      while (next < writes) {
        const i = next++
        await store.set(`churn:${i % KEYS}`, sealed((i * 7919) % 50_000, i), { ttl: MINUTE })
        if (i % 11 === 0) await store.delete([`churn:${(i * 3) % KEYS}`])
        if (i % 50 === 0) process.send({ progress: i })
      }
    }
    await Promise.all([work(), work(), work()])
    return next
  },

  /** How many keys hold a whole value, and how many a torn one. */
  inspect: async () => {
    const keys = Array.from({ length: KEYS }, (_, i) => `churn:${i}`)
    const held = (await store.getMany(keys)).filter((read) => read !== undefined)
    const whole = held.filter((read) => isWhole(read.bytes)).length
    return { whole, torn: held.length - whole }
  },

  /** Writes until the disk refuses, then goes on with small values. */
  overflow: async () => {
    for (let i = 0; i < 1000; i++) {
      const failure = await tasks.attempt('set', `large:${i}`, Buffer.alloc(50_000), {
        ttl: MINUTE,
      })
      if (failure.value) continue
      const first = await store.get('large:0')
      await store.delete(Array.from({ length: i }, (_, each) => `large:${each}`))
      const after = await store.set('small', Buffer.alloc(10), { ttl: MINUTE })
      return { failure, readable: first?.bytes.length, after }
    }
    return { failure: undefined }
  },

  /** Opens and closes a second store on the path while the first one is writing. */
  openAgain: async (rounds) => {
    for (let round = 0; round < rounds; round++) {
      const value = Buffer.from(String(round))
      const writes = Array.from({ length: 20 }, () => store.set('k', value, { ttl: MINUTE }))
      for (let turn = 0; turn < round % 4; turn++) await new Promise(setImmediate)
      const second = lmdb({ path })
      second.open()
      await second.set('k', value, { ttl: MINUTE })
      await Promise.all([...writes, second.close()])
    }
    return rounds
  },

  close: () => store.close(),
}

process.on('message', async ({ id, task, args }) => {
  try {
    process.send({ id, answer: await tasks[task](...args) })
  } catch (error) {
    process.send({ id, failure: error.message })
  }
})
process.on('disconnect', () => process.exit())
process.send({ progress: 'started' })
