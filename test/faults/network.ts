import {
  type Direction,
  type TcpFaultProxy,
  tcpFaultProxy,
} from '../../src/testing/tcp-fault-proxy.ts'
import { LateWire } from '../support/late-wire.ts'

/**
 * All ways from the clients under test to the servers of one deployment: what is done to the network
 * is done to each of them.
 */
export class Network {
  readonly #proxies: readonly TcpFaultProxy[]
  readonly #wires: readonly LateWire[]
  readonly #counted: number

  private constructor(
    proxies: readonly TcpFaultProxy[],
    wires: readonly LateWire[],
    counted: number,
  ) {
    this.#proxies = proxies
    this.#wires = wires
    this.#counted = counted
  }

  /** One way to each of these ports of 127.0.0.1. @param uncounted More of them. */
  static async to(ports: readonly number[], uncounted: readonly number[] = []): Promise<Network> {
    const all = [...ports, ...uncounted]
    const wires = await Promise.all(all.map((port) => LateWire.to(port)))
    const proxies = await Promise.all(wires.map(({ port }) => tcpFaultProxy({ target: { port } })))
    return new Network(proxies, wires, ports.length)
  }

  /** The ports at which clients reach the servers, in the order of the servers. */
  get ports(): number[] {
    return this.#proxies.map(({ port }) => port)
  }

  /** What clients have done since the start, on the ways that count. */
  counts(): { readonly connections: number; readonly open: number; readonly requests: number } {
    const total = { connections: 0, open: 0, requests: 0 }
    for (const proxy of this.#proxies.slice(0, this.#counted)) {
      const { connections, open, requests } = proxy.counts()
      total.connections += connections
      total.open += open
      total.requests += requests
    }
    return total
  }

  blackHole(): void {
    for (const proxy of this.#proxies) proxy.blackHole()
  }

  /** Ends all connections; new ones are refused until `heal`. */
  goDown(): void {
    for (const proxy of this.#proxies) {
      proxy.refuse()
      proxy.cut()
    }
  }

  cut(): void {
    for (const proxy of this.#proxies) proxy.cut()
  }

  cutAfterBytes(bytes: number): void {
    for (const proxy of this.#proxies) proxy.cutAfterBytes(bytes)
  }

  /** Each reply comes so many milliseconds late. */
  slowDown(ms: number): void {
    for (const proxy of this.#proxies) proxy.latency('toClient', ms)
  }

  hold(direction: Direction): void {
    for (const proxy of this.#proxies) proxy.hold(direction)
  }

  async heal(): Promise<void> {
    await Promise.all(this.#proxies.map((proxy) => proxy.heal()))
  }

  /** From now on, what is sent over the connections there are arrives only with `deliverStranded`. */
  strand(): void {
    for (const wire of this.#wires) wire.hold()
  }

  async deliverStranded(): Promise<void> {
    await Promise.all(this.#wires.map((wire) => wire.deliver()))
  }

  async close(): Promise<void> {
    await Promise.all(this.#proxies.map((proxy) => proxy.close()))
    await Promise.all(this.#wires.map((wire) => wire.close()))
  }
}
