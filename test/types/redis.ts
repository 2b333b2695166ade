import type { createClient, RedisClientType } from 'redis'
import { type NodeRedisClient, nodeRedis } from '../../src/redis/index.ts'

// Checked by the compiler alone: the client of the real package fits what we ask for.

type Created = ReturnType<typeof createClient>
type None = Record<string, never>
type Resp2 = RedisClientType<None, None, None, 2, None>
type Resp3 = RedisClientType<None, None, None, 3, None>

export const created: (client: Created) => NodeRedisClient = (client) => client
export const named: (client: RedisClientType) => NodeRedisClient = (client) => client
export const resp2: (client: Resp2) => NodeRedisClient = (client) => client
export const resp3: (client: Resp3) => NodeRedisClient = (client) => client

// @ts-expect-error: a URL is no client.
nodeRedis('redis://127.0.0.1')
