import type { Socket } from 'node:net'
import { FaultLane, type LaneFaults, type Passage } from './fault-lane.ts'
import { RequestCounter } from './request-counter.ts'

/**
 * How a connection ends: `reset` (RST, as from a host that no longer knows it) or `end` (FIN).
 * Node.js tells of a reset as of an end if it reads the last bytes in the same turn: it looks no
 * further than the hang-up.
 */
export type Cut = 'reset' | 'end'

/** What the connections of one proxy share. Changed while they run. */
export interface ProxyState {
  readonly toServer: LaneFaults
  readonly toClient: LaneFaults
  blackHole: boolean
  /** Bytes of replies that still pass before the connection that carries the next one is cut. */
  cutIn: number
  cutAs: Cut
  connections: number
  bytesFromClients: number
  bytesFromServer: number
  requests: number
  bursts: number
}

/**
 * A client's connection and the one made for it to the server. Without a server side (accepted
 * inside a black hole) all that comes is lost.
 */
export class FaultyConnection {
  readonly #state: ProxyState
  readonly #client: Socket
  readonly #server: Socket | undefined
  readonly #toServer: FaultLane
  readonly #toClient: FaultLane
  readonly #requests = new RequestCounter()
  /** Something that one side sent never reached the other: the streams no longer fit together. */
  #lossy: boolean
  /** The client has heard something since it last spoke, or never spoke: what it says is new. */
  #turned = true

  constructor(state: ProxyState, client: Socket, server: Socket | undefined) {
    this.#state = state
    this.#client = client
    this.#server = server
    this.#lossy = server === undefined
    this.#toServer = new FaultLane(state.toServer, (passage) => pass(passage, client, server))
    this.#toClient = new FaultLane(state.toClient, (passage) => this.#answer(passage))
    this.#listen(client, this.#toServer, server, (chunk) => this.#countRequest(chunk))
    if (server !== undefined) {
      this.#listen(server, this.#toClient, client, (chunk) => {
        state.bytesFromServer += chunk.length
      })
    }
  }

  get isOpen(): boolean {
    return !this.#client.destroyed || this.#server?.destroyed === false
  }

  /** Neither lost nor ended by its client. */
  get isHeldByClient(): boolean {
    return !this.#client.destroyed && !this.#client.readableEnded
  }

  pump(): void {
    this.#toServer.pump()
    this.#toClient.pump()
  }

  /** What is under way is lost, as everything that arrives from now on. */
  enterBlackHole(): void {
    const lost = [this.#toServer.clear(), this.#toClient.clear()]
    this.#lossy ||= lost.includes(true)
    this.#client.resume()
    this.#server?.resume()
  }

  /** A connection that lost something is over: no TCP would let its later bytes through. */
  leaveBlackHole(): void {
    if (this.#lossy) this.cut('reset')
  }

  /** Ends both sides now; what is under way is lost. */
  cut(how: Cut): void {
    this.#toServer.clear()
    this.#toClient.clear()
    sever(this.#client, how)
    if (this.#server !== undefined) sever(this.#server, how)
  }

  destroy(): void {
    this.#toServer.clear()
    this.#toClient.clear()
    this.#client.destroy()
    this.#server?.destroy()
  }

  #listen(
    from: Socket,
    lane: FaultLane,
    to: Socket | undefined,
    count: (chunk: Buffer) => void,
  ): void {
    const push = (passage: Passage) => {
      if (this.#state.blackHole) this.#lossy = true
      else if (to !== undefined) lane.push(passage)
    }
    from.setNoDelay(true).unref()
    from.on('data', (chunk: Buffer) => {
      count(chunk)
      push(chunk)
    })
    from.on('end', () => push('end'))
    from.on('error', () => push('reset'))
    // A receiver that does not keep up slows its sender down, as over a real wire.
    to?.on('drain', () => from.resume())
  }

  #countRequest(chunk: Buffer): void {
    const state = this.#state
    state.bytesFromClients += chunk.length
    state.requests += this.#requests.count(chunk)
    if (this.#turned) state.bursts++
    this.#turned = false
  }

  #answer(passage: Passage): void {
    const { cutIn, cutAs } = this.#state
    if (!(passage instanceof Buffer) || passage.length <= cutIn) {
      pass(passage, this.#server, this.#client)
      if (passage instanceof Buffer) {
        this.#state.cutIn -= passage.length
        this.#turned = true
      }
      return
    }
    this.#state.cutIn = Number.POSITIVE_INFINITY
    if (cutIn > 0) this.#client.write(passage.subarray(0, cutIn))
    this.cut(cutAs)
  }
}

function pass(passage: Passage, from: Socket | undefined, to: Socket | undefined): void {
  if (to === undefined) return
  if (passage === 'reset') sever(to, 'reset')
  else if (!to.writable) return
  else if (passage === 'end') to.end()
  else if (!to.write(passage)) from?.pause()
}

/** Bytes that wait for a peer that does not read would keep the socket open: they are dropped. */
function sever(socket: Socket, how: Cut): void {
  if (socket.destroyed) return
  if (socket.connecting || socket.writableLength > 0) socket.destroy()
  else if (how === 'reset') socket.resetAndDestroy()
  else socket.destroySoon()
}
