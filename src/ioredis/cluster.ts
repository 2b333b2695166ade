import { systemClock, type Timer } from '../model/clock.ts'
import {
  type ConnectionWatcher,
  NotSentError,
  type RedisArgument,
  type RedisServer,
} from '../redis-common/redis-connection.ts'
import { slotOf } from '../redis-common/slot.ts'
import type { IoredisClient, IoredisCluster, IoredisCommand } from './ioredis-client.ts'
import { IoredisConnection, type IoredisPlace, onError } from './ioredis-connection.ts'
import { IoredisNode, takenBack } from './node.ts'

/*
 * A command handed to a Cluster of these clients may be kept in five queues (until the cluster is
 * known, until a node has connected, and for later tries after MOVED, TRYAGAIN, CLUSTERDOWN and a lost
 * connection), and a try after a lost connection writes again what may have been written already. So
 * the Cluster is asked for two things only: who serves a slot, and the client of that node. The
 * command goes to the node itself, which has no queue of its own once it is connected.
 *
 * What the Cluster does for its own commands is then up to us:
 *   - its nodes connect at their first command: we connect the masters as soon as they are known;
 *   - it asks again who serves what when a command fails: we ask when a master is not there, does not
 *     answer, or sends us elsewhere, and go on asking until each slot has a master that is ready;
 *   - it follows redirections: so do we, once, to a master that is connected. The store looks at it
 *     first, for it may lack what the last one acknowledged.
 */

/**
 * Milliseconds between two questions who serves what: few at first, for a server may not have heard
 * yet what another has just told us; more, the longer it takes.
 */
const ASK_FIRST = 50
const ASK_EVERY = 500

const REDIRECTION = /^(MOVED|ASK) \d+ (\S+)$/

export class ClusterConnection extends IoredisConnection {
  readonly ordered = false
  readonly #cluster: IoredisCluster
  readonly #asking: IoredisCommand
  /** What is listened to. */
  readonly #nodes = new Map<IoredisClient, { readonly node: IoredisNode; release(): void }>()
  /** By `host:port` the masters that serve slots and are ready, as the watcher knows them. */
  #masters: ReadonlyMap<string, IoredisNode> = new Map()
  #watcher: ConnectionWatcher | undefined
  #timer: Timer | undefined
  #askedAt = Number.NEGATIVE_INFINITY
  /** When a row of questions began. */
  #askingSince = 0
  #gatheringSince: number | undefined
  /** What was asked for before it moved is not sent any more. */
  #withdrawals = 0

  constructor(cluster: IoredisCluster) {
    super(cluster)
    this.#cluster = cluster
    this.#asking = cluster.createBuiltinCommand('asking').buffer
  }

  servers(): readonly RedisServer[] {
    return [...this.#masters.values()]
  }

  places(): readonly IoredisPlace[] {
    const nodes = new Map<string, IoredisClient>()
    for (const redis of this.#cluster.nodes('master')) nodes.set(addressOf(redis), redis)
    return [...this.#owners()].map((address) => {
      const connection = this.#masters.get(address)
      const redis = nodes.get(address)
      const isThere = connection !== undefined && redis !== undefined && connection.isReady
      return { address, connected: isThere ? { connection, redis } : undefined }
    })
  }

  slotOf(key: string): number {
    return slotOf(key)
  }

  attach(watcher: ConnectionWatcher): void {
    this.#cluster.on('error', onError)
    this.#cluster.on('ready', this.#onChange)
    this.#cluster.on('refresh', this.#onChange)
    this.#cluster.on('close', this.#onChange)
    this.#cluster.on('+node', this.#onNode)
    for (const redis of this.#cluster.nodes('all')) this.#onNode(redis)
    // Whoever attaches looks at the servers by itself.
    this.#onChange()
    this.#watcher = watcher
  }

  detach(): void {
    this.#watcher = undefined
    this.#cluster.off('error', onError)
    this.#cluster.off('ready', this.#onChange)
    this.#cluster.off('refresh', this.#onChange)
    this.#cluster.off('close', this.#onChange)
    this.#cluster.off('+node', this.#onNode)
    this.withdraw()
    for (const { release } of [...this.#nodes.values()]) release()
    this.#masters = new Map()
    this.#gatheringSince = undefined
    this.#timer?.cancel()
    this.#timer = undefined
  }

  withdraw(): void {
    this.#withdrawals++
    for (const { node } of this.#nodes.values()) {
      node.withdraw()
    }
  }

  protected async run(
    key: string,
    command: IoredisCommand,
    args: readonly RedisArgument[],
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const node = this.#masterOf(this.slotOf(key))
    const withdrawals = this.#withdrawals
    const admitted = async (admission: Promise<void> | undefined) => {
      await admission
      if (withdrawals !== this.#withdrawals) throw takenBack()
    }
    const admission = this.#watcher?.admission(node)
    if (admission !== undefined) await admitted(admission)
    try {
      return await node.run(command, args, signal)
    } catch (error) {
      const [, kind, address = ''] = REDIRECTION.exec(messageOf(error)) ?? []
      if (kind === undefined) throw error
      if (kind === 'MOVED') this.#ask()
      const other = this.#masters.get(address)
      if (other === undefined) throw error
      await admitted(this.#watcher?.admission(other))
      return kind === 'ASK'
        ? other.runAsking(this.#asking, command, args, signal)
        : other.run(command, args, signal)
    }
  }

  /** @throws NotSentError if none is ready. */
  #masterOf(slot: number): IoredisNode {
    const { status } = this.#cluster
    if (status !== 'ready') {
      const shown = status === 'wait' ? 'waits for connect() (lazyConnect)' : status
      throw new NotSentError(`the Redis client is not ready, but ${shown}`)
    }
    const address = this.#cluster.slots[slot]?.[0]
    const node = address === undefined ? undefined : this.#masters.get(address)
    if (node !== undefined) return node
    this.#ask()
    throw new NotSentError(`no connection to the master of slot ${slot}, ${address ?? 'unknown'}`)
  }

  readonly #onNode = (redis: IoredisClient): void => {
    const { options } = this.#cluster
    const newNode = () => new IoredisNode({ redis, options, onSilence: () => this.#ask() })
    const member = {
      node: newNode(),
      release: () => {
        redis.off('ready', this.#onChange)
        redis.off('close', onClose)
        redis.off('end', member.release)
        this.#nodes.delete(redis)
      },
    }
    const onClose = () => {
      member.node.drop(new NotSentError('the connection was lost'))
      member.node = newNode()
      this.#onChange()
    }
    redis.on('ready', this.#onChange)
    redis.on('close', onClose)
    redis.on('end', member.release)
    this.#nodes.set(redis, member)
  }

  /** Looks who serves what now, and has masters connected that are not. */
  readonly #onChange = (): void => {
    const before = [...this.#masters.values()]
    const owners = this.#owners()
    const masters = new Map<string, IoredisNode>()
    let connecting = 0
    for (const redis of this.#cluster.nodes('master')) {
      const address = addressOf(redis)
      const node = this.#nodes.get(redis)?.node
      if (node === undefined || !owners.has(address)) continue
      if (redis.status === 'wait') redis.connect().catch(() => undefined)
      if (node.isReady) masters.set(address, node)
      else connecting++
    }
    if (masters.size < owners.size) this.#ask()
    if (before.length === 0 && connecting > 0 && this.#mayGather()) return
    this.#gatheringSince = undefined
    this.#masters = masters
    if (before.some((node) => !node.isReady)) this.#watcher?.lost()
    if ([...masters.values()].some((node) => !before.includes(node))) this.#watcher?.ready()
  }

  /** While none was in use yet, whether those that are ready wait for those that soon will be. */
  #mayGather(): boolean {
    const now = systemClock.monotonic()
    this.#gatheringSince ??= now
    return now - this.#gatheringSince < ASK_EVERY
  }

  /** The addresses that serve slots; none while the client is not ready. */
  #owners(): ReadonlySet<string> {
    const owners = new Set<string>()
    if (this.#cluster.status !== 'ready') return owners
    for (const [master] of this.#cluster.slots.filter(isServed)) {
      if (master !== undefined) owners.add(master)
    }
    return owners
  }

  /** Has the client ask who serves what, soon. It asks by itself while it is not ready. */
  #ask(): void {
    if (this.#timer !== undefined) return
    const now = systemClock.monotonic()
    if (now - this.#askedAt > 2 * ASK_EVERY) this.#askingSince = now
    const pace = Math.min(Math.max(now - this.#askingSince, ASK_FIRST), ASK_EVERY)
    this.#timer = systemClock.setTimer(Math.max(0, this.#askedAt + pace - now), () => {
      this.#timer = undefined
      this.#askedAt = systemClock.monotonic()
      if (this.#cluster.status === 'ready') this.#cluster.refreshSlotsCache(this.#onAsked)
    })
  }

  readonly #onAsked = (): void => {
    // It may end after we have left.
    if (this.#watcher !== undefined) this.#onChange()
  }
}

function addressOf({ options }: IoredisClient): string {
  return `${options.host}:${options.port}`
}

function isServed(addresses: readonly string[] | undefined): addresses is readonly string[] {
  return addresses !== undefined
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : ''
}
