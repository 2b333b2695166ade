import assert from 'node:assert/strict'
import type { RemoteStore } from '../remote/remote-store.ts'
import {
  announcementChecks,
  shortenAnnouncementChecks,
  touchAnnouncementChecks,
} from './conformance-announcements.ts'
import { conditionChecks } from './conformance-conditions.ts'
import {
  endlessTouchChecks,
  leaseChecks,
  shortenLeaseChecks,
  touchChecks,
} from './conformance-leases.ts'
import {
  endlessLifeChecks,
  endlessShortenChecks,
  lifeChecks,
  shortenChecks,
} from './conformance-lives.ts'
import {
  assertHolds,
  bytesOf,
  type Check,
  MINUTE,
  type RemoteStoreTarget,
  runCheck,
  shorten,
  touch,
} from './conformance-trial.ts'
import { valueChecks } from './conformance-values.ts'

export interface RemoteStoreConformanceOptions {
  /** Stands in the name of the outermost `describe`. */
  readonly name: string
  /** Makes a store for one check. It is opened, used, closed and disposed of. */
  create(): Promise<RemoteStoreTarget>
  /** Whether `create` gives `writeWithoutExpiry`. Default `false`. */
  readonly endlessLives?: boolean | undefined
  /** Whether the store has `leases`. Default `false`: it must have none. */
  readonly leases?: boolean | undefined
  /** Whether the store has an `origin`, and `create` gives `listen`. Default `false`: it must have none. */
  readonly announcements?: boolean | undefined
  /** Whether the store has `shorten`. Default `false`: it must have none. */
  readonly shortens?: boolean | undefined
  /** Whether its leases have `touch`. Default `false`: they must have none. */
  readonly touches?: boolean | undefined
  /** Of vitest, jest, mocha or `node:test`. */
  describe(name: string, body: () => void): unknown
  it(name: string, body: () => Promise<void>): unknown
}

/**
 * The conformance suite of `RemoteStore`: whoever writes an adapter runs it against theirs. It
 * asserts with `node:assert`, waits for conditions rather than for time, takes a few seconds at
 * most, and can share a server with others.
 *
 * ```ts
 * import { describe, it } from 'vitest'
 * remoteStoreConformance({ name: 'my store', create: startMyStore, describe, it })
 * ```
 */
export function remoteStoreConformance(options: RemoteStoreConformanceOptions): void {
  const { describe, it } = options
  const create = () => options.create()
  const lives = options.endlessLives === true ? [...lifeChecks, ...endlessLifeChecks] : lifeChecks
  const shortening = [
    ...shortenChecks,
    ...(options.endlessLives === true ? endlessShortenChecks : []),
    ...(options.leases === true ? shortenLeaseChecks : []),
    ...(options.announcements === true ? shortenAnnouncementChecks : []),
  ]
  const touching = [
    ...touchChecks,
    ...(options.endlessLives === true ? endlessTouchChecks : []),
    ...(options.announcements === true ? touchAnnouncementChecks : []),
  ]
  const groups: readonly (readonly [string, readonly Check[]])[] = [
    ['bytes under keys', valueChecks],
    ['lives', lives],
    ['conditions', conditionChecks],
    ['leases', options.leases === true ? leaseChecks : NO_LEASES],
    ['announcements', options.announcements === true ? announcementChecks : NO_ANNOUNCEMENTS],
    ['lives shortened', options.shortens === true ? shortening : NO_SHORTENING],
    ['lives renewed', options.touches === true ? touching : NO_TOUCHING],
    ['opening and closing', closingChecks],
  ]
  describe(`RemoteStore: ${options.name}`, () => {
    for (const [name, checks] of groups) {
      describe(name, () => {
        for (const check of checks) it(check[0], () => runCheck(create, check))
      })
    }
  })
}

/** So that nobody has them unchecked. */
const NO_LEASES: readonly Check[] = [
  ['it has none', async ({ store }) => assert.equal(store.leases, undefined, 'it has leases')],
]

const NO_ANNOUNCEMENTS: readonly Check[] = [
  ['it makes none', async ({ store }) => assert.equal(store.origin, undefined, 'it has an origin')],
]

const NO_SHORTENING: readonly Check[] = [
  [
    'it shortens none',
    async ({ store }) => assert.equal(store.shorten, undefined, 'it has `shorten`'),
  ],
]

const NO_TOUCHING: readonly Check[] = [
  [
    'it renews none',
    async ({ store }) => assert.equal(store.leases?.touch, undefined, 'its leases have `touch`'),
  ],
]

const closingChecks: readonly Check[] = [
  [
    'it has a name, and answers a ping',
    async ({ store }) => {
      assert.match(store.name, /./)
      assert.equal(await store.ping(), undefined)
    },
  ],
  [
    'it works until each open has had its close',
    async ({ store, key }) => {
      store.open()
      await store.set(key(), bytesOf('v'), { ttl: MINUTE })
      await store.close()
      assertHolds(await store.get(key()), bytesOf('v'))
      await store.ping()
    },
  ],
  [
    'every operation settles after the last close; it rejects if the store ended its own work',
    async ({ store, target, key }) => {
      await store.set(key(), bytesOf('v'), { ttl: 1000 })
      await store.close()
      for (const operation of operationsOn(store, key())) {
        if (target.endsOnClose) await assert.rejects(operation)
        else await Promise.allSettled([operation()])
      }
      store.open()
    },
  ],
  [
    'it works again when it is opened again',
    async ({ store, key }) => {
      await store.close()
      store.open()
      await store.ping()
      await store.set(key(), bytesOf('v'), { ttl: MINUTE })
      assertHolds(await store.get(key()), bytesOf('v'))
    },
  ],
]

function operationsOn(store: RemoteStore, key: string): readonly (() => Promise<unknown>)[] {
  const bytes = bytesOf('v')
  const { leases } = store
  const fill = { expected: undefined, bytes, ttl: MINUTE }
  const renewal = { expected: bytes, ttl: MINUTE }
  const ofLeases =
    leases === undefined
      ? []
      : [
          () => leases.read([key], 'a.1', 1000),
          () => leases.take(key, 'a.1', 1000),
          () => leases.renew(key, 'a.1', 1000),
          () => leases.fill(key, 'a.1', fill),
          () => leases.release(key, 'a.1'),
        ]
  return [
    ...ofLeases,
    ...(leases?.touch === undefined ? [] : [() => touch(leases, key, 'a.1', renewal)]),
    ...(store.shorten === undefined ? [] : [() => shorten(store, key, 1000)]),
    () => store.get(key),
    () => store.getMany([key]),
    () => store.set(key, bytes, { ttl: MINUTE }),
    () => store.compareAndSet(key, bytes, bytes, MINUTE),
    () => store.compareAndDelete(key, bytes),
    () => store.delete([key]),
    () => store.ping(),
  ]
}
