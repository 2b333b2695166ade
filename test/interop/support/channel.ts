import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { onTestFinished } from 'vitest'
import type { InvalidationBus } from '../../../src/bus/invalidation-bus.ts'
import { type Cache, createCache } from '../../../src/cache.ts'
import { text } from '../../../src/codec/raw.ts'
import * as overIoredis from '../../../src/ioredis/index.ts'
import { lru } from '../../../src/lru/lru.ts'
import type { SyncOptions } from '../../../src/options/options.ts'
import * as overNodeRedis from '../../../src/redis/index.ts'
import type { RedisPubSubOptions } from '../../../src/redis-common/pub-sub-bus.ts'
import type { RemoteStore } from '../../../src/remote/remote-store.ts'
import { ADVISED, whenReady } from '../../support/ioredis-clients.ts'
import { until } from '../../support/until.ts'
import { GoMember } from './go-member.ts'
import type { GoLocal } from './go-peer.ts'
import type { World } from './world.ts'

/** A client of ours, and what is made of it. */
export interface BusClient {
  connect(): Promise<unknown>
  store(): RemoteStore
  pubSub(options?: RedisPubSubOptions): InvalidationBus
  destroy(): void
}

export interface ClientKind {
  readonly name: string
  /** What the Go service on the other side keeps its copies in. */
  readonly goLocal: GoLocal
  make(url: string): BusClient
}

export const CLIENT_KINDS: readonly ClientKind[] = [
  {
    name: 'node-redis',
    goLocal: 'tinyLFU',
    make: (url) => {
      const client = createClient({ url })
      client.on('error', () => undefined)
      return {
        connect: () => client.connect(),
        store: () => overNodeRedis.nodeRedis(client),
        pubSub: (options) => overNodeRedis.redisPubSub(client, options),
        destroy: () => client.destroy(),
      }
    },
  },
  {
    name: 'ioredis',
    goLocal: 'freeCache',
    make: (url) => {
      const client = new Redis(url, { ...ADVISED, lazyConnect: true })
      return {
        connect: async () => {
          await client.connect()
          await whenReady(client)
        },
        store: () => overIoredis.ioredis(client),
        pubSub: (options) => overIoredis.redisPubSub(client, options),
        destroy: () => client.disconnect(),
      }
    },
  },
]

/** A Go service and ours, on one channel. */
export interface Channel {
  readonly go: GoMember
  readonly name: string
  readonly kind: ClientKind
  readonly client: BusClient
  /** A cache of ours, for as long as the test runs; it hears the channel already. */
  open(sync?: Partial<SyncOptions>): Promise<Cache>
  end(): void
}

/** The cache of ours. */
export const OUR_NAME = 'carts'

export async function openChannel(
  world: World,
  kind: ClientKind,
  redisUrl: string,
): Promise<Channel> {
  const name = world.key('channel')
  const go = await GoMember.join(world.go, world.key('orders'), name, kind.goLocal)
  const client = kind.make(redisUrl)
  await client.connect()
  return {
    go,
    name,
    kind,
    client,
    open: async (sync) => {
      const cache = openCache(client, { bus: client.pubSub({ channel: name }), ...sync })
      await until('our cache hears the channel', () => cache.stats().busArmed === true)
      return cache
    },
    end: () => client.destroy(),
  }
}

export function openCache(client: BusClient, sync: SyncOptions): Cache {
  const cache = createCache({
    name: OUR_NAME,
    local: lru({ maxEntries: 10_000 }),
    remote: client.store(),
    codec: text(),
    remoteTimeout: '10s',
    // A busy machine may hand on news late; nothing here is about when they are too late.
    sync: { foreignWindow: '1m', ...sync },
  })
  onTestFinished(() => cache.close())
  return cache
}
