import type { BusParts, ListeningClient } from '../redis-common/wire.ts'
import { connectionOn, isCluster } from './ioredis.ts'
import type { IoredisClient, IoredisCluster } from './ioredis-client.ts'
import { subscribeBeside, trackBeside } from './ioredis-wire.ts'

/** @throws TypeError or RangeError (`code: 'CACHE_OPTION'`) for a client that a store refuses, too. */
export function busParts(client: IoredisClient | IoredisCluster): BusParts {
  // Now, not when the first cache opens.
  listeningClient(client)
  return { origin: client, listeningClient: () => listeningClient(client) }
}

/** What a bus uses of a client of ioredis; each call gives one session its own. */
function listeningClient(client: IoredisClient | IoredisCluster): ListeningClient {
  const connection = connectionOn(client)
  return {
    connection,
    masters: () =>
      connection.places().map(({ address, connected }) => ({
        address,
        link: connected && {
          connection: connected.connection,
          subscribe: (channels, listener) => subscribeBeside(connected.redis, channels, listener),
          track: (prefixes, listener) => trackBeside(connected.redis, prefixes, listener),
        },
      })),
    database: () => (isCluster(client) ? 0 : (client.options.db ?? 0)),
  }
}
