import assert from 'node:assert/strict'
import type { LeaseFill, LeaseRead, RemoteLeases } from '../remote/remote-store.ts'
import {
  assertHolds,
  between,
  bytesOf,
  type Check,
  isAbsent,
  MINUTE,
  shorten,
  type Trial,
  touch,
  ttlLeft,
} from './conformance-trial.ts'

/** Milliseconds that no check takes. */
const LIFE = MINUTE
const LONG = { ttl: MINUTE }

/** Ends of keys that stores which put a lease beside its key, or shorten keys, have trouble with. */
const AWKWARD = [
  '',
  '{tag}rest',
  'a}b',
  'x{}{y}',
  '{',
  '}',
  '{}',
  '{a{b}c}',
  'größe€😀',
  'two words',
  'x'.repeat(3000),
  'x'.repeat(65_000),
]

function check(
  sentence: string,
  body: (leases: RemoteLeases, trial: Trial) => Promise<void>,
): Check {
  return [
    sentence,
    async (trial) => {
      assert.ok(trial.store.leases !== undefined, 'it has no leases')
      await body(trial.store.leases, trial)
    },
  ]
}

async function readOne(
  leases: RemoteLeases,
  key: string,
  token: string,
  life = LIFE,
): Promise<LeaseRead> {
  const [answer, ...more] = await leases.read([key], token, life)
  assert.ok(answer !== undefined && more.length === 0, 'one key has not one answer')
  return answer
}

async function kindOf(leases: RemoteLeases, key: string, token: string): Promise<string> {
  return (await readOne(leases, key, token)).kind
}

function fillWith(
  leases: RemoteLeases,
  key: string,
  token: string,
  text: string,
  expected?: string,
): Promise<LeaseFill> {
  const old = expected === undefined ? undefined : bytesOf(expected)
  return leases.fill(key, token, { expected: old, bytes: bytesOf(text), ...LONG })
}

function assertHeld(answer: LeaseRead | undefined, by: string): void {
  assert.ok(answer?.kind === 'held', `the answer is ${answer?.kind}`)
  assert.equal(answer.by, by)
  assert.ok(answer.left > 0 && answer.left <= LIFE, `${answer.left} ms are left`)
}

const CHANGES = {
  set: ({ store }: Trial, key: string) => store.set(key, bytesOf('new'), LONG),
  'set if absent': ({ store }: Trial, key: string) =>
    store.set(key, bytesOf('new'), { ...LONG, when: 'absent' }),
  delete: ({ store }: Trial, key: string) => store.delete([key]),
  'delete of several': ({ store, key }: Trial, name: string) =>
    store.delete([key('other'), name, key('third')]),
  compareAndDelete: ({ store }: Trial, key: string) => store.compareAndDelete(key, bytesOf('old')),
}

/** Leases: who may fill a key. */
export const leaseChecks: readonly Check[] = [
  check(
    'of 20 who read an absent key one is granted its lease; the others learn whose it is, and for how long',
    async (leases, { key }) => {
      for (const name of AWKWARD) {
        const readers = Array.from({ length: 20 }, (_, reader) => `t${reader}.1`)
        const read = await Promise.all(readers.map((token) => readOne(leases, key(name), token)))
        const granted = readers.filter((_, reader) => read[reader]?.kind === 'granted')
        assert.equal(granted.length, 1, `${granted.length} were granted that of ...${name}`)
        for (const answer of read) {
          if (answer.kind !== 'granted') assertHeld(answer, granted[0] ?? '')
        }
      }
    },
  ),
  check(
    'of 20 who take the lease of a key that holds something, one is granted it',
    async (leases, { store, key }) => {
      await store.set(key(), bytesOf('v'), LONG)
      const takers = Array.from({ length: 20 }, (_, taker) => `t${taker}.1`)
      const held = await Promise.all(takers.map((token) => leases.take(key(), token, LIFE)))
      const granted = takers.filter((_, taker) => held[taker] === undefined)
      assert.equal(granted.length, 1)
      for (const answer of held) if (answer !== undefined) assertHeld(answer, granted[0] ?? '')
      assertHolds(await store.get(key()), bytesOf('v'))
    },
  ),
  check(
    'a key that holds something is read with its life, and no lease of it is taken',
    async (leases, { store, key }) => {
      await store.set(key(), bytesOf('v'), LONG)
      const answer = await readOne(leases, key(), 'a.1')
      assert.ok(answer.kind === 'value')
      assertHolds(answer.read, bytesOf('v'))
      assert.ok(answer.read.ttlLeft > MINUTE / 2 && answer.read.ttlLeft <= MINUTE)
      answer.read.bytes.fill(0)
      assertHolds(await store.get(key()), bytesOf('v'))
      assert.equal(await leases.release(key(), 'a.1'), false)
      assert.equal(await leases.take(key(), 'b.1', LIFE), undefined)
    },
  ),
  check(
    'a read of many keys answers once per key, in order, duplicates included',
    async (leases, { store, key }) => {
      assert.deepEqual(await leases.read([], 'a.1', LIFE), [])
      const keys = Array.from({ length: 256 }, (_, i) => key(`{tag}${i % 250}`))
      await Promise.all([1, 4, 249].map((i) => store.set(keys[i] ?? '', bytesOf(`${i}`), LONG)))
      await leases.take(keys[2] ?? '', 'other.1', LIFE)
      const answers = await leases.read(keys, 'a.1', LIFE)
      assert.equal(answers.length, 256)
      for (const [i, answer] of answers.entries()) {
        const of = i % 250
        if (of === 2) assertHeld(answer, 'other.1')
        else if (![1, 4, 249].includes(of)) assert.equal(answer.kind, 'granted', `of ${i}`)
        else assertHolds(answer.kind === 'value' ? answer.read : undefined, bytesOf(`${of}`))
      }
      assert.equal(await fillWith(leases, keys[0] ?? '', 'a.1', 'first'), 'took')
      assert.equal(await fillWith(leases, keys[255] ?? '', 'a.1', 'last'), 'took')
    },
  ),
  check(
    'a lease is no entry: its key reads as absent, and is set and deleted as such',
    async (leases, { store, key }) => {
      assert.equal(await kindOf(leases, key(), 'a.1'), 'granted')
      assert.equal(await isAbsent(store, key()), true)
      assert.deepEqual(await store.getMany([key()]), [undefined])
      assert.equal(await store.set(key(), bytesOf('v'), { ...LONG, when: 'present' }), false)
      assert.equal(await store.delete([key()]), 0)
      assert.equal(await kindOf(leases, key(), 'b.1'), 'granted')
      assert.equal(await store.set(key(), bytesOf('v'), { ...LONG, when: 'absent' }), true)
    },
  ),
  check('a fill takes under its lease, once, and ends it', async (leases, { store, key }) => {
    assert.equal(await fillWith(leases, key(), 'a.1', 'none'), 'lost')
    await leases.read([key()], 'a.1', LIFE)
    assert.equal(await fillWith(leases, key(), 'b.1', 'b'), 'lost')
    assert.equal(await isAbsent(store, key()), true)
    assert.equal(await fillWith(leases, key(), 'a.1', 'a'), 'took')
    const read = await store.get(key())
    assertHolds(read, bytesOf('a'))
    assert.ok(read.ttlLeft > MINUTE / 2 && read.ttlLeft <= MINUTE)
    assert.equal(await fillWith(leases, key(), 'a.1', 'c', 'a'), 'lost')
    assertHolds(await store.get(key()), bytesOf('a'))
    assert.equal(await leases.take(key(), 'b.1', LIFE), undefined)
  }),
  check(
    'a fill replaces exactly what is expected; one that is refused ends its lease too',
    async (leases, { store, key }) => {
      await store.set(key(), bytesOf('old'), LONG)
      for (const expected of ['other', 'ol', 'olds', '', undefined]) {
        assert.equal(await leases.take(key(), 'a.1', LIFE), undefined)
        assert.equal(await fillWith(leases, key(), 'a.1', 'new', expected), 'refused')
        assertHolds(await store.get(key()), bytesOf('old'))
        assert.equal(await leases.release(key(), 'a.1'), false)
      }
      assert.equal(await leases.take(key(), 'b.1', LIFE), undefined)
      assert.equal(await fillWith(leases, key(), 'b.1', 'new', 'old'), 'took')
      assertHolds(await store.get(key()), bytesOf('new'))
    },
  ),
  check('a fill tells an empty value from none', async (leases, { store, key }) => {
    await leases.take(key(), 'a.1', LIFE)
    assert.equal(await fillWith(leases, key(), 'a.1', 'new', ''), 'refused')
    assert.equal(await isAbsent(store, key()), true)
    await leases.take(key(), 'a.1', LIFE)
    assert.equal(await fillWith(leases, key(), 'a.1', ''), 'took')
    const answer = await readOne(leases, key(), 'a.1')
    assertHolds(answer.kind === 'value' ? answer.read : undefined, bytesOf(''))
    await leases.take(key(), 'a.1', LIFE)
    assert.equal(await fillWith(leases, key(), 'a.1', 'new', ''), 'took')
  }),
  ...Object.entries(CHANGES).map(([change, make]) =>
    check(`a ${change} voids the lease: its fill is lost`, async (leases, trial) => {
      const { store, key } = trial
      for (const name of AWKWARD) {
        if (change === 'compareAndDelete') await store.set(key(name), bytesOf('old'), LONG)
        assert.equal(await leases.take(key(name), 'a.1', LIFE), undefined)
        await make(trial, key(name))
        const expected = change.startsWith('set') ? 'new' : undefined
        assert.equal(await fillWith(leases, key(name), 'a.1', 'loaded', expected), 'lost', name)
        assert.equal(await leases.renew(key(name), 'a.1', LIFE), false)
        assert.equal(await leases.release(key(name), 'a.1'), false)
      }
    }),
  ),
  check('a change that does not take voids nothing', async (leases, { store, key }) => {
    await leases.take(key(), 'a.1', LIFE)
    assert.equal(await store.set(key(), bytesOf('v'), { ...LONG, when: 'present' }), false)
    assert.equal(await store.compareAndDelete(key(), bytesOf('v')), false)
    assert.equal(await fillWith(leases, key(), 'a.1', 'a'), 'took')
    await leases.take(key(), 'a.1', LIFE)
    assert.equal(await store.set(key(), bytesOf('v'), { ...LONG, when: 'absent' }), false)
    assert.equal(await store.compareAndDelete(key(), bytesOf('v')), false)
    assert.equal(await fillWith(leases, key(), 'a.1', 'b', 'a'), 'took')
  }),
  check(
    'a lease that is released is granted to the next, and only its holder releases it',
    async (leases, { key }) => {
      assert.equal(await leases.release(key(), 'a.1'), false)
      await leases.take(key(), 'a.1', LIFE)
      assert.equal(await leases.release(key(), 'b.1'), false)
      assert.equal(await leases.release(key(), 'a.2'), false)
      assert.equal(await kindOf(leases, key(), 'b.1'), 'held')
      assert.equal(await leases.release(key(), 'a.1'), true)
      assert.equal(await leases.release(key(), 'a.1'), false)
      assert.equal(await kindOf(leases, key(), 'b.1'), 'granted')
    },
  ),
  check(
    'an owner who asks again has the lease by the later token, and by that alone',
    async (leases, { key }) => {
      assert.equal(await kindOf(leases, key(), 'a.9'), 'granted')
      assert.equal(await kindOf(leases, key(), 'a.10'), 'granted')
      assert.equal(await leases.renew(key(), 'a.9', LIFE), false)
      assert.equal(await leases.release(key(), 'a.9'), false)
      assert.equal(await fillWith(leases, key(), 'a.9', 'early'), 'lost')
      assertHeld(await leases.take(key(), 'b.1', LIFE), 'a.10')
      assert.equal(await leases.take(key(), 'a.11', LIFE), undefined)
      assert.equal(await leases.renew(key(), 'a.10', LIFE), false)
      assert.equal(await fillWith(leases, key(), 'a.11', 'late'), 'took')
    },
  ),
  check('owners whose names begin alike are different owners', async (leases, { key }) => {
    const owners = ['a', 'a.b', 'a.b.c', 'ab', 'a-', 'a%', 'a[0]', 'a\\']
    for (const [i, owner] of owners.entries()) {
      await leases.take(key(`${i}`), `${owner}.1`, LIFE)
      for (const other of owners) {
        if (other !== owner)
          assertHeld(await readOne(leases, key(`${i}`), `${other}.1`), `${owner}.1`)
      }
      assert.equal(await leases.renew(key(`${i}`), `${owner}.1`, LIFE), true)
    }
  }),
  check(
    'a lease ends by itself when its life is over, unless its holder renews it',
    async (leases, { key, elapse }) => {
      assert.equal((await readOne(leases, key(), 'a.1', LIFE / 2)).kind, 'granted')
      assert.equal(await leases.renew(key(), 'b.1', LIFE), false)
      assert.equal(await leases.renew(key(), 'a.1', LIFE), true)
      const held = await readOne(leases, key(), 'b.1')
      assert.ok(held.kind === 'held' && held.left > LIFE / 2)
      assert.equal(await leases.renew(key(), 'a.1', 100), true)
      await elapse(100, async () => (await kindOf(leases, key(), 'b.1')) === 'granted')
      assert.equal(await leases.renew(key(), 'a.1', LIFE), false)
      assert.equal(await leases.release(key(), 'a.1'), false)
      assert.equal(await fillWith(leases, key(), 'a.1', 'a'), 'lost')
      assertHeld(await readOne(leases, key(), 'c.1'), 'b.1')
    },
  ),
  check(
    'what the holder asks of a lease that is over is refused, also if nobody took it since',
    async (leases, { store, key, elapse }) => {
      for (const name of ['renew', 'release', 'fill', 'probe']) {
        await leases.take(key(name), 'a.1', 50)
      }
      await elapse(50, async () => (await kindOf(leases, key('probe'), 'b.1')) === 'granted')
      assert.equal(await leases.renew(key('renew'), 'a.1', LIFE), false)
      assert.equal(await leases.release(key('release'), 'a.1'), false)
      assert.equal(await fillWith(leases, key('fill'), 'a.1', 'a'), 'lost')
      assert.equal(await isAbsent(store, key('fill')), true)
    },
  ),
  check('a value whose life is over counts as nothing', async (leases, { store, key, elapse }) => {
    await store.set(key(), bytesOf('old'), { ttl: 50 })
    await store.set(key('compared'), bytesOf('old'), { ttl: 50 })
    await leases.take(key('compared'), 'a.1', LIFE)
    await elapse(50, async () => {
      return (await store.getMany([key(), key('compared')])).every((read) => read === undefined)
    })
    assert.equal(await kindOf(leases, key(), 'a.1'), 'granted')
    assert.equal(await fillWith(leases, key(), 'a.1', 'new'), 'took')
    assert.equal(await fillWith(leases, key('compared'), 'a.1', 'new', 'old'), 'refused')
  }),
  check('what a fill was called with may be changed at once', async (leases, { store, key }) => {
    await leases.take(key(), 'a.1', LIFE)
    const bytes = bytesOf('new')
    const filling = leases.fill(key(), 'a.1', { expected: undefined, bytes, ...LONG })
    bytes.fill(0)
    assert.equal(await filling, 'took')
    assertHolds(await store.get(key()), bytesOf('new'))
    await leases.take(key(), 'a.1', LIFE)
    const expected = bytesOf('new')
    const replacing = leases.fill(key(), 'a.1', { expected, bytes: bytesOf('newer'), ...LONG })
    expected.fill(0)
    assert.equal(await replacing, 'took')
  }),
]

/** For stores that can shorten a life. */
export const shortenLeaseChecks: readonly Check[] = [
  check(
    'a shorten voids the lease, whatever the key holds: its fill is lost',
    async (leases, { store, key }) => {
      for (const held of [undefined, 'old', '*']) {
        for (const name of AWKWARD) {
          if (held !== undefined) await store.set(key(name), bytesOf(held), LONG)
          assert.equal(await leases.take(key(name), 'a.1', LIFE), undefined)
          assert.equal(await shorten(store, key(name), MINUTE), held === 'old')
          const expected = held === 'old' ? held : undefined
          assert.equal(await fillWith(leases, key(name), 'a.1', 'loaded', expected), 'lost', name)
          assert.equal(await leases.release(key(name), 'a.1'), false)
          await store.delete([key(name)])
        }
      }
    },
  ),
]

/** For leases under which a value gets another life. */
export const touchChecks: readonly Check[] = [
  check(
    'a touch gives a value another life under its lease, once, and ends it',
    async (leases, { store, key }) => {
      const renewal = { expected: bytesOf('v'), ttl: 4 * MINUTE }
      for (const name of AWKWARD) {
        await store.set(key(name), bytesOf('v'), LONG)
        assert.equal(await touch(leases, key(name), 'a.1', renewal), 'lost')
        await leases.take(key(name), 'a.1', LIFE)
        assert.equal(await touch(leases, key(name), 'b.1', renewal), 'lost')
        between(await ttlLeft(store, key(name)), 0, MINUTE)
        assert.equal(await touch(leases, key(name), 'a.1', renewal), 'took', name)
        assertHolds(await store.get(key(name)), bytesOf('v'))
        between(await ttlLeft(store, key(name)), 3 * MINUTE, 4 * MINUTE)
        assert.equal(await touch(leases, key(name), 'a.1', renewal), 'lost')
        assert.equal(await leases.take(key(name), 'b.1', LIFE), undefined)
      }
    },
  ),
  check(
    'a touch gives exactly the life it says, also a shorter one than before',
    async (leases, { store, key, elapse }) => {
      await store.set(key(), bytesOf('v'), { ttl: 4 * MINUTE })
      for (const ttl of [MINUTE, 2 ** 31 + 5 * MINUTE, 2 ** 32 + 5 * MINUTE]) {
        await leases.take(key(), 'a.1', LIFE)
        assert.equal(await touch(leases, key(), 'a.1', { expected: bytesOf('v'), ttl }), 'took')
        between(await ttlLeft(store, key()), ttl - MINUTE / 2, ttl)
      }
      await leases.take(key(), 'a.1', LIFE)
      assert.equal(await touch(leases, key(), 'a.1', { expected: bytesOf('v'), ttl: 50 }), 'took')
      await elapse(50, () => isAbsent(store, key()))
    },
  ),
  check(
    'a touch takes on exactly what is expected; one that is refused ends its lease too',
    async (leases, { store, key }) => {
      await store.set(key(), bytesOf('old'), LONG)
      for (const expected of ['other', 'ol', 'olds', 'Old', '']) {
        const renewal = { expected: bytesOf(expected), ttl: 4 * MINUTE }
        assert.equal(await leases.take(key(), 'a.1', LIFE), undefined)
        assert.equal(await touch(leases, key(), 'a.1', renewal), 'refused')
        assertHolds(await store.get(key()), bytesOf('old'))
        between(await ttlLeft(store, key()), 0, MINUTE)
        assert.equal(await leases.release(key(), 'a.1'), false)
      }
    },
  ),
  check('a touch compares any bytes, few and many', async (leases, { store, key }) => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i)
    for (const expected of [new Uint8Array(0), all, Buffer.alloc(1_000_000, all)]) {
      await store.set(key(), expected, LONG)
      await leases.take(key(), 'a.1', LIFE)
      assert.equal(await touch(leases, key(), 'a.1', { expected, ...LONG }), 'took')
      assertHolds(await store.get(key()), expected)
      const other = Uint8Array.from([...expected.subarray(0, -1), 1])
      await leases.take(key(), 'a.1', LIFE)
      assert.equal(await touch(leases, key(), 'a.1', { expected: other, ...LONG }), 'refused')
    }
  }),
  check(
    'a touch brings nothing back: neither what is absent, nor what has expired or was replaced',
    async (leases, { store, key, elapse }) => {
      const renewal = { expected: bytesOf('old'), ...LONG }
      for (const expected of ['old', '']) {
        await leases.take(key(), 'a.1', LIFE)
        const answer = await touch(leases, key(), 'a.1', {
          ...renewal,
          expected: bytesOf(expected),
        })
        assert.equal(answer, 'refused')
      }
      await store.set(key(), bytesOf('old'), { ttl: 50 })
      await leases.take(key(), 'a.1', LIFE)
      await elapse(50, () => isAbsent(store, key()))
      assert.equal(await touch(leases, key(), 'a.1', renewal), 'refused')
      assert.equal(await isAbsent(store, key()), true)
      await store.set(key(), bytesOf('old'), LONG)
      await leases.take(key(), 'a.1', LIFE)
      await store.compareAndSet(key(), bytesOf('old'), bytesOf('new'), MINUTE)
      assert.equal(await touch(leases, key(), 'a.1', renewal), 'refused')
      assertHolds(await store.get(key()), bytesOf('new'))
    },
  ),
  check(
    'a touch is lost once the lease is void, has expired or was renewed by another token',
    async (leases, { store, key, elapse }) => {
      const renewal = { expected: bytesOf('v'), ttl: 4 * MINUTE }
      for (const name of ['changed', 'expired', 'later']) {
        await store.set(key(name), bytesOf('v'), LONG)
        await leases.take(key(name), 'a.1', name === 'expired' ? 50 : LIFE)
      }
      await store.set(key('changed'), bytesOf('v'), LONG)
      await leases.take(key('later'), 'a.2', LIFE)
      // Taken last: once it is over, the other one is.
      await leases.take(key('probe'), 'a.1', 50)
      await elapse(50, async () => (await kindOf(leases, key('probe'), 'b.1')) === 'granted')
      for (const name of ['changed', 'expired', 'later']) {
        assert.equal(await touch(leases, key(name), 'a.1', renewal), 'lost')
        between(await ttlLeft(store, key(name)), 0, MINUTE)
      }
      assert.equal(await touch(leases, key('later'), 'a.2', renewal), 'took')
    },
  ),
  check('what a touch was called with may be changed at once', async (leases, { store, key }) => {
    await store.set(key(), bytesOf('v'), LONG)
    await leases.take(key(), 'a.1', LIFE)
    const expected = bytesOf('v')
    const touching = touch(leases, key(), 'a.1', { expected, ...LONG })
    expected.fill(0)
    assert.equal(await touching, 'took')
    assertHolds(await store.get(key()), bytesOf('v'))
  }),
]

/** For such leases of stores that can hold a value without expiry. */
export const endlessTouchChecks: readonly Check[] = [
  check('a touch gives a life to a value without expiry', async (leases, trial) => {
    const { store, key, target } = trial
    await target.writeWithoutExpiry?.(key(), bytesOf('v'))
    await leases.take(key(), 'a.1', LIFE)
    assert.equal(await touch(leases, key(), 'a.1', { expected: bytesOf('v'), ...LONG }), 'took')
    between(await ttlLeft(store, key()), 0, MINUTE)
  }),
]
