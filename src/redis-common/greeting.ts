import { leaseKey } from './lease-key.ts'
import type { RedisServer } from './redis-connection.ts'

/** What a server has said of itself and of this connection. */
export interface Server extends RedisServer {
  /** Of its process; `undefined` if it does not say. */
  readonly runId: string | undefined
  /** Of its process and of the history of its data; another one: acknowledged writes may be gone. */
  readonly identity: string | undefined
  /** Number of this connection at the server. */
  readonly clientId: number | undefined
  readonly mayKill: boolean
  /** Why operations must not go to it; `undefined`: they may. */
  readonly refusal: string | undefined
  /** Commands of ours that it does not let this user run. */
  readonly forbidden: readonly string[]
}

/** What a server says to a command that it allows, on a key that it does not serve. */
const ELSEWHERE = /^(?:MOVED|ASK|TRYAGAIN|CLUSTERDOWN)/

/** What a server says to a command that its administrator has taken away. */
const FORBIDDEN = /^(?:NOPERM|ERR unknown (?:command|subcommand))|not allowed|not supported/i

/**
 * Asks a server who it is, and whether it lets us run what recovery and reads need.
 *
 * @throws what the client rejected with, or the server's error if it cannot serve now (LOADING).
 */
export async function greet(server: RedisServer): Promise<Server> {
  const forbidden: string[] = []
  const ask = async (name: string, command: readonly string[]): Promise<string> => {
    try {
      return String(await server.send(command))
    } catch (error) {
      if (!isForbidden(error)) throw error
      forbidden.push(isOfKeys(error) ? 'keys that begin with _#JL#' : name)
      return ''
    }
  }
  const [about, replication, id] = await Promise.all([
    ask('INFO', ['INFO', 'server']),
    ask('INFO', ['INFO', 'replication']),
    ask('CLIENT ID', ['CLIENT', 'ID']),
    // No client has the number 0: it says whether we may.
    ask('CLIENT KILL', ['CLIENT', 'KILL', 'ID', '0']).catch(unlessUnavailable),
    ask('EVAL', ['EVAL', 'return 1', '1', leaseKey('k')]).catch(unlessElsewhere),
  ])
  const runId = field(about, 'run_id')
  const replId = field(replication, 'master_replid')
  return {
    send: (command) => server.send(command),
    runId,
    identity: runId === undefined || replId === undefined ? undefined : `${runId} ${replId}`,
    clientId: id === '' ? undefined : Number(id),
    mayKill: !forbidden.includes('CLIENT KILL'),
    refusal: refusalOf(replication),
    forbidden: [...new Set(forbidden)],
  }
}

function refusalOf(replication: string): string | undefined {
  const role = field(replication, 'role')
  return role === undefined || role === 'master'
    ? undefined
    : 'the server is a replica: reads from it would be behind, and it takes no writes'
}

function isForbidden(error: unknown): boolean {
  return error instanceof Error && FORBIDDEN.test(error.message)
}

/** The command it allows, but not on this key. */
function isOfKeys(error: unknown): boolean {
  return error instanceof Error && /permissions to access/.test(error.message)
}

function unlessElsewhere(error: unknown): string {
  if (error instanceof Error && ELSEWHERE.test(error.message)) return ''
  throw error
}

/** `ERR client-id should be greater than 0`, in the words of each version: we may. */
function unlessUnavailable(error: unknown): string {
  if (error instanceof Error && error.message.startsWith('ERR')) return ''
  throw error
}

/** One line of INFO. */
function field(section: string, name: string): string | undefined {
  return new RegExp(`^${name}:(\\S+)`, 'm').exec(section)?.[1]
}
