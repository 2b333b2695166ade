import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Drip, LaneFaults } from './fault-lane.ts'
import { type Cut, FaultyConnection, type ProxyState } from './faulty-connection.ts'
import { freePort } from './servers/free-port.ts'

/** Which bytes a fault concerns: the client's (`toServer`) or the server's (`toClient`). */
export type Direction = 'toServer' | 'toClient'

export interface TcpFaultProxyOptions {
  /** Where connections lead. It need not listen yet. `host` is 127.0.0.1 unless given. */
  readonly target: { readonly host?: string | undefined; readonly port: number }
}

/** Counted since the proxy began; whoever measures takes two readings. */
export interface TcpFaultProxyCounts {
  /** Connections that clients made, those reset by `refuse('reset')` included. */
  readonly connections: number
  /** Of them, those that their clients have neither ended nor lost. */
  readonly open: number
  /** Bytes that clients sent, whether or not they went on to the server. */
  readonly bytesFromClients: number
  /** Bytes that the server sent, whether or not they went on to a client. */
  readonly bytesFromServer: number
  /**
   * Commands that clients sent, whether or not they went on: arrays and lines of the Redis
   * protocol. Without meaning for another protocol, or TLS.
   */
  readonly requests: number
  /**
   * Round trips, as far as they show: what a client sends after it was passed a reply, or first of
   * all, begins a burst; what it sends on top belongs to the same one. Counted per connection.
   * Replies to the first bytes of a long request may split it: a latency of some milliseconds to
   * the client keeps them apart.
   */
  readonly bursts: number
}

/** Faults are switched at any time, concern old and new connections, and add up. */
export interface TcpFaultProxy {
  readonly host: '127.0.0.1'
  readonly port: number
  counts(): TcpFaultProxyCounts
  /**
   * Everything, what is under way included, leaves `ms` milliseconds (from 0) after it came, in the
   * order in which it came. Connecting is not delayed.
   *
   * @throws RangeError if `ms` is negative or not finite.
   */
  latency(direction: Direction, ms: number): void
  /**
   * Lets at most `bytes` bytes through at a time and connection, then nothing for `every`
   * milliseconds (0: in pieces, but without a pause).
   *
   * @throws RangeError if `bytes` is no whole number from 1, or `every` negative or not finite.
   */
  drip(direction: Direction, drip: Drip): void
  /**
   * Keeps everything, the end of a connection included, in order and in memory, until `release` or
   * `heal`. What a client sent before it gave up reaches the server then, on the old connection.
   */
  hold(direction: Direction): void
  /** Lets go what `hold` has kept, and holds no longer. */
  release(direction: Direction): void
  /**
   * Swallows whatever either side sends, its going away too, and what is under way or held. New
   * connections are accepted, the server hears nothing of them. Ends with `heal`, which resets the
   * connections that lost something or began meanwhile.
   */
  blackHole(): void
  /**
   * New connections fail until `heal`: `closed` (nobody listens, the default) or `reset` (accepted
   * and reset at once). Existing ones go on: `cut()` ends them.
   */
  refuse(how?: 'closed' | 'reset'): void
  /** Ends every connection on both sides now, by default with a reset. New ones are accepted. */
  cut(how?: Cut): void
  /**
   * Cuts one connection, once: the one over which the replies, counted over all connections from
   * now on, pass `bytes` bytes; exactly so many go through. A second call replaces the first.
   *
   * @throws RangeError if `bytes` is no whole number from 0.
   */
  cutAfterBytes(bytes: number, how?: Cut): void
  /**
   * Ends all faults; what they kept back goes on at once, except for what a black hole has lost.
   *
   * @throws Error (as a rejection) if another took the port while nobody listened there.
   */
  heal(): Promise<void>
  /** Ends all connections and listens no more. */
  close(): Promise<void>
}

/** Another process may take the free port before we do. */
const TRIES = 5

/**
 * Starts a proxy on a free port of 127.0.0.1 that does to a connection what networks and dying
 * servers do. It keeps no process alive. A target that refuses looks like one that resets.
 *
 * @throws Error (as a rejection) of `node:net` if no port is to be had.
 */
export async function tcpFaultProxy(options: TcpFaultProxyOptions): Promise<TcpFaultProxy> {
  for (let tries = 1; ; tries++) {
    const proxy = new FaultProxy(options, await freePort())
    try {
      await proxy.listen()
      return proxy
    } catch (error) {
      if (tries === TRIES) throw error
    }
  }
}

class FaultProxy implements TcpFaultProxy {
  readonly host = '127.0.0.1'
  readonly port: number
  readonly #target: { readonly host: string; readonly port: number }
  readonly #connections = new Set<FaultyConnection>()
  readonly #state: ProxyState = {
    toServer: { latency: 0, drip: undefined, held: false },
    toClient: { latency: 0, drip: undefined, held: false },
    blackHole: false,
    cutIn: Number.POSITIVE_INFINITY,
    cutAs: 'reset',
    connections: 0,
    bytesFromClients: 0,
    bytesFromServer: 0,
    requests: 0,
    bursts: 0,
  }
  /** Absent while nobody listens. */
  #listener: Server | undefined
  #resetsNew = false

  constructor({ target }: TcpFaultProxyOptions, port: number) {
    this.#target = { host: target.host ?? '127.0.0.1', port: target.port }
    this.port = port
  }

  async listen(): Promise<void> {
    if (this.#listener !== undefined) return
    const listener = createServer({ allowHalfOpen: true }, (client) => this.#accept(client))
    this.#listener = listener
    listener.listen(this.port, this.host).unref()
    try {
      await once(listener, 'listening')
    } catch (error) {
      this.#listener = undefined
      throw error
    }
  }

  counts(): TcpFaultProxyCounts {
    const { connections, bytesFromClients, bytesFromServer, requests, bursts } = this.#state
    const open = [...this.#connections].filter((connection) => connection.isHeldByClient).length
    return { connections, open, bytesFromClients, bytesFromServer, requests, bursts }
  }

  latency(direction: Direction, ms: number): void {
    this.#state[direction].latency = checked('latency', ms)
    this.#pump()
  }

  drip(direction: Direction, { bytes, every }: Drip): void {
    checkWhole('bytes', bytes, 1)
    this.#state[direction].drip = { bytes, every: checked('every', every) }
    this.#pump()
  }

  hold(direction: Direction): void {
    this.#state[direction].held = true
  }

  release(direction: Direction): void {
    this.#state[direction].held = false
    this.#pump()
  }

  blackHole(): void {
    this.#state.blackHole = true
    for (const connection of this.#connections) connection.enterBlackHole()
  }

  refuse(how: 'closed' | 'reset' = 'closed'): void {
    this.#resetsNew = how === 'reset'
    if (how === 'reset') return
    this.#listener?.close()
    this.#listener = undefined
  }

  cut(how: Cut = 'reset'): void {
    for (const connection of this.#connections) connection.cut(how)
  }

  cutAfterBytes(bytes: number, how: Cut = 'reset'): void {
    checkWhole('bytes', bytes, 0)
    this.#state.cutIn = bytes
    this.#state.cutAs = how
  }

  async heal(): Promise<void> {
    heal(this.#state.toServer)
    heal(this.#state.toClient)
    this.#state.cutIn = Number.POSITIVE_INFINITY
    this.#state.blackHole = false
    this.#resetsNew = false
    for (const connection of this.#connections) connection.leaveBlackHole()
    this.#pump()
    await this.listen()
  }

  async close(): Promise<void> {
    const listener = this.#listener
    this.#listener = undefined
    for (const connection of this.#connections) connection.destroy()
    if (listener !== undefined) await new Promise<void>((done) => listener.close(() => done()))
  }

  #accept(client: Socket): void {
    this.#state.connections++
    if (this.#resetsNew) {
      client.on('error', () => undefined)
      client.resetAndDestroy()
      return
    }
    const server = this.#state.blackHole
      ? undefined
      : connect({ ...this.#target, allowHalfOpen: true })
    const connection = new FaultyConnection(this.#state, client, server)
    this.#connections.add(connection)
    const forget = () => {
      if (!connection.isOpen) this.#connections.delete(connection)
    }
    client.once('close', forget)
    server?.once('close', forget)
  }

  #pump(): void {
    for (const connection of this.#connections) connection.pump()
  }
}

function heal(faults: LaneFaults): void {
  faults.latency = 0
  faults.drip = undefined
  faults.held = false
}

function checked(what: string, ms: number): number {
  if (ms >= 0 && Number.isFinite(ms)) return ms
  throw new RangeError(`${what} is 0 milliseconds or more, but was ${ms}`)
}

function checkWhole(what: string, count: number, least: number): void {
  if (Number.isSafeInteger(count) && count >= least) return
  throw new RangeError(`${what} is a whole number from ${least}, but was ${count}`)
}
