import assert from 'node:assert/strict'
import type { RemoteStore } from '../remote/remote-store.ts'
import { assertHolds, bytesOf, type Check, isAbsent, MINUTE } from './conformance-trial.ts'

const LONG = { ttl: MINUTE }

const CALLERS = 50

/** Runs 50 callers at once; answers the numbers of those that were told `true`. */
async function winners(attempt: (caller: number) => Promise<boolean>): Promise<number[]> {
  const callers = Array.from({ length: CALLERS }, (_, caller) => caller)
  const took = await Promise.all(callers.map(attempt))
  return callers.filter((caller) => took[caller])
}

/** Each attempt that fails is another caller's success, of which there are few. */
async function addOne(store: RemoteStore, key: string): Promise<void> {
  for (let attempt = 0; attempt < CALLERS; attempt++) {
    const read = await store.get(key)
    assert.ok(read !== undefined)
    const next = bytesOf(String(Number(Buffer.from(read.bytes).toString()) + 1))
    if (await store.compareAndSet(key, read.bytes, next, MINUTE)) return
  }
  assert.fail('compareAndSet with the bytes just read keeps failing')
}

/** Conditional writes, and that no two callers win where one may. */
export const conditionChecks: readonly Check[] = [
  [
    'set resolves true without a condition, on an absent key and on a present one',
    async ({ store, key }) => {
      assert.equal(await store.set(key(), bytesOf('1'), LONG), true)
      assert.equal(await store.set(key(), bytesOf('2'), LONG), true)
      assert.equal(await store.set(key(), bytesOf('3'), { ...LONG, when: undefined }), true)
      assertHolds(await store.get(key()), bytesOf('3'))
    },
  ],
  [
    'set when absent takes only where nothing is held',
    async ({ store, key }) => {
      assert.equal(await store.set(key(), bytesOf('1'), { ...LONG, when: 'absent' }), true)
      assert.equal(await store.set(key(), bytesOf('2'), { ...LONG, when: 'absent' }), false)
      assertHolds(await store.get(key()), bytesOf('1'))
      await store.delete([key()])
      assert.equal(await store.set(key(), bytesOf('3'), { ...LONG, when: 'absent' }), true)
    },
  ],
  [
    'set when present takes only where something is held, an empty value included',
    async ({ store, key }) => {
      assert.equal(await store.set(key(), bytesOf('1'), { ...LONG, when: 'present' }), false)
      assert.equal(await isAbsent(store, key()), true)
      await store.set(key(), new Uint8Array(0), LONG)
      assert.equal(await store.set(key(), bytesOf('2'), { ...LONG, when: 'present' }), true)
      assertHolds(await store.get(key()), bytesOf('2'))
    },
  ],
  [
    'compareAndSet takes on exactly the expected bytes: not on more, fewer, others or none',
    async ({ store, key }) => {
      await store.set(key(), bytesOf('abc'), LONG)
      for (const other of ['ab', 'abcd', 'abd', 'Abc', '', 'abc\0']) {
        assert.equal(await store.compareAndSet(key(), bytesOf(other), bytesOf('no'), MINUTE), false)
        assertHolds(await store.get(key()), bytesOf('abc'))
      }
      assert.equal(await store.compareAndSet(key(), undefined, bytesOf('no'), MINUTE), false)
      assert.equal(await store.compareAndSet(key(), bytesOf('abc'), bytesOf('yes'), MINUTE), true)
      assertHolds(await store.get(key()), bytesOf('yes'))
      assert.equal(await store.compareAndSet(key(), bytesOf('abc'), bytesOf('no'), MINUTE), false)
    },
  ],
  [
    'compareAndSet tells an empty value from none',
    async ({ store, key }) => {
      const empty = new Uint8Array(0)
      assert.equal(await store.compareAndSet(key(), empty, bytesOf('no'), MINUTE), false)
      assert.equal(await isAbsent(store, key()), true)
      assert.equal(await store.compareAndSet(key(), undefined, empty, MINUTE), true)
      assert.equal(await store.compareAndSet(key(), undefined, bytesOf('no'), MINUTE), false)
      assert.equal(await store.compareAndSet(key(), empty, bytesOf('yes'), MINUTE), true)
      assertHolds(await store.get(key()), bytesOf('yes'))
    },
  ],
  [
    'compareAndDelete deletes exactly the expected bytes',
    async ({ store, key }) => {
      assert.equal(await store.compareAndDelete(key(), bytesOf('abc')), false)
      assert.equal(await store.compareAndDelete(key(), new Uint8Array(0)), false)
      await store.set(key(), bytesOf('abc'), LONG)
      for (const other of ['ab', 'abcd', '', 'ABC']) {
        assert.equal(await store.compareAndDelete(key(), bytesOf(other)), false)
      }
      assertHolds(await store.get(key()), bytesOf('abc'))
      assert.equal(await store.compareAndDelete(key(), bytesOf('abc')), true)
      assert.equal(await isAbsent(store, key()), true)
      assert.equal(await store.compareAndDelete(key(), bytesOf('abc')), false)
    },
  ],
  [
    'operations that follow one another take effect in order',
    async ({ store, key }) => {
      for (let round = 0; round < 20; round++) {
        await store.set(key(), bytesOf(`a${round}`), LONG)
        assertHolds(await store.get(key()), bytesOf(`a${round}`))
        assert.equal(
          await store.compareAndSet(key(), bytesOf(`a${round}`), bytesOf('b'), MINUTE),
          true,
        )
        assert.equal(await store.delete([key()]), 1)
        assert.equal(await isAbsent(store, key()), true)
      }
    },
  ],
  [
    `of ${CALLERS} callers who write an absent key at once, exactly one is told that it took`,
    async ({ store, key }) => {
      for (const when of ['compare', 'absent'] as const) {
        const won = await winners((caller) => {
          const bytes = bytesOf(String(caller))
          return when === 'compare'
            ? store.compareAndSet(key(when), undefined, bytes, MINUTE)
            : store.set(key(when), bytes, { ...LONG, when })
        })
        assert.equal(won.length, 1)
        assertHolds(await store.get(key(when)), bytesOf(String(won[0])))
      }
    },
  ],
  [
    `of ${CALLERS} callers who replace or delete the same bytes at once, exactly one succeeds`,
    async ({ store, key }) => {
      const old = bytesOf('old')
      await store.set(key(), old, LONG)
      const won = await winners((caller) =>
        caller % 5 === 0
          ? store.compareAndDelete(key(), old)
          : store.compareAndSet(key(), old, bytesOf(String(caller)), MINUTE),
      )
      assert.equal(won.length, 1)
      const [winner = 0] = won
      if (winner % 5 === 0) assert.equal(await isAbsent(store, key()), true)
      else assertHolds(await store.get(key()), bytesOf(String(winner)))
    },
  ],
  [
    'no update is lost when 10 callers read, add one and compare at once',
    async ({ store, key }) => {
      await store.set(key(), bytesOf('0'), LONG)
      await Promise.all(Array.from({ length: 10 }, () => addOne(store, key())))
      assertHolds(await store.get(key()), bytesOf('10'))
    },
  ],
]
