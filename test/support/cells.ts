import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { inject } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import { ioredis } from '../../src/ioredis/ioredis.ts'
import { lmdb } from '../../src/lmdb/lmdb-store.ts'
import { freeCache } from '../../src/local/free-cache/free-cache.ts'
import type { Isolation, LocalEngine } from '../../src/local/local-store.ts'
import { tinyLfu } from '../../src/local/tiny-lfu/tiny-lfu.ts'
import { lru } from '../../src/lru/lru.ts'
import type { CacheSettings } from '../../src/options/options.ts'
import { nodeRedis } from '../../src/redis/node-redis-store.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { memoryRemote } from '../../src/testing/memory-remote.ts'

/** One way to put a cache together. */
export interface Cell {
  readonly tiers: 'local' | 'remote' | 'both'
  /** What stands behind the remote tier. */
  readonly store: 'none' | 'memory' | 'lmdb' | 'node-redis' | 'ioredis'
  readonly codec: 'msgpack' | 'json'
  /** Of the local tier; without one every caller gets a copy. */
  readonly isolation: Isolation
  /** Of the local tier. */
  readonly engine: 'tinyLfu' | 'freeCache' | 'lru'
}

const cell = (
  tiers: Cell['tiers'],
  store: Cell['store'],
  codec: Cell['codec'],
  isolation: Isolation,
  engine: Cell['engine'] = 'tinyLfu',
): Cell => ({ tiers, store, codec, isolation, engine })

/**
 * Every pair of values that two of the five dimensions can have together occurs in one of these
 * (a test holds the list to it).
 */
export const CELLS: readonly Cell[] = [
  cell('local', 'none', 'msgpack', 'copy'),
  cell('local', 'none', 'json', 'frozen', 'lru'),
  cell('local', 'none', 'msgpack', 'shared'),
  cell('remote', 'memory', 'msgpack', 'copy'),
  cell('remote', 'lmdb', 'json', 'copy'),
  cell('remote', 'node-redis', 'msgpack', 'copy'),
  cell('remote', 'ioredis', 'json', 'copy'),
  cell('both', 'memory', 'json', 'copy', 'lru'),
  cell('both', 'memory', 'msgpack', 'frozen'),
  cell('both', 'memory', 'json', 'shared'),
  cell('both', 'lmdb', 'msgpack', 'copy'),
  cell('both', 'lmdb', 'json', 'frozen'),
  cell('both', 'lmdb', 'msgpack', 'shared', 'lru'),
  cell('both', 'node-redis', 'json', 'copy'),
  cell('both', 'node-redis', 'msgpack', 'frozen'),
  cell('both', 'node-redis', 'json', 'shared', 'lru'),
  cell('both', 'ioredis', 'msgpack', 'copy', 'lru'),
  cell('both', 'ioredis', 'json', 'frozen'),
  cell('both', 'ioredis', 'msgpack', 'shared'),
  cell('local', 'none', 'msgpack', 'copy', 'freeCache'),
  cell('both', 'memory', 'json', 'copy', 'freeCache'),
  cell('both', 'lmdb', 'msgpack', 'copy', 'freeCache'),
  cell('both', 'node-redis', 'msgpack', 'copy', 'freeCache'),
  cell('both', 'ioredis', 'json', 'copy', 'freeCache'),
]

/** For `describe.each`: the cells with a name each. */
export const NAMED_CELLS: readonly (readonly [string, Cell])[] = CELLS.map((each) => [
  `${each.tiers}, store ${each.store}, ${each.codec}, ${each.isolation}, ${each.engine}`,
  each,
])

/** The parts of a cell, started. */
export interface World {
  readonly cell: Cell
  /** The store behind the remote tier, for looking at and writing to as another process would. */
  readonly remote: RemoteStore | undefined
  /** A key that no other test uses. */
  key(name: string): string
  /** A cache on the parts; a second one shares the remote and has a local tier of its own. */
  open(settings?: CacheSettings): Cache
  /** Closes every cache that was opened, and the parts. */
  end(): Promise<void>
}

let worlds = 0

export async function openWorld(of: Cell): Promise<World> {
  const unique = `${process.pid}:${Date.now().toString(36)}:${worlds++}`
  const caches: Cache[] = []
  const { remote, end } = await startStore(of.store)
  remote?.open()
  return {
    cell: of,
    remote,
    key: (name) => `${name}:${unique}`,
    open: (settings = {}) => {
      const local = engineOf(of)
      const common: CacheSettings = {
        jitterRatio: 0,
        codec: of.codec,
        remoteTimeout: '5s',
        ...settings,
      }
      const cache =
        remote === undefined
          ? createCache({ ...common, local })
          : createCache({ ...common, remote, ...(of.tiers === 'both' ? { local } : {}) })
      caches.push(cache)
      return cache
    },
    end: async () => {
      await Promise.all(caches.map((cache) => cache.close()))
      await remote?.close()
      await end()
    },
  }
}

function engineOf({ engine, isolation }: Cell): LocalEngine {
  switch (engine) {
    case 'tinyLfu':
      return tinyLfu({ maxEntries: 1000, isolation })
    case 'freeCache':
      return freeCache({ maxBytes: 2 ** 23 })
    case 'lru':
      return lru({ maxEntries: 1000, isolation })
  }
}

interface Started {
  readonly remote: RemoteStore | undefined
  readonly end: () => Promise<void>
}

async function startStore(store: Cell['store']): Promise<Started> {
  switch (store) {
    case 'none':
      return { remote: undefined, end: async () => undefined }
    case 'memory':
      return { remote: memoryRemote(), end: async () => undefined }
    case 'lmdb': {
      const path = await mkdtemp(join(tmpdir(), 'jetcache-'))
      return { remote: lmdb({ path }), end: () => rm(path, { recursive: true, force: true }) }
    }
    case 'node-redis': {
      const client = createClient({ url: inject('redisUrl') })
      client.on('error', () => undefined)
      await client.connect()
      return { remote: nodeRedis(client), end: async () => client.destroy() }
    }
    case 'ioredis': {
      const client = new Redis(inject('redisUrl'), { maxRetriesPerRequest: 0 })
      await once(client, 'ready')
      return { remote: ioredis(client), end: async () => client.disconnect() }
    }
  }
}
