import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { Cache } from '../../../src/cache.ts'
import { HeldLoader } from '../../support/held-loader.ts'
import { until } from '../../support/until.ts'
import { type Channel, CLIENT_KINDS, OUR_NAME, openCache, openChannel } from '../support/channel.ts'
import { GoMember } from '../support/go-member.ts'
import type { GoNews } from '../support/go-peer.ts'
import { countedLoader, type World } from '../support/world.ts'

/** The numbers of jetcache-go's events. */
const SET_BY_ONCE = 2
const DELETE = 5

/** Local tiers on both sides, kept coherent over one channel. */
export function invalidationTests(world: () => World): void {
  describe.each(CLIENT_KINDS)('on one channel with $name', (kind) => {
    let opened: Channel | undefined
    const channel = (): Channel => {
      if (opened === undefined) throw new Error('the channel was not opened')
      return opened
    }
    beforeAll(async () => {
      opened = await openChannel(world(), kind, inject('redisUrl'))
    })
    afterAll(() => opened?.end())

    changeTests(world, channel)
    loadTests(world, channel)
    placeholderTests(world, channel)
    messageTests(world, channel)
  })
  repeatTest(world)
}

function changeTests(world: () => World, channel: () => Channel): void {
  test.each(['set', 'once', 'delete'] as const)('%s in Go drops our copy', async (change) => {
    const { key, redis } = world()
    const { go, open } = channel()
    const cache = await open()
    const at = key(change)
    const other = key('other')
    await cache.set(at, 'old')
    await cache.set(other, 'kept')
    // Once loads only what is not there; of a deletion by hand nobody is told.
    if (change === 'once') await redis.del(at)
    expect(cache.peek(at)).toBe('old')
    await go.change({ do: change, key: at, text: 'new' })
    await until('our copy is gone', () => cache.peek(at) === undefined)
    const { load, runs } = countedLoader('loaded')
    expect(await cache.once(at, load)).toBe(change === 'delete' ? 'loaded' : 'new')
    expect(runs()).toBe(change === 'delete' ? 1 : 0)
    expect(cache.peek(other)).toBe('kept')
  })

  test.each(['set', 'delete'] as const)(
    '%s here drops the copy in Go, which then reads Redis',
    async (change) => {
      const { key } = world()
      const { go, open } = channel()
      const cache = await open()
      const at = key(change)
      const other = key('other')
      await go.change({ do: 'set', key: at, text: 'old' })
      await go.change({ do: 'set', key: other, text: 'kept' })
      if (change === 'set') await cache.set(at, 'new')
      else await cache.delete(at)
      const { event, dropped } = await go.newsOf(at)
      expect(event).toMatchObject({ EventType: DELETE, Keys: [at] })
      expect(dropped).toEqual([at])
      const read = { do: 'once', key: at, text: 'loaded' } as const
      if (change === 'set') expect(await go.call(read)).toMatchObject({ shown: 'new', loads: 0 })
      else expect(await go.change(read)).toMatchObject({ shown: 'loaded', loads: 1 })
      expect(await go.holds(other)).toBe(true)
    },
  )

  test('what MGet of 500 keys loads in Go drops our 500 copies', async () => {
    const { key } = world()
    const { go, open } = channel()
    const cache = await open()
    const prefix = key('many')
    const ids = Array.from({ length: 500 }, (_, i) => String(i))
    for (const id of ids) await cache.set(`${prefix}:${id}`, 'old', { skipRemote: true })
    await go.change({ do: 'mget', prefix, idType: 'int', ids, known: ids })
    const left = () => ids.filter((id) => cache.peek(`${prefix}:${id}`) !== undefined)
    await until('our copies are gone', () => left().length === 0)
    expect(cache.stats()).toMatchObject({ busReceived: 1, busMalformed: 0 })
  })

  test('500 changes that waited for our bus drop 500 copies in Go by one event', async () => {
    const { key } = world()
    const { go, kind, client, name } = channel()
    const late = kind.make(inject('redisUrl'))
    const cache = openCache(client, { bus: late.pubSub({ channel: name }) })
    const prefix = key('many')
    const ids = Array.from({ length: 500 }, (_, i) => String(i))
    const keys = ids.map((id) => `${prefix}:${id}`)
    await go.change({ do: 'mget', prefix, idType: 'int', ids, known: ids })
    expect(await go.holds(keys[499] ?? '')).toBe(true)
    await Promise.all(keys.map((at) => cache.delete(at)))
    try {
      await late.connect()
      const { event, dropped = [] } = await go.newsOf(keys[0] ?? '')
      expect(event.EventType).toBe(DELETE)
      expect([...dropped].sort()).toEqual([...keys].sort())
      expect(await go.holds(keys[499] ?? '')).toBe(false)
    } finally {
      await cache.close()
      late.destroy()
    }
  })
}

/** Go knows of no leases: its change meets our load as an event, or as what lies in Redis. */
function loadTests(world: () => World, channel: () => Channel): void {
  /** A load of ours that has begun. */
  async function loading(cache: Cache, at: string) {
    const loader = new HeldLoader<string>()
    const loaded = cache.once(at, loader.load)
    const { resolve } = await loader.run(0)
    return { loaded, resolve }
  }

  /** What news make us do is a read and then a deletion: these, on the same connection, come later. */
  async function overtaken(cache: Cache, next: string): Promise<void> {
    for (const value of ['one', 'two', 'three']) await cache.set(next, value)
  }

  test('what we load is not stored when we have heard of a delete in Go', async () => {
    const { key, redis } = world()
    const { go, open } = channel()
    const cache = await open()
    const at = key('deleted')
    const { loaded, resolve } = await loading(cache, at)
    await go.change({ do: 'delete', key: at })
    await until('we hear of it', () => cache.stats().busReceived > 0)
    resolve('old')
    expect(await loaded).toBe('old')
    expect(await redis.get(at)).toBeNull()
    expect(cache.peek(at)).toBeUndefined()
    expect(cache.stats()).toMatchObject({ fillsFenced: 1, foreignUndone: 0 })
    expect(await cache.once(at, () => 'new')).toBe('new')
  })

  test('what we stored before we heard of a delete in Go is undone, on both sides', async () => {
    const { key, redis } = world()
    const { go, open } = channel()
    const cache = await open()
    const at = key('deleted')
    const { loaded, resolve } = await loading(cache, at)
    await go.holdingEvents(async () => {
      await go.call({ do: 'delete', key: at })
      resolve('old')
      await loaded
      expect(await redis.get(at)).toBe('old')
      expect(cache.peek(at)).toBe('old')
      expect(await go.call({ do: 'get', key: at })).toMatchObject({ shown: 'old' })
    })
    await until('the fill is undone', () => cache.stats().foreignUndone === 1)
    expect(await redis.get(at)).toBeNull()
    expect(cache.peek(at)).toBeUndefined()
    // Go has copied what we had stored, and is told that it was wrong.
    expect((await go.newsOf(at)).event.EventType).toBe(DELETE)
    expect(await cache.once(at, () => 'new')).toBe('new')
    expect(await go.call({ do: 'get', key: at })).toMatchObject({ shown: 'new' })
  })

  test.each(['before', 'after'] as const)(
    'a set in Go that we hear of %s our load ends is not overwritten',
    async (heard) => {
      const { key, redis } = world()
      const { go, open } = channel()
      const cache = await open()
      const at = key('set')
      const { loaded, resolve } = await loading(cache, at)
      const isHeard = () => until('we hear of it', () => cache.stats().busReceived > 0)
      const settle = async () => {
        resolve('old')
        expect(await loaded).toBe('old')
      }
      await go.holdingEvents(async () => {
        await go.call({ do: 'set', key: at, text: 'new' })
        if (heard === 'after') await settle()
      })
      await isHeard()
      if (heard === 'before') await settle()
      expect(await redis.get(at)).toBe('new')
      expect(await cache.get(at)).toBe('new')
      expect(cache.stats()).toMatchObject({ fillsFenced: 1, foreignUndone: 0 })
    },
  )

  test.each(['set', 'once'] as const)(
    'what %s in Go has stored stays when we load the same value, and are refused',
    async (change) => {
      const { key, redis } = world()
      const { go, open } = channel()
      const cache = await open()
      const at = key('same')
      const { loaded, resolve } = await loading(cache, at)
      await go.holdingEvents(async () => {
        await go.call({ do: change, key: at, text: 'same' })
        resolve('same')
        await loaded
      })
      await until('we hear of it', () => cache.stats().busReceived > 0)
      await overtaken(cache, key('next'))
      expect(await cache.get(at)).toBe('same')
      expect(await redis.get(at)).toBe('same')
      expect(cache.stats()).toMatchObject({ fillsFenced: 1, foreignUndone: 0 })
    },
  )

  test('what Once in Go loads while we load the same value, and stores after us, stays', async () => {
    const { key, redis } = world()
    const { go, open } = channel()
    const cache = await open()
    const at = key('same')
    const there = go.change({ do: 'once', key: at, text: 'same', loads: 'awaited' })
    await until('Go loads', async () => (await redis.lLen(`${at}:waiting`)) === 1)
    expect(await cache.once(at, () => 'same')).toBe('same')
    await redis.lPush(`${at}:released`, '')
    await there
    await until('we hear of it', () => cache.stats().busReceived > 0)
    await overtaken(cache, key('next'))
    const { load, runs } = countedLoader('loaded')
    expect(await cache.once(at, load)).toBe('same')
    expect(runs()).toBe(0)
    expect(cache.stats().foreignUndone).toBe(0)
  })

  test('with publishFills a load of ours drops the copy that Go kept longer than Redis', async () => {
    const { key, redis } = world()
    const { go, open } = channel()
    const cache = await open({ publishFills: true })
    const at = key('filled')
    await go.change({ do: 'set', key: at, text: 'old' })
    await until('we hear of it', () => cache.stats().busReceived > 0)
    await redis.del(at)
    expect(await cache.once(at, () => 'new')).toBe('new')
    const { event, dropped } = await go.newsOf(at)
    expect(event).toMatchObject({ EventType: SET_BY_ONCE, Keys: [at] })
    expect(dropped).toEqual([at])
    expect(await go.call({ do: 'get', key: at })).toMatchObject({ shown: 'new' })
  })

  test('without publishFills Go is told nothing of a load of ours', async () => {
    const { key, redis } = world()
    const { go, open } = channel()
    const cache = await open()
    const at = key('filled')
    const next = key('next')
    await go.change({ do: 'set', key: at, text: 'old' })
    await until('we hear of it', () => cache.stats().busReceived > 0)
    await redis.del(at)
    expect(await cache.once(at, () => 'new')).toBe('new')
    await cache.delete(next)
    await go.newsOf(next)
    const ofOthers = (await go.heard()).filter(({ dropped }) => dropped?.includes(at))
    expect(ofOthers).toEqual([])
    expect(await go.call({ do: 'get', key: at })).toMatchObject({ shown: 'old' })
  })
}

function placeholderTests(world: () => World, channel: () => Channel): void {
  test('"not found", loaded by Once in Go, replaces our copy of the value', async () => {
    const { key, redis } = world()
    const { go, open } = channel()
    const cache = await open()
    const at = key('absent')
    await cache.set(at, 'old')
    await redis.del(at)
    const loaded = await go.change({ do: 'once', key: at, loads: 'notFound' })
    expect(loaded).toMatchObject({ notFound: true, loads: 1 })
    await until('our copy is gone', () => cache.peek(at) === undefined)
    const { load, runs } = countedLoader<string | null>('loaded')
    expect(await cache.once(at, load)).toBeNull()
    expect(runs()).toBe(0)
  })

  test('"not found", set here, replaces the copy of the value in Go', async () => {
    const { key } = world()
    const { go, open } = channel()
    const cache = await open()
    const at = key('absent')
    await go.change({ do: 'set', key: at, text: 'old' })
    await cache.set(at, null)
    await go.newsOf(at)
    const answer = await go.call({ do: 'once', key: at, text: 'loaded' })
    expect(answer).toMatchObject({ notFound: true, loads: 0 })
  })

  test('a value set in Go replaces our copy of "not found"', async () => {
    const { key } = world()
    const { go, open } = channel()
    const cache = await open()
    const at = key('found')
    expect(await cache.once(at, () => null)).toBeNull()
    expect(await cache.lookup(at)).toMatchObject({ status: 'absent', tier: 'local' })
    await go.change({ do: 'set', key: at, text: 'new' })
    await until('we hear of it', () => cache.stats().busReceived > 0)
    expect(await cache.get(at)).toBe('new')
  })

  test('a value set here replaces the copy of "not found" in Go', async () => {
    const { key } = world()
    const { go, open } = channel()
    const cache = await open()
    const at = key('found')
    await go.change({ do: 'once', key: at, loads: 'notFound' })
    expect(await go.holds(at)).toBe(true)
    await cache.set(at, 'new')
    await go.newsOf(at)
    expect(await go.call({ do: 'get', key: at })).toMatchObject({ shown: 'new' })
  })
}

function messageTests(world: () => World, channel: () => Channel): void {
  test('Go drops nothing when we wake those who wait for a load', async () => {
    const { key } = world()
    const { go, open } = channel()
    const [loads, waits] = await Promise.all([open(), open()])
    const at = key('awaited')
    await go.change({ do: 'set', key: key('other'), text: 'kept' })
    const loader = new HeldLoader<string>()
    const loaded = loads.once(at, loader.load)
    const { resolve } = await loader.run(0)
    const { load, runs } = countedLoader('too many')
    const waited = waits.once(at, load)
    await until('the other process waits', () => waits.stats().leasesWaited === 1)
    resolve('value')
    expect(await Promise.all([loaded, waited])).toEqual(['value', 'value'])
    expect(runs()).toBe(0)
    const woken = await go.news('a wake-up', ({ text }) => wakesOf(text).includes(at))
    expectHarmless(woken)
  })

  test('an event of ours names our cache, and a source that is no other', async () => {
    const { key } = world()
    const { go, open } = channel()
    const caches = await Promise.all([open(), open({ sourceId: 'checkout' })])
    const keys = [key('named'), key('named')] as const
    await Promise.all(caches.map((cache, i) => cache.delete(keys[i] ?? '')))
    const [first, second] = await Promise.all(keys.map((at) => go.newsOf(at)))
    expect(first?.event.CacheName).toBe(OUR_NAME)
    expect(first?.event.SourceID).toMatch(/^carts#[0-9a-f]{16}$/)
    expect(second?.event.CacheName).toBe(OUR_NAME)
    expect(second?.event.SourceID).toMatch(/^checkout#[0-9a-f]{16}$/)
  })

  test('without a name of its own the channel is that of database and cache', async () => {
    const { key, go: peer } = world()
    const { go, kind, client } = channel()
    const redisUrl = inject('redisUrl')
    const database = Number(new URL(redisUrl).pathname.slice(1))
    const name = `jetcache-ts:${database}:${OUR_NAME}`
    const there = await GoMember.join(peer, key('shop'), name, 'freeCache')
    const cache = openCache(client, { bus: client.pubSub() })
    await until('our cache hears the channel', () => cache.stats().busArmed === true)
    const at = key(kind.name)
    await cache.set(at, 'old')
    expect((await there.newsOf(at)).dropped).toEqual([at])
    await there.change({ do: 'delete', key: at })
    await until('our copy is gone', () => cache.peek(at) === undefined)
    const elsewhere = (await go.heard()).filter(({ event }) => event.Keys?.includes(at))
    expect(elsewhere).toEqual([])
  })
}

/** Both clients at once, since it waits for what is said 5 s after a change. */
function repeatTest(world: () => World): void {
  test('Go drops nothing when we repeat our last number, and hears no heartbeats', async () => {
    await Promise.all(
      CLIENT_KINDS.map(async (kind) => {
        const { key } = world()
        const { go, open, end } = await openChannel(world(), kind, inject('redisUrl'))
        try {
          const cache = await open()
          const [at, other] = [key('changed'), key('other')]
          await go.change({ do: 'set', key: other, text: 'kept' })
          await cache.set(at, 'value')
          await go.newsOf(at)
          await go.call({ do: 'get', key: at })
          const repeats = async () => (await go.heard()).filter(({ text }) => isRepeat(text))
          await until('Go hears both repeats', async () => (await repeats()).length === 2)
          for (const each of await repeats()) expectHarmless(each)
          // Its own event, the one of ours, and the repeats: five heartbeats went elsewhere.
          expect(await go.heard()).toHaveLength(4)
          expect([await go.holds(at), await go.holds(other)]).toEqual([true, true])
          await cache.close()
        } finally {
          end()
        }
      }),
    )
  })
}

/** Without an error, a kind of event, or a key. */
function expectHarmless({ error, event, dropped }: GoNews): void {
  expect(error).toBeUndefined()
  expect(event).toMatchObject({ EventType: 0, Keys: [] })
  expect(dropped).toBeUndefined()
}

function wakesOf(text: string): readonly string[] {
  return JSON.parse(text).JetCacheTS?.wake ?? []
}

function isRepeat(text: string): boolean {
  return JSON.parse(text).JetCacheTS?.r === true
}
