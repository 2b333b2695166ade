import type {
  ConnectionWatcher,
  RedisConnection,
  RedisServer,
} from '../../../src/redis-common/redis-connection.ts'

/** What a pretended server answers; a test changes it between connections. */
export interface Pretended {
  runId: string
  replId: string
  role: string
  clientId: number
  /** By the first words of a command: what it answers instead. */
  errors: Record<string, string>
  /** Every command that reached it. */
  readonly heard: string[]
  /** Holds each command until it resolves. */
  gate: Promise<void> | undefined
}

export function pretended(runId = 'run-1'): Pretended {
  return {
    runId,
    replId: `repl-${runId}`,
    role: 'master',
    clientId: 7,
    errors: {},
    heard: [],
    gate: undefined,
  }
}

/** A connection to pretended servers; none while `connected` is false. */
export function connectionTo(
  servers: readonly Pretended[],
  options: { readonly ordered?: boolean; readonly spread?: boolean } = {},
): RedisConnection & {
  connected: boolean
  watcher: ConnectionWatcher | undefined
} {
  const connections = new Map<Pretended, { readonly runId: string; readonly server: RedisServer }>()
  /** The same object while the server is the same process. */
  const connectionOf = (server: Pretended): RedisServer => {
    const known = connections.get(server)
    if (known?.runId === server.runId) return known.server
    const fresh = { runId: server.runId, server: serverOf(server) }
    connections.set(server, fresh)
    return fresh.server
  }
  const never = () => Promise.reject(new Error('not pretended'))
  return {
    name: 'pretended',
    ordered: options.ordered ?? true,
    connected: true,
    watcher: undefined,
    ...(options.spread === true ? { slotOf: (key: string) => key.length } : {}),
    servers() {
      return this.connected ? servers.map(connectionOf) : []
    },
    attach(watcher) {
      this.watcher = watcher
    },
    detach() {
      this.watcher = undefined
    },
    withdraw: () => undefined,
    sentKey: (key) => key,
    evalSha: never,
    eval: never,
    setIfAbsent: never,
  }
}

function serverOf(server: Pretended): RedisServer {
  return {
    async send(command) {
      const text = command.join(' ')
      server.heard.push(text)
      await server.gate
      for (const [start, error] of Object.entries(server.errors)) {
        if (text.startsWith(start)) throw new Error(error)
      }
      return answerOf(server, text)
    },
  }
}

function answerOf(server: Pretended, text: string): unknown {
  switch (text) {
    case 'INFO server':
      return Buffer.from(`# Server\r\nredis_mode:standalone\r\nrun_id:${server.runId}\r\n`)
    case 'INFO replication':
      return `# Replication\r\nrole:${server.role}\r\nmaster_replid:${server.replId}\r\n`
    case 'CLIENT ID':
      return server.clientId
    case 'CLIENT KILL ID 0':
      throw new Error('ERR client-id should be greater than 0')
    default:
      return text === 'PING' ? 'PONG' : 1
  }
}
