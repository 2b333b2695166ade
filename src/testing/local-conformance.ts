import assert from 'node:assert/strict'
import type {
  LocalEntry,
  LocalStore,
  LocalSurroundings,
  RemovalCause,
} from '../local/local-store.ts'
import { manualClock } from './manual-clock.ts'

/** Steps of a random walk, and the keys that it chooses among. */
const STEPS = 20_000
const WALK_KEYS = 200

export interface LocalStoreConformanceOptions {
  /** Stands in the name of the outermost `describe`. */
  readonly name: string
  /** Makes a store with room for 20 to 100 of the entries that the checks store. */
  create(surroundings: LocalSurroundings): LocalStore
  /** What stands for a number. @default the number itself */
  readonly kept?: ((number: number) => unknown) | undefined
  /** Reads it again. @default the value itself */
  readonly numberOf?: ((kept: unknown) => unknown) | undefined
  /** Of vitest, jest, mocha or `node:test`. */
  describe(name: string, body: () => void): unknown
  it(name: string, body: () => void): unknown
}

/** A store under check, and what has been told of it. */
interface Trial {
  readonly store: LocalStore
  readonly told: (readonly [key: string, number: unknown, cause: RemovalCause])[]
  /** Stores a number for an hour. */
  put(key: string, number: number): void
  numberAt(key: string): unknown
  /** A store of the same engine that nobody listens to. */
  another(): LocalStore
  entry(number: number): LocalEntry
}

type Check = readonly [name: string, check: (trial: Trial) => void]

/**
 * The conformance suite of `LocalStore`: whoever writes an engine runs it against theirs.
 *
 * ```ts
 * import { describe, it } from 'vitest'
 * localStoreConformance({ name: 'my engine', create: (around) => myEngine().create(around), describe, it })
 * ```
 */
export function localStoreConformance(options: LocalStoreConformanceOptions): void {
  const { describe, it } = options
  describe(`LocalStore: ${options.name}`, () => {
    for (const [name, check] of checks) it(name, () => check(trialOf(options)))
  })
}

function trialOf({
  create,
  kept = (number) => number,
  numberOf = (value) => value,
}: LocalStoreConformanceOptions): Trial {
  const clock = manualClock()
  const told: Trial['told'] = []
  const store = create({
    clock,
    removed: (key, entry, cause) => told.push([key, numberOf(entry.kept), cause]),
  })
  const entry = (number: number): LocalEntry => ({
    kept: kept(number),
    freshUntil: clock.now() + 3_600_000,
    keptUntil: clock.now() + 3_600_000,
    aheadAt: Infinity,
    answer: undefined,
  })
  return {
    store,
    told,
    put: (key, number) => store.set(key, entry(number)),
    numberAt: (key) => {
      const found = store.peek(key)
      return found && numberOf(found.kept)
    },
    another: () => create({ clock, removed: undefined }),
    entry,
  }
}

const checks: readonly Check[] = [
  [
    'a key never stored has nothing, and deleting it finds nothing',
    ({ store, told }) => {
      assert.equal(store.get('a'), undefined)
      assert.equal(store.peek('a'), undefined)
      assert.equal(store.delete('a', 'deleted'), false)
      assert.equal(store.size, 0)
      assert.deepEqual(told, [])
    },
  ],
  [
    'what was stored is found until it is deleted',
    ({ store, put, numberAt }) => {
      put('a', 1)
      put('b', 2)
      assert.deepEqual([numberAt('a'), numberAt('b'), store.size], [1, 2, 2])
      assert.equal(store.delete('a', 'deleted'), true)
      assert.equal(store.delete('a', 'deleted'), false)
      assert.deepEqual([numberAt('a'), numberAt('b'), store.size], [undefined, 2, 1])
    },
  ],
  [
    'an entry comes back with the lives it was given',
    ({ store, entry }) => {
      const { kept, freshUntil } = entry(1)
      const keptUntil = freshUntil + 60_000
      const aheadAt = freshUntil - 60_000
      store.set('a', { kept, freshUntil, keptUntil, aheadAt, answer: undefined })
      const { freshUntil: fresh, keptUntil: held, aheadAt: ahead } = store.get('a') ?? entry(0)
      assert.deepEqual([fresh, held, ahead], [freshUntil, keptUntil, aheadAt])
      store.set('b', entry(2))
      assert.equal(store.get('b')?.aheadAt, Infinity)
    },
  ],
  [
    'the later of two values takes the place of the earlier',
    ({ store, put, numberAt, told }) => {
      put('a', 1)
      put('a', 2)
      assert.deepEqual([numberAt('a'), store.size], [2, 1])
      assert.deepEqual(told, [['a', 1, 'replaced']])
    },
  ],
  [
    'keys that an object would take for its own are keys like any other',
    ({ store, put, numberAt }) => {
      const keys = [
        '__proto__',
        'constructor',
        'toString',
        'k',
        'K',
        ' k',
        'ключ',
        '鍵',
        '🔑',
        '\u0000',
      ]
      keys.forEach((key, i) => void put(key, i))
      assert.deepEqual(
        keys.map((key) => numberAt(key)),
        keys.map((_, i) => i),
      )
      assert.equal(store.size, keys.length)
    },
  ],
  [
    'who deletes says why, and that is told',
    ({ store, put, told }) => {
      for (const cause of ['deleted', 'invalidated', 'expired', 'replaced'] as const) {
        put(cause, 1)
        store.delete(cause, cause)
      }
      assert.deepEqual(
        told.map(([, , cause]) => cause),
        ['deleted', 'invalidated', 'expired', 'replaced'],
      )
    },
  ],
  [
    'is empty after a clear, has told of each, and takes entries again',
    ({ store, put, numberAt, told }) => {
      put('a', 1)
      put('b', 2)
      store.clear('invalidated')
      assert.deepEqual([store.size, numberAt('a')], [0, undefined])
      assert.deepEqual(new Set(told.map(String)), new Set(['a,1,invalidated', 'b,2,invalidated']))
      put('b', 3)
      assert.deepEqual([numberAt('a'), numberAt('b'), store.size], [undefined, 3, 1])
    },
  ],
  [
    'shares nothing with another store of its engine',
    ({ put, another, entry, numberAt }) => {
      const other = another()
      put('a', 1)
      assert.equal(other.get('a'), undefined)
      other.set('a', entry(2))
      assert.equal(numberAt('a'), 1)
    },
  ],
  [
    'beyond its room, others leave as evicted, and never the number of entries grows without bound',
    ({ store, put, told }) => {
      for (let i = 0; i < 1000; i++) put(`k${i}`, i)
      assert.ok(store.size >= 20 && store.size <= 100, `it holds ${store.size}`)
      assert.equal(told.length, 1000 - store.size)
      assert.ok(told.every(([, , cause]) => cause === 'evicted'))
    },
  ],
  [
    'on a random walk it holds the last value of a key or none, and tells of each that left, once',
    randomWalk,
  ],
]

function randomWalk({ store, put, numberAt, told }: Trial): void {
  const last = new Map<string, number>()
  let state = 12_345
  const random = (below: number): number => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
  let heard = 0
  const hear = (putKey?: string, put?: number) => {
    let stays = true
    for (; heard < told.length; heard++) {
      const [key = '', number] = told[heard] ?? []
      // What was stored just now may have had to go at once.
      if (key === putKey && number === put) stays = false
      else assert.equal(number, last.get(key), `${key} is told to have left with ${number}`)
      last.delete(key)
    }
    return stays
  }
  for (let step = 1; step <= STEPS; step++) {
    const key = `key${Math.min(random(WALK_KEYS), random(WALK_KEYS))}`
    const action = random(10)
    if (action < 5) {
      const found = store.get(key)
      assert.equal(
        found !== undefined,
        last.has(key),
        `${key} is ${last.has(key) ? '' : 'not '}there`,
      )
    } else if (action < 9) {
      put(key, step)
      if (hear(key, step)) last.set(key, step)
    } else {
      assert.equal(store.delete(key, 'deleted'), last.has(key))
    }
    hear()
    assert.equal(store.size, last.size)
    assert.equal(numberAt(key), last.get(key))
  }
}
