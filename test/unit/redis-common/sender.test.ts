import { describe, expect, it } from 'vitest'
import {
  NotSentError,
  type RedisArgument,
  type RedisConnection,
} from '../../../src/redis-common/redis-connection.ts'
import { RedisStore } from '../../../src/redis-common/redis-store.ts'
import { connectionTo, pretended } from './fake-servers.ts'

interface Sent {
  readonly command: 'evalsha' | 'eval'
  readonly keys: readonly string[]
  readonly args: readonly RedisArgument[]
}

/** A store whose scripts are answered in turn; an error is what the server says. */
function storeThatHears(answers: readonly unknown[]) {
  const sent: Sent[] = []
  const before: (() => void)[] = []
  const left = [...answers]
  const answer =
    (command: Sent['command']): RedisConnection['eval'] =>
    async (_script, keys, args) => {
      sent.push({ command, keys, args })
      const next = left.shift()
      await Promise.resolve()
      before.shift()?.()
      if (next instanceof Error) throw next
      return next
    }
  const connection = connectionTo([pretended()])
  const store = new RedisStore(
    Object.assign(connection, { evalSha: answer('evalsha'), eval: answer('eval') }),
    {},
  )
  store.open()
  return { store, sent, before }
}

const UNKNOWN = new Error('NOSCRIPT No matching script.')
const ON_ITS_WAY = new Error('TRYAGAIN Multiple keys request during rehashing of slot')
const ttl = 60_000
const bytes = Uint8Array.of(1, 2, 3)

describe('A script that the server does not know', () => {
  it('is sent with the bytes as they were at the call', async () => {
    const { store, sent } = storeThatHears([UNKNOWN, 1])
    const given = Uint8Array.from(bytes)
    const setting = store.compareAndSet('k', given, given, ttl)
    given.fill(0)
    expect(await setting).toBe(true)
    expect(sent.map(({ command }) => command)).toEqual(['evalsha', 'eval'])
    const [expected, next] = sent[1]?.args ?? []
    expect([expected, next].map((one) => new Uint8Array(one as Uint8Array))).toEqual([bytes, bytes])
  })

  it('is not sent with its source once the operation was withdrawn', async () => {
    const { store, sent, before } = storeThatHears([UNKNOWN, 1])
    before.push(() => store.withdraw())
    await expect(store.compareAndSet('k', bytes, bytes, ttl)).rejects.toThrow(NotSentError)
    expect(sent).toHaveLength(1)
  })

  it('goes out once if it sets, shortens or deletes, so that nothing sent later comes before it', async () => {
    const { store, sent } = storeThatHears([1, 1, 1])
    const changes = [store.delete(['k']), store.shorten('k', ttl), store.set('k', bytes, { ttl })]
    await Promise.all(changes)
    expect(sent.map(({ command }) => command)).toEqual(['eval', 'eval', 'eval'])
  })
})

describe('While the slot of a key is on its way to another server', () => {
  const lease = '_#JL#{k}'

  it.each([
    ['a set', (store: RedisStore) => store.set('k', bytes, { ttl }), true],
    ['a delete', (store: RedisStore) => store.delete(['k']), 1],
    ['a compareAndDelete', (store: RedisStore) => store.compareAndDelete('k', bytes), true],
    ['a shorten', (store: RedisStore) => store.shorten('k', ttl), true],
  ] as const)('%s voids the lease, and then changes the key', async (_, change, result) => {
    const { store, sent } = storeThatHears([ON_ITS_WAY, 0, 1])
    expect(await change(store)).toBe(result)
    expect(sent.map(({ keys }) => keys)).toEqual([['k', lease], [lease], ['k']])
  })

  it('a change that was withdrawn meanwhile goes no further', async () => {
    for (const commands of [1, 2]) {
      const { store, sent, before } = storeThatHears([ON_ITS_WAY, 0, 1])
      const nothing = () => undefined
      before.push(...[nothing].slice(0, commands - 1), () => store.withdraw())
      await expect(store.set('k', bytes, { ttl })).rejects.toThrow(NotSentError)
      expect(sent).toHaveLength(commands)
    }
  })

  it('keys that are deleted together are deleted one by one', async () => {
    const { store, sent } = storeThatHears([ON_ITS_WAY, 1, ON_ITS_WAY, 0, 1])
    expect(await store.delete(['k', 'l'])).toBe(2)
    expect(sent[0]?.keys).toEqual(['k', 'l', lease, '_#JL#{l}'])
    expect(sent.slice(1).flatMap(({ keys }) => keys)).toContain('l')
  })

  it('values are read, and no lease is granted', async () => {
    const { store, sent } = storeThatHears([
      ON_ITS_WAY,
      [Buffer.from('v'), 5],
      ON_ITS_WAY,
      [null, -2],
    ])
    expect(await store.leases.read(['k'], 'a.1', 1000)).toEqual([
      { kind: 'value', read: { bytes: Uint8Array.of(118), ttlLeft: 5 } },
    ])
    await expect(store.leases.read(['k'], 'a.1', 1000)).rejects.toBe(ON_ITS_WAY)
    expect(sent[3]?.keys).toEqual(['k'])
  })
})
