/**
 * What is used of a client of ioredis 5 or 6, or of iovalkey (`new Redis()`, with sentinels or
 * without), by structure: our declarations import none of theirs, and they stay optional peers.
 */
export interface IoredisClient {
  /** `ready`: a command handed over now goes out now. */
  readonly status: string
  /** A `Cluster` holds its options elsewhere. */
  readonly isCluster: boolean
  readonly options: {
    readonly maxRetriesPerRequest?: number | null | undefined
  }
  /** A command as a method, which `enableAutoPipelining` does not touch; it needs the client as `this`. */
  createBuiltinCommand(name: string): {
    /** Strings of the server come as Buffers. Arguments may stand in arrays. */
    readonly buffer: IoredisCommand
  }
  on(event: 'error' | 'close', listener: () => void): unknown
  off(event: 'error' | 'close', listener: () => void): unknown
}

export type IoredisCommand = (
  ...args: (string | Buffer | readonly (string | Buffer)[])[]
) => Promise<unknown>
