import assert from 'node:assert/strict'
import {
  assertHolds,
  between,
  bytesOf,
  type Check,
  isAbsent,
  MINUTE,
  shorten,
  ttlLeft,
} from './conformance-trial.ts'

/** How far the clocks of a test and of a store may run apart while a check runs, with rounding. */
const SKEW = 10

/** Lives: how long a value answers, and what is said about it. */
export const lifeChecks: readonly Check[] = [
  [
    'the life left starts at most at the ttl, only falls, and is the same for get and getMany',
    async ({ store, key, elapse }) => {
      await store.set(key(), bytesOf('v'), { ttl: MINUTE })
      const first = await ttlLeft(store, key())
      between(first, MINUTE / 2, MINUTE)
      await elapse(20, async () => (await ttlLeft(store, key())) < first)
      const second = await ttlLeft(store, key())
      const [many] = await store.getMany([key()])
      assertHolds(many, bytesOf('v'))
      between(many.ttlLeft, MINUTE / 2, second)
    },
  ],
  [
    'a value answers until its life is over and not after',
    async ({ store, key, elapse, target }) => {
      const startedAt = performance.now()
      await store.set(key(), bytesOf('v'), { ttl: 100 })
      if (target.advance !== undefined) {
        await target.advance(99)
        assertHolds(await store.get(key()), bytesOf('v'))
      }
      await elapse(1, () => isAbsent(store, key()))
      const lived = performance.now() - startedAt
      if (target.advance === undefined) between(lived, 100 - SKEW, Infinity)
      assert.deepEqual(await store.getMany([key()]), [undefined])
    },
  ],
  [
    'a life of 1 ms is accepted and ends',
    async ({ store, key, elapse }) => {
      assert.equal(await store.set(key(), bytesOf('v'), { ttl: 1 }), true)
      const read = await store.get(key())
      if (read !== undefined) between(read.ttlLeft, 0, 1)
      await elapse(1, () => isAbsent(store, key()))
      assert.equal(await store.compareAndSet(key(), undefined, bytesOf('w'), 1), true)
      await elapse(1, () => isAbsent(store, key()))
    },
  ],
  [
    'lives beyond 2^31 ms, up to ten years, are kept as they are',
    async ({ store, key }) => {
      for (const ttl of [
        2 ** 31 - 1,
        2 ** 31 + 5 * MINUTE,
        2 ** 32 + 5 * MINUTE,
        315_360_000_000,
      ]) {
        await store.set(key(), bytesOf('v'), { ttl })
        between(await ttlLeft(store, key()), ttl - MINUTE, ttl)
        await store.compareAndSet(key(), bytesOf('v'), bytesOf('w'), ttl - MINUTE)
        between(await ttlLeft(store, key()), ttl - 2 * MINUTE, ttl - MINUTE)
      }
    },
  ],
  [
    'each write gives a new life, longer or shorter than the one before',
    async ({ store, key }) => {
      await store.set(key(), bytesOf('1'), { ttl: 2 * MINUTE })
      await store.set(key(), bytesOf('2'), { ttl: MINUTE })
      between(await ttlLeft(store, key()), 0, MINUTE)
      await store.set(key(), bytesOf('3'), { ttl: 4 * MINUTE, when: 'present' })
      between(await ttlLeft(store, key()), 3 * MINUTE, 4 * MINUTE)
      await store.compareAndSet(key(), bytesOf('3'), bytesOf('4'), MINUTE)
      between(await ttlLeft(store, key()), 0, MINUTE)
    },
  ],
  [
    'a write that does not take leaves value and life alone',
    async ({ store, key }) => {
      await store.set(key(), bytesOf('v'), { ttl: MINUTE })
      const ttl = 4 * MINUTE
      assert.equal(await store.set(key(), bytesOf('w'), { ttl, when: 'absent' }), false)
      assert.equal(await store.compareAndSet(key(), bytesOf('x'), bytesOf('w'), ttl), false)
      assert.equal(await store.compareAndSet(key(), undefined, bytesOf('w'), ttl), false)
      assert.equal(await store.compareAndDelete(key(), bytesOf('x')), false)
      assertHolds(await store.get(key()), bytesOf('v'))
      between(await ttlLeft(store, key()), 0, MINUTE)
    },
  ],
  [
    'an expired value counts as nothing for every operation',
    async ({ store, key, elapse }) => {
      const names = ['absent', 'present', 'equal', 'empty', 'cad', 'delete']
      const old = bytesOf('old')
      for (const name of names) await store.set(key(name), old, { ttl: 50 })
      await elapse(50, async () => {
        return (await store.getMany(names.map(key))).every((read) => read === undefined)
      })
      const ttl = MINUTE
      assert.equal(await store.set(key('present'), old, { ttl, when: 'present' }), false)
      assert.equal(await store.set(key('absent'), old, { ttl, when: 'absent' }), true)
      assert.equal(await store.compareAndSet(key('equal'), old, bytesOf('new'), ttl), false)
      assert.equal(await store.compareAndSet(key('empty'), undefined, bytesOf('new'), ttl), true)
      assert.equal(await store.compareAndDelete(key('cad'), old), false)
      assert.equal(await store.delete([key('delete')]), 0)
      assertHolds(await store.get(key('absent')), old)
      assertHolds(await store.get(key('empty')), bytesOf('new'))
      assert.equal(await isAbsent(store, key('present')), true)
      assert.equal(await isAbsent(store, key('equal')), true)
    },
  ],
]

/** For stores that can hold a value without expiry. */
export const endlessLifeChecks: readonly Check[] = [
  [
    'a value written without expiry is read with an infinite life',
    async ({ store, key, target }) => {
      await target.writeWithoutExpiry?.(key(), bytesOf('v'))
      assert.equal(await ttlLeft(store, key()), Infinity)
      const [many] = await store.getMany([key()])
      assert.equal(many?.ttlLeft, Infinity)
    },
  ],
  [
    'a write over a value without expiry gives it a life',
    async ({ store, key, target }) => {
      await target.writeWithoutExpiry?.(key('set'), bytesOf('v'))
      await store.set(key('set'), bytesOf('w'), { ttl: MINUTE })
      between(await ttlLeft(store, key('set')), 0, MINUTE)
      await target.writeWithoutExpiry?.(key('cas'), bytesOf('v'))
      assert.equal(await store.compareAndSet(key('cas'), bytesOf('v'), bytesOf('w'), MINUTE), true)
      between(await ttlLeft(store, key('cas')), 0, MINUTE)
    },
  ],
]

/** For stores that can shorten a life. */
export const shortenChecks: readonly Check[] = [
  [
    'shorten lets a value live as long as it says, and not longer',
    async ({ store, key, elapse }) => {
      await store.set(key(), bytesOf('v'), { ttl: 4 * MINUTE })
      assert.equal(await shorten(store, key(), MINUTE), true)
      between(await ttlLeft(store, key()), MINUTE / 2, MINUTE)
      const [many] = await store.getMany([key()])
      assertHolds(many, bytesOf('v'))
      between(many.ttlLeft, MINUTE / 2, MINUTE)
      assert.equal(await shorten(store, key(), 100), true)
      await elapse(100, () => isAbsent(store, key()))
    },
  ],
  [
    'shorten leaves a life alone that ends sooner',
    async ({ store, key }) => {
      await store.set(key(), bytesOf('v'), { ttl: MINUTE })
      for (const left of [4 * MINUTE, 2 ** 31 + 5 * MINUTE, 315_360_000_000]) {
        assert.equal(await shorten(store, key(), left), true)
        between(await ttlLeft(store, key()), MINUTE / 2, MINUTE)
      }
    },
  ],
  [
    'shorten knows lives beyond 2^31 ms, and one of 1 ms',
    async ({ store, key, elapse }) => {
      await store.set(key(), bytesOf('v'), { ttl: 315_360_000_000 })
      for (const left of [2 ** 32 + 5 * MINUTE, 2 ** 31 + 5 * MINUTE]) {
        assert.equal(await shorten(store, key(), left), true)
        between(await ttlLeft(store, key()), left - MINUTE, left)
      }
      assert.equal(await shorten(store, key(), 1), true)
      await elapse(1, () => isAbsent(store, key()))
    },
  ],
  [
    'shorten leaves the bytes as they are, whichever they are',
    async ({ store, key }) => {
      const all = Uint8Array.from({ length: 256 }, (_, i) => i)
      const values = [
        all,
        Buffer.alloc(1_000_000, all),
        ...['', '**', '* ', ' *', '+'].map(bytesOf),
      ]
      for (const value of values) {
        await store.set(key(), value, { ttl: 4 * MINUTE })
        assert.equal(await shorten(store, key(), MINUTE), true)
        assertHolds(await store.get(key()), value)
        between(await ttlLeft(store, key()), 0, MINUTE)
        assert.equal(await store.compareAndDelete(key(), value), true)
      }
    },
  ],
  [
    'shorten deletes the byte that says that there is nothing, and resolves false',
    async ({ store, key }) => {
      await store.set(key(), bytesOf('*'), { ttl: MINUTE })
      assert.equal(await shorten(store, key(), 4 * MINUTE), false)
      assert.equal(await isAbsent(store, key()), true)
      assert.equal(await store.delete([key()]), 0)
    },
  ],
  [
    'shorten resolves false where nothing is held, and leaves it at that',
    async ({ store, key, elapse }) => {
      assert.equal(await shorten(store, key(), MINUTE), false)
      assert.equal(await isAbsent(store, key()), true)
      await store.set(key(), bytesOf('v'), { ttl: 50 })
      await elapse(50, () => isAbsent(store, key()))
      assert.equal(await shorten(store, key(), MINUTE), false)
      assert.equal(await isAbsent(store, key()), true)
    },
  ],
  [
    'a write over a value that was to end soon gives it a life of its own',
    async ({ store, key, elapse }) => {
      for (const name of ['', 'beside', 'long'.repeat(1000)]) {
        await store.set(key(name), bytesOf('v'), { ttl: MINUTE })
        assert.equal(await shorten(store, key(name), 50), true)
        if (name !== 'beside') await store.set(key(name), bytesOf('w'), { ttl: MINUTE })
      }
      await elapse(50, () => isAbsent(store, key('beside')))
      assertHolds(await store.get(key()), bytesOf('w'))
      assertHolds(await store.get(key('long'.repeat(1000))), bytesOf('w'))
    },
  ],
]

/** For stores that can do that, and hold a value without expiry. */
export const endlessShortenChecks: readonly Check[] = [
  [
    'shorten gives a life to a value without expiry',
    async ({ store, key, target }) => {
      await target.writeWithoutExpiry?.(key(), bytesOf('v'))
      assert.equal(await shorten(store, key(), MINUTE), true)
      assertHolds(await store.get(key()), bytesOf('v'))
      between(await ttlLeft(store, key()), 0, MINUTE)
    },
  ],
]
