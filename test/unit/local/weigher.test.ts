import { describe, expect, it } from 'vitest'
import { createCache } from '../../../src/cache.ts'
import type { Codec } from '../../../src/codec/codec.ts'
import type { Isolation } from '../../../src/local/local-store.ts'
import { tinyLfu } from '../../../src/local/tiny-lfu/tiny-lfu.ts'

async function weighed(isolation: Isolation, value: unknown, codec?: Codec): Promise<unknown[]> {
  const seen: unknown[] = []
  const weigh = (key: string, held: unknown) => seen.push([key, held])
  const copying = { maxBytes: 10_000, weigh }
  const local = tinyLfu(isolation === 'copy' ? copying : { ...copying, isolation })
  const cache = createCache(codec === undefined ? { local } : { local, codec })
  await cache.set('k', value)
  await cache.set('absent', null)
  await cache.once('k', () => Promise.reject(new Error('it is there')))
  return seen
}

describe('a weigh of the user', () => {
  it.each([
    ['copy', 'text'],
    ['copy', { a: [1] }],
    ['copy', { at: new Date(0) }],
    ['frozen', { a: [1] }],
    ['frozen', { at: new Date(0), in: { bytes: Uint8Array.of(1) } }],
    ['shared', { at: new Date(0) }],
  ] as const)(
    'is given each value once, and no placeholder, with isolation %s',
    async (isolation, value) => {
      expect(await weighed(isolation, value)).toStrictEqual([['k', value]])
    },
  )

  it('is given the bytes of what a codec cannot copy', async () => {
    const codec: Codec = {
      name: 'without copies',
      encode: (value) => Buffer.from(JSON.stringify(value)),
      decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()),
    }
    const [told] = (await weighed('copy', { a: 1 }, codec)) as [string, Uint8Array][]
    expect(Buffer.from(told?.[1] ?? []).toString()).toBe('{"a":1}')
  })
})
