import { createClient, RESP_TYPES } from 'redis'
import { type Cache, createCache } from '../../../src/cache.ts'
import type { Codec } from '../../../src/codec/codec.ts'
import { nodeRedis } from '../../../src/redis/node-redis-store.ts'
import type { RemoteStore } from '../../../src/remote/remote-store.ts'
import { GoPeer } from './go-peer.ts'

/** A service on Go's cache, a service on ours, and the Redis between them. */
export interface World {
  readonly go: GoPeer
  /** The Redis as redis-cli sees it. */
  readonly redis: Awaited<ReturnType<typeof connect>>
  /** What Redis holds. */
  bytes(key: string): Promise<Uint8Array | undefined>
  /** A key that no other test uses. */
  key(name: string): string
  /** A cache of ours without a local tier: each call sees what Redis holds. */
  open(codec: Codec): Cache
  end(): Promise<void>
}

export async function openWorld(toolchain: string, redisUrl: string): Promise<World> {
  const go = await GoPeer.start(toolchain, redisUrl)
  const redis = await connect(redisUrl)
  const binary = redis.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  const remote: RemoteStore = nodeRedis(redis)
  const unique = `${process.pid}:${Date.now().toString(36)}`
  let keys = 0
  const caches: Cache[] = []
  return {
    go,
    redis,
    bytes: async (key) => {
      const stored = await binary.get(key)
      return stored === null ? undefined : new Uint8Array(stored)
    },
    key: (name) => `interop:${unique}:${keys++}:${name}`,
    open: (codec) => {
      const cache = createCache({ remote, codec, jitterRatio: 0, remoteTimeout: '10s' })
      caches.push(cache)
      return cache
    },
    end: async () => {
      await Promise.all(caches.map((cache) => cache.close()))
      redis.destroy()
      await go.stop()
    },
  }
}

async function connect(url: string) {
  const client = createClient({ url })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** A loader that gives one value, and how often it ran. */
export function countedLoader<T>(value: T): {
  readonly load: () => T
  readonly runs: () => number
} {
  let runs = 0
  return {
    load: () => {
      runs++
      return value
    },
    runs: () => runs,
  }
}
