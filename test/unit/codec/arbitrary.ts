import fc from 'fast-check'

/** Integers where the msgpack formats change, and doubles of every sort. */
const numbers = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.constantFrom(
    0,
    -0,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 53,
    2 ** 63,
  ),
  fc.constantFrom(
    -1,
    -32,
    -33,
    -128,
    -129,
    -32_768,
    -32_769,
    -(2 ** 31),
    -(2 ** 31) - 1,
    -(2 ** 53),
  ),
)

const strings = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary-ascii', maxLength: 300 }),
  // Latin-1, whose characters are one byte in memory and two in UTF-8.
  fc.string({ unit: fc.constantFrom('a', 'ä', 'ÿ', '\u0080'), maxLength: 70 }),
)

const keys = fc.oneof(strings, fc.constantFrom('__proto__', 'constructor', 'then', '', '0', '10'))

const dates = fc.oneof(
  fc.date({ noInvalidDate: true }),
  fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(2 ** 32 * 1000) }),
  fc.constantFrom(
    new Date(0),
    new Date(-1),
    new Date(8.64e15),
    new Date(-8.64e15),
    new Date(2 ** 34 * 1000),
  ),
)

const bytes = fc.uint8Array({ maxLength: 300 })

/** Every kind that msgpack keeps, nested. */
export const msgpackValues: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    fc.oneof(fc.constant(null), fc.boolean(), numbers, strings, fc.bigInt(), dates, bytes),
    fc.array(fc.oneof(tie('value'), fc.constant(undefined)), { maxLength: 20 }),
    fc.dictionary(keys, tie('value'), { maxKeys: 20, noNullPrototype: true }),
    fc
      .array(fc.tuple(fc.oneof(numbers, strings, fc.boolean(), tie('value')), tie('value')), {
        maxLength: 6,
      })
      .map((entries) => new Map(entries)),
    fc.array(tie('value'), { maxLength: 6 }).map((parts) => new Set(parts)),
  ),
})).value

/** Every kind that json keeps, nested. */
export const jsonValues: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    fc.oneof(fc.constant(null), fc.boolean(), strings),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(keys, tie('value'), { maxKeys: 20, noNullPrototype: true }),
  ),
})).value
