import { optionRangeError, optionTypeError, shown } from '../model/errors.ts'
import { RedisStore } from '../redis-common/redis-store.ts'
import type { RemoteStore } from '../remote/remote-store.ts'
import type { IoredisClient } from './ioredis-client.ts'
import { IoredisConnection } from './ioredis-connection.ts'

/**
 * A remote tier on a client of ioredis 5 or 6, or of iovalkey (optional peers), in front of Redis or
 * Valkey: `new Redis()`, also one that finds its master through sentinels. A `Cluster` is refused.
 *
 * The client must have `maxRetriesPerRequest: 0`. By default these clients keep what a lost
 * connection left unanswered, and send it again to whoever answers next: a write would take effect
 * long after its caller was told that it failed. `client.duplicate({ maxRetriesPerRequest: 0 })`
 * makes one beside a client that serves other purposes.
 *
 * The client is yours: with `lazyConnect` connect it yourself, before or after the cache is made, and
 * close it after the cache. Its other options are honoured, `keyPrefix`, `db`, `stringNumbers` and
 * `retryStrategy` among them, except `enableAutoPipelining`, which keeps commands back; the reads of
 * one turn travel together without it. How soon a server that is back is used again is up to
 * `retryStrategy`: up to 5 s in ioredis 6, 2 s in the others. While a cache uses the client, it has an
 * `error` listener.
 *
 * Nothing waits for a connection: an operation rejects at once unless the client is ready, and one
 * that is under way rejects when the connection is lost. An error of the server or the client rejects
 * as it is.
 *
 * A key that holds something other than a string reads as absent; a compare on it rejects with
 * WRONGTYPE, a `set` or `delete` replaces or removes it.
 *
 * @throws TypeError (`code: 'CACHE_OPTION'`) if it is no such client.
 * @throws RangeError (`code: 'CACHE_OPTION'`) if its `maxRetriesPerRequest` is not 0.
 */
export function ioredis(client: IoredisClient): RemoteStore {
  if (typeof client?.createBuiltinCommand !== 'function' || typeof client.status !== 'string') {
    throw optionTypeError(
      `ioredis: client must be what new Redis() of ioredis or iovalkey makes, but is ${shown(client)}`,
      'Make one with new Redis() of ioredis 5 or 6 or iovalkey; for another client use the store of its own.',
    )
  }
  if (client.isCluster) {
    throw optionTypeError(
      'ioredis: client must be a Redis, but is a Cluster',
      'Make one with new Redis(), with sentinels or without.',
    )
  }
  const { maxRetriesPerRequest } = client.options
  if (maxRetriesPerRequest !== 0) {
    throw optionRangeError(
      `ioredis: the client's maxRetriesPerRequest must be 0, but is ${shown(maxRetriesPerRequest)}: it would send writes again after a lost connection, when their callers have been told that they failed`,
      'Make it with new Redis({ maxRetriesPerRequest: 0 }), or one beside it with client.duplicate({ maxRetriesPerRequest: 0 }).',
    )
  }
  return new RedisStore(new IoredisConnection(client))
}
