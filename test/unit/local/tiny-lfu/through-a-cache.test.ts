import { describe, expect, it } from 'vitest'
import { createCache } from '../../../../src/cache.ts'
import { type TinyLfuOptions, tinyLfu } from '../../../../src/local/tiny-lfu/tiny-lfu.ts'
import { manualClock } from '../../../../src/testing/manual-clock.ts'
import { buildSource } from '../../../support/built-source.ts'
import { HeldLoader } from '../../../support/held-loader.ts'

function open(options: TinyLfuOptions) {
  const warned: string[] = []
  const logger = { warn: (message: string) => void warned.push(message) }
  const cache = createCache({ local: tinyLfu(options), clock: manualClock(), logger })
  return { cache, warned }
}

const MAX_BYTES = 16 * 2 ** 20

const PROGRAM = `
  import { createCache } from './index.js'
  import { tinyLfu } from './local/tiny-lfu/tiny-lfu.js'
  const text = (i, length) => (i + '-' + 'abcdefghij'.repeat(length / 10 + 1)).slice(0, length)
  const value = (i) => ({ id: i, sku: text(i, 9), name: text(i, 27), price: i + 0.95, stock: 37,
    active: true, rating: i + 0.6, tags: [text(i, 7), text(i, 6), text(i, 9)], note: null,
    dimensions: { width: 32, height: 61, depth: 24 }, updatedAt: 1763824512345 + i })
  const used = () => {
    for (let i = 0; i < 4; i++) gc()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const warm = createCache({ local: tinyLfu({ maxBytes: 100_000 }), logger: false })
  for (let i = 0; i < 1000; i++) await warm.set('warm:' + i, value(i))
  const before = used()
  const cache = createCache({ local: tinyLfu({ maxBytes: ${MAX_BYTES} }), logger: false })
  for (let i = 0; i < 60_000; i++) await cache.set('product:' + i, value(i))
  const grown = used() - before
  console.log(JSON.stringify({ grown, entries: cache.stats().localEntries }))
`

describe('a cache with tinyLfu({ maxBytes })', () => {
  it('occupies about as much of the heap as it was given, and not much more', async () => {
    const built = await buildSource()
    try {
      const { grown, entries } = JSON.parse(built.run(PROGRAM, '--expose-gc'))
      expect(entries).toBeLessThan(40_000)
      expect(grown / MAX_BYTES).toBeLessThan(1.5)
      expect(grown / MAX_BYTES).toBeGreaterThan(0.5)
    } finally {
      await built.remove()
    }
  }, 60_000)

  it.each(['copy', 'frozen', 'shared'] as const)(
    'lets the user weigh each value as it is stored, once, and no placeholder, isolated by %s',
    async (isolation) => {
      const asked: [string, unknown][] = []
      const weigh = (key: string, value: unknown) => asked.push([key, value])
      const { cache } = open({ maxBytes: 10_000, weigh, isolation })
      const values = [{ a: [1] }, 'text', 5, { at: new Date(5) }, [new Map([[1, { b: 2 }]])]]
      for (const [i, value] of values.entries()) await cache.set(`k${i}`, value)
      expect(await cache.once('absent', () => null)).toBeNull()
      expect(asked).toEqual(values.map((value, i) => [`k${i}`, value]))
      expect(cache.stats().localEntries).toBe(6)
    },
  )

  it.each([
    ['throws', () => expect.fail('no scales'), /weigh threw: .*no scales/],
    ['gives a text', () => '5', /returned "5"/],
    ['gives less than nothing', () => -1, /returned -1/],
    ['gives no number', () => Number.NaN, /returned NaN/],
  ])('does not keep a value whose weigh %s, says so and counts it', async (_, bad, message) => {
    const weigh = (key: string) => (key === 'bad' ? (bad() as number) : 0)
    const { cache, warned } = open({ maxBytes: 10_000, weigh })
    await cache.set('good', 1)
    expect(await cache.once('bad', () => ({ a: 1 }))).toEqual({ a: 1 })
    expect([cache.peek('good'), cache.peek('bad')]).toEqual([1, undefined])
    expect(cache.stats()).toMatchObject({ localEntries: 1, localRefused: 1 })
    expect(warned.filter((each) => message.test(each)).length).toBe(1)
  })

  it('adds key and bookkeeping to what weigh says', async () => {
    const { cache } = open({ maxBytes: 3000, weigh: () => 0 })
    for (let i = 0; i < 100; i++) await cache.set(`k${i}`, i)
    expect(cache.stats().localEntries).toBeLessThanOrEqual(12)
    expect(cache.stats().localEntries).toBeGreaterThanOrEqual(10)
  })
})

describe('a running load', () => {
  it('survives that its key has no room: its callers get the value of one load', async () => {
    const { cache } = open({ maxEntries: 1 })
    const loader = new HeldLoader<string>()
    const callers = [cache.once('k1', loader.load), cache.once('k1', loader.load)]
    const run = await loader.run(0)
    for (let i = 2; i < 20; i++) await cache.set(`k${i}`, i)
    callers.push(cache.once('k1', loader.load))
    run.resolve('loaded')
    expect(await Promise.all(callers)).toEqual(['loaded', 'loaded', 'loaded'])
    expect(loader.runs.length).toBe(1)
    expect(cache.peek('k1')).toBe('loaded')
    expect(cache.stats().localEntries).toBe(1)
  })
})
