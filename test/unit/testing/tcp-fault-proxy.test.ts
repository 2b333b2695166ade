import { connect, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { freePort } from '../../../src/testing/servers/free-port.ts'
import { startRedis } from '../../../src/testing/servers/redis.ts'
import type { RedisProcess } from '../../../src/testing/servers/server-process.ts'
import { type TcpFaultProxy, tcpFaultProxy } from '../../../src/testing/tcp-fault-proxy.ts'
import { until } from '../../support/until.ts'

/** Longer than any test: what comes in spite of it was let go. */
const FOR_EVER = 600_000

/** A bare connection and what it has seen. */
class Caller {
  readonly socket: Socket
  received = ''
  /** `end` (FIN) or the code of the error; the first that came. */
  outcome: string | undefined

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.setNoDelay(true)
    this.socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1')
    })
    this.socket.on('end', () => {
      this.outcome ??= 'end'
    })
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.outcome ??= error.code ?? ''
    })
  }

  send(line: string): void {
    this.socket.write(`${line}\r\n`)
  }

  hears(text: string): Promise<void> {
    return until(`${JSON.stringify(text)} is heard`, () => this.received === text)
  }

  isOver(): Promise<void> {
    return until('the connection is over', () => this.outcome !== undefined)
  }

  /** Sends a line whose reply is the same, and waits for it. */
  async speaks(): Promise<void> {
    this.received = ''
    this.send('PING')
    await this.hears('+PONG\r\n')
    this.received = ''
  }
}

let server: RedisProcess
let proxy: TcpFaultProxy
let callers: Caller[] = []
let keys = 0
let key = ''

beforeAll(async () => {
  server = await startRedis()
})

afterAll(() => server.stop())

beforeEach(async () => {
  key = `key${keys++}`
  proxy = await tcpFaultProxy({ target: { port: server.port } })
})

afterEach(async () => {
  for (const { socket } of callers) socket.destroy()
  callers = []
  await proxy.close()
})

function call(): Caller {
  const caller = new Caller(proxy.port)
  callers.push(caller)
  return caller
}

async function speaking(): Promise<Caller> {
  const caller = call()
  await caller.speaks()
  return caller
}

function requestsReach(count: number): Promise<void> {
  return until(`${count} requests came`, () => proxy.counts().requests === count)
}

/** Whether the server has a connection by that name. */
async function serverKnows(name: string): Promise<boolean> {
  return String(await server.ask('CLIENT', 'LIST')).includes(`name=${name} `)
}

/** Connections that the server has ever accepted. */
async function connectionsMade(): Promise<number> {
  const stats = String(await server.ask('INFO', 'stats'))
  return Number(/total_connections_received:(\d+)/.exec(stats)?.[1])
}

describe('a proxy without faults', () => {
  it('passes every byte in both directions and counts them, with connections and requests', async () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    const caller = call()
    caller.socket.write(Buffer.concat([Buffer.from('*2\r\n$4\r\nECHO\r\n$256\r\n'), all]))
    caller.send('')
    const reply = `$256\r\n${all.toString('latin1')}\r\n`
    await caller.hears(reply)
    await speaking()
    expect(proxy.counts()).toEqual({
      connections: 2,
      open: 2,
      bytesFromClients: 20 + 256 + 2 + 6,
      bytesFromServer: reply.length + 7,
      requests: 2,
      bursts: 2,
    })
  })

  it('tells the server that a client has gone, and the client that the server has', async () => {
    const caller = await speaking()
    caller.send(`CLIENT SETNAME ${key}`)
    await until('the server knows it', () => serverKnows(key))
    caller.socket.destroy()
    await until('the server forgets it', async () => !(await serverKnows(key)))
    expect(proxy.counts().open).toBe(0)
    const other = await speaking()
    other.send('QUIT')
    await other.isOver()
    expect([other.received, other.outcome]).toEqual(['+OK\r\n', 'end'])
  })

  it('resets who connects while the target refuses, and reaches it once it listens', async () => {
    const port = await freePort()
    const early = await tcpFaultProxy({ target: { host: '127.0.0.1', port } })
    const [first, second] = [new Caller(early.port), new Caller(early.port)]
    callers.push(first, second)
    await first.isOver()
    await second.isOver()
    expect([first.outcome, second.outcome]).toEqual(['ECONNRESET', 'ECONNRESET'])
    const late = await startRedis({ port })
    try {
      const third = new Caller(early.port)
      callers.push(third)
      await third.speaks()
    } finally {
      await late.stop()
      await early.close()
    }
  })

  it('slows the server down when a client does not read', async () => {
    const megabytes = 48
    await server.ask('SETRANGE', key, String(2 ** 20 - 1), 'x')
    const caller = await speaking()
    caller.socket.pause()
    for (let i = 0; i < megabytes; i++) caller.send(`GET ${key}`)
    const total = megabytes * 2 ** 20
    let [before, quiet] = [0, 0]
    await until('no more comes from the server', async () => {
      // Its loop has turned: it has sent what it could.
      await server.ask('PING')
      const { bytesFromServer } = proxy.counts()
      quiet = bytesFromServer > 2 ** 20 && bytesFromServer === before ? quiet + 1 : 0
      before = bytesFromServer
      return quiet === 20
    })
    expect(before).toBeLessThan(total)
    caller.socket.resume()
    await until('all has come', () => caller.received.length > total)
  })

  it('ends all connections and refuses new ones once it is closed', async () => {
    const caller = await speaking()
    await proxy.close()
    await caller.isOver()
    const late = call()
    await late.isOver()
    expect(late.outcome).toBe('ECONNREFUSED')
  })
})

describe('counted bursts', () => {
  it('are one for what is sent before a reply, in however many pieces', async () => {
    const caller = call()
    proxy.latency('toClient', FOR_EVER)
    caller.send('PING\r\nPING')
    await requestsReach(2)
    caller.send('PING')
    await requestsReach(3)
    await until('the server answered', () => proxy.counts().bytesFromServer === 21)
    expect(proxy.counts().bursts).toBe(1)
  })

  it('are as many as questions that waited for the answer before', async () => {
    const caller = await speaking()
    await caller.speaks()
    await caller.speaks()
    expect(proxy.counts().bursts).toBe(3)
    await speaking()
    expect(proxy.counts().bursts).toBe(4)
  })
})

describe('latency', () => {
  it.each(['toServer', 'toClient'] as const)(
    '%s delays that direction by its time',
    async (way) => {
      const caller = await speaking()
      proxy.latency(way, 60)
      const sentAt = performance.now()
      await caller.speaks()
      expect(performance.now() - sentAt).toBeGreaterThanOrEqual(60)
    },
  )

  it('to the server keeps requests from it, to the client only its replies', async () => {
    const caller = await speaking()
    proxy.latency('toServer', FOR_EVER)
    caller.send(`INCR ${key}`)
    await requestsReach(2)
    expect(await server.ask('GET', key)).toBeNull()
    proxy.latency('toClient', FOR_EVER)
    proxy.latency('toServer', 0)
    await until('it took', async () => (await server.ask('GET', key)) === '1')
    await until('the reply is under way', () => proxy.counts().bytesFromServer === 7 + 4)
    expect(caller.received).toBe('')
    proxy.latency('toClient', 0)
    await caller.hears(':1\r\n')
  })

  it('keeps the order, and the end of a connection behind its bytes', async () => {
    const caller = await speaking()
    proxy.latency('toServer', FOR_EVER)
    caller.send(`APPEND ${key} a`)
    await requestsReach(2)
    caller.send(`APPEND ${key} b`)
    await requestsReach(3)
    caller.socket.end()
    await until('its end came', () => proxy.counts().open === 0)
    proxy.latency('toServer', 20)
    await until('both took', async () => (await server.ask('GET', key)) === 'ab')
    await caller.isOver()
    expect(caller.outcome).toBe('end')
  })
})

describe('a drip', () => {
  it.each([
    ['toServer', 6],
    ['toClient', 7],
  ] as const)('%s lets bytes pass at its pace, and all of them', async (way, length) => {
    const caller = await speaking()
    proxy.drip(way, { bytes: 2, every: 15 })
    const sentAt = performance.now()
    await caller.speaks()
    const pauses = Math.ceil(length / 2) - 1
    expect(performance.now() - sentAt).toBeGreaterThanOrEqual(pauses * 15)
  })

  it('ends with heal, and what it kept back goes on at once', async () => {
    const caller = await speaking()
    proxy.drip('toClient', { bytes: 1, every: FOR_EVER })
    caller.send('PING')
    await caller.hears('+')
    await proxy.heal()
    await caller.hears('+PONG\r\n')
  })
})

describe('a black hole', () => {
  it('swallows what old and new connections send, and answers neither', async () => {
    const [old, idle] = [await speaking(), await speaking()]
    proxy.blackHole()
    const madeBefore = await connectionsMade()
    const fresh = call()
    old.send(`INCR ${key}`)
    fresh.send(`INCR ${key}`)
    await requestsReach(4)
    expect(proxy.counts()).toMatchObject({ connections: 3, open: 3 })
    // The second question comes over a connection of its own; no other one was made.
    expect(await connectionsMade()).toBe(madeBefore + 1)
    await proxy.heal()
    await Promise.all([old.isOver(), fresh.isOver()])
    expect([old.outcome, fresh.outcome]).toEqual(['ECONNRESET', 'ECONNRESET'])
    expect([old.received, fresh.received]).toEqual(['', ''])
    // Nothing of it ran, and a connection that lost nothing is as good as before.
    await idle.speaks()
    expect(await server.ask('GET', key)).toBeNull()
    await speaking()
  })

  it('swallows replies that are under way', async () => {
    const caller = await speaking()
    proxy.hold('toClient')
    caller.send('PING')
    await until('the server answered', () => proxy.counts().bytesFromServer === 14)
    proxy.blackHole()
    await proxy.heal()
    await caller.isOver()
    expect([caller.received, caller.outcome]).toEqual(['', 'ECONNRESET'])
  })

  it('keeps from the server that a client has gone, until it ends', async () => {
    const caller = await speaking()
    caller.send(`CLIENT SETNAME ${key}`)
    await until('the server knows it', () => serverKnows(key))
    proxy.blackHole()
    caller.socket.destroy()
    await until('its end came', () => proxy.counts().open === 0)
    expect(await serverKnows(key)).toBe(true)
    await proxy.heal()
    await until('the server forgets it', async () => !(await serverKnows(key)))
  })
})

describe('bytes held back', () => {
  it('reach the server after their client has given up, when they are let go', async () => {
    const caller = await speaking()
    proxy.hold('toServer')
    caller.send(`SET ${key} late`)
    await requestsReach(2)
    caller.socket.destroy()
    await until('its end came', () => proxy.counts().open === 0)
    expect(await server.ask('SET', key, 'newer')).toBe('OK')
    proxy.release('toServer')
    await until('it took', async () => (await server.ask('GET', key)) === 'late')
  })

  it('reach the client on the same connection, in order', async () => {
    const caller = await speaking()
    proxy.hold('toClient')
    caller.send(`INCR ${key}`)
    await until('it took', async () => (await server.ask('GET', key)) === '1')
    caller.send(`INCR ${key}`)
    await until('it took', async () => (await server.ask('GET', key)) === '2')
    await until('the server answered', () => proxy.counts().bytesFromServer === 7 + 8)
    expect(caller.received).toBe('')
    proxy.release('toClient')
    await caller.hears(':1\r\n:2\r\n')
    await caller.speaks()
  })
})

describe('refusal', () => {
  it.each([
    ['closed', 'ECONNREFUSED'],
    ['reset', 'ECONNRESET'],
  ] as const)('%s fails new connections and leaves old ones, until heal', async (how, code) => {
    const old = await speaking()
    proxy.refuse(how)
    const refused = call()
    await refused.isOver()
    expect(refused.outcome).toBe(code)
    await old.speaks()
    const { port } = proxy
    await proxy.heal()
    await speaking()
    expect(proxy.port).toBe(port)
  })
})

describe('a cut', () => {
  it.each([
    ['reset', 'ECONNRESET'],
    ['end', 'end'],
  ] as const)('by %s ends both sides of every connection, not of later ones', async (how, code) => {
    const cut = [await speaking(), await speaking()]
    cut[0]?.send(`CLIENT SETNAME ${key}`)
    // Bytes that come in one turn with the reset would make it look like an end.
    await cut[0]?.hears('+OK\r\n')
    proxy.cut(how)
    for (const caller of cut) await caller.isOver()
    expect(cut.map(({ outcome }) => outcome)).toEqual([code, code])
    await until('the server forgets it', async () => !(await serverKnows(key)))
    expect(proxy.counts().open).toBe(0)
    await speaking()
  })

  it.each([0, 1, 6])('after %i bytes lets exactly so many of a reply through', async (bytes) => {
    const caller = await speaking()
    proxy.cutAfterBytes(bytes)
    caller.send('PING')
    await caller.isOver()
    expect(caller.received).toBe('+PONG\r\n'.slice(0, bytes))
    // Once.
    const next = await speaking()
    await next.speaks()
  })

  it('after bytes that end with a reply falls on the next one, on whichever connection', async () => {
    const [caller, other] = [await speaking(), await speaking()]
    proxy.cutAfterBytes('+PONG\r\n'.length, 'end')
    await caller.speaks()
    other.send('PING')
    await other.isOver()
    expect([other.received, other.outcome]).toEqual(['', 'end'])
    await caller.speaks()
  })

  it('loses what was under way', async () => {
    const caller = await speaking()
    proxy.hold('toServer')
    caller.send(`INCR ${key}`)
    await requestsReach(2)
    proxy.cut()
    await proxy.heal()
    await caller.isOver()
    await speaking()
    expect(await server.ask('GET', key)).toBeNull()
  })
})

it.each([
  ['a latency', () => proxy.latency('toClient', -1)],
  ['no latency', () => proxy.latency('toServer', Number.NaN)],
  ['a pause', () => proxy.drip('toClient', { bytes: 1, every: Number.POSITIVE_INFINITY })],
  ['no bytes', () => proxy.drip('toClient', { bytes: 0, every: 1 })],
  ['half a byte', () => proxy.cutAfterBytes(0.5)],
])('refuses %s out of range', (_, attempt) => {
  expect(attempt).toThrow(RangeError)
})
