import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KeyBytes } from '../../../src/local/free-cache/key-bytes.ts'
import { type KeyHash, seededHash } from '../../../src/local/free-cache/key-hash.ts'
import { UseClock } from '../../../src/local/free-cache/use-clock.ts'
import type { KeptBytes } from '../../../src/local/kept-bytes.ts'
import type { LocalEntry, RemovalCause } from '../../../src/local/local-store.ts'
import { NOT_FOUND } from '../../../src/model/entry.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'
import { bytesEntry, checkParts, type OpenStore, openStore } from '../../support/free-store.ts'

const SMALL = { chunks: 3, chunkUnits: 100, buckets: 16, mostUnits: 25 }
const BOUND = SMALL.chunks * SMALL.chunkUnits * 8 + SMALL.buckets * 4

const KEYS = [
  'a',
  'b',
  'ab',
  'abc',
  'abcd',
  'abcde',
  '\u0000',
  'a\u0000',
  'a\u0000\u0000\u0000',
  '__proto__',
  'é',
  'ключ',
  '鍵',
  '🔑',
  'š',
  'x'.repeat(49),
  'y'.repeat(120),
  'é'.repeat(40),
]

const HASHES: Readonly<Record<string, KeyHash>> = {
  seeded: seededHash(),
  'the same for all': () => 0xdeadbeef,
  'two values': (words) => ((words[0] as number) & 1) * 0x80000000,
  'the length': (_, length) => length,
}

type Step =
  | {
      readonly kind: 'set'
      readonly key: string
      readonly length: number
      readonly form: number
      readonly life: number
      readonly stale: number
      readonly ahead: boolean
    }
  | { readonly kind: 'placeholder' | 'get' | 'peek' | 'delete' | 'again'; readonly key: string }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'clear' }

const key = fc.constantFrom(...KEYS)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 200,
    arbitrary: fc.record({
      kind: fc.constant('set' as const),
      key,
      length: fc.oneof(fc.integer({ min: 0, max: 200 }), fc.constantFrom(0, 1, 7, 8, 40)),
      form: fc.constantFrom(0, 0, 1, 254, 255),
      life: fc.constantFrom(5, 50, Infinity),
      stale: fc.constantFrom(0, 0, 20),
      ahead: fc.boolean(),
    }),
  },
  {
    weight: 140,
    arbitrary: fc.record({
      kind: fc.constantFrom('placeholder', 'get', 'get', 'peek', 'delete', 'again' as const),
      key,
    }),
  },
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant('advance' as const),
      ms: fc.integer({ min: 1, max: 30 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'clear' as const }) },
)

interface Told {
  readonly key: string
  readonly entry: LocalEntry
  readonly cause: RemovalCause
}

/** A store beside a plain map of what it may hold: it may have lost an entry, but must have said so. */
class Walk {
  readonly clock = manualClock()
  readonly told: Told[] = []
  readonly model = new Map<string, LocalEntry>()
  readonly open: OpenStore
  refused = 0
  readonly #listens: boolean
  #serial = 0

  constructor(hash: KeyHash, listens: boolean) {
    this.#listens = listens
    this.open = openStore(SMALL, {
      hash,
      clock: this.clock,
      removed: listens ? (key, entry, cause) => this.told.push({ key, entry, cause }) : undefined,
    })
  }

  take(step: Step): void {
    const { store } = this.open
    switch (step.kind) {
      case 'advance':
        this.clock.advance(step.ms)
        return
      case 'clear':
        store.clear('invalidated')
        this.#expectTold(
          [...this.model].map(([key, entry]) => ({ key, entry, cause: 'invalidated' })),
        )
        this.model.clear()
        return
      case 'delete':
        assert.equal(store.delete(step.key, 'deleted'), this.model.has(step.key))
        this.#expectLeft(step.key, 'deleted')
        return
      case 'get':
      case 'peek':
        assert.deepEqual(
          comparable(store[step.kind](step.key)),
          comparable(this.model.get(step.key)),
        )
        return
      case 'again': {
        const entry = store.peek(step.key)
        if (entry !== undefined) this.#set(step.key, { ...entry, freshUntil: this.clock.now() + 3 })
        return
      }
      case 'placeholder':
        this.#set(step.key, { ...bytesEntry(new Uint8Array(0)), kept: NOT_FOUND })
        return
      case 'set':
        this.#set(step.key, this.#entry(step))
    }
  }

  #entry(step: Extract<Step, { kind: 'set' }>): LocalEntry {
    const freshUntil = this.clock.now() + step.life
    const bytes = new Uint8Array(step.length).fill(++this.#serial % 256)
    return {
      kept: { form: step.form, bytes },
      freshUntil,
      keptUntil: freshUntil + step.stale,
      aheadAt: step.ahead ? freshUntil - 2 : Infinity,
      answer: undefined,
    }
  }

  #set(key: string, entry: LocalEntry): void {
    const { store } = this.open
    const before = this.model.get(key)
    store.set(key, entry)
    const instants =
      1 + Number(entry.keptUntil !== entry.freshUntil) + Number(entry.aheadAt !== Infinity)
    const { form, bytes } =
      entry.kept === NOT_FOUND ? { form: 0, bytes: new Uint8Array(0) } : (entry.kept as KeptBytes)
    const size = 24 + instants * 8 + Buffer.byteLength(key) + bytes.length
    const fits = Math.ceil(size / 8) <= SMALL.mostUnits && form < 255
    if (fits) this.model.set(key, entry)
    else {
      this.model.delete(key)
      this.refused++
    }
    if (before !== undefined && !(fits && sameValue(before, entry))) {
      this.#expectFirst({ key, entry: before, cause: 'replaced' })
    }
    this.#lose()
  }

  /** Others had to leave. */
  #lose(): void {
    for (const [key, entry] of this.model) {
      if (this.open.store.peek(key) !== undefined) continue
      this.model.delete(key)
      const cause = entry.keptUntil <= this.clock.now() ? 'expired' : 'evicted'
      this.#expectFirstOf({ key, entry, cause })
    }
    this.#expectTold([])
  }

  #expectLeft(key: string, cause: RemovalCause): void {
    const entry = this.model.get(key)
    this.model.delete(key)
    this.#expectTold(entry === undefined ? [] : [{ key, entry, cause }])
  }

  #expectFirst(told: Told): void {
    if (this.#listens) assert.deepEqual(plain(this.told.shift()), plain(told))
  }

  #expectFirstOf(told: Told): void {
    if (!this.#listens) return
    const at = this.told.findIndex(({ key }) => key === told.key)
    assert.ok(at >= 0, `nobody was told that ${told.key} has left`)
    assert.deepEqual(plain(this.told.splice(at, 1)[0]), plain(told))
  }

  #expectTold(expected: readonly Told[]): void {
    if (!this.#listens) return
    const byKey = (told: readonly Told[]) => new Map(told.map((each) => [each.key, plain(each)]))
    assert.equal(this.told.length, expected.length)
    assert.deepEqual(byKey(this.told), byKey(expected))
    this.told.length = 0
  }

  check(): void {
    const { store } = this.open
    checkParts(this.open, BOUND)
    assert.equal(store.size, this.model.size)
    assert.equal(store.refused, this.refused)
    for (const [key, entry] of this.model) {
      assert.deepEqual(comparable(store.peek(key)), comparable(entry))
      const { freshUntil, keptUntil, aheadAt } = entry
      assert.deepEqual(store.life(key), { freshUntil, keptUntil, aheadAt })
    }
  }
}

function sameValue(one: LocalEntry, other: LocalEntry): boolean {
  const { kept } = comparable(one) ?? {}
  return JSON.stringify(kept) === JSON.stringify(comparable(other)?.kept)
}

function comparable(entry: LocalEntry | undefined) {
  if (entry === undefined) return undefined
  const { kept, freshUntil, keptUntil, aheadAt } = entry
  if (kept === NOT_FOUND) return { kept: 'not found', freshUntil, keptUntil, aheadAt }
  const { form, bytes } = kept as KeptBytes
  return { kept: { form, bytes: [...bytes] }, freshUntil, keptUntil, aheadAt }
}

function plain(told: Told | undefined) {
  return told && { key: told.key, cause: told.cause, entry: comparable(told.entry) }
}

describe.each(Object.entries(HASHES))('a ring of bytes whose hash is %s', (_, hash) => {
  it.each([
    ['somebody listens', true],
    ['nobody listens', false],
  ])('does what a map does that loses entries, where %s', (_, listens) => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 300, size: 'max' }), (steps) => {
        const walk = new Walk(hash, listens)
        for (const each of steps) {
          walk.take(each)
          walk.check()
        }
      }),
      { numRuns: 40, endOnFailure: true },
    )
  })
})

describe('who leaves', () => {
  it('what is used again and again outlives what is not', () => {
    const { store } = openStore({ chunks: 4, chunkUnits: 600, buckets: 1000, mostUnits: 100 })
    for (let i = 0; i < 10; i++) store.set(`hot${i}`, bytesEntry(new Uint8Array(8)))
    for (let i = 0; i < 20_000; i++) {
      store.set(`cold${i}`, bytesEntry(new Uint8Array(8)))
      store.get(`hot${i % 10}`)
    }
    const left = Array.from({ length: 10 }, (_, i) => store.peek(`hot${i}`))
    expect(left).not.toContain(undefined)
    expect(store.size).toBeGreaterThan(330)
  })

  it('a peek is no use', () => {
    const { store } = openStore({ chunks: 4, chunkUnits: 600, buckets: 1000, mostUnits: 100 })
    store.set('k', bytesEntry(new Uint8Array(8)))
    for (let i = 0; i < 20_000; i++) {
      store.set(`cold${i}`, bytesEntry(new Uint8Array(8)))
      store.peek('k')
    }
    expect(store.peek('k')).toBeUndefined()
  })

  it('sums that are counted anew from time to time lead to the same decisions', () => {
    const plain = new UseClock()
    const often = new UseClock(16)
    const moments: number[] = []
    let recent = 0
    let different = 0
    for (let i = 0; i < 5000; i++) {
      const at = (i * 7919) % 61
      const known = moments[at]
      if (known === undefined) moments[at] = plain.enter()
      else if (i % 5 === 0) {
        plain.leave(known)
        moments[at] = plain.enter()
      } else moments[at] = plain.use(known)
      if (known === undefined) often.enter()
      else if (i % 5 === 0) {
        often.leave(known)
        often.enter()
      } else often.use(known)
      for (const moment of moments) {
        if (moment === undefined) continue
        if (often.isRecent(moment) !== plain.isRecent(moment)) different++
        if (plain.isRecent(moment)) recent++
      }
    }
    expect(recent).toBeGreaterThan(10_000)
    expect(different).toBe(0)
  })
})

describe('the index of a ring', () => {
  it('grows with the records to its bound and no further, and finds each of them', () => {
    const size = { chunks: 4, chunkUnits: 20_000, buckets: 1000, mostUnits: 1000 }
    const open = openStore(size)
    for (let i = 0; i < 4000; i++) {
      open.store.set(`key${i}`, bytesEntry(Uint8Array.of(i % 256)))
      if (i % 97 === 0) checkParts(open, 4 * 20_000 * 8 + 4000)
    }
    for (let i = 0; i < 4000; i++) {
      const kept = open.store.get(`key${i}`)?.kept as KeptBytes
      expect(kept.bytes[0]).toBe(i % 256)
    }
    expect(open.index.bytes).toBe(4000)
  })

  it('keeps chains short: a set that grows it divides one bucket', () => {
    const open = openStore({ chunks: 15, chunkUnits: 20_000, buckets: 100_000, mostUnits: 100 })
    for (let i = 0; i < 40_000; i++) open.store.set(`product:${i}`, bytesEntry(new Uint8Array(0)))
    let longest = 0
    let looks = 0
    open.ring.walk((position) => {
      const chunk = open.ring.chunkAt(position)
      const at = open.ring.wordAt(position)
      if (chunk.isDead(at)) return
      const hash = chunk.hash(at)
      let steps = 1
      for (let next = open.index.first(hash); next !== position; next = open.index.after(next)) {
        steps++
      }
      looks += steps
      longest = Math.max(longest, steps)
    })
    expect(looks / open.store.size).toBeLessThan(2)
    expect(longest).toBeLessThan(20)
  })
})

describe('the hash of keys', () => {
  const hashOf = (hash: KeyHash, text: string) => {
    const key = new KeyBytes()
    key.load(text)
    return hash(key.words, key.length)
  }

  it('is another one in each store', () => {
    const one = seededHash()
    const other = seededHash()
    const texts = Array.from({ length: 100 }, (_, i) => `key${i}`)
    expect(texts.filter((text) => hashOf(one, text) === hashOf(other, text)).length).toBeLessThan(3)
    expect(texts.map((text) => hashOf(one, text))).toEqual(texts.map((text) => hashOf(one, text)))
  })

  it('does not depend on what was loaded before, and tells lengths apart', () => {
    const hash = seededHash()
    const key = new KeyBytes()
    key.load('zzzzzzzzz')
    key.load('ab')
    expect(hash(key.words, key.length)).toBe(hashOf(hash, 'ab'))
    const zeros = ['', '\0', '\0\0', '\0\0\0', '\0\0\0\0', '\0\0\0\0\0']
    expect(new Set(zeros.map((text) => hashOf(hash, text))).size).toBe(zeros.length)
  })

  it('spreads keys that differ in little over all buckets', () => {
    const hash = seededHash()
    for (const shift of [0, 8, 16, 24]) {
      const buckets = new Set<number>()
      for (let i = 0; i < 4096; i++) buckets.add((hashOf(hash, `product:${i}`) >>> shift) & 255)
      expect(buckets.size).toBe(256)
    }
  })
})
