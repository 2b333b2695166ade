export type { NodeRedisClient } from './node-redis-client.ts'
export { nodeRedis } from './node-redis-store.ts'
