/**
 * What is used of a client of node-redis 6 (`createClient()` of the package `redis`), by structure:
 * our declarations import none of theirs, and `redis` stays an optional peer.
 */
export interface NodeRedisClient {
  /** Whether a command handed over now would go out now. */
  readonly isReady: boolean
  withCommandOptions(options: NodeRedisCommandOptions): NodeRedisCommands
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
  eventNames(): unknown[]
  listenerCount(event: 'error'): number
}

interface NodeRedisCommandOptions {
  /** By the type byte of the protocol: `$` (36), a string of the server, as a Buffer. */
  typeMapping: { 36: typeof Buffer }
  /** 0: none. The client's own default makes a signal and a timer for each command. */
  timeout: 0
  /** Takes back commands that have not been sent. */
  abortSignal: AbortSignal
}

/** The commands used; each replies as the protocol does, values as Buffers. */
export interface NodeRedisCommands {
  evalSha(sha: string, options: NodeRedisScriptArguments): Promise<unknown>
  eval(source: string, options: NodeRedisScriptArguments): Promise<unknown>
  set(key: string, value: Buffer, options: NodeRedisSetOptions): Promise<unknown>
  del(keys: string[]): Promise<unknown>
  ping(): Promise<unknown>
}

interface NodeRedisScriptArguments {
  keys: string[]
  arguments: (string | Buffer)[]
}

export interface NodeRedisSetOptions {
  expiration: { type: 'PX'; value: number }
  condition?: 'NX' | 'XX'
}
