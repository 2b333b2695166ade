import { systemClock } from '../model/clock.ts'
import {
  type ConnectionWatcher,
  NotSentError,
  type RedisServer,
} from '../redis-common/redis-connection.ts'
import { slotOf } from '../redis-common/slot.ts'
import { Line } from './line.ts'
import { Listening } from './listening.ts'
import type { NodeRedisCluster, NodeRedisConnected, NodeRedisMaster } from './node-redis-client.ts'
import type { NodeRedisPlace, Route } from './node-redis-connection.ts'

/** `MOVED 3999 127.0.0.1:6381`: the slot is at home there; `ASK`: this key has moved there already. */
const ELSEWHERE = /^(MOVED|ASK) \d+ (\S+)$/

/**
 * Milliseconds without an answer after which another master is asked who is one. The client itself
 * looks for a new master only when a connection ends: that of a machine which is gone without a word
 * ends after some 15 minutes.
 */
const SILENCE = 1000

/**
 * Commands on `createCluster()`, each on the connection to the master of its slot.
 *
 * Not through the cluster's own commands: those wait for a master that is not there, and follow up to
 * 16 redirections with no regard to a deadline. One is followed here, to a master that is known.
 */
export class ClusterRoute implements Route {
  readonly ordered = false
  readonly bySlot = true
  readonly #cluster: NodeRedisCluster
  readonly #listening: Listening
  /** Of the masters as of the last look. */
  readonly #lines = new Map<NodeRedisConnected, Line>()
  #masters: readonly NodeRedisMaster[] = []
  #watcher: ConnectionWatcher | undefined
  #withdrawals = 0
  /** By the connection as it is now. */
  readonly #servers = new WeakMap<RedisServer, RedisServer>()
  #renewing = false

  constructor(cluster: NodeRedisCluster) {
    this.#cluster = cluster
    this.#listening = new Listening(cluster, {
      'node-ready': () => this.#look(),
      error: () => undefined,
    })
  }

  servers(): readonly RedisServer[] {
    this.#look()
    const servers: RedisServer[] = []
    for (const [client, line] of this.#lines) {
      if (client.isReady) servers.push(this.#serverOf(line))
    }
    return servers
  }

  places(): readonly NodeRedisPlace[] {
    this.#look()
    return this.#masters.map((master) => {
      const line = this.#lineTo(master)
      if (line === undefined || !line.client.isReady) {
        return { address: master.address, connected: undefined }
      }
      const connected = { connection: line.server, client: line.client }
      return { address: master.address, connected }
    })
  }

  withdraw(): void {
    this.#withdrawals++
    for (const line of this.#lines.values()) line.withdraw()
  }

  attach(watcher: ConnectionWatcher): void {
    this.#listening.begin()
    this.#look()
    for (const line of this.#lines.values()) line.watch()
    this.#watcher = watcher
  }

  detach(): void {
    this.#watcher = undefined
    this.#listening.end()
    for (const line of this.#lines.values()) line.unwatch()
  }

  async send(
    args: readonly (string | Buffer)[],
    key: string,
    signal?: AbortSignal,
  ): Promise<unknown> {
    if (this.#cluster.masters !== this.#masters) this.#look()
    const withdrawals = this.#withdrawals
    const admit = async (line: Line) => {
      const admission = this.#watcher?.admission(this.#serverOf(line))
      if (admission !== undefined) await admission
      if (withdrawals !== this.#withdrawals) throw new NotSentError('the command was withdrawn')
    }
    const line = this.#lineTo(this.#cluster.slots[slotOf(key)]?.master)
    if (line === undefined) throw new NotSentError('no master of the cluster has the slot')
    await admit(line)
    try {
      return await line.send(args, signal)
    } catch (error) {
      const [, kind, address] = (error instanceof Error && ELSEWHERE.exec(error.message)) || []
      if (kind === undefined) throw error
      if (kind === 'MOVED') this.#renew(line)
      const other = this.#lineTo(this.#masters.find((master) => master.address === address))
      if (other === undefined) throw error
      await admit(other)
      // Right before the command, which it holds for; if it fails, so does the command.
      if (kind === 'ASK') other.send(['ASKING'], signal).catch(() => undefined)
      return other.send(args, signal)
    }
  }

  #serverOf(line: Line): RedisServer {
    const known = this.#servers.get(line.server)
    if (known !== undefined) return known
    const server = { send: (command: readonly string[]) => this.#ask(line, command) }
    this.#servers.set(line.server, server)
    return server
  }

  #lineTo(master: NodeRedisMaster | undefined): Line | undefined {
    return master?.client === undefined ? undefined : this.#lines.get(master.client)
  }

  /**
   * Follows the cluster, which replaces its list of masters whenever it has looked at the topology: a
   * replica that it was connected to becomes a master without an event.
   */
  #look(): void {
    this.#masters = this.#cluster.masters
    const clients = new Set(this.#masters.map((master) => this.#clientOf(master)))
    for (const [client, line] of this.#lines) {
      if (clients.has(client)) continue
      line.unwatch()
      this.#lines.delete(client)
    }
    for (const client of clients) {
      if (client !== undefined && !this.#lines.has(client)) this.#addLine(client)
    }
  }

  /** Begins to connect where the cluster does not: `minimizeConnections`, or it has given up once. */
  #clientOf(master: NodeRedisMaster): NodeRedisConnected | undefined {
    if (master.client === undefined) this.#cluster.nodeClient(master).catch(() => undefined)
    return master.client
  }

  #addLine(client: NodeRedisConnected): void {
    const line = new Line(client, {
      ready: () => this.#watcher?.ready(),
      lost: () => this.#watcher?.lost(),
    })
    this.#lines.set(client, line)
    if (this.#watcher !== undefined) line.watch()
  }

  async #ask(line: Line, command: readonly string[]): Promise<unknown> {
    const silence = systemClock.setTimer(SILENCE, () => {
      for (const other of this.#lines.values()) {
        if (other !== line && other.client.isReady) return this.#renew(other)
      }
    })
    try {
      return await line.send(command)
    } finally {
      silence.cancel()
    }
  }

  /** Has the client look at the topology again, as a master sees it that is well. */
  #renew(informant: Line): void {
    if (this.#renewing) return
    this.#renewing = true
    this.#cluster._slots
      .rediscover(informant.client)
      .catch(() => undefined)
      .finally(() => {
        this.#renewing = false
        this.#look()
      })
  }
}
