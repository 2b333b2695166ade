/*
 * What is used of the clients of node-redis 6 (package `redis`), by structure: our declarations import
 * none of theirs, and `redis` stays an optional peer.
 */

/** What `createClient()`, `createClientPool()`, `createCluster()` or `createSentinel()` returns. */
export type NodeRedisClient = NodeRedisSingle | NodeRedisPool | NodeRedisCluster | NodeRedisSentinel

/** The part of an event emitter that adds and removes listeners. */
export interface NodeRedisEmitter {
  on(event: string, listener: () => void): unknown
  off(event: string, listener: () => void): unknown
  eventNames(): unknown[]
  listenerCount(event: string): number
}

/** One connection, inside a pool, a cluster or a sentinel too. */
export interface NodeRedisConnected extends NodeRedisEmitter {
  /** Whether a command handed over now would go out now. */
  readonly isReady: boolean
  /** Whether it is connected, or means to be again. */
  readonly isOpen: boolean
  /** The same client, all of whose commands have these options. */
  withCommandOptions(options: NodeRedisCommandOptions): NodeRedisSender
  readonly options?: NodeRedisOptions | undefined
  /** Makes another one with the same options, but for those given. */
  duplicate(overrides: object): NodeRedisListening
}

export interface NodeRedisSender {
  /** Sends the arguments as they are, without key prefix, and resolves with the reply as it is. */
  sendCommand(args: readonly (string | Buffer)[]): Promise<unknown>
}

/** A connection made beside another one, that listens. */
export interface NodeRedisListening {
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'invalidate', listener: (key: string | Buffer | null) => void): unknown
  connect(): Promise<unknown>
  subscribe(
    channels: string[],
    listener: (message: string, channel: string) => void,
  ): Promise<unknown>
  sendCommand(args: readonly string[]): Promise<unknown>
  /** Does not keep the process alive. */
  unref(): void
  destroy(): unknown
}

interface NodeRedisOptions {
  readonly socket?: NodeRedisSocketOptions | undefined
  readonly database?: number | undefined
}

interface NodeRedisCommandOptions {
  /** By the type byte of the protocol: `$` (36), a string of the server, as a Buffer. */
  typeMapping: { 36: typeof Buffer }
  /** 0: none. The client's own default makes a signal and a timer for each command. */
  timeout: 0
  /** Before all others that wait: never. */
  asap: false
  /** Takes back commands that have not been sent. */
  abortSignal: AbortSignal
}

/** Put before each key that is sent. */
interface Prefixed {
  /**
   * Internal to the package, which has no other place where each kind of client tells its prefix;
   * absent from versions that know no prefix.
   */
  readonly _keyPrefix?: string | Buffer | undefined
}

/** `createClient()` */
export interface NodeRedisSingle extends NodeRedisConnected, Prefixed {}

export interface NodeRedisSocketOptions {
  readonly reconnectStrategy?: unknown
  readonly socketTimeout?: number | undefined
}

/** `createClientPool()`, `client.createPool()` */
export interface NodeRedisPool extends NodeRedisEmitter, Prefixed {
  readonly idleClients: number
  /** Calls with a connection that nobody else uses until the promise has settled. */
  execute<T>(task: (client: NodeRedisConnected) => Promise<T>): Promise<T>
}

/** `createCluster()` */
export interface NodeRedisCluster extends NodeRedisEmitter, Prefixed {
  /** Another array after each look at the topology. */
  readonly masters: NodeRedisMaster[]
  /** By slot; no entry where none covers it. */
  readonly slots: { readonly master: NodeRedisMaster }[]
  nodeClient(node: NodeRedisMaster): Promise<unknown>
  /** Internal to the package: looks at the topology, as one of its nodes sees it. */
  readonly _slots: { rediscover(informant?: NodeRedisConnected): Promise<unknown> }
  /** Internal to the package, which shows its options nowhere else. */
  readonly _options: {
    readonly defaults?: { readonly socket?: NodeRedisSocketOptions | undefined } | undefined
    readonly topologyRefreshOnReconnectionAttemptStrategy?: unknown
  }
}

export interface NodeRedisMaster {
  /** `host:port`, as the cluster names it. */
  readonly address: string
  readonly client?: NodeRedisConnected | undefined
}

/** `createSentinel()` */
export interface NodeRedisSentinel extends NodeRedisEmitter, Prefixed {
  readonly isOpen: boolean
  readonly isReady: boolean
  getMasterNode(): unknown
  /** Internal to the package: hands out the connection to the master. */
  _execute<T>(isReadonly: boolean, use: (client: NodeRedisConnected) => Promise<T>): Promise<T>
}
