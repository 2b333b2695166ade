import { type RedisProcess, startServer } from './server-process.ts'

export interface StartRedisOptions {
  /** Default: a free port from 10,000 to 19,999. */
  readonly port?: number | undefined
  /**
   * Whether what was acknowledged survives `kill()` and `restart()` (an append-only file in a
   * directory that `stop()` removes). Default `false`: nothing is written to disk.
   */
  readonly persistent?: boolean | undefined
  /** More arguments, as on the command line: `['--maxmemory', '10mb']`. They come last and win. */
  readonly args?: readonly string[] | undefined
}

/** A master waits 5 s for further replicas before it serves the first, unless told not to. */
const PROMPT = ['--repl-diskless-sync-delay', '0']

/**
 * Starts a Redis or Valkey server on 127.0.0.1: the one that `REDIS_SERVER` names in the
 * environment, else `redis-server`, else `valkey-server` from PATH.
 *
 * @throws Error (as a rejection) if none can be run, or it does not answer within 10 s; the message
 * ends with what the server wrote.
 */
export function startRedis(options: StartRedisOptions = {}): Promise<RedisProcess> {
  const { port, persistent = false, args = [] } = options
  const own = ['--save', '', '--appendonly', persistent ? 'yes' : 'no', ...PROMPT]
  return startServer({ port, args: [...own, ...args] })
}
