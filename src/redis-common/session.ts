import { type Clock, systemClock } from '../model/clock.ts'
import type { RemoteConnection, RemoteWatcher } from '../remote/remote-store.ts'
import { greet, type Server } from './greeting.ts'
import {
  type ConnectionWatcher,
  NotSentError,
  type RedisConnection,
  type RedisServer,
} from './redis-connection.ts'

/*
 * Who answers on this connection, and is it still the one that answered before?
 *
 *   first connection     ops go out at once; greeted beside them
 *   lost                 gate shut: no op goes out ...
 *     ready again        ... greeted: who is it, and have the lost connections ended there?
 *       same server      gate open
 *       another, or the same begun anew, or nobody says who: `replaced` is told, then gate open
 *       a replica        gate stays shut; asked again at each ping, and the connection is given up
 *                        now and then, for its name may lead to the new master by then
 *     lost meanwhile     what was heard is dropped; the next connection is greeted
 *
 * A client with several connections (a pool, a cluster) has a gate for each: a connection takes ops
 * once its server has been greeted on it, whatever the others do. One that does not answer, or loads
 * its data, is asked again until it does.
 *
 * The gate is why a process never reads from a promoted replica what it has changed itself a moment
 * before: it hears of the change of servers first, and by then knows those keys as not repaired.
 *
 * What was sent on a lost connection and not answered may lie in a buffer on its way, and take effect
 * later. So the server is told to end that connection (CLIENT KILL ID) before anything else goes out;
 * where it does not let us, the connection `lingers`. That works for one connection only: in a pool
 * nobody knows which one carried a command, and a cluster sends commands again to other servers.
 */

/** Milliseconds between two times that the connection to a replica is given up. */
const RENEW_EVERY = 5000

/** Milliseconds between two times that a server which was not heard is asked again. */
const ASK_EVERY = 100

/** Servers whose identity is remembered; each failover and restart adds one. */
const MOST_KNOWN = 1000

const LOOKED_AT = 'the server is being looked at'
const NOT_CONNECTED = 'the Redis client is not connected'

interface Lane extends RemoteConnection {
  lingers: boolean
  /** Its number at its server, once known. */
  id: number | undefined
  runId: string | undefined
}

/** A question to a server who it is. */
interface Asking {
  readonly at: number
  readonly done: Promise<void>
  over: boolean
}

/** What a store knows of the servers it is connected to. */
export class Session implements ConnectionWatcher {
  readonly #connection: RedisConnection
  readonly #tell: RemoteWatcher
  readonly #clock: Clock
  /** Why no operation may go out on the one connection; `undefined`: it may. */
  #shut: string | undefined
  /** Whether there is a connection, as far as we were told. */
  #live = false
  /** What was heard before it moved is dropped. */
  #version = 0
  #greeting: { readonly version: number; readonly done: Promise<void> } | undefined
  /** Who was greeted so far, the oldest first; an empty name: one did not say. */
  readonly #known = new Set<string>()
  /** Of several connections, those that take operations; and when the others were asked. */
  #admitted = new WeakSet<RedisServer>()
  #asked = new WeakMap<RedisServer, Asking>()
  /** Whether none of those greeted has been lost yet: nobody can have been replaced. */
  #first = true
  /** The servers of the beginning. */
  readonly #met: RedisServer[] = []
  #lane: Lane = newLane()
  #lost: Lane[] = []
  #renewedAt = Number.NEGATIVE_INFINITY
  readonly #forbidden = new Set<string>()

  constructor(connection: RedisConnection, tell: RemoteWatcher, clock: Clock = systemClock) {
    this.#connection = connection
    this.#tell = tell
    this.#clock = clock
  }

  /** The connection that operations go out on, if there is one only. */
  get lane(): RemoteConnection | undefined {
    return this.#connection.ordered ? this.#lane : undefined
  }

  /** @throws NotSentError if no operation may go out now. */
  check(): void {
    if (this.#shut !== undefined) throw new NotSentError(this.#shut)
  }

  /** The store is in use from now on. */
  begin(): void {
    if (this.#connection.servers().length > 0) this.ready()
  }

  ready(): void {
    this.#live = true
    if (!this.#connection.ordered) {
      for (const server of this.#connection.servers()) void this.admission(server)
      return
    }
    // Once more without a loss between them: another server than before.
    if (!this.#first) this.#shut = LOOKED_AT
    this.#version++
    this.#greetQuietly()
  }

  lost(): void {
    if (!this.#live) return
    this.#first = false
    if (!this.#connection.ordered) return
    this.#live = false
    this.#version++
    this.#shut = NOT_CONNECTED
    this.#lane.lingers = true
    this.#lost.push(this.#lane)
    this.#lane = newLane()
  }

  admission(server: RedisServer): Promise<void> | undefined {
    if (this.#admitted.has(server)) return undefined
    const asking = this.#ask(server)
    return this.#first ? undefined : asking
  }

  /** One that is not there any more ends the beginning, also where no loss was told: a replica by now. */
  #noticeGone(): void {
    if (!this.#first) return
    const servers = this.#connection.servers()
    if (this.#met.every((server) => servers.includes(server))) return
    this.#first = false
  }

  /** Asks a server who it is, unless it is being asked, or has failed to say a moment ago. */
  #ask(server: RedisServer): Promise<void> {
    this.#noticeGone()
    const now = this.#clock.monotonic()
    const before = this.#asked.get(server)
    // One that is silent is asked once: its connection would fill with questions.
    if (before !== undefined && (!before.over || now - before.at < ASK_EVERY)) return before.done
    const asking: Asking = { at: now, done: this.#admit(server), over: false }
    this.#asked.set(server, asking)
    const end = () => {
      asking.over = true
    }
    // Whoever waits for it hears of it; the next one asks again.
    asking.done.then(end, end)
    return asking.done
  }

  /** A reply has said that this server takes no writes, or serves nobody now. */
  suspect(): void {
    if (this.#shut !== undefined) return
    this.#first = false
    this.#version++
    if (this.#connection.ordered) {
      this.#shut = LOOKED_AT
      this.#greetQuietly()
    } else {
      this.#admitted = new WeakSet()
      this.#asked = new WeakMap()
    }
  }

  /**
   * Resolves if operations may go out; looks at the servers where that must be done first.
   *
   * @throws NotSentError, or what the client rejected with.
   */
  async ping(): Promise<void> {
    if (this.#connection.ordered && this.#shut !== undefined) await this.#greet()
    const servers = this.#connection.servers()
    const [first] = servers
    if (first === undefined) throw new NotSentError(NOT_CONNECTED)
    if (this.#connection.ordered) {
      this.check()
      await first.send(['PING'])
      return
    }
    const pings = servers.map((server) =>
      this.#admitted.has(server) ? server.send(['PING']) : this.#ask(server),
    )
    // One that answers is worth asking; what fails on others is counted with them.
    await Promise.any(pings).catch(() => pings[0])
  }

  #greetQuietly(): void {
    // What failed is asked again by the next ping.
    this.#greet().catch(() => undefined)
  }

  /** Looks at the server of the one connection. */
  #greet(): Promise<void> {
    const version = this.#version
    if (this.#greeting?.version === version) return this.#greeting.done
    const done = this.#look(version).finally(() => {
      if (this.#greeting?.done === done) this.#greeting = undefined
    })
    this.#greeting = { version, done }
    return done
  }

  async #look(version: number): Promise<void> {
    const [connected] = this.#connection.servers()
    if (connected === undefined) throw new NotSentError(NOT_CONNECTED)
    const server = await greet(connected)
    if (version !== this.#version) return
    this.#tellForbidden(server)
    this.#lane.id = server.clientId
    this.#lane.runId = server.runId
    if (server.refusal !== undefined) {
      await this.#refuse(server)
      return
    }
    await this.#endLost(server)
    if (version !== this.#version) return
    this.#meet(server)
    this.#first = false
    this.#shut = undefined
    this.#tell.reachable()
  }

  /** Looks at the server of one among several connections. */
  async #admit(connected: RedisServer): Promise<void> {
    const version = this.#version
    const server = await greet(connected)
    if (version !== this.#version) throw new NotSentError(LOOKED_AT)
    this.#tellForbidden(server)
    // A replica of a cluster sends us to the master; one behind a pool is where commands would stay.
    if (this.#connection.slotOf === undefined && server.refusal !== undefined) {
      await this.#refuse(server)
      throw new NotSentError(server.refusal)
    }
    this.#meet(server)
    this.#shut = undefined
    this.#admitted.add(connected)
    // All connections of a pool lead to one server, those of a cluster to one each.
    if (this.#connection.slotOf === undefined) this.#first = false
    else if (this.#first) this.#met.push(connected)
    this.#tell.reachable()
  }

  /** Tells if it is none of those met before, or does not say who it is. */
  #meet({ identity = '' }: Server): void {
    const replaced = !this.#first && (identity === '' || !this.#known.has(identity))
    this.#known.delete(identity)
    this.#known.add(identity)
    for (const oldest of this.#known) {
      if (this.#known.size <= MOST_KNOWN) break
      this.#known.delete(oldest)
    }
    if (replaced) this.#tell.replaced()
  }

  async #refuse(server: Server): Promise<void> {
    // What was read from a replica meanwhile may be behind.
    if (this.#shut === undefined) this.#tell.replaced()
    this.#first = false
    this.#shut = server.refusal
    const now = this.#clock.monotonic()
    if (!server.mayKill || server.clientId === undefined || now - this.#renewedAt < RENEW_EVERY) {
      return
    }
    this.#renewedAt = now
    await server.send(['CLIENT', 'KILL', 'ID', String(server.clientId), 'SKIPME', 'no'])
  }

  /** Has the server end the connections that were lost, so that nothing sent on them lands any more. */
  async #endLost(server: Server): Promise<void> {
    for (const lane of [...this.#lost]) {
      const known = lane.runId !== undefined && server.runId !== undefined
      if (known && lane.runId !== server.runId) {
        // Nothing of it can reach another server, or another run of this one.
        lane.lingers = false
      } else if (known && lane.id !== undefined && server.mayKill) {
        await server.send(['CLIENT', 'KILL', 'ID', String(lane.id)])
        lane.lingers = false
      }
      this.#lost = this.#lost.filter((other) => other !== lane)
    }
  }

  #tellForbidden({ forbidden }: Server): void {
    const news = forbidden.filter((command) => !this.#forbidden.has(command))
    if (news.length === 0) return
    for (const command of news) this.#forbidden.add(command)
    this.#tell.forbidden(news)
  }
}

function newLane(): Lane {
  return { lingers: false, id: undefined, runId: undefined }
}
