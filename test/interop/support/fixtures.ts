/** How jetcache-go writes a value that is neither a string nor a []byte: those it keeps raw. */
export type GoCodec = 'msgpack' | 'json' | 'sonic'

/** Their bytes are the same whatever Go's codec, and so one codec of ours reads them. */
export type Raw = 'text' | 'bytes'

/** What a value of the Go program is here. The names are those of `go/fixtures.go`. */
export interface Fixture {
  readonly name: string
  /** What is read here of Go's bytes; a codec that is missing cannot store the value. */
  readonly values: Partial<Readonly<Record<GoCodec, unknown>>>
  readonly raw?: Raw
  /** The codecs with which what was read cannot be written back, and why that is. */
  readonly oneWay: Partial<Readonly<Record<GoCodec, string>>>
  /** What Go says to it as the default msgpack, without `interop: 'go'`, writes it; undefined: nothing. */
  readonly refusedWithout: RegExp | undefined
}

type OneWay = string | Fixture['oneWay']

function fixture(name: string, values: Fixture['values'], oneWay: OneWay = {}): Fixture {
  const reasons =
    typeof oneWay === 'string' ? { msgpack: oneWay, json: oneWay, sonic: oneWay } : oneWay
  const value = values.msgpack as object | null
  const parts = typeof value === 'object' && value !== null ? Object.values(value) : []
  // A bigint is of a kind of its own there.
  const hasBigint = parts.some((part) => typeof part === 'bigint')
  const refusedWithout = hasBigint ? /invalid code=[cd]7 / : undefined
  return { name, values, oneWay: reasons, refusedWithout }
}

function alike(name: string, value: unknown, oneWay?: OneWay): Fixture {
  return fixture(name, { msgpack: value, json: value, sonic: value }, oneWay)
}

function differing(name: string, msgpack: unknown, json: unknown, oneWay?: OneWay): Fixture {
  return fixture(name, { msgpack, json, sonic: json }, oneWay)
}

function raw(name: string, codec: Raw, value: unknown, oneWay?: OneWay): Fixture {
  return { ...alike(name, value, oneWay), raw: codec }
}

const notInJson = (reason: string) => ({ json: reason, sonic: reason })

/** As `text` in Go: what a compressor likes. */
export function text(size: number): string {
  const phrase = 'two tiers, one answer; '
  return phrase.repeat(Math.ceil(size / phrase.length)).slice(0, size)
}

/** As `noise` in Go: what no compressor can shorten. */
export function noise(size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  let state = 2463534242
  for (let i = 0; i < size; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = state >>> 24
  }
  return bytes
}

const SIZES = { '10': 10, '64': 64, '100K': 100 * 1024, '5M': 5 * 1024 * 1024 }

function sized([name, size]: [string, number]): Fixture[] {
  const base64 = Buffer.from(noise(size)).toString('base64')
  return [
    raw(`text${name}`, 'text', text(size)),
    raw(`noise${name}`, 'bytes', noise(size)),
    alike(`letter${name}`, { Body: text(size) }),
    differing(`packet${name}`, { Body: noise(size) }, { Body: base64 }),
  ]
}

const ascii = (value: string) => new Uint8Array(Buffer.from(value))

const NO_INTS = { Int: 0, Int8: 0, Int16: 0, Int32: 0, Int64: 0 }
const NO_UINTS = { Uint: 0, Uint8: 0, Uint16: 0, Uint32: 0, Uint64: 0 }
const SMALL_EDGES = {
  ...{ Int8: -128, Int16: -32_768, Int32: -2_147_483_648 },
  ...{ Uint8: 255, Uint16: 65_535, Uint32: 4_294_967_295 },
}
const ROUNDED = notInJson('JSON.parse has rounded it')

/** What a float32 has of 0.1. */
const TENTH = Math.fround(0.1)

const NUMBERS: readonly Fixture[] = [
  alike('ints', {
    ...{ Int: -5, Int8: -6, Int16: -300, Int32: -70_000, Int64: -5_000_000_000 },
    ...{ Uint: 5, Uint8: 200, Uint16: 60_000, Uint32: 4_000_000_000, Uint64: 5_000_000_000 },
  }),
  alike('intsSafe', {
    ...NO_INTS,
    ...NO_UINTS,
    Int: Number.MIN_SAFE_INTEGER,
    Int64: Number.MAX_SAFE_INTEGER,
    Uint: Number.MAX_SAFE_INTEGER,
    Uint64: Number.MAX_SAFE_INTEGER,
  }),
  differing(
    'intsEdge',
    {
      ...SMALL_EDGES,
      Int: -(2n ** 63n),
      Int64: -(2n ** 63n),
      Uint: MAX_UINT64(),
      Uint64: MAX_UINT64(),
    },
    { ...SMALL_EDGES, Int: -(2 ** 63), Int64: -(2 ** 63), Uint: 2 ** 64, Uint64: 2 ** 64 },
    ROUNDED,
  ),
  differing(
    'intsBeyond',
    {
      ...NO_INTS,
      ...NO_UINTS,
      Int: -9007199254740993n,
      Int64: 2n ** 63n - 1n,
      Uint: 9007199254740993n,
      Uint64: 2n ** 63n,
    },
    { ...NO_INTS, ...NO_UINTS, Int: -(2 ** 53), Int64: 2 ** 63, Uint: 2 ** 53, Uint64: 2 ** 63 },
    ROUNDED,
  ),
  differing('quoted', { ID: 9007199254740993n }, { ID: '9007199254740993' }),
  alike('floats', { Float64: 0.1, Whole: 3, Huge: 1e300 }),
  singles(
    differing(
      'singles',
      {
        ...{ Float32: TENTH, Whole: 3, Vector: [TENTH, -2, Math.fround(1e30)] },
        ...{ Grid: [[TENTH], [], [2, 0.5]], Rows: [{ Float32: TENTH }, { Float32: 1.5 }] },
        ...{ Float64: 0.1, Doubles: [0.1, 1e300] },
      },
      {
        ...{ Float32: 0.1, Whole: 3, Vector: [0.1, -2, 1e30] },
        ...{ Grid: [[0.1], [], [2, 0.5]], Rows: [{ Float32: 0.1 }, { Float32: 1.5 }] },
        ...{ Float64: 0.1, Doubles: [0.1, 1e300] },
      },
    ),
  ),
  alike('singlesBeyond', { Float32: 2 ** 24 }),
  singles(
    fixture('unrealSingles', {
      msgpack: {
        Vector: [-0, Number.NaN, Infinity, -Infinity, 2 ** -149, (2 - 2 ** -23) * 2 ** 127],
      },
    }),
  ),
  fixture('unreal', {
    msgpack: { Minus0: -0, NaN: Number.NaN, Inf: Infinity, MinusInf: -Infinity },
  }),
  differing(
    'long',
    { Took: 17_280_000_000_000_001n },
    { Took: Number(17_280_000_000_000_001n) },
    ROUNDED,
  ),
]

function singles(fixture: Fixture): Fixture {
  return { ...fixture, refusedWithout: /invalid code=cb decoding float32/ }
}

function MAX_UINT64(): bigint {
  return 2n ** 64n - 1n
}

const TIMES = {
  Zero: '0001-01-01T00:00:00Z',
  Second: '2024-05-06T07:08:09Z',
  Millis: '2024-05-06T07:08:09.123Z',
  Early: '1969-07-20T20:17:40.5Z',
  Far: '2600-01-02T03:04:05.678Z',
  At: '2024-05-06T07:08:09.12Z',
}

const SCALARS: readonly Fixture[] = [
  alike('texts', {
    ...{ Plain: 'plain', Unicode: 'é 漢字 🙂 \u0000 "', Empty: '', Long: 'x'.repeat(300) },
    Bool: true,
  }),
  alike(
    'illFormed',
    { Body: 'a\ufffdb' },
    'a byte that is no UTF-8 became the replacement character',
  ),
  differing(
    'bytes',
    {
      Filled: Uint8Array.of(0, 1, 255),
      Empty: new Uint8Array(),
      None: null,
      Array: Uint8Array.of(1, 2, 3, 4),
      Raw: ascii('{"a":1}'),
    },
    { Filled: 'AAH/', Empty: '', None: null, Array: [1, 2, 3, 4], Raw: { a: 1 } },
  ),
  differing(
    'times',
    {
      ...Object.fromEntries(Object.entries(TIMES).map(([name, at]) => [name, new Date(at)])),
      Took: 90_000_000_000,
      None: null,
    },
    { ...TIMES, Took: 90_000_000_000, None: null },
  ),
  differing(
    'nano',
    { At: new Date('2024-05-06T07:08:09.123Z') },
    { At: '2024-05-06T07:08:09.123456789Z' },
    { msgpack: 'a Date has no nanoseconds' },
  ),
]

const inner = (ID: number, Name: string) => ({ ID, Name })

const COMPOUNDS: readonly Fixture[] = [
  alike('pointers', {
    ...{ Number: 7, NoNumber: null, Text: 'seven' },
    ...{ Inner: inner(1, 'one'), NoInner: null },
  }),
  alike('slices', {
    ...{ None: null, Empty: [], Ints: [1, -2, 300], Longs: [1, -2], Texts: ['a', ''] },
    ...{ Inners: [inner(1, 'one'), inner(2, 'two')], Pointers: [inner(3, 'three'), null] },
    Grid: [[1], [], [2, 3]],
  }),
  differing(
    'maps',
    {
      ...{ Counts: { a: 1 }, Inners: { one: inner(1, 'one') }, None: null, Empty: {} },
      ...{ Ints: new Map([[-7, 'seven']]), Longs: new Map([[5_000_000_000, 'five']]) },
    },
    {
      ...{ Counts: { a: 1 }, Inners: { one: inner(1, 'one') }, None: null, Empty: {} },
      ...{ Ints: { '-7': 'seven' }, Longs: { '5000000000': 'five' } },
    },
  ),
  fixture(
    'flags',
    { msgpack: { Flags: new Map([[true, 'yes']]) }, sonic: { Flags: { true: 'yes' } } },
    { sonic: 'sonic does not read its own keys' },
  ),
  alike('nested', {
    ...{ Name: 'n', BaseID: 1, BaseName: 'base', Inner: inner(2, 'two') },
    Deep: { Inner: inner(0, ''), Deeper: { Bool: false } },
  }),
  differing(
    'embedsNil',
    { MoreID: null, Name: 'n' },
    { Name: 'n' },
    {
      msgpack: 'at a nil for a field of the embedded struct Go makes one, for its own bytes too',
    },
  ),
  alike('shadowing', { BaseID: 1, BaseName: 'outer' }, 'the embedded one of two names is lost'),
  differing(
    'tagged',
    { id: 1, full_name: 'n', JSONOnly: 2 },
    { id: 1, full_name: 'n', json_only: 2 },
  ),
  differing('asArray', [1, 'n', inner(2, 'two')], { ID: 1, Name: 'n', Inner: inner(2, 'two') }),
  alike(
    'interned',
    ['Lisbon 1100', 'Lisbon 1200', 'Porto 4000', 'Porto 4100'].map((place) => {
      const [City, Zip] = place.split(' ')
      return { City, Zip }
    }),
  ),
  differing(
    'marshalers',
    { IP: ascii('192.0.2.7'), Big: ascii('12') },
    { IP: '192.0.2.7', Big: 12 },
  ),
  differing('web', { Link: ascii('https://example.org/a?b=c') }, {}, notInJson('it is left out')),
  differing(
    'anything',
    {
      ...{ Number: 1, Text: 'text', Bytes: Uint8Array.of(1, 2) },
      ...{ Bool: true, Nil: null, Float: 1.5 },
      ...{ List: [1, 'a'], Object: { a: 2 }, Time: new Date(TIMES.Second) },
    },
    {
      ...{ Number: 1, Text: 'text', Bytes: 'AQI=', Bool: true, Nil: null, Float: 1.5 },
      ...{ List: [1, 'a'], Object: { a: 2 }, Time: TIMES.Second },
    },
    notInJson('an int8 comes back to Go as a float64'),
  ),
  differing(
    'failure',
    { Err: 'it failed' },
    { Err: {} },
    notInJson('encoding/json has no error to make of an object'),
  ),
  singles(
    differing(
      'order',
      {
        ...{ ID: 7, customer: 'Ada', City: 'Lisbon', Weight: TENTH },
        ...{ PlacedAt: new Date(TIMES.Second), ShippedAt: new Date(TIMES.Zero) },
      },
      {
        ...{ ID: 7, Customer: 'Ada', City: 'Lisbon', Weight: 0.1 },
        ...{ PlacedAt: TIMES.Second, ShippedAt: TIMES.Zero },
      },
    ),
  ),
  alike('inner', inner(7, 'seven')),
  alike(
    'records',
    [...noise(150)].map((each, i) => inner(i * 1000, `customer ${each} of branch ${i % 7}`)),
  ),
]

const NOT_FOUND = 'not found is written as the placeholder'

const WHOLES: readonly Fixture[] = [
  alike('number', 42),
  alike('truth', true),
  alike('list', [1, 2, 3]),
  alike('object', { a: 'b' }),
  differing('moment', new Date(TIMES.Millis), TIMES.Millis),
  alike('nilPointer', null, NOT_FOUND),
  alike('nil', null, NOT_FOUND),
  raw('page', 'text', '<h1>Welcome</h1>'),
  raw('logo', 'bytes', Uint8Array.of(0x89, 0x50, 0x4e, 0x47)),
  raw('emptyText', 'text', ''),
  raw('emptyBytes', 'bytes', new Uint8Array(), 'Go reads empty bytes into a nil'),
  raw('rawText', 'text', 'é 漢字 🙂'),
  raw('rawBytes', 'bytes', Uint8Array.of(0, 1, 254, 255)),
]

export const FIXTURES: readonly Fixture[] = [
  ...NUMBERS,
  ...SCALARS,
  ...COMPOUNDS,
  ...WHOLES,
  ...Object.entries(SIZES).flatMap(sized),
]

const GO_CODECS: readonly GoCodec[] = ['msgpack', 'json', 'sonic']

/** For `test.each`: each fixture with each codec that can store it. */
export const CASES: readonly (readonly [name: string, goCodec: GoCodec, fixture: Fixture])[] =
  FIXTURES.flatMap((each) =>
    GO_CODECS.filter((codec) => Object.hasOwn(each.values, codec)).map(
      (codec) => [each.name, codec, each] as const,
    ),
  )
