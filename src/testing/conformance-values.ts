import assert from 'node:assert/strict'
import { assertHolds, bytesOf, type Check, isAbsent, MINUTE } from './conformance-trial.ts'

const LONG = { ttl: MINUTE }

/** What is stored comes back: any bytes, under any key. */
export const valueChecks: readonly Check[] = [
  [
    'a key never written reads as absent',
    async ({ store, key }) => {
      assert.equal(await store.get(key()), undefined)
    },
  ],
  [
    'every byte value survives, alone and in a row',
    async ({ store, key }) => {
      const all = Uint8Array.from({ length: 256 }, (_, i) => i)
      await store.set(key(), all, LONG)
      assertHolds(await store.get(key()), all)
      for (const byte of [0x00, 0x0a, 0x2a, 0x7f, 0x80, 0xc0, 0xff]) {
        await store.set(key(), Uint8Array.of(byte), LONG)
        assertHolds(await store.get(key()), Uint8Array.of(byte))
      }
    },
  ],
  [
    'an empty value is a value, not an absence',
    async ({ store, key }) => {
      assert.equal(await store.set(key(), new Uint8Array(0), LONG), true)
      assertHolds(await store.get(key()), new Uint8Array(0))
      assert.equal(await store.delete([key()]), 1)
    },
  ],
  [
    'a value of 5 MB survives',
    async ({ store, key }) => {
      const large = Buffer.alloc(
        5_000_000,
        Uint8Array.from({ length: 257 }, (_, i) => i),
      )
      await store.set(key(), large, LONG)
      assertHolds(await store.get(key()), large)
      assert.equal(await store.compareAndSet(key(), large, bytesOf('small'), MINUTE), true)
      assertHolds(await store.get(key()), bytesOf('small'))
    },
  ],
  [
    'a value that is a part of a larger buffer is stored without its surroundings',
    async ({ store, key }) => {
      const part = bytesOf('left|middle|right').subarray(5, 11)
      await store.set(key(), part, LONG)
      assertHolds(await store.get(key()), bytesOf('middle'))
      await store.compareAndSet(key(), part, Buffer.from('a Buffer'), MINUTE)
      assertHolds(await store.get(key()), bytesOf('a Buffer'))
    },
  ],
  [
    'keys that differ in a space, a control character, a case or a form of Unicode are different',
    async ({ store, key }) => {
      const names = [
        ...['a', 'A', 'a ', ' a', 'a\n', 'a\r\n', 'a\t', 'a\0', 'a\0b', 'b', '\0', '\x7f'],
        ...['{a}', '{a', 'a}', '{}', '*', '?', '[a]', '\\', '"', "'", '%', 'a:b', 'a/b', '../a'],
        ...[
          '\u00e9',
          'e\u0301',
          'ÿ',
          '漢字',
          'يونيكود',
          '👩‍👩‍👧',
          '\u{10ffff}',
          '\ufeff',
          '\uffff',
        ],
        ...['__proto__', 'constructor', 'null', 'undefined', '0', 'a'.repeat(300)],
      ]
      for (const name of names) {
        assert.equal(await store.set(key(name), bytesOf(`of ${name}`), LONG), true)
      }
      for (const name of names) {
        assertHolds(await store.get(key(name)), bytesOf(`of ${name}`), `key ${name}`)
      }
      const read = await store.getMany(names.map(key))
      read.forEach((each, i) => {
        assertHolds(each, bytesOf(`of ${names[i]}`))
      })
      assert.equal(await store.delete(names.map(key)), names.length)
    },
  ],
  [
    'keys of every length up to 65,535 bytes work',
    async ({ store, key }) => {
      const own = Buffer.byteLength(key())
      for (const length of [255, 256, 511, 512, 1977, 1978, 1979, 4096, 32_768, 65_534, 65_535]) {
        const long = key('k'.repeat(length - own))
        const value = bytesOf(`at ${length}`)
        assert.equal(await store.compareAndSet(long, undefined, value, MINUTE), true)
        assertHolds(await store.get(long), value)
        assert.equal(await store.compareAndSet(long, value, bytesOf('next'), MINUTE), true)
        assert.equal(await store.compareAndDelete(long, bytesOf('next')), true)
        assert.equal(await isAbsent(store, long), true)
      }
    },
  ],
  [
    'two keys of 65,535 bytes that differ in the last one are different keys',
    async ({ store, key }) => {
      const shared = '漢'.repeat(Math.floor((65_534 - Buffer.byteLength(key())) / 3))
      const fill = 'x'.repeat(65_534 - Buffer.byteLength(key(shared)))
      const [one, two] = [key(`${shared}${fill}1`), key(`${shared}${fill}2`)]
      await store.set(one, bytesOf('one'), LONG)
      assert.equal(await isAbsent(store, two), true)
      await store.set(two, bytesOf('two'), LONG)
      assertHolds(await store.get(one), bytesOf('one'))
      assert.equal(await store.delete([two]), 1)
      assertHolds(await store.get(one), bytesOf('one'))
    },
  ],
  [
    'returned bytes are the caller’s own: changing them changes nothing, nothing changes them',
    async ({ store, key }) => {
      await store.set(key(), bytesOf('first'), LONG)
      const [kept, spoilt] = [await store.get(key()), await store.get(key())]
      const twice = await store.getMany([key(), key()])
      spoilt?.bytes.fill(0)
      twice[0]?.bytes.fill(0)
      await store.set(key(), bytesOf('other'), LONG)
      await store.get(key())
      assertHolds(kept, bytesOf('first'))
      assertHolds(twice[1], bytesOf('first'))
      assertHolds(await store.get(key()), bytesOf('other'))
    },
  ],
  [
    'arguments may be changed as soon as the call has returned',
    async ({ store, key }) => {
      const [first, second] = [bytesOf('first'), bytesOf('second')]
      const written = store.set(key(), first, LONG)
      first.fill(0)
      await written
      assertHolds(await store.get(key()), bytesOf('first'))

      const expected = bytesOf('first')
      const compared = store.compareAndSet(key(), expected, second, MINUTE)
      expected.fill(0)
      second.fill(0)
      assert.equal(await compared, true)
      assertHolds(await store.get(key()), bytesOf('second'))

      const keys = [key()]
      const read = store.getMany(keys)
      keys.length = 0
      assert.equal((await read).length, 1)
      const again = [key()]
      const deleted = store.delete(again)
      again[0] = key('another')
      assert.equal(await deleted, 1)
    },
  ],
  [
    'getMany answers once per key, in order, duplicates and absent keys included',
    async ({ store, key }) => {
      await store.set(key('a'), bytesOf('A'), LONG)
      await store.set(key('b'), bytesOf('B'), LONG)
      const read = await store.getMany(['b', 'none', 'a', 'b', 'none'].map(key))
      assert.equal(read.length, 5)
      assertHolds(read[0], bytesOf('B'))
      assert.equal(read[1], undefined)
      assertHolds(read[2], bytesOf('A'))
      assertHolds(read[3], bytesOf('B'))
      assert.equal(read[4], undefined)
    },
  ],
  [
    'lists may be empty, and may be long',
    async ({ store, key }) => {
      assert.deepEqual(await store.getMany([]), [])
      assert.equal(await store.delete([]), 0)
      const names = Array.from({ length: 1000 }, (_, i) => String(i))
      await Promise.all(names.map((name) => store.set(key(name), bytesOf(name), LONG)))
      const read = await store.getMany(names.map(key))
      assert.equal(read.length, names.length)
      read.forEach((each, i) => {
        assertHolds(each, bytesOf(String(i)))
      })
      assert.equal(await store.delete(names.map(key)), names.length)
    },
  ],
  [
    'delete counts the keys that held something, each once',
    async ({ store, key }) => {
      await store.set(key('a'), bytesOf('A'), LONG)
      await store.set(key('b'), bytesOf('B'), LONG)
      await store.set(key('c'), bytesOf('C'), LONG)
      assert.equal(await store.delete(['a', 'none', 'b', 'a', 'b'].map(key)), 2)
      assert.equal(await isAbsent(store, key('a')), true)
      assert.equal(await isAbsent(store, key('b')), true)
      assertHolds(await store.get(key('c')), bytesOf('C'))
      assert.equal(await store.delete([key('a')]), 0)
    },
  ],
]
