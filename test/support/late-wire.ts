import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** One connection: what its client sent while it was held has not reached the server yet. */
interface Wire {
  readonly server: Socket
  kept: Buffer[] | undefined
}

/**
 * A wire to a server on which what clients have sent can arrive late: after they have lost the
 * connection, made another one, and been served on that.
 */
export class LateWire {
  readonly #listener: Server
  readonly #wires = new Set<Wire>()

  private constructor(target: number) {
    this.#listener = createServer({ allowHalfOpen: true }, (client) => this.#accept(client, target))
  }

  /** @param target The port of the server on 127.0.0.1; it need not listen yet. */
  static async to(target: number): Promise<LateWire> {
    const wire = new LateWire(target)
    wire.#listener.listen(0, '127.0.0.1').unref()
    await once(wire.#listener, 'listening')
    return wire
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port
  }

  /** Keeps what comes over the connections there are, also when their clients have gone; not over new ones. */
  hold(): void {
    for (const wire of this.#wires) wire.kept ??= []
  }

  /** Delivers what was kept. Resolves when the server has taken it, or is known not to. */
  async deliver(): Promise<void> {
    const delivered: Promise<unknown>[] = []
    for (const wire of this.#wires) {
      const { server, kept = [] } = wire
      wire.kept = undefined
      if (server.destroyed) continue
      delivered.push(new Promise((resolve) => server.once('close', resolve)))
      server.end(Buffer.concat(kept))
    }
    await Promise.all(delivered)
  }

  async close(): Promise<void> {
    for (const { server } of this.#wires) server.destroy()
    await new Promise((resolve) => this.#listener.close(resolve))
  }

  #accept(client: Socket, target: number): void {
    const server = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true })
    const wire: Wire = { server, kept: undefined }
    this.#wires.add(wire)
    for (const socket of [client, server]) socket.setNoDelay(true).unref()
    client.on('data', (chunk: Buffer) => {
      if (wire.kept === undefined) server.write(chunk)
      else wire.kept.push(chunk)
    })
    client.on('end', () => {
      if (wire.kept === undefined) server.end()
    })
    client.on('error', () => undefined)
    client.on('close', () => {
      if (wire.kept === undefined) server.destroy()
    })
    server.on('data', (chunk: Buffer) => {
      if (!client.destroyed) client.write(chunk)
    })
    server.on('end', () => server.end())
    server.on('error', () => undefined)
    server.on('close', () => {
      this.#wires.delete(wire)
      client.resetAndDestroy()
    })
  }
}
