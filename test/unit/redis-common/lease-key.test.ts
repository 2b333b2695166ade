import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { leaseKey } from '../../../src/redis-common/lease-key.ts'
import { startRedis } from '../../../src/testing/servers/redis.ts'

/** Processes of every version share them: a name that changed would let two load at once. */
const KNOWN: readonly (readonly [key: string, lease: string])[] = [
  ['user:1', '_#JL#{user:1}'],
  ['größe€😀', '_#JL#{größe€😀}'],
  ['{', '_#JL#{{}'],
  ['a{b', '_#JL#{a{b}'],
  ['{tenant}:1', '_#JL#{tenant}:{tenant}:1'],
  ['x{y}z{u}', '_#JL#{y}:x{y}z{u}'],
  ['{a{b}c}', '_#JL#{a{b}:{a{b}c}'],
  ['a}b', '_#JL#{20658}:a}b'],
  ['x{}{y}', '_#JL#{3355}:x{}{y}'],
  ['', '_#JL#{3560}:'],
]

const PIECES = ['a', 'user:1', '{', '}', '{}', '{x}', '}{', ':', ' ', '\0', 'é', '€', '😀', '_#JL#']

/** The same keys in each run. */
function randomKeys(count: number): readonly string[] {
  let state = 7
  const next = (below: number) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((state / 2 ** 31) * below)
  }
  return Array.from({ length: count }, () =>
    Array.from({ length: next(7) }, () => PIECES[next(PIECES.length)]).join(''),
  )
}

const KEYS = [...new Set(['', ...KNOWN.map(([key]) => key), ...randomKeys(3000)])]

describe('The lease of a key', () => {
  let server: Awaited<ReturnType<typeof startRedis>>

  beforeAll(async () => {
    server = await startRedis({ args: ['--cluster-enabled', 'yes'] })
  })

  afterAll(() => server.stop())

  it.each(KNOWN)('%j has the name %j', (key, lease) => {
    expect(leaseKey(key)).toBe(lease)
  })

  it('is in the slot of the key, as the server counts, whatever the key', async () => {
    const client = createClient({ url: server.url })
    await client.connect()
    const slots = (keys: readonly string[]) =>
      Promise.all(keys.map((key) => client.sendCommand(['CLUSTER', 'KEYSLOT', key])))
    try {
      expect(await slots(KEYS.map(leaseKey))).toEqual(await slots(KEYS))
    } finally {
      client.destroy()
    }
  })

  it('is its own, and begins as no key of an application does', () => {
    const leases = KEYS.map(leaseKey)
    expect(new Set(leases).size).toBe(KEYS.length)
    for (const lease of leases) expect(lease).toMatch(/^_#JL#\{/)
  })
})
