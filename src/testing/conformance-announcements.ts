import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Announcement, RemoteLeases, RemoteStore } from '../remote/remote-store.ts'
import {
  assertHolds,
  bytesOf,
  type Check,
  MINUTE,
  shorten,
  type Trial,
  touch,
} from './conformance-trial.ts'

const LIFE = MINUTE
const LONG = { ttl: MINUTE }

interface Listening {
  readonly say: (text: string) => Announcement
  /** Asserts that exactly these were heard since the last time, in this order. */
  heard(...texts: string[]): Promise<void>
}

/** Everybody's channel is their own. */
async function listen({ store, target, key, elapse }: Trial): Promise<Listening> {
  assert.ok(target.listen !== undefined, 'the target has no `listen`')
  const channel = `channel:${randomUUID()}`
  let heard: string[] = []
  await target.listen(channel, (text) => heard.push(text))
  const say = (text: string): Announcement => ({ channel, text })
  let last = 0
  const beside = nameBeside(store, key())
  return {
    say,
    heard: async (...texts) => {
      // One that is certain to come, behind whatever should not have come.
      const end = `end ${++last}`
      await store.delete([beside], { announce: say(end) })
      await elapse(0, async () => heard.includes(end))
      const before = heard
      heard = []
      assert.deepEqual(before, [...texts, end])
    },
  }
}

/** A key of the same group: what two servers of a store publish comes in no order. */
function nameBeside(store: RemoteStore, key: string): string {
  for (let number = 0; ; number++) {
    const name = `${key}beside${number}`
    if (store.groupOf?.(name) === store.groupOf?.(key)) return name
  }
}

function check(
  sentence: string,
  body: (trial: Trial, listening: Listening, leases: RemoteLeases) => Promise<void>,
): Check {
  return [
    sentence,
    async (trial) => {
      assert.ok(trial.store.origin !== undefined, 'it has no origin')
      assert.ok(trial.store.leases !== undefined, 'it has no leases')
      await body(trial, await listen(trial), trial.store.leases)
    },
  ]
}

/** What is published together with a change. */
export const announcementChecks: readonly Check[] = [
  check('a set announces if it takes', async ({ store, key }, { say, heard }) => {
    const set = (text: string, when?: 'absent' | 'present') =>
      store.set(key(), bytesOf(text), { ...LONG, when, announce: say(text) })
    assert.equal(await set('present 1', 'present'), false)
    assert.equal(await set('absent 1', 'absent'), true)
    assert.equal(await set('absent 2', 'absent'), false)
    assert.equal(await set('present 2', 'present'), true)
    assert.equal(await set('any'), true)
    await heard('absent 1', 'present 2', 'any')
  }),
  check('a delete announces whether or not there was something', async (trial, { say, heard }) => {
    const { store, key } = trial
    await store.set(key(), bytesOf('v'), LONG)
    assert.equal(await store.delete([key()], { announce: say('held') }), 1)
    assert.equal(await store.delete([key()], { announce: say('absent') }), 0)
    await heard('held', 'absent')
  }),
  check('a compareAndDelete announces if it takes', async ({ store, key }, { say, heard }) => {
    const compareAndDelete = (text: string) =>
      store.compareAndDelete(key(), bytesOf(text), { announce: say(text) })
    await store.set(key(), bytesOf('v'), LONG)
    assert.equal(await compareAndDelete('w'), false)
    assert.equal(await compareAndDelete('v'), true)
    assert.equal(await compareAndDelete('v'), false)
    await heard('v')
  }),
  check('a fill announces if it takes', async ({ store, key }, { say, heard }, leases) => {
    const fill = (text: string) =>
      leases.fill(key(), 'a.1', {
        expected: undefined,
        bytes: bytesOf('v'),
        ...LONG,
        announce: say(text),
      })
    assert.equal(await fill('lost'), 'lost')
    await leases.take(key(), 'a.1', LIFE)
    assert.equal(await fill('took'), 'took')
    await leases.take(key(), 'a.1', LIFE)
    assert.equal(await fill('refused'), 'refused')
    await heard('took')
    assertHolds(await store.get(key()), bytesOf('v'))
  }),
  check('any text arrives as it is', async ({ store, key }, { say, heard }) => {
    const texts = ['', ' ', '\0', '"\\\n', 'größe€😀', 'x'.repeat(100_000)]
    for (const text of texts) await store.delete([key()], { announce: say(text) })
    await heard(...texts)
  }),
  check('whoever hears of a change can read it', async ({ store, target, key, elapse }) => {
    const channel = `channel:${randomUUID()}`
    const reads: Promise<void>[] = []
    await target.listen?.(channel, (text) => {
      const read = async () => assertHolds(await store.get(key()), bytesOf(text), 'not yet there')
      reads.push(read())
    })
    for (let i = 0; i < 20; i++) {
      const text = `v${i}`
      await store.set(key(), bytesOf(text), { ...LONG, announce: { channel, text } })
      await elapse(0, async () => reads.length > i)
      await Promise.all(reads)
    }
  }),
  check(
    'a release wakes those who have found the lease held, and says nothing if there are none',
    async ({ key }, { say, heard }, leases) => {
      await leases.take(key(), 'a.1', LIFE)
      assert.equal(await leases.release(key(), 'a.1', say('unmarked')), true)
      await leases.take(key(), 'a.1', LIFE)
      await leases.read([key()], 'b.1', LIFE)
      assert.equal(await leases.release(key(), 'c.1', say('of another')), false)
      assert.equal(await leases.release(key(), 'a.1', say('marked by a read')), true)
      await leases.take(key(), 'a.1', LIFE)
      await leases.take(key(), 'b.1', LIFE)
      assert.equal(await leases.release(key(), 'a.1', say('marked by a take')), true)
      await leases.take(key(), 'b.1', LIFE)
      assert.equal(await leases.release(key(), 'b.1', say('unmarked again')), true)
      await heard('marked by a read', 'marked by a take')
    },
  ),
  check(
    'a fill wakes those who have found the lease held, whether it takes or is refused',
    async ({ key }, { say, heard }, leases) => {
      const fill = (expected: string | undefined, text: string) =>
        leases.fill(key(), 'a.1', {
          expected: expected === undefined ? undefined : bytesOf(expected),
          bytes: bytesOf('v'),
          ...LONG,
          wake: say(text),
        })
      await leases.take(key(), 'a.1', LIFE)
      assert.equal(await fill(undefined, 'unmarked'), 'took')
      for (const [expected, outcome] of [
        [undefined, 'refused'],
        ['v', 'took'],
      ] as const) {
        await leases.take(key(), 'a.1', LIFE)
        await leases.take(key(), 'b.1', LIFE)
        assert.equal(await fill(expected, outcome), outcome)
      }
      assert.equal(await fill('v', 'lost'), 'lost')
      await heard('refused', 'took')
    },
  ),
  check(
    'who waits is remembered through a renewal, and when the owner asks again',
    async ({ key }, { say, heard }, leases) => {
      await leases.take(key(), 'a.1', LIFE)
      await leases.read([key()], 'b.1', LIFE)
      await leases.renew(key(), 'a.1', LIFE)
      assert.equal(await leases.take(key(), 'a.2', LIFE), undefined)
      await leases.read([key()], 'a.3', LIFE)
      assert.equal(await leases.release(key(), 'a.3', say('wake')), true)
      await heard('wake')
    },
  ),
]

/** For stores that can shorten a life. */
export const shortenAnnouncementChecks: readonly Check[] = [
  check(
    'a shorten announces whether or not there was something',
    async ({ store, key }, { say, heard }) => {
      const left = MINUTE / 2
      await store.set(key(), bytesOf('v'), LONG)
      assert.equal(await shorten(store, key(), left, { announce: say('held') }), true)
      assert.equal(await shorten(store, key(), MINUTE, { announce: say('ends sooner') }), true)
      await store.set(key(), bytesOf('*'), LONG)
      assert.equal(await shorten(store, key(), left, { announce: say('nothing') }), false)
      assert.equal(await shorten(store, key(), left, { announce: say('absent') }), false)
      await shorten(store, key(), left)
      await heard('held', 'ends sooner', 'nothing', 'absent')
    },
  ),
]

/** For leases under which a value gets another life. */
export const touchAnnouncementChecks: readonly Check[] = [
  check('a touch announces if it takes', async ({ store, key }, { say, heard }, leases) => {
    const touchWith = (text: string, expected = 'v') =>
      touch(leases, key(), 'a.1', { expected: bytesOf(expected), ...LONG, announce: say(text) })
    await store.set(key(), bytesOf('v'), LONG)
    assert.equal(await touchWith('lost'), 'lost')
    await leases.take(key(), 'a.1', LIFE)
    assert.equal(await touchWith('took'), 'took')
    await leases.take(key(), 'a.1', LIFE)
    assert.equal(await touchWith('refused', 'other'), 'refused')
    await heard('took')
  }),
  check(
    'a touch wakes those who have found the lease held, whether it takes or is refused',
    async ({ store, key }, { say, heard }, leases) => {
      const touchWith = (text: string, expected = 'v') =>
        touch(leases, key(), 'a.1', { expected: bytesOf(expected), ...LONG, wake: say(text) })
      await store.set(key(), bytesOf('v'), LONG)
      await leases.take(key(), 'a.1', LIFE)
      assert.equal(await touchWith('unmarked'), 'took')
      await leases.take(key(), 'a.1', LIFE)
      assert.equal(await touchWith('unmarked too', 'other'), 'refused')
      for (const [expected, outcome] of [
        ['other', 'refused'],
        ['v', 'took'],
      ] as const) {
        await leases.take(key(), 'a.1', LIFE)
        await leases.take(key(), 'b.1', LIFE)
        assert.equal(await touchWith(outcome, expected), outcome)
      }
      assert.equal(await touchWith('lost'), 'lost')
      await heard('refused', 'took')
    },
  ),
]
