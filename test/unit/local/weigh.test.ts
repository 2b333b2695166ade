import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Encoded, Recopied } from '../../../src/local/kept.ts'
import { estimateBytes } from '../../../src/local/weigh.ts'
import { type BuiltSource, buildSource } from '../../support/built-source.ts'

/** How to make value `i` of each kind; `count` of them are measured. */
const KINDS: Readonly<Record<string, { readonly make: string; readonly count?: number }>> = {
  'a record of 240 bytes': {
    make: `({ id: i, sku: text(i, 9), name: text(i, 27), price: i + 0.95, stock: 37, active: true,
      rating: i + 0.6, tags: [text(i, 7), text(i, 6), text(i, 9)], note: null,
      dimensions: { width: 32, height: 61, depth: 24 }, updatedAt: 1763824512345 + i })`,
  },
  'a short text': { make: 'text(i, 40)', count: 200_000 },
  'a long text': { make: 'text(i, 1000)' },
  'a text of two-byte characters': { make: `'ж'.repeat(100) + i` },
  'a text with one, late': { make: `text(i, 300) + 'ж'` },
  'whole numbers': { make: 'numbers(20, (k) => i + k)' },
  fractions: { make: 'numbers(20, (k) => i + k + 0.5)' },
  'nested objects': {
    make: '({ a: { b: { c: { d: [i, { e: i + 0.25 }] } } }, f: [{ g: i }, { g: i }] })',
  },
  'a small Map': { make: `new Map([[i, 'x' + i], [i + 1, 'y' + i], [i + 2, i]])` },
  'a larger Map': { make: 'new Map(numbers(100, (k) => [k, i + k]))', count: 5000 },
  'a Set': { make: 'new Set(numbers(100, (k) => i + k))', count: 5000 },
  'a Date': { make: '({ at: new Date(1.7e12 + i) })' },
  'a bigint': { make: '[2n ** 200n + BigInt(i)]' },
  'a few bytes': { make: 'new Uint8Array(40)' },
  'a thousand bytes': { make: 'new Uint8Array(1000)' },
  'an object of 20 keys': { make: `Object.fromEntries(numbers(20, (k) => ['k' + k, i + k]))` },
  'an object with numbers for keys': {
    make: 'Object.fromEntries(numbers(20, (k) => [i * 1000 + k * 10, k]))',
  },
  'an object of 300 keys of its own': {
    make: `Object.fromEntries(numbers(300, (k) => ['k' + i + '_' + k, k]))`,
    count: 1000,
  },
  'more records than are looked at': {
    make: `numbers(500, (k) => ({ id: i + k, name: text(k, 27), price: k + 0.5 }))`,
    count: 200,
  },
}

const PROGRAM = `
  import { msgpack } from './codec/msgpack.js'
  import { estimateBytes } from './local/weigh.js'
  const codec = msgpack()
  const text = (i, length) => (i + '-' + 'abcdefghij'.repeat(length / 10 + 1)).slice(0, length)
  const numbers = (length, at) => Array.from({ length }, (_, k) => at(k))
  const used = () => {
    for (let i = 0; i < 4; i++) gc()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const ratios = {}
  for (const [name, { make, count = 20_000 }] of Object.entries(KINDS)) {
    const of = new Function('i', 'text', 'numbers', 'return ' + make)
    const decoded = (i) => codec.decode(codec.encode(of(i, text, numbers)))
    const values = new Array(count).fill(0)
    for (let i = 0; i < 100; i++) estimateBytes(decoded(i))
    const before = used()
    for (let i = 0; i < count; i++) values[i] = decoded(i)
    const measured = (used() - before) / count
    let estimated = 0
    for (const value of values) estimated += estimateBytes(value) / count
    ratios[name] = estimated / measured
  }
  console.log(JSON.stringify(ratios))
`

describe('the estimate of what a decoded value occupies', () => {
  let built: BuiltSource
  let ratios: Record<string, number>
  beforeAll(async () => {
    built = await buildSource()
    const program = PROGRAM.replace('KINDS', () => JSON.stringify(KINDS))
    ratios = JSON.parse(built.run(program, '--expose-gc')) as Record<string, number>
  }, 60_000)
  afterAll(() => built.remove())

  it.each(Object.keys(KINDS))('is near what the heap has grown by: %s', (name) => {
    expect(ratios[name]).toBeGreaterThan(0.8)
    expect(ratios[name]).toBeLessThan(1.25)
  })
})

describe('an estimate', () => {
  it('is nothing for what stands in the slot that refers to it', () => {
    for (const value of [0, 5, -1, true, null, undefined, '', 'a', Symbol('s')]) {
      expect(estimateBytes(value)).toBe(0)
    }
    for (const value of [0.5, -0, Number.NaN, 2 ** 40]) expect(estimateBytes(value)).toBe(16)
  })

  it('counts what is met twice once, so that a cycle ends', () => {
    const part = { list: Array.from({ length: 100 }, (_, i) => i + 0.5) }
    const alone = estimateBytes([part])
    expect(estimateBytes([part, part, part])).toBe(alone)
    const cycle: { self?: unknown; part: unknown } = { part }
    cycle.self = { cycle, list: [cycle] }
    expect(estimateBytes(cycle)).toBeLessThan(alone + 1000)
    const many: unknown[] = Array.from({ length: 50 }, () => ({ part, many: [] as unknown }))
    for (const each of many) Object.assign(each as object, { many })
    expect(estimateBytes(many)).toBeLessThan(alone + 50 * 300)
  })

  it('looks at a bounded number of parts, however many there are and however deep', () => {
    let reads = 0
    const rows = Array.from({ length: 100_000 }, (_, i) => ({
      get id() {
        reads++
        return i + 0.5
      },
      name: 'x'.repeat(100),
    }))
    const estimate = estimateBytes(rows)
    expect(reads).toBeLessThan(1000)
    const row = estimateBytes([rows[0]]) - estimateBytes([0])
    expect(estimate / (100_000 * (row + 8))).toBeGreaterThan(0.9)
    expect(estimate / (100_000 * (row + 8))).toBeLessThan(1.6)
    let deep: unknown = 1
    for (let i = 0; i < 100_000; i++) deep = [deep]
    expect(estimateBytes(deep)).toBeGreaterThan(1000)
  })

  it('sees into what the local tier keeps, and into class instances', () => {
    const value = { text: 'x'.repeat(1000) }
    expect(estimateBytes(new Recopied(value))).toBeGreaterThan(1000)
    const encoded = new Encoded(new Uint8Array(5000), () => undefined)
    expect(estimateBytes(encoded)).toBeGreaterThan(5000)
    class Point {
      readonly label = 'y'.repeat(2000)
      get broken(): never {
        throw new Error('read')
      }
    }
    expect(estimateBytes(new Point())).toBeGreaterThan(2000)
    const broken = Object.defineProperty({}, 'a', {
      enumerable: true,
      get() {
        throw new Error('read')
      },
    })
    expect(estimateBytes(broken)).toBeGreaterThan(0)
  })
})
