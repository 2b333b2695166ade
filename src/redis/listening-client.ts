import type { BusParts, ListeningClient } from '../redis-common/wire.ts'
import { checkOptions, prefixOf } from './client-options.ts'
import type { NodeRedisClient } from './node-redis-client.ts'
import { NodeRedisConnection, type Route } from './node-redis-connection.ts'
import { routeOf } from './node-redis-store.ts'
import { subscribeBeside, trackBeside } from './node-redis-wire.ts'

/** @throws TypeError or RangeError (`code: 'CACHE_OPTION'`) for a client that a store refuses, too. */
export function busParts(client: NodeRedisClient): BusParts {
  // Now, not when the first cache opens.
  listeningClient(client)
  return { origin: client, listeningClient: () => listeningClient(client) }
}

/** What a bus uses of a client of node-redis; each call gives one session its own. */
function listeningClient(client: NodeRedisClient): ListeningClient {
  const route = routeOf(client)
  checkOptions(client)
  return {
    connection: new NodeRedisConnection(route, prefixOf(client)),
    masters: () =>
      route.places().map(({ address, connected }) => ({
        address,
        link: connected && {
          connection: connected.connection,
          subscribe: (channels, listener) => subscribeBeside(connected.client, channels, listener),
          track: (prefixes, listener) => trackBeside(connected.client, prefixes, listener),
        },
      })),
    database: () => databaseOf(client, route),
  }
}

/** A pool and a sentinel show their options on their connections only. */
function databaseOf(client: NodeRedisClient, route: Route): number | undefined {
  if (route.bySlot) return 0
  if ('options' in client) return client.options?.database ?? 0
  const connected = route.places()[0]?.connected
  return connected && (connected.client.options?.database ?? 0)
}
