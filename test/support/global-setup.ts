import type { TestProject } from 'vitest/node'
import { startRedis } from '../../src/testing/servers/redis.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A Redis for the whole run. Test files share it: each keeps to keys of its own. */
    redisUrl: string
  }
}

/** One server for the run: the one that REDIS_URL names, or one of our own on a free port. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env['REDIS_URL']
  if (given !== undefined && given !== '') {
    project.provide('redisUrl', given)
    return async () => {}
  }
  const server = await startRedis()
  project.provide('redisUrl', server.url)
  return () => server.stop()
}
