import { startRedis } from '../../src/testing/servers/redis.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'

/** The starter that users get, under the names that tests know it by. */
export const startRedisServer: typeof startRedis = startRedis
export type RedisServer = RedisProcess
