import type { InvalidationBus } from '../bus/invalidation-bus.ts'
import { PubSubBus, type RedisPubSubOptions } from '../redis-common/pub-sub-bus.ts'
import { busParts } from './listening-client.ts'
import type { NodeRedisClient } from './node-redis-client.ts'

/**
 * A bus over Redis or Valkey pub/sub, on a client of node-redis 6: whatever `nodeRedis` takes. Made of
 * the same client as the remote tier, it publishes each change in the same step as the change itself.
 *
 * ```ts
 * createCache({ remote: nodeRedis(client), sync: { bus: redisPubSub(client) } })
 * ```
 *
 * Each cache opens one connection beside those of the client, with the same options; when it is lost,
 * another one is made, to whichever server the client is connected to then. Messages go out on the
 * client itself. The user needs `SUBSCRIBE`, `PUBLISH` and the channels that begin with the one used.
 *
 * @throws TypeError or RangeError (`code: 'CACHE_OPTION'`) as `nodeRedis` does, and for an unknown
 * option or an empty `channel`.
 */
export function redisPubSub(
  client: NodeRedisClient,
  options: RedisPubSubOptions = {},
): InvalidationBus {
  return new PubSubBus(busParts(client), options)
}
