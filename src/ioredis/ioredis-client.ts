/**
 * What is used of a client of ioredis 5 or 6, or of iovalkey (`new Redis()`, with sentinels or
 * without), by structure: our declarations import none of theirs, and they stay optional peers.
 */
export interface IoredisClient {
  /** `ready`: a command handed over now goes out now. */
  readonly status: string
  readonly isCluster: boolean
  readonly options: {
    readonly keyPrefix?: string | undefined
    readonly host?: string | undefined
    readonly port?: number | undefined
    readonly maxRetriesPerRequest?: number | null | undefined
    readonly readOnly?: boolean | undefined
    readonly role?: 'master' | 'slave' | undefined
    readonly sentinels?: readonly unknown[] | null | undefined
    readonly failoverDetector?: boolean | undefined
    readonly db?: number | undefined
  }
  /** Of the connection that is, or was last; another object for each. */
  readonly stream: IoredisStream
  connect(): Promise<unknown>
  /** Makes another one with the same options, but for those given. */
  duplicate(overrides: object): IoredisListening
  /** A command as a method, which `enableAutoPipelining` does not touch; it needs a maker as `this`. */
  createBuiltinCommand(name: string): {
    /** Strings of the server come as Buffers. Arguments may stand in arrays. */
    readonly buffer: IoredisCommand
  }
  sendCommand(command: never): unknown
  on(event: 'error' | 'ready' | 'close' | 'end', listener: () => void): unknown
  off(event: 'error' | 'ready' | 'close' | 'end', listener: () => void): unknown
}

/** What is used of a `Cluster` of ioredis 5 or 6, or of iovalkey. */
export interface IoredisCluster {
  readonly status: string
  readonly isCluster: boolean
  readonly options: {
    readonly keyPrefix?: string | undefined
    readonly clusterNodeRetryStrategy?: unknown
    readonly redisOptions?:
      | {
          readonly maxRetriesPerRequest?: number | null | undefined
          readonly stringNumbers?: boolean | undefined
        }
      | undefined
  }
  /** For each slot who serves it, as `host:port`: its master, then replicas. */
  readonly slots: readonly (readonly string[] | undefined)[]
  nodes(role?: 'all' | 'master' | 'slave'): readonly IoredisClient[]
  /** Asks one of the servers who serves what. */
  refreshSlotsCache(callback: () => void): void
  createBuiltinCommand(name: string): { readonly buffer: IoredisCommand }
  on(event: 'error' | 'ready' | 'close' | 'refresh', listener: () => void): unknown
  on(event: '+node', listener: (node: IoredisClient) => void): unknown
  off(event: 'error' | 'ready' | 'close' | 'refresh', listener: () => void): unknown
  off(event: '+node', listener: (node: IoredisClient) => void): unknown
}

/** A connection made beside another one, that listens. */
export interface IoredisListening {
  /** None before it is connected for the first time. */
  readonly stream: { unref(): unknown; destroy(): unknown } | undefined
  connect(): Promise<unknown>
  disconnect(): void
  subscribe(...channels: string[]): Promise<unknown>
  call(command: string, ...args: string[]): Promise<unknown>
  on(event: 'close' | 'connect', listener: () => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'message', listener: (channel: string, text: string) => void): unknown
  /** Also of a push of `CLIENT TRACKING`, whose message is a list of keys, or null. */
  on(event: 'messageBuffer', listener: (channel: Buffer, message: unknown) => void): unknown
}

export interface IoredisStream {
  readonly writable: boolean
  /** Whether more bytes wait in this process than the stream would like. */
  readonly writableNeedDrain: boolean
  /** Bytes that wait in this process, and how many it would like at the most. */
  readonly writableLength: number
  readonly writableHighWaterMark: number
  cork(): void
  uncork(): void
  on(event: 'drain', listener: () => void): unknown
  off(event: 'drain', listener: () => void): unknown
}

/** Makes a command, the maker's key prefix before its keys, and hands it to the maker to be sent. */
export type IoredisCommand = (
  this: object,
  ...args: (string | Buffer | readonly (string | Buffer)[])[]
) => Promise<unknown>
