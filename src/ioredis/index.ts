export { ioredis } from './ioredis.ts'
export type { IoredisClient, IoredisCluster } from './ioredis-client.ts'
