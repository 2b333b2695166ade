export type RedisArgument = string | Uint8Array

/** Told by a connection while a store uses it. */
export interface ConnectionWatcher {
  /** Commands can go out, to the same servers as before or to others. */
  ready(): void
  /**
   * A connection was lost: what was not answered on it may still take effect. Also told of an attempt
   * to connect that failed, which does no harm.
   */
  lost(): void
  /**
   * Lets commands go to a server: `undefined`: they may go now; else resolves when they may, after it
   * has said who it is. For clients with several connections, which ask before each command; of one
   * connection the store knows by itself.
   *
   * @throws what the client rejected with, or the server's error (as a rejection).
   */
  admission(server: RedisServer): Promise<void> | undefined
}

/**
 * One connection to a server that takes writes: the same object while it lasts, another one after it
 * was lost.
 */
export interface RedisServer {
  /**
   * Sends a command that has no key, at once or not at all, on a connection that writes take. Strings
   * of the server come as strings or Buffers.
   */
  send(command: readonly string[]): Promise<unknown>
}

/**
 * A client as the store uses it. Each command goes out at once, and once, or rejects: none is kept
 * for later. Strings of the server come as Buffers, integers as numbers; bytes that a command is
 * handed change no more. Commands that the client would not send now reject with `NotSentError`, as do
 * those it took back; its signal takes a command back if it has not been written to a socket.
 */
export interface RedisConnection {
  /** Names the store in errors and counters. */
  readonly name: string
  /**
   * Whether commands go out on one connection, in the order they were handed over. Not so in a pool,
   * nor where a client sends a command again to another server (a cluster).
   */
  readonly ordered: boolean
  /** The servers that are written to now; none while it is not ready. More than one: a cluster. */
  servers(): readonly RedisServer[]
  /** A key as it is sent, with what the client puts before each. All commands here take it so. */
  sentKey(key: string): string
  /** Where keys of different slots must not share a command: the slot of a key as it is sent. */
  slotOf?(key: string): number
  /** Adds the listeners that are needed while the store is in use. */
  attach(watcher: ConnectionWatcher): void
  /** Takes them off again. */
  detach(): void
  /** Takes back what has not been written to a socket. */
  withdraw(): void
  evalSha(
    sha: string,
    keys: readonly string[],
    args: readonly RedisArgument[],
    signal?: AbortSignal,
  ): Promise<unknown>
  eval(
    source: string,
    keys: readonly string[],
    args: readonly RedisArgument[],
    signal?: AbortSignal,
  ): Promise<unknown>
  /** SET with NX. */
  setIfAbsent(key: string, bytes: Uint8Array, ttl: number, signal?: AbortSignal): Promise<unknown>
}

/** The command never left this process. */
export class NotSentError extends Error {}
