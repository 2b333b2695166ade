import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it, vi } from 'vitest'
import { CacheRemoteError } from '../../../src/model/errors.ts'
import { Budget } from '../../../src/remote/budget.ts'
import { Failure } from '../../../src/remote/failure.ts'
import { Guard } from '../../../src/remote/guard.ts'
import type { RemoteRead } from '../../../src/remote/remote-store.ts'
import { TickReads } from '../../../src/remote/tick-reads.ts'
import { newCounters } from '../../../src/stats/counters.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'
import { memoryRemote } from '../../../src/testing/memory-remote.ts'

/** What a key holds here: its own name; nothing under names that begin with `no`. */
function held(key: string): RemoteRead | undefined {
  if (key.startsWith('no')) return undefined
  return { bytes: new TextEncoder().encode(key), ttlLeft: key.length }
}

type Answering = (keys: readonly string[]) => Promise<(RemoteRead | undefined)[]>

/** A store that answers as told; keys of one first letter are a group if there are groups. */
function open(answer: Answering = async (keys) => keys.map(held), grouped = false) {
  const clock = manualClock()
  const store = memoryRemote({ clock })
  const requests: (readonly string[])[] = []
  const ask: Answering = (keys) => {
    requests.push(keys)
    return answer(keys)
  }
  store.getMany = ask
  store.get = async (key) => (await ask([key]))[0]
  store.judge = (error) => (error instanceof RangeError ? 'refused' : undefined)
  if (grouped) store.groupOf = (key) => key.charCodeAt(0)
  const counters = newCounters()
  const guard = new Guard({
    store,
    timeout: 100,
    clock,
    counters,
    onBack: () => undefined,
    onDown: () => undefined,
  })
  const wrong = new Set<string>()
  const switches = { era: 0 }
  const unused: [string, RemoteRead | undefined][] = []
  const reads = new TickReads<RemoteRead | undefined>({
    ask: (keys) => store.getMany(keys),
    groupOf: (key) => store.groupOf?.(key) ?? 0,
    era: () => switches.era,
    repeats: true,
    guard,
    refusal: (key) => (wrong.has(key) ? new Failure('get', 'not sent', 'it is wrong') : undefined),
    unused: (key, answer) => unused.push([key, answer]),
  })
  const read = (key: string, budget: Budget = guard.budget()) => reads.read(key, budget)
  return { clock, requests, counters, guard, wrong, switches, read, unused }
}

const nextRound = () => new Promise((resolve) => setImmediate(resolve))
const numbered = (count: number) => Array.from({ length: count }, (_, i) => `k${i}`)

describe('Reads of one turn', () => {
  it('are one request, and each gets the answer to its own key', async () => {
    const { read, requests } = open()
    const keys = ['a', 'no', 'bcd', 'none', 'e', 'a']
    expect(await Promise.all(keys.map((key) => read(key)))).toEqual(keys.map(held))
    expect(requests).toEqual([keys])
  })

  it('are dropped if the server was replaced before the answer came', async () => {
    const { read, switches } = open()
    const before = [read('a'), read('b')]
    const settled = Promise.allSettled(before)
    await Promise.resolve()
    process.nextTick(() => {
      switches.era++
    })
    for (const each of await settled) {
      expect(each).toMatchObject({ status: 'rejected', reason: { outcome: 'unknown' } })
    }
    expect(await read('a')).toEqual(held('a'))
  })

  it('are one request too if they are asked for in promises of that turn', async () => {
    const { read, requests } = open()
    const later = async (steps: number) => {
      for (let i = 0; i < steps; i++) await undefined
      return read(`after ${steps}`)
    }
    await Promise.all([later(0), later(1), later(5), later(50)])
    expect(requests).toEqual([['after 0', 'after 1', 'after 5', 'after 50']])
  })

  it('are sent before the event loop goes on', async () => {
    const { read, requests } = open()
    const order: string[] = []
    setImmediate(() => order.push(`next round, after ${requests.length} request`))
    void read('a').then(() => order.push('answer'))
    expect(requests).toEqual([])
    await nextRound()
    expect(order).toEqual(['answer', 'next round, after 1 request'])
  })

  it('do not wait for the answer to those of an earlier turn', async () => {
    const { read, requests } = open(() => new Promise(() => {}))
    void read('a')
    await nextRound()
    void read('a')
    void read('b')
    await nextRound()
    expect(requests).toEqual([['a'], ['a', 'b']])
  })

  it('are several requests of at most 256 keys', async () => {
    const { read, requests } = open()
    const keys = numbered(600)
    expect(await Promise.all(keys.map((key) => read(key)))).toEqual(keys.map(held))
    expect(requests).toEqual([keys.slice(0, 256), keys.slice(256, 512), keys.slice(512)])
  })

  it('are a request for each group, and one that fails takes no other with it', async () => {
    const answer: Answering = async (keys) => {
      if (keys.includes('b1')) throw new Error('its server is down')
      return keys.map(held)
    }
    const { read, requests } = open(answer, true)
    const settled = await Promise.allSettled(['a1', 'b1', 'a2', 'b2'].map((key) => read(key)))
    expect(requests).toEqual([
      ['a1', 'a2'],
      ['b1', 'b2'],
    ])
    expect(settled.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'rejected',
    ])
  })
})

describe('The time of a read', () => {
  it('counts from when it is sent, and is taken from the budget of each', async () => {
    const { read, clock, guard } = open(
      (keys) => new Promise((resolve) => void clock.setTimer(30, () => resolve(keys.map(held)))),
    )
    const budgets = [guard.budget(), guard.budget()]
    const both = Promise.all(budgets.map((budget, i) => read(`k${i}`, budget)))
    clock.advance(50)
    await nextRound()
    await clock.advanceAsync(30)
    await both
    expect(budgets.map(({ left }) => left)).toEqual([70, 70])
  })

  it('is over for all of a request at once, and each is told of its own key', async () => {
    const { read, clock, counters } = open(() => new Promise(() => {}))
    const all = Promise.all(numbered(3).map((key) => read(key).catch((error: unknown) => error)))
    await nextRound()
    expect(clock.pendingTimers).toBe(1)
    await clock.advanceAsync(100)
    for (const [i, error] of (await all).entries()) {
      expect(error).toBeInstanceOf(CacheRemoteError)
      expect(error).toMatchObject({ operation: 'get', outcome: 'unknown', key: `k${i}` })
    }
    expect(counters.remoteErrors).toBe(3)
  })

  it('that has less left than the others ends when it said, and theirs does not', async () => {
    const { read, clock, requests } = open(() => new Promise(() => {}))
    const ended: string[] = []
    const watch = (key: string, budget?: Budget) =>
      void read(key, budget).catch(() => ended.push(key))
    watch('full')
    watch('short', new Budget(40))
    watch('also full')
    await nextRound()
    expect(requests).toEqual([['short'], ['full', 'also full']])
    await clock.advanceAsync(39)
    expect(ended).toEqual([])
    await clock.advanceAsync(1)
    expect(ended).toEqual(['short'])
    await clock.advanceAsync(60)
    expect(ended).toEqual(['short', 'full', 'also full'])
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
    ['answers too few keys', async () => [undefined]],
    ['answers nothing', () => Promise.resolve(undefined as never)],
  ])('(%s) rejects each of its reads and no other', async (_, fail) => {
    const { read, counters } = open((keys) =>
      keys.includes('bad') ? fail() : Promise.resolve(keys.map(held)),
    )
    const settled = await Promise.allSettled(['a', 'bad'].map((key) => read(key)))
    expect(settled).toMatchObject([
      { status: 'rejected', reason: { code: 'CACHE_REMOTE', key: 'a' } },
      { status: 'rejected', reason: { code: 'CACHE_REMOTE', key: 'bad' } },
    ])
    expect(counters.remoteErrors).toBe(2)
    expect(await Promise.all([read('a'), read('c')])).toEqual([held('a'), held('c')])
  })

  it('counts once for the breaker, however many keys it was for', async () => {
    const { read, guard } = open(() => Promise.reject(failure))
    for (const states of ['closed', 'closed', 'open']) {
      await Promise.allSettled(numbered(20).map((key) => read(key)))
      expect(guard.breaker).toBe(states)
    }
  })

  it('for one key, by a server that is well, is asked again key by key', async () => {
    const { read, requests, counters, guard } = open(async (keys) => {
      if (keys.includes('forbidden')) throw new RangeError('NOPERM')
      return keys.map(held)
    })
    const keys = ['a', 'forbidden', 'b']
    for (let i = 0; i < 5; i++) {
      const settled = await Promise.allSettled(keys.map((key) => read(key)))
      expect(settled).toMatchObject([
        { value: held('a') },
        { reason: { key: 'forbidden', outcome: 'refused', cause: { message: 'NOPERM' } } },
        { value: held('b') },
      ])
    }
    expect(requests.slice(0, 4)).toEqual([keys, ['a'], ['forbidden'], ['b']])
    expect([counters.remoteErrors, guard.breaker]).toEqual([5, 'closed'])
  })

  it('is asked again within what is left of the budget', async () => {
    const { read, clock, requests } = open((keys) => {
      if (keys.length === 1) return new Promise(() => {})
      return new Promise((_, reject) => void clock.setTimer(70, () => reject(new RangeError())))
    })
    const ended: unknown[] = []
    for (const key of ['a', 'b']) read(key).catch((error: unknown) => ended.push(error))
    await nextRound()
    await clock.advanceAsync(70)
    expect(requests).toEqual([['a', 'b'], ['a'], ['b']])
    await clock.advanceAsync(29)
    expect(ended).toEqual([])
    await clock.advanceAsync(1)
    expect(ended).toMatchObject([{ key: 'a' }, { key: 'b' }])
  })
})

describe('A read that must not be sent', () => {
  it('is refused by itself, also if that became known after it was asked for', async () => {
    const { read, requests, wrong } = open()
    const both = Promise.allSettled([read('a'), read('b')])
    wrong.add('a')
    expect(await both).toMatchObject([
      { reason: { key: 'a', outcome: 'not sent' } },
      { value: held('b') },
    ])
    expect(requests).toEqual([['b']])
  })

  it('is not sent by a cache that was closed in its turn', async () => {
    const { read, requests, guard } = open()
    const late = read('a')
    guard.close()
    await expect(late).rejects.toMatchObject({ key: 'a', outcome: 'not sent' })
    expect(requests).toEqual([])
  })
})

describe('Async context', () => {
  const request = new AsyncLocalStorage<string>()

  it.each(['answers', 'fails'])('a request that %s goes on in each reader’s own', async (how) => {
    let settle = (): void => undefined
    const { read } = open((keys) => {
      return new Promise((resolve, reject) => {
        settle = () => (how === 'fails' ? reject(new Error('LOADING')) : resolve(keys.map(held)))
      })
    })
    const seen: string[] = []
    const calls = ['a', 'b', 'c'].flatMap((name) => [
      request.run(`${name} awaits`, async () => {
        await read(name === 'c' ? 'a' : name).catch(() => undefined)
        seen.push(`${name} awaits: ${request.getStore()}`)
      }),
      request.run(`${name} calls back`, () => {
        const say = () => void seen.push(`${name} calls back: ${request.getStore()}`)
        return read(name).then(say, say)
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
    const { read, requests } = open()
    const fake = vi.spyOn(process, 'nextTick').mockImplementation(() => undefined)
    const one = read('a')
    fake.mockRestore()
    await nextRound()
    expect(requests).toEqual([['a']])
    expect(await one).toEqual(held('a'))
  })
})

describe('An answer', () => {
  it('that comes when nobody waits any more is handed over as unused, key by key, and no other is', async () => {
    let answer = () => {}
    const late = new Promise<void>((resolve) => {
      answer = resolve
    })
    const { read, clock, unused } = open(async (keys) => {
      if (keys.includes('late')) await late
      return keys.map(held)
    })
    await read('in time')
    const all = [read('late'), read('no')].map((each) => each.catch(() => 'given up'))
    await clock.advanceAsync(100)
    expect([await Promise.all(all), unused]).toEqual([['given up', 'given up'], []])
    answer()
    await clock.advanceAsync(0)
    expect(unused).toEqual([
      ['late', held('late')],
      ['no', undefined],
    ])
  })
})
