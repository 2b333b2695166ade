import type { InvalidationBus } from '../bus/invalidation-bus.ts'
import { PubSubBus, type RedisPubSubOptions } from '../redis-common/pub-sub-bus.ts'
import type { IoredisClient, IoredisCluster } from './ioredis-client.ts'
import { busParts } from './listening-client.ts'

/**
 * A bus over Redis or Valkey pub/sub, on a client of ioredis 5 or 6, or of iovalkey: whatever `ioredis` takes. Made of
 * the same client as the remote tier, it publishes each change in the same step as the change itself.
 *
 * ```ts
 * createCache({ remote: ioredis(client), sync: { bus: redisPubSub(client) } })
 * ```
 *
 * Each cache opens one connection beside those of the client, with the same options; when it is lost,
 * another one is made, to whichever server the client is connected to then. Messages go out on the
 * client itself. The user needs `SUBSCRIBE`, `PUBLISH` and the channels that begin with the one used.
 *
 * @throws TypeError or RangeError (`code: 'CACHE_OPTION'`) as `ioredis` does, and for an unknown
 * option or an empty `channel`.
 */
export function redisPubSub(
  client: IoredisClient | IoredisCluster,
  options: RedisPubSubOptions = {},
): InvalidationBus {
  return new PubSubBus(busParts(client), options)
}
