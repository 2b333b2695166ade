import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Cache } from '../../src/cache.ts'
import { NAMED_CELLS, openWorld, type World } from '../support/cells.ts'
import { HeldLoader } from '../support/held-loader.ts'

/*
 * The overlaps of P2 on real stores. All their schedules are run on a store in memory, in
 * p02-changes-fence-flights; here the loader is held, and the rest happens as the store has it.
 */
describe.each(NAMED_CELLS)('P2, %s', (_, cell) => {
  let world: World
  beforeAll(async () => {
    world = await openWorld(cell)
  })
  afterAll(() => world.end())

  /** What each tier holds, looked at past the other. */
  async function held(cache: Cache, key: string): Promise<{ local: unknown; remote: unknown }> {
    return {
      local: cache.peek(key),
      remote: cell.tiers === 'local' ? undefined : await cache.get(key, { skipLocal: true }),
    }
  }

  const NOWHERE = { local: undefined, remote: undefined }

  it('a value loaded before a delete is stored by no tier after it', async () => {
    const cache = world.open()
    const key = world.key('before a delete')
    const loader = new HeldLoader<string>()
    const early = cache.once(key, loader.load)
    const run = await loader.run(0)
    await cache.delete(key)
    run.resolve('old')
    expect(await early).toBe('old')
    expect(await held(cache, key)).toEqual(NOWHERE)
    expect(await cache.once(key, async () => 'new')).toBe('new')
  })

  it('a value loaded before a set does not replace what was set', async () => {
    const cache = world.open()
    const key = world.key('before a set')
    const loader = new HeldLoader<string>()
    const early = cache.once(key, loader.load)
    const run = await loader.run(0)
    await cache.set(key, 'set')
    run.resolve('old')
    expect(await early).toBe('old')
    expect(await held(cache, key)).toEqual({
      local: cell.tiers === 'remote' ? undefined : 'set',
      remote: cell.tiers === 'local' ? undefined : 'set',
    })
  })

  it('a value loaded while a delete is under way is stored by no tier', async () => {
    const cache = world.open()
    const key = world.key('during a delete')
    const loader = new HeldLoader<string>()
    const early = cache.once(key, loader.load)
    const run = await loader.run(0)
    run.resolve('old')
    const change = cache.delete(key)
    await Promise.all([early, change])
    expect(await held(cache, key)).toEqual(NOWHERE)
  })

  it('a delete called at any moment of a fill prevails', async () => {
    const cache = world.open()
    for (let turns = 0; turns < 12; turns++) {
      const key = world.key(`fill, ${turns} turns on`)
      const loader = new HeldLoader<string>()
      const early = cache.once(key, loader.load)
      const run = await loader.run(0)
      run.resolve('old')
      for (let turn = 0; turn < turns; turn++) await Promise.resolve()
      await cache.delete(key)
      await early
      expect(await held(cache, key), `${turns} turns on`).toEqual(NOWHERE)
    }
  })

  it('a remote value read while its key is deleted is not promoted', async () => {
    const cache = world.open()
    const key = world.key('promotion')
    await world.open().set(key, 'old')
    const reads = [cache.get(key), cache.get(key)]
    const change = cache.delete(key)
    await Promise.all([...reads, cache.get(key), change])
    expect(await held(cache, key)).toEqual(NOWHERE)
  })

  it('overlapping sets leave the last one in the remote, and local without the key', async () => {
    const cache = world.open()
    const key = world.key('sets')
    await cache.set(key, 'first')
    await Promise.all([cache.set(key, 'second'), cache.set(key, 'third')])
    // A local tier alone takes each set at once, so that none overlaps.
    expect(await held(cache, key)).toEqual(
      cell.tiers === 'local'
        ? { local: 'third', remote: undefined }
        : { local: undefined, remote: 'third' },
    )
  })

  it('a value loaded while local copies were dropped is not kept locally', async () => {
    const cache = world.open()
    for (const drop of ['deleteLocal', 'clearLocal'] as const) {
      const key = world.key(drop)
      const loader = new HeldLoader<string>()
      const early = cache.once(key, loader.load)
      const run = await loader.run(0)
      cache[drop](key)
      run.resolve('loaded')
      expect(await early).toBe('loaded')
      expect(cache.peek(key)).toBeUndefined()
    }
  })
})
