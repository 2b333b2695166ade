import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NAMED_CELLS, openWorld, type World } from '../support/cells.ts'
import { HeldLoader, reactions } from '../support/held-loader.ts'

/** Many callers at once, each call made in the same turn. */
function crowd<T>(size: number, call: (index: number) => Promise<T>): Promise<T>[] {
  return Array.from({ length: size }, (_, index) => call(index))
}

async function reasonsOf(calls: readonly Promise<unknown>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(calls)
  return settled.map((each) => (each.status === 'rejected' ? each.reason : 'it resolved'))
}

describe.each(NAMED_CELLS)('P1 in one process: %s', (_, cell) => {
  let world: World
  beforeAll(async () => {
    world = await openWorld(cell)
  })
  afterAll(() => world.end())

  it('1,000 callers on one cold key share one load', async () => {
    const cache = world.open()
    const key = world.key('cold')
    const loader = new HeldLoader<{ id: number }>()
    const calls = crowd(1000, () => cache.once(key, loader.load))
    await loader.run(0)
    loader.settleAll((run) => run.resolve({ id: 7 }))
    expect(new Set((await Promise.all(calls)).map(({ id }) => id))).toEqual(new Set([7]))
    expect(loader.runs).toHaveLength(1)
    expect(cache.stats()).toMatchObject({ query: 1, queryFail: 0, coalesced: 999 })
  })

  it('1,000 callers on a failing loader share one load and get that very error', async () => {
    const cache = world.open()
    const key = world.key('failing')
    const loader = new HeldLoader<string>()
    const error = new Error('the database is down')
    const calls = crowd(1000, () => cache.once(key, loader.load))
    await loader.run(0)
    loader.settleAll((run) => run.reject(error))
    expect(new Set(await reasonsOf(calls))).toEqual(new Set([error]))
    for (const reason of await reasonsOf(calls.slice(0, 3))) expect(reason).toBe(error)
    expect(loader.runs).toHaveLength(1)
    expect(cache.stats()).toMatchObject({ query: 1, queryFail: 1, coalesced: 999 })
  })

  it('a failed load is tried again by the next caller, and nothing of it was stored', async () => {
    const cache = world.open()
    const key = world.key('again')
    const error = new Error('once')
    await expect(
      cache.once(key, async () => {
        throw error
      }),
    ).rejects.toBe(error)
    expect(await cache.lookup(key)).toEqual({ status: 'miss' })
    expect(await cache.once(key, async () => 'second try')).toBe('second try')
  })

  it('a loader that throws at once has failed like any other', async () => {
    const cache = world.open()
    const key = world.key('throws')
    const error = new Error('thrown, not rejected')
    let runs = 0
    const load = (): string => {
      runs++
      throw error
    }
    expect(await reasonsOf(crowd(10, () => cache.once(key, load)))).toEqual(Array(10).fill(error))
    expect(runs).toBe(1)
    expect(await cache.once(key, () => 'later')).toBe('later')
  })

  it('a loader may return a value instead of a promise', async () => {
    const cache = world.open()
    const key = world.key('plain')
    let runs = 0
    const calls = crowd(10, () => cache.once(key, () => `run ${++runs}`))
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['run 1']))
    expect(await cache.once(key, () => `run ${++runs}`)).toBe('run 1')
  })

  it('callers of other keys never wait for a load', async () => {
    const cache = world.open()
    const loader = new HeldLoader<string>()
    const slow = cache.once(world.key('slow'), loader.load)
    const run = await loader.run(0)
    const others = crowd(20, (i) => cache.once(world.key(`other ${i}`), () => i))
    expect(await Promise.all(others)).toEqual(Array.from({ length: 20 }, (_, i) => i))
    run.resolve('at last')
    expect(await slow).toBe('at last')
  })

  it.each(['set', 'delete'] as const)(
    'a caller after the call of %s starts a new load; those of the old one get their value',
    async (change) => {
      const cache = world.open()
      const key = world.key(`epoch of ${change}`)
      const loader = new HeldLoader<string>()
      const before = crowd(5, () => cache.once(key, loader.load))
      const old = await loader.run(0)
      const changing = change === 'set' ? cache.set(key, 'set') : cache.delete(key)
      // Asks neither tier, so that it cannot be answered by what `set` stores meanwhile.
      const options =
        cell.tiers === 'local' ? { skipLocal: true } : { skipRemote: true, skipLocal: true }
      const after = crowd(5, () => cache.once(key, loader.load, options))
      const renewed = await loader.run(1)
      old.resolve('loaded before')
      expect(await Promise.all(before)).toEqual(Array(5).fill('loaded before'))
      renewed.resolve('loaded after')
      expect(await Promise.all(after)).toEqual(Array(5).fill('loaded after'))
      expect(loader.runs).toHaveLength(2)
      await changing
      expect(await cache.get(key)).toBe(change === 'set' ? 'set' : undefined)
    },
  )

  it('the last caller leaving ends the epoch, and the late result is stored in no tier', async () => {
    const cache = world.open()
    const key = world.key('left')
    const loader = new HeldLoader<string>()
    const leaving = new AbortController()
    const abandoned = cache.once(key, loader.load, { signal: leaving.signal })
    const old = await loader.run(0)
    leaving.abort(new Error('gone'))
    await expect(abandoned).rejects.toBe(leaving.signal.reason)
    expect(old.context.signal.aborted).toBe(true)
    const next = cache.once(key, loader.load)
    const renewed = await loader.run(1)
    old.resolve('too late')
    await reactions()
    expect(cache.peek(key)).toBeUndefined()
    expect(await world.remote?.get(key)).toBeUndefined()
    renewed.resolve('loaded again')
    expect(await next).toBe('loaded again')
    expect(await cache.get(key)).toBe('loaded again')
  })

  it('two caches without leases load one key each for itself and do not end each other’s flights', async () => {
    const [one, two] = [world.open({ lease: false }), world.open({ lease: false })]
    const key = world.key('two caches')
    const [loaderOne, loaderTwo] = [new HeldLoader<string>(), new HeldLoader<string>()]
    const leaving = new AbortController()
    const callsOne = crowd(3, () => one.once(key, loaderOne.load))
    const callTwo = two.once(key, loaderTwo.load, { signal: leaving.signal })
    const callsTwo = crowd(2, () => two.once(key, loaderTwo.load))
    const runOne = await loaderOne.run(0)
    const runTwo = await loaderTwo.run(0)
    leaving.abort()
    await expect(callTwo).rejects.toBe(leaving.signal.reason)
    expect(runOne.context.signal.aborted || runTwo.context.signal.aborted).toBe(false)
    runOne.resolve('one')
    expect(await Promise.all(callsOne)).toEqual(['one', 'one', 'one'])
    runTwo.resolve('two')
    expect(await Promise.all(callsTwo)).toEqual(['two', 'two'])
    expect([loaderOne.runs.length, loaderTwo.runs.length]).toEqual([1, 1])
  })
})
