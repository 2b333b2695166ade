import type { InvalidationBus } from '../bus/invalidation-bus.ts'
import { type RedisTrackingOptions, TrackingBus } from '../redis-common/tracking-bus.ts'
import { busParts } from './listening-client.ts'
import type { NodeRedisClient } from './node-redis-client.ts'

/**
 * A bus on which Redis or Valkey itself tells which keys were changed, by whomever, or have expired
 * (`CLIENT TRACKING` with `BCAST`), on a client of node-redis 6: whatever `nodeRedis` takes.
 *
 * ```ts
 * createCache({
 *   remote: nodeRedis(client),
 *   sync: { bus: redisTracking(client, { prefixes: ['user:', 'order:'] }) },
 * })
 * ```
 *
 * Nobody has to publish, so that it serves where others write with redis-cli or from programs that
 * know no cache. What it costs: each write and each expiry of a key under the prefixes is told to each
 * process, its own writes included; keys of the same names in other databases are told too.
 *
 * Each cache opens one connection to each master beside those of the client, with the same options and
 * RESP 3; one that is lost is made again. The user needs `CLIENT TRACKING`.
 *
 * @throws TypeError or RangeError (`code: 'CACHE_OPTION'`) as `nodeRedis` does, and for an unknown
 * option, no prefix, or prefixes that overlap.
 */
export function redisTracking(
  client: NodeRedisClient,
  options: RedisTrackingOptions,
): InvalidationBus {
  return new TrackingBus(busParts(client), options)
}
