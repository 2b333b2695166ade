import { optionRangeError, optionTypeError, shown } from '../model/errors.ts'
import type { NodeRedisClient, NodeRedisSocketOptions } from './node-redis-client.ts'

/** What the client puts before each key. */
export function prefixOf({ _keyPrefix: prefix = '' }: NodeRedisClient): string {
  if (typeof prefix === 'string') return prefix
  const text = prefix.toString()
  if (prefix.equals(Buffer.from(text))) return text
  throw optionTypeError(
    "nodeRedis: the client's keyPrefix must be text, but is bytes that are no UTF-8",
    'Give the client a string as keyPrefix.',
  )
}

/**
 * Refuses what would leave the cache without its remote tier for good once a connection was lost. Of a
 * pool and of a sentinel the client shows no options.
 */
export function checkOptions(client: NodeRedisClient): void {
  if ('_options' in client) {
    checkSocket(client._options.defaults?.socket, 'defaults.socket')
    checkTopologyRefresh(client._options.topologyRefreshOnReconnectionAttemptStrategy)
  } else if ('options' in client) {
    checkSocket(client.options?.socket, 'socket')
  }
}

function checkSocket(socket: NodeRedisSocketOptions | undefined, path: string): void {
  const { reconnectStrategy, socketTimeout } = socket ?? {}
  if (reconnectStrategy === false) {
    throw optionRangeError(
      `nodeRedis: the client's ${path}.reconnectStrategy must not be false: it would stay without a connection once it has lost one`,
      `Make the client with ${path}.reconnectStrategy: 500 (milliseconds).`,
    )
  }
  if (socketTimeout && reconnectStrategy === undefined) {
    throw optionRangeError(
      `nodeRedis: the client has ${path}.socketTimeout but no reconnectStrategy: by default it does not connect again after such a timeout`,
      `Make the client with ${path}.reconnectStrategy: 500 (milliseconds).`,
    )
  }
}

function checkTopologyRefresh(strategy: unknown): void {
  if (strategy !== false && strategy !== 0) return
  throw optionRangeError(
    `nodeRedis: the client's topologyRefreshOnReconnectionAttemptStrategy must not be ${shown(strategy)}: it would not notice which replica has taken the place of a dead master`,
    'Make the client with topologyRefreshOnReconnectionAttemptStrategy: 500 (milliseconds).',
  )
}
