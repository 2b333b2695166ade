export { ioredis } from './ioredis.ts'
export type { IoredisClient } from './ioredis-client.ts'
