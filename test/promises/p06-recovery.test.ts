import { createClient } from 'redis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import { tinyLfu } from '../../src/local/tiny-lfu/tiny-lfu.ts'
import type { CacheSettings } from '../../src/options/options.ts'
import { nodeRedis } from '../../src/redis/node-redis-store.ts'
import type { RemoteConnection, RemoteWatcher } from '../../src/remote/remote-store.ts'
import { faultyRemote } from '../../src/testing/faulty-remote.ts'
import { type ManualClock, manualClock } from '../../src/testing/manual-clock.ts'
import { memoryRemote } from '../../src/testing/memory-remote.ts'
import { startRedis } from '../../src/testing/servers/redis.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'
import { until } from '../support/until.ts'

/** A cache on a server that writes to disk only when it is told to. */
async function onServer(settings: CacheSettings = {}) {
  const server = await startRedis({ persistent: true, args: ['--appendonly', 'no'] })
  onTestFinished(() => server.stop())
  const cache = await cacheOn(server, settings)
  return { server, cache }
}

async function cacheOn(server: RedisProcess, settings: CacheSettings = {}): Promise<Cache> {
  const client = createClient({ url: server.url, socket: { reconnectStrategy: 50 } })
  client.on('error', () => undefined)
  await client.connect()
  const cache = createCache({
    local: tinyLfu({ maxEntries: 100 }),
    remote: nodeRedis(client),
    logger: false,
    ...settings,
  })
  onTestFinished(async () => {
    await cache.close()
    client.destroy()
  })
  return cache
}

async function restarted(server: RedisProcess, cache: Cache): Promise<void> {
  await server.restart()
  await until('the server is used again', () => cache.ready({ timeout: '1s' }))
  await until('nothing awaits its repair', () => cache.stats().recoveryPending === 0)
}

describe('P6, a server that comes back without what it had acknowledged', () => {
  it('shows no old value: the changes of its last seconds are made again as deletions', async () => {
    const { server, cache } = await onServer()
    await cache.set('set', 'old')
    await cache.set('deleted', 'old')
    await cache.set('kept', 'as it was')
    await server.ask('SAVE')
    await cache.set('set', 'new')
    await cache.delete('deleted')
    await server.kill()
    await restarted(server, cache)
    expect(await server.ask('EXISTS', 'set', 'deleted')).toBe(0)
    expect(await cache.get('set')).toBeUndefined()
    expect(await cache.get('deleted')).toBeUndefined()
    expect(await cache.once('set', () => 'newest')).toBe('newest')
    // Every change of that time, so this one as well: it costs a load.
    expect(await cache.get('kept')).toBeUndefined()
    expect(cache.stats()).toMatchObject({ remoteReplaced: 1, replayed: 3, repairsGivenUp: 0 })
  })

  it('is not read before they have been made again, whoever asks meanwhile', async () => {
    const { server, cache } = await onServer()
    await cache.set('k', 'old')
    await server.ask('SAVE')
    await cache.set('k', 'new')
    await server.kill()
    const seen = new Set<unknown>()
    const asking = server.restart()
    let back = false
    void asking.then(() => {
      back = true
    })
    await until('the server is back and everything is repaired', async () => {
      seen.add(await cache.get('k', { skipLocal: true }))
      const { remoteReplaced, recoveryPending } = cache.stats()
      return back && remoteReplaced === 1 && recoveryPending === 0
    })
    expect([...seen]).toEqual([undefined])
  })

  it('leaves no copy in local of what was read from the old one', async () => {
    const { server, cache } = await onServer()
    await cache.set('k', 'value')
    expect(cache.peek('k')).toBe('value')
    await restarted(server, cache)
    expect(cache.peek('k')).toBeUndefined()
  })

  it('is told apart from one that had only lost its connections', async () => {
    const { server, cache } = await onServer()
    await cache.set('k', 'value')
    await server.ask('CLIENT', 'KILL', 'TYPE', 'normal')
    await until('the server is used again', () => cache.ready({ timeout: '1s' }))
    await until('it is read again', async () => {
      return (await cache.get('k', { skipLocal: true })) === 'value'
    })
    expect(cache.stats()).toMatchObject({ remoteReplaced: 0, replayed: 0 })
    expect(cache.peek('k')).toBe('value')
  })

  it('may show it where nobody wants replays; local is cleared all the same', async () => {
    const { server, cache } = await onServer({ recovery: { replay: false } })
    await cache.set('k', 'old')
    await server.ask('SAVE')
    await cache.set('k', 'new')
    await restarted(server, cache)
    expect(cache.peek('k')).toBeUndefined()
    expect(await cache.get('k')).toBe('old')
    expect(cache.stats()).toMatchObject({ remoteReplaced: 1, replayed: 0 })
  })

  it('says so once to the logger', async () => {
    const told: string[] = []
    const { server, cache } = await onServer({
      logger: { warn: (message) => void told.push(message) },
    })
    await cache.set('k', 'value')
    await restarted(server, cache)
    expect(told).toEqual([expect.stringMatching(/another server than before.*1 changes/)])
  })
})

/** A cache on a store whose connection and news the test decides. */
function onPretended(settings: CacheSettings = {}) {
  const clock: ManualClock = manualClock()
  const memory = memoryRemote({ clock })
  const watchers: RemoteWatcher[] = []
  const state: { connection: RemoteConnection | undefined; failing: boolean } = {
    connection: { lingers: false },
    failing: false,
  }
  const store = Object.assign(
    faultyRemote(memory, { script: () => (state.failing ? 'before' : 'none') }),
    {
      connection: () => state.connection,
      watch: (watcher: RemoteWatcher) => {
        watchers.push(watcher)
        return () => void watchers.splice(watchers.indexOf(watcher), 1)
      },
    },
  )
  const cache = createCache({ remote: store, clock, jitterRatio: 0, logger: false, ...settings })
  const tell = (news: 'reachable' | 'replaced') => {
    for (const watcher of watchers) watcher[news]()
  }
  return { cache, clock, memory, state, store, tell, watchers }
}

describe('P6, a key that one cache of a process could not change', () => {
  it('is not read by another cache on the same store either, until it is repaired', async () => {
    const { cache, memory, state, store } = onPretended()
    const other = createCache({ remote: store, logger: false })
    await cache.set('k', 'old')
    state.failing = true
    await expect(cache.delete('k')).rejects.toThrow('injected')
    state.failing = false
    expect(memory.peek('k')).toBeDefined()
    expect(await other.get('k')).toBeUndefined()
    await cache.close()
    // Whoever remembered it is gone: the ttl of the old value is the bound.
    expect(await other.get('k')).toBe('old')
    await other.close()
  })
})

describe('P6, replays', () => {
  it('reach back from the last reply of the old server, however long it was gone', async () => {
    const { cache, clock, tell } = onPretended({ recovery: { replay: '10s' } })
    await cache.set('too old', 1)
    await clock.advanceAsync(6000)
    await cache.set('k', 1)
    await clock.advanceAsync(5000)
    await cache.get('any')
    await clock.advanceAsync(3_600_000)
    tell('replaced')
    expect(cache.stats()).toMatchObject({ replayed: 1, recoveryPending: 1 })
  })

  it('of keys that are not repaired yet keep those from being read', async () => {
    const { cache, memory, state, tell } = onPretended()
    await cache.set('k', 'new')
    memory.plant('k', await encoded('old'))
    state.failing = true
    tell('replaced')
    state.failing = false
    expect(await cache.get('k')).toBeUndefined()
    tell('reachable')
    await until('it is repaired', () => cache.stats().recoveryPending === 0)
    expect(memory.peek('k')).toBeUndefined()
  })

  it('that were made are made again if the server is replaced once more', async () => {
    const { cache, tell } = onPretended()
    await cache.set('k', 1)
    tell('replaced')
    tell('reachable')
    await until('it is repaired', () => cache.stats().recoveryPending === 0)
    tell('replaced')
    expect(cache.stats()).toMatchObject({ replayed: 2, recoveryPending: 1 })
  })

  it('end with the cache: nothing is told to it any more', async () => {
    const { cache, watchers } = onPretended()
    expect(watchers).toHaveLength(1)
    await cache.close()
    expect(watchers).toHaveLength(0)
  })
})

async function encoded(value: unknown): Promise<Uint8Array> {
  const memory = memoryRemote()
  const cache = createCache({ remote: memory })
  await cache.set('k', value)
  const bytes = memory.peek('k')?.bytes
  await cache.close()
  return bytes ?? new Uint8Array()
}
