import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it, vi } from 'vitest'
import { TickReads } from '../../../src/redis-common/tick-reads.ts'
import type { RemoteRead } from '../../../src/remote/remote-store.ts'

/** What a key holds here: its own name; nothing under names that begin with `no`. */
function held(key: string): RemoteRead | undefined {
  if (key.startsWith('no')) return undefined
  return { bytes: new TextEncoder().encode(key), ttlLeft: key.length }
}

function open(mostKeys = 256, answer?: (keys: string[]) => Promise<(RemoteRead | undefined)[]>) {
  const requests: string[][] = []
  const reads = new TickReads((keys) => {
    requests.push(keys)
    return answer?.(keys) ?? Promise.resolve(keys.map(held))
  }, mostKeys)
  return { reads, requests }
}

const nextRound = () => new Promise((resolve) => setImmediate(resolve))

describe('Reads of one turn', () => {
  it('are one request, and each gets the answer to its own key', async () => {
    const { reads, requests } = open()
    const keys = ['a', 'no', 'bcd', 'none', 'e']
    expect(await Promise.all(keys.map((key) => reads.read(key)))).toEqual(keys.map(held))
    expect(requests).toEqual([keys])
  })

  it('are one request too if they are asked for in promises of that turn', async () => {
    const { reads, requests } = open()
    const later = async (steps: number) => {
      for (let i = 0; i < steps; i++) await undefined
      return reads.read(`after ${steps}`)
    }
    await Promise.all([later(0), later(1), later(5), later(50)])
    expect(requests).toEqual([['after 0', 'after 1', 'after 5', 'after 50']])
  })

  it('are sent before the event loop goes on', async () => {
    const { reads, requests } = open()
    const order: string[] = []
    setImmediate(() => order.push(`next round, after ${requests.length} request`))
    void reads.read('a').then(() => order.push('answer'))
    expect(requests).toEqual([])
    await nextRound()
    expect(order).toEqual(['answer', 'next round, after 1 request'])
  })

  it('do not wait for the answer to those of an earlier turn', async () => {
    const { reads, requests } = open(256, () => new Promise(() => {}))
    void reads.read('a')
    await nextRound()
    void reads.read('a')
    void reads.read('b')
    await nextRound()
    expect(requests).toEqual([['a'], ['a', 'b']])
  })

  it('are several requests if they are of more keys than one takes', async () => {
    const { reads, requests } = open(3)
    const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    expect(await Promise.all(keys.map((key) => reads.read(key)))).toEqual(keys.map(held))
    expect(requests).toEqual([['a', 'b', 'c'], ['d', 'e', 'f'], ['g']])
  })

  it('of one key ask for it once, and give each reader bytes of its own', async () => {
    const { reads, requests } = open()
    const [first, other, third, none, noneAgain] = await Promise.all(
      ['key', 'b', 'key', 'none', 'none'].map((key) => reads.read(key)),
    )
    expect(requests).toEqual([['key', 'b', 'none']])
    expect([first, other, third]).toEqual([held('key'), held('b'), held('key')])
    expect([none, noneAgain]).toEqual([undefined, undefined])
    first?.bytes.fill(0)
    expect(third).toEqual(held('key'))
  })
})

describe('A request that fails', () => {
  const failure = new Error('LOADING')

  it.each([
    ['rejects', () => Promise.reject(failure)],
    [
      'throws',
      () => {
        throw failure
      },
    ],
  ])('(%s) rejects each of its reads and no other', async (_, fail) => {
    const { reads, requests } = open(2, (keys) =>
      keys.includes('bad') ? fail() : Promise.resolve(keys.map(held)),
    )
    const settled = await Promise.allSettled(['a', 'bad', 'bad', 'c'].map((key) => reads.read(key)))
    expect(requests).toEqual([
      ['a', 'bad'],
      ['bad', 'c'],
    ])
    expect(settled).toEqual(Array(4).fill({ status: 'rejected', reason: failure }))
    expect(await Promise.all([reads.read('a'), reads.read('c')])).toEqual([held('a'), held('c')])
  })

  it('rejects those who asked for the same key as well', async () => {
    const { reads } = open(256, () => Promise.reject(failure))
    const settled = await Promise.allSettled([reads.read('a'), reads.read('a')])
    expect(settled).toEqual(Array(2).fill({ status: 'rejected', reason: failure }))
  })
})

describe('Async context', () => {
  const request = new AsyncLocalStorage<string>()

  it.each(['answers', 'fails'])('a request that %s goes on in each reader’s own', async (how) => {
    let settle = (): void => undefined
    const { reads } = open(256, (keys) => {
      return new Promise((resolve, reject) => {
        settle = () => (how === 'fails' ? reject(new Error('LOADING')) : resolve(keys.map(held)))
      })
    })
    const seen: string[] = []
    const calls = ['a', 'b', 'c'].flatMap((name) => [
      request.run(`${name} awaits`, async () => {
        await reads.read(name === 'c' ? 'a' : name).catch(() => undefined)
        seen.push(`${name} awaits: ${request.getStore()}`)
      }),
      request.run(`${name} calls back`, () => {
        const say = () => void seen.push(`${name} calls back: ${request.getStore()}`)
        return reads.read(name).then(say, say)
      }),
    ])
    await nextRound()
    request.run('whoever settles it', () => settle())
    await Promise.all(calls)
    expect(seen.toSorted()).toEqual(
      ['a', 'b', 'c'].flatMap((name) => [
        `${name} awaits: ${name} awaits`,
        `${name} calls back: ${name} calls back`,
      ]),
    )
  })
})

describe('Fake timers', () => {
  it('that a test installs do not hold reads back', async () => {
    const { reads, requests } = open()
    const fake = vi.spyOn(process, 'nextTick').mockImplementation(() => undefined)
    const read = reads.read('a')
    fake.mockRestore()
    await nextRound()
    expect(requests).toEqual([['a']])
    expect(await read).toEqual(held('a'))
  })
})
