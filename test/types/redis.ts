import type {
  createClient,
  createClientPool,
  createCluster,
  createSentinel,
  RedisClientPoolType,
  RedisClientType,
  RedisClusterType,
  RedisSentinelType,
} from 'redis'
import { type NodeRedisClient, nodeRedis } from '../../src/redis/index.ts'

// Checked by the compiler alone: the clients of the real package fit what we ask for.

type None = Record<string, never>

export const created: (client: ReturnType<typeof createClient>) => NodeRedisClient = (it) => it
export const named: (client: RedisClientType) => NodeRedisClient = (it) => it
export const resp2: (client: RedisClientType<None, None, None, 2, None>) => NodeRedisClient = (
  it,
) => it
export const resp3: (client: RedisClientType<None, None, None, 3, None>) => NodeRedisClient = (
  it,
) => it

export const pool: (client: ReturnType<typeof createClientPool>) => NodeRedisClient = (it) => it
export const pool2: (client: RedisClientPoolType<None, None, None, 2, None>) => NodeRedisClient = (
  it,
) => it
export const pool3: (client: RedisClientPoolType<None, None, None, 3, None>) => NodeRedisClient = (
  it,
) => it

export const cluster: (client: ReturnType<typeof createCluster>) => NodeRedisClient = (it) => it
export const cluster2: (client: RedisClusterType<None, None, None, 2, None>) => NodeRedisClient = (
  it,
) => it
export const cluster3: (client: RedisClusterType<None, None, None, 3, None>) => NodeRedisClient = (
  it,
) => it

export const sentinel: (client: ReturnType<typeof createSentinel>) => NodeRedisClient = (it) => it
export const sentinel2: (client: RedisSentinelType<None, None, None, 2, None>) => NodeRedisClient =
  (it) => it
export const sentinel3: (client: RedisSentinelType<None, None, None, 3, None>) => NodeRedisClient =
  (it) => it

// @ts-expect-error: a URL is no client.
nodeRedis('redis://127.0.0.1')
