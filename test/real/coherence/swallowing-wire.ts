import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A way to a Redis on which single messages of pub/sub can be lost, and nothing else. */
export interface SwallowingWire {
  readonly port: number
  /** Messages lost so far. */
  readonly swallowed: number
  /** The next message on the channel that says so is lost, once to each connection. */
  swallow(channel: string, saying: string): void
  close(): Promise<void>
}

/** @param target A port of 127.0.0.1. */
export async function swallowingWire(target: number): Promise<SwallowingWire> {
  const sockets = new Set<Socket>()
  let frame: { readonly head: RegExp; readonly saying: string } | undefined
  let done = new Set<Socket>()
  let swallowed = 0

  const pass = (client: Socket, chunk: Buffer): Buffer => {
    if (frame === undefined || done.has(client)) return chunk
    const text = chunk.toString('latin1')
    const found = frame.head.exec(text)
    if (found === null) return chunk
    const end = found.index + found[0].length + Number(found[1]) + 2
    if (!text.slice(found.index, end).includes(frame.saying)) return chunk
    done.add(client)
    swallowed++
    return Buffer.concat([chunk.subarray(0, found.index), chunk.subarray(end)])
  }

  const listener = createServer((client) => {
    const server = connect(target, '127.0.0.1')
    const end = () => {
      client.destroy()
      server.destroy()
      sockets.delete(client)
    }
    sockets.add(client)
    for (const socket of [client, server]) socket.on('error', end).on('close', end)
    client.on('data', (chunk) => server.write(chunk))
    server.on('data', (chunk) => client.write(pass(client, chunk)))
  })
  listener.listen(0, '127.0.0.1').unref()
  await once(listener, 'listening')
  return {
    port: (listener.address() as AddressInfo).port,
    get swallowed() {
      return swallowed
    },
    swallow: (channel, saying) => {
      // A message of RESP 2 or 3, as one write of the server on an idle connection carries it.
      const head = `[*>]3\r\n\\$7\r\nmessage\r\n\\$\\d+\r\n${channel}\r\n\\$(\\d+)\r\n`
      frame = { head: new RegExp(head), saying }
      done = new Set()
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => listener.close(() => resolve()))
    },
  }
}
