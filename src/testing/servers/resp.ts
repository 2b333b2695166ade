import { connect } from 'node:net'

/** A reply of RESP2. */
export type Reply = string | number | null | readonly Reply[]

/** Milliseconds for one command; a frozen server answers none. */
const PATIENCE = 1000

/**
 * Sends one command over a connection of its own and resolves with the reply.
 *
 * @throws Error (as a rejection): the server's error reply as it is, one of `node:net`, or that no
 * reply came within a second.
 */
export function ask(port: number, ...command: readonly string[]): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const fail = (reason: string) =>
      socket.destroy(new Error(`${command.join(' ')} on port ${port}: ${reason}`))
    let received = Buffer.alloc(0)
    socket.setTimeout(PATIENCE, () => fail(`no reply within ${PATIENCE} ms`))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      const parsed = parse(received, 0)
      if (parsed === undefined) return
      socket.destroy()
      if (parsed.reply instanceof Error) reject(parsed.reply)
      else resolve(parsed.reply)
    })
    socket.on('end', () => fail('the server hung up'))
    socket.on('error', reject)
    socket.write(encoded(command))
  })
}

function encoded(command: readonly string[]): string {
  const parts = command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`)
  return `*${parts.length}\r\n${parts.join('')}`
}

interface Parsed {
  readonly reply: Reply | Error
  /** Where the next reply begins. */
  readonly end: number
}

/** The reply that begins at `start`, or `undefined` if it is not complete yet. */
function parse(bytes: Buffer, start: number): Parsed | undefined {
  const lineEnd = bytes.indexOf('\r\n', start)
  if (lineEnd === -1) return undefined
  const line = bytes.toString('utf8', start + 1, lineEnd)
  const next = lineEnd + 2
  const kind = String.fromCharCode(bytes[start] ?? 0)
  if (kind === '+') return { reply: line, end: next }
  if (kind === '-') return { reply: new Error(line), end: next }
  if (kind === ':') return { reply: Number(line), end: next }
  const length = Number(line)
  if (length === -1) return { reply: null, end: next }
  if (kind === '*') return parseArray(bytes, next, length)
  const end = next + length + 2
  return bytes.length < end ? undefined : { reply: bytes.toString('utf8', next, end - 2), end }
}

function parseArray(bytes: Buffer, start: number, length: number): Parsed | undefined {
  const replies: Reply[] = []
  let end = start
  while (replies.length < length) {
    const element = parse(bytes, end)
    if (element === undefined) return undefined
    replies.push(element.reply instanceof Error ? element.reply.message : element.reply)
    end = element.end
  }
  return { reply: replies, end }
}
