import type { Cache, OnceMeta, OnceResult } from '../../src/face.ts'
import {
  createCache,
  type Duration,
  type Lookup,
  msgpack,
  type RemoteStore,
} from '../../src/index.ts'
import { lru } from '../../src/lru/index.ts'

// Checked by the compiler alone: what a user may write, and what is refused before it runs.

declare const remote: RemoteStore
declare const raw: { get(key: string): Promise<string | null> }
interface User {
  readonly id: number
}
declare const findUser: () => Promise<User>
declare const seekUser: () => Promise<User | null>
declare const askUser: () => Promise<User | undefined>
class RecordNotFound extends Error {}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles if the value has exactly that type. */
function exactly<Expected>() {
  return <Actual>(_actual: Actual, _same: Same<Actual, Expected>): void => undefined
}

const local = lru({ maxEntries: 10 })

export async function aCacheHasATier(): Promise<void> {
  exactly<Cache>()(createCache({ local }), true)
  exactly<Cache>()(createCache({ remote }), true)
  exactly<Cache>()(createCache({ local, remote }), true)
  createCache({ local, remote: undefined })
  // @ts-expect-error: no tier.
  createCache({})
  // @ts-expect-error: no tier.
  createCache({ ttl: '1h' })
  // @ts-expect-error: tiers that are none.
  createCache({ local: undefined, remote: undefined })
  // @ts-expect-error: a client is no store.
  createCache({ remote: raw })
  // @ts-expect-error: the maker of engines is no engine.
  createCache({ local: lru })
}

export function optionsHaveNamesAndTypes(): void {
  createCache({ local, ttl: '30s', codec: 'mine', codecs: { mine: msgpack() }, jitterRatio: 0 })
  // @ts-expect-error: unknown name.
  createCache({ local, expire: '1h' })
  // @ts-expect-error: unknown name.
  createCache({ local, notFound: { expire: '1h' } })
  // @ts-expect-error: an instance is no class.
  createCache({ local, notFound: { error: new RecordNotFound() } })
  // @ts-expect-error: no codec.
  createCache({ local, codec: { name: 'x' } })
  lru({ maxEntries: 10, isolation: 'copy', copy: structuredClone })
  // @ts-expect-error: nothing is copied there.
  lru({ maxEntries: 10, isolation: 'shared', copy: structuredClone })
  // @ts-expect-error: nothing is copied there.
  lru({ maxEntries: 10, isolation: 'frozen', copy: structuredClone })
  // @ts-expect-error: no bound.
  lru({})
  // @ts-expect-error: no such isolation.
  lru({ maxEntries: 10, isolation: 'deep' })
}

export const durations: readonly Duration[] = [1, 2 ** 40, '250ms', '30s', '5m', '1.5h', '7d']
export const noDurations: readonly Duration[] = [
  // @ts-expect-error: a unit of five letters.
  '5 minutes',
  // @ts-expect-error: no unit.
  '5',
  // @ts-expect-error: no number.
  's',
  // @ts-expect-error: a unit too long.
  '1w',
  // @ts-expect-error: a bigint.
  5n,
  // @ts-expect-error: a Date.
  new Date(),
]

export async function whatComesBack(cache: Cache): Promise<void> {
  exactly<User>()(await cache.once('k', findUser), true)
  exactly<User | null>()(await cache.once('k', seekUser), true)
  exactly<User | null>()(await cache.once('k', askUser), true)
  exactly<User>()(await cache.onceOrThrow('k', seekUser), true)
  exactly<number>()(await cache.once('k', () => 5 as number), true)
  exactly<null>()(await cache.once('k', () => null), true)
  exactly<unknown>()(await cache.get('k'), true)
  exactly<User | undefined>()(await cache.get<User>('k'), true)
  exactly<User>()(await cache.getOrThrow<User>('k'), true)
  exactly<User | undefined>()(cache.peek<User>('k'), true)
  exactly<Lookup<User>>()(await cache.lookup<User>('k'), true)
  exactly<boolean>()(await cache.set('k', 1), true)
  exactly<boolean>()(await cache.delete('k'), true)
  exactly<boolean>()(await cache.exists('k'), true)
  exactly<boolean>()(cache.deleteLocal('k'), true)
}

export async function aRecognisedErrorMayMakeAnyLoadNull(): Promise<void> {
  const cache = createCache({ local, notFound: { error: RecordNotFound } })
  exactly<Cache<null>>()(cache, true)
  exactly<User | null>()(await cache.once('k', findUser), true)
  exactly<User>()(await cache.onceOrThrow('k', findUser), true)
  const predicate = createCache({ local, notFound: { error: (error) => error === 404 } })
  exactly<User | null>()(await predicate.once('k', findUser), true)
  const ttlOnly = createCache({ local, notFound: { ttl: '5s' } })
  exactly<User>()(await ttlOnly.once('k', findUser), true)
  // @ts-expect-error: it may be null.
  const user: User = await cache.once('k', findUser)
  void user
}

export async function oneCall(cache: Cache, signal: AbortSignal): Promise<void> {
  await cache.once('k', findUser, { ttl: '5m', localTtl: 500, skipLocal: true, signal })
  await cache.once('k', seekUser, { ttl: (user) => user.id, cacheIf: (user) => user.id > 1 })
  await cache.once('k', ({ key, signal }) => ({ key, aborted: signal.aborted }))
  await cache.set('k', null, { ttl: '1m', when: 'absent' })
  // @ts-expect-error: no such duration.
  await cache.once('k', findUser, { ttl: '5 minutes' })
  // @ts-expect-error: unknown name.
  await cache.once('k', findUser, { expire: 5 })
  // @ts-expect-error: a read has no ttl.
  await cache.get('k', { ttl: 5 })
  // @ts-expect-error: no such condition.
  await cache.set('k', 1, { when: 'missing' })
  // @ts-expect-error: set has no signal.
  await cache.set('k', 1, { signal })
  // @ts-expect-error: a promise is no loader.
  await cache.once('k', findUser())
  // @ts-expect-error: a key is a string.
  await cache.get(5)
  // @ts-expect-error: ready takes a timeout alone.
  await cache.ready({ wait: 5 })
}

export function whatAnswersSay(found: Lookup<User>): number {
  switch (found.status) {
    case 'hit':
    case 'stale':
      return found.value.id + found.ttlLeft
    case 'absent':
      // @ts-expect-error: nothing is there.
      return found.value
    case 'miss':
      return 0
    case 'error':
      return found.error.message.length
  }
}

export const result: OnceResult<User | undefined> = null

export async function freshnessHasItsTypes(): Promise<void> {
  const cache = createCache({
    local,
    ttl: '1h',
    staleWhileRevalidate: '1m',
    staleIfError: 600_000,
    refreshAheadRatio: 0.8,
    softTimeout: 200,
    hardTimeout: '2s',
    refresh: { interval: '5m', stopAfterLastAccess: '1h', concurrency: 8, maxTasks: 100 },
  })
  const meta = await cache.once('k', findUser, { meta: true })
  exactly<OnceMeta<User>>()(meta, true)
  exactly<User | null>()((await cache.once('k', seekUser, { meta: true })).value, true)
  exactly<User>()(await cache.once('k', findUser, { refresh: true, softTimeout: false }), true)
  exactly<User>()(await cache.refresh('k', findUser), true)
  exactly<unknown>()(await cache.refresh('k'), true)
  exactly<boolean>()(await cache.expire('k'), true)
  const conditional = await cache.once('k', async ({ stale, reason, setTtl, notModified }) => {
    exactly<unknown>()(stale, true)
    exactly<'miss' | 'refresh' | 'revalidate'>()(reason, true)
    setTtl('5m')
    return stale === undefined ? findUser() : notModified()
  })
  exactly<User>()(conditional, true)
  // @ts-expect-error: no refresh without an interval.
  createCache({ local, refresh: { concurrency: 2 } })
  // @ts-expect-error: no duration.
  createCache({ local, staleIfError: '10 minutes' })
  // @ts-expect-error: whoever asks by hand wants nothing stale.
  await cache.refresh('k', findUser, { staleIfError: '1m' })
}
