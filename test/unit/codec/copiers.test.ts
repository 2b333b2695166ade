import { deepStrictEqual } from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Copiers } from '../../../src/codec/copiers.ts'
import { copyPlain } from '../../../src/codec/copy.ts'
import { type Copy, compileCopy } from '../../../src/codec/copy-code.ts'
import { json } from '../../../src/codec/json.ts'
import { msgpack } from '../../../src/codec/msgpack.ts'
import { NOTHING, OTHER, type Shape, widen } from '../../../src/codec/shape.ts'
import { buildSource } from '../../support/built-source.ts'
import { jsonValues, msgpackValues } from './arbitrary.ts'
import { objectsIn } from './objects-in.ts'

/** So many copies that a function is made at once. */
const MANY = 1e6

/** What JavaScript takes for more than the name of a property, and what might end one. */
const HOSTILE = [
  '__proto__',
  'constructor',
  '"',
  "'",
  '`',
  '\\',
  '\\"',
  '"]; globalThis.injected = true; v["',
  '": (globalThis.injected = true), "',
  `\${globalThis.injected = true}`,
  '*/ globalThis.injected = true /*',
  '\n globalThis.injected = true //',
  '\u2028globalThis.injected = true\u2029',
  '\0',
  '\ud800',
  'get a',
  '[a]',
  '...a',
  'async',
  '0',
  '-1',
  '1e3',
  '4294967295',
  ' ',
  '',
]

/** Records as programs make them: few names, what stands under each now a primitive, now not. */
const records: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.oneof(
      fc.constantFrom(null, true, -0, Number.NaN, 1n, 'text', undefined),
      fc.constantFrom(new Date(0), Uint8Array.of(1, 2)),
    ),
    fc.record(
      { id: tie('value'), parts: tie('value'), __proto__x: tie('value') },
      { requiredKeys: ['id'], noNullPrototype: true },
    ),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.record({ a: tie('value') }, { noNullPrototype: true }), { maxLength: 4 }),
    fc.array(tie('value'), { maxLength: 3 }).map((parts) => new Map(parts.entries())),
  ),
})).value

const hostile = fc.dictionary(
  fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary' })),
  fc.oneof(fc.constantFrom<unknown>(...HOSTILE, null, 1), fc.constant({ '"': [{ '\\': 1 }] })),
  { maxKeys: 12, noNullPrototype: true },
)

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

function expectCopied(copy: Copy, value: unknown): void {
  const made = copy(value)
  deepStrictEqual(made, copyPlain(value))
  deepStrictEqual(orderOf(made), orderOf(value))
  const own = objectsIn(value)
  expect([...objectsIn(made)].filter((object) => own.has(object))).toEqual([])
}

/** Names in their order, which equality does not look at. */
function orderOf(value: unknown): unknown {
  if (!isObject(value)) return null
  return Object.entries(value).map(([key, part]) => [key, orderOf(part)])
}

function compiled(value: unknown): Copy {
  return compileCopy(widen(NOTHING, value) as Shape) as Copy
}

describe('a generated copy', () => {
  it.each([
    ['msgpack', msgpack(), msgpackValues],
    ['json', json(), jsonValues],
  ] as const)('is what encoding and decoding gives, and shares nothing: %s', (_, codec, values) => {
    fc.assert(
      fc.property(values.filter(isObject), (value) => {
        const decoded = codec.decode(codec.encode(value))
        const copy = compiled(decoded)
        expectCopied(copy, decoded)
        deepStrictEqual(copy(decoded), codec.decode(codec.encode(decoded)))
      }),
      { numRuns: 300 },
    )
  })

  it('of a shape that was widened copies the values before and after', () => {
    fc.assert(
      fc.property(fc.array(records.filter(isObject), { minLength: 2, maxLength: 6 }), (values) => {
        const covered: unknown[] = []
        let shape: Shape = NOTHING
        for (const value of values) {
          const wider = widen(shape, value)
          if (wider === undefined) continue
          expect(widen(wider, value)).toBe(wider)
          shape = wider
          covered.push(value)
          const copy = compileCopy(shape) as Copy
          for (const each of covered) expectCopied(copy, each)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('runs nothing that stands in the name or the value of a property', () => {
    fc.assert(
      fc.property(hostile, (value) => {
        expectCopied(compiled(value), value)
        expectCopied(compiled([{ inner: value }, { inner: null }]), [
          { inner: value },
          { inner: null },
        ])
      }),
      { numRuns: 500 },
    )
    for (const key of HOSTILE) {
      const value = Object.fromEntries([[key, { [key]: key }]])
      expectCopied(compiled(value), value)
    }
    expect(globalThis).not.toHaveProperty('injected')
  })

  it('keeps an own __proto__ with what it holds', () => {
    const value = JSON.parse('{"__proto__":{"a":[1]},"b":{"__proto__":5}}') as object
    const copy = compiled(value)(value) as object
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype)
    expect(JSON.stringify(copy)).toBe(JSON.stringify(value))
  })

  it.each<[string, unknown]>([
    ['10,000 keys', Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`k${i}`, i]))],
    ['100 keys', Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, i]))],
    ['many parts', Array.from({ length: 1 }, () => wide(60, 60))],
    ['a Date', new Date(5)],
    ['a Map', new Map([[1, {}]])],
    ['bytes', Uint8Array.of(1)],
    ['no prototype', Object.assign(Object.create(null), { a: 1 })],
    ['another realm', runInNewContext('({ a: 1 })')],
    ['a class', new (class extends Array {})()],
  ])('leaves what it has no code for to the plain one: %s', (_, part) => {
    const shape = widen(NOTHING, { part, list: [part] })
    const date = part instanceof Date
    expect(JSON.stringify(shape)).toContain(date ? '"date"' : '"other"')
    expectCopied(compileCopy(shape as Shape) as Copy, { part, list: [part] })
  })

  it('goes as deep as the plain one, in code for the first levels', () => {
    let value: unknown = 1
    for (let i = 0; i < 500; i++) value = i % 2 === 0 ? [value] : { value }
    expect(JSON.stringify(widen(NOTHING, value)).length).toBeLessThan(1000)
    deepStrictEqual(compiled(value)(value), value)
  })
})

function wide(outer: number, inner: number): object {
  const part = Object.fromEntries(Array.from({ length: inner }, (_, i) => [`i${i}`, i]))
  return Object.fromEntries(Array.from({ length: outer }, (_, i) => [`o${i}`, part]))
}

describe('a shape', () => {
  it.each<[string, unknown, unknown]>([
    ['other keys', { a: 1 }, { b: 1 }],
    ['keys in another order', { a: 1, b: 1 }, { b: 1, a: 1 }],
    ['more keys', { a: 1 }, { a: 1, b: 1 }],
    ['fewer keys', { a: 1, b: 1 }, { a: 1 }],
    ['other keys far inside', { a: [{ b: 1 }] }, { a: [{ c: 1 }] }],
    ['an array for an object', { a: {} }, { a: [] }],
    ['a Date for an object', { a: {} }, { a: new Date() }],
    ['an object for a Date', { a: new Date() }, { a: {} }],
    ['a Map for what was null', { a: null }, { a: new Map() }],
  ])('is not widened to %s', (_, first, second) => {
    expect(widen(widen(NOTHING, first) as Shape, second)).toBeUndefined()
  })

  it.each<[string, unknown, unknown]>([
    ['null for an object', { a: { b: 1 } }, { a: null }],
    ['an object for null', { a: null }, { a: { b: 1 } }],
    ['parts of what was empty', { a: [] }, { a: [{ b: new Date() }] }],
    ['a Date or none', [{ a: new Date() }], [{ a: null }]],
  ])('is widened to %s', (_, first, second) => {
    const shape = widen(NOTHING, first) as Shape
    const wider = widen(shape, second) as Shape
    expect(wider).not.toBe(shape)
    expect(JSON.stringify(wider)).not.toContain('other')
    expect(widen(wider, first)).toBe(wider)
  })

  it('of an array whose parts differ leaves those to the plain copy', () => {
    const parts = [
      { kind: 1, data: { a: 1 } },
      { kind: 2, data: { b: 1 } },
    ]
    const data = { kind: 'list', part: { keys: ['kind', 'data'], parts: ['primitive', 'other'] } }
    expect(widen(NOTHING, parts)).toMatchObject(data)
    expect(widen(NOTHING, [{ a: 1 }, { b: 1 }])).toMatchObject({ kind: 'list', part: OTHER })
  })
})

describe('copiers', () => {
  const counted = () => {
    const shapes: Shape[] = []
    const compile = (shape: Shape) => {
      shapes.push(shape)
      return compileCopy(shape)
    }
    return { shapes, copiers: new Copiers(compile) }
  }

  it('make one function for all values of a shape', () => {
    const { shapes, copiers } = counted()
    const first = copiers.copierOf({ a: 1, b: [{ c: 'x' }] }, MANY)
    expect(copiers.copierOf({ a: null, b: [{ c: 2 }, { c: 3 }] }, 1)).toBe(first)
    expect(copiers.copierOf({ a: 1, b: [{ d: 'x' }] }, MANY)).not.toBe(first)
    expect(shapes.length).toBe(2)
  })

  it('make none before many copies, of one value or of several', () => {
    const { shapes, copiers } = counted()
    for (let i = 0; i < 255; i++) expect(copiers.copierOf({ id: i }, 4)).toBeUndefined()
    expect(shapes).toEqual([])
    expect(copiers.copierOf({ id: 5 }, 4)?.({ id: 6 })).toEqual({ id: 6 })
  })

  it('make a wider one once a shape has grown, and leave the earlier values theirs', () => {
    const { shapes, copiers } = counted()
    const first = copiers.copierOf({ a: null }, MANY) as Copy
    const value = { a: { b: 1 } }
    expect(copiers.copierOf(value, 4)).toBeUndefined()
    const second = copiers.copierOf(value, MANY) as Copy
    expect(second).not.toBe(first)
    expectCopied(second, value)
    expectCopied(second, { a: null })
    expect(copiers.copierOf({ a: null }, 1)).toBe(second)
    expect(shapes.length).toBe(2)
  })

  it('give up a shape that never stops growing', () => {
    const { shapes, copiers } = counted()
    const keys = Array.from({ length: 40 }, (_, i) => `k${i}`)
    for (const grown of keys.keys()) {
      const value = Object.fromEntries(keys.map((key, i) => [key, i < grown ? {} : null]))
      expectCopied(copiers.copierOf(value, MANY) ?? copyPlain, value)
    }
    expect(shapes.length).toBeLessThan(12)
  })

  it('leave values with too many or too long keys to the plain copy', () => {
    const { shapes, copiers } = counted()
    expect(copiers.copierOf(wide(100, 1), MANY)).toBe(copyPlain)
    expect(copiers.copierOf({ ['k'.repeat(10_000)]: 1 }, MANY)).toBe(copyPlain)
    expect(copiers.copierOf(wide(60, 60), MANY)).toBe(copyPlain)
    expect(shapes).toEqual([])
  })

  it('have so many functions in memory and no more, and others once those are collected', async () => {
    const { shapes, copiers } = counted()
    let held: (Copy | undefined)[] = []
    for (let i = 0; i < 700; i++) held.push(copiers.copierOf({ [`k${i}`]: i }, MANY))
    expect(shapes.length).toBe(512)
    expect(held.filter((copy) => copy !== undefined).length).toBe(512)
    held = []
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    await expect
      .poll(
        async () => {
          await turn()
          collect()
          return copiers.copierOf({ later: 1 }, MANY)
        },
        { timeout: 10_000 },
      )
      .toBeDefined()
  })

  it('remember the shapes asked for last', () => {
    const { copiers } = counted()
    const value = { a: 1 }
    expect(copiers.copierOf(value, 1000)).toBeUndefined()
    for (let i = 0; i < 1000; i++) copiers.copierOf({ [`k${i}`]: i }, 1)
    expect(copiers.copierOf(value, 20)).toBeUndefined()
    for (let i = 1000; i < 2000; i++) copiers.copierOf({ [`k${i}`]: i }, 1)
    expect(copiers.copierOf(value, 4)).toBeDefined()
    for (let i = 2000; i < 4000; i++) copiers.copierOf({ [`k${i}`]: i }, 1)
    const { copiers: others } = counted()
    expect(others.copierOf(value, 1000)).toBeUndefined()
    for (let i = 0; i < 2000; i++) others.copierOf({ [`k${i}`]: i }, 1)
    expect(others.copierOf(value, 1000)).toBeUndefined()
  })

  it('copy plainly where no code may be generated, having tried once', () => {
    let tries = 0
    const copiers = new Copiers(() => {
      tries++
      return undefined
    })
    for (let i = 0; i < 5; i++) expect(copiers.copierOf({ [`k${i}`]: 1 }, MANY)).toBe(copyPlain)
    expect(tries).toBe(1)
  })
})

describe('a process that forbids to generate code', () => {
  const program = `
    const { Recopied } = await import('./local/kept.js')
    let code = 'allowed'
    try {
      new Function('')
    } catch {
      code = 'forbidden'
    }
    const value = JSON.parse('{"__proto__":{"a":[1]},"at":null,"list":[{"id":1},{"id":2}]}')
    value.at = new Date(5)
    const kept = new Recopied(value)
    let copies = []
    for (let i = 0; i < 5000; i++) copies = [kept.give(), kept.give()]
    console.log(code, copies[0] !== copies[1], JSON.stringify(copies[0]), copies[0].at.getTime())
  `

  it('gets the same copies', async () => {
    const built = await buildSource()
    try {
      const allowed = built.run(program)
      expect(allowed).toMatch(/^allowed true .*"at":"1970-01-01T00:00:00.005Z"/)
      const forbidden = built.run(program, '--disallow-code-generation-from-strings')
      expect(forbidden).toBe(allowed.replace('allowed', 'forbidden'))
    } finally {
      await built.remove()
    }
  }, 60_000)
})
