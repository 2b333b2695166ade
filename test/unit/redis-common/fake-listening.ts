import { NotSentError, type RedisConnection } from '../../../src/redis-common/redis-connection.ts'
import type { ListeningClient, Lost, Wire } from '../../../src/redis-common/wire.ts'
import { connectionTo, type Pretended } from './fake-servers.ts'

/** A wire as the test makes it. */
export interface FakeWire extends Wire {
  readonly address: string
  /** Channels or prefixes. */
  readonly names: readonly string[]
  closed: boolean
  pings: number
  /** It listens from now on. */
  listen(): void
  /** It will not. */
  refuse(error: Error): void
  lose(error?: Error): void
  message(channel: string, text: string): void
  changed(keys: readonly string[] | undefined): void
  answerPing(): void
}

export interface FakeClient extends ListeningClient {
  readonly wires: readonly FakeWire[]
  readonly last: FakeWire
  /** By address; `undefined`: not connected. */
  readonly connections: Map<string, object | undefined>
  readonly server: Pretended
  readonly link: ReturnType<typeof connectionTo>
}

export function fakeClient(server: Pretended, addresses: readonly string[] = ['']): FakeClient {
  const wires: FakeWire[] = []
  const connections = new Map<string, object | undefined>(addresses.map((one) => [one, {}]))
  const spread = addresses[0] !== ''
  const link = connectionTo(
    addresses.map(() => server),
    { ordered: !spread, spread },
  )
  const connection: RedisConnection = link
  const masterAt = (address: string): ReturnType<ListeningClient['masters']>[number] => {
    const beside = connections.get(address)
    return {
      address,
      link: beside && {
        connection: beside,
        subscribe: (names, listener) => {
          const wire = fakeWire(address, names, listener.lost)
          wire.message = (channel, text) => listener.message(channel, text)
          wires.push(wire)
          return wire
        },
        track: (names, listener) => {
          const wire = fakeWire(address, names, listener.lost)
          wire.changed = (keys) => listener.changed(keys)
          wires.push(wire)
          return wire
        },
      },
    }
  }
  return {
    connection,
    masters: () => [...connections.keys()].map(masterAt),
    database: () => 0,
    wires,
    get last() {
      const wire = wires.at(-1)
      if (wire === undefined) throw new Error('no wire was made')
      return wire
    },
    connections,
    server,
    link,
  }
}

function fakeWire(address: string, names: readonly string[], lost: Lost): FakeWire {
  const listening = deferred<void>()
  let ping: Deferred<unknown> | undefined
  return {
    address,
    names,
    listening: listening.promise,
    closed: false,
    pings: 0,
    ping() {
      this.pings++
      ping = deferred<unknown>()
      return ping.promise
    },
    close() {
      this.closed = true
      listening.reject(new NotSentError('closed'))
      listening.promise.catch(() => undefined)
      ping?.reject(new Error('the connection was lost'))
    },
    listen: () => listening.resolve(),
    refuse: (error) => listening.reject(error),
    lose: lost,
    message: () => undefined,
    changed: () => undefined,
    answerPing: () => ping?.resolve('PONG'),
  }
}

interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: Error): void
}

function deferred<T>(): Deferred<T> {
  let settle: Pick<Deferred<T>, 'resolve' | 'reject'> | undefined
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject }
  })
  return { promise, resolve: (value) => settle?.resolve(value), reject: (e) => settle?.reject(e) }
}
