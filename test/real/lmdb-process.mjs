// A process of its own on a store of lmdb(); does what its parent sends. Arguments: the folder of the
// compiled package, the directory of the store, maxBytes.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [built, path, maxBytes] = process.argv.slice(2)
const { lmdb } = await import(pathToFileURL(join(built, 'lmdb/index.js')).href)
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

const tasks = {
  call: (method, ...args) => store[method](...args),

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
      const failure = await store.set(`large:${i}`, Buffer.alloc(50_000), { ttl: MINUTE }).then(
        () => undefined,
        (error) => error.message,
      )
      if (failure === undefined) continue
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
