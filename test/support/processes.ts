import fc from 'fast-check'
import { expect } from 'vitest'
import { encodeGoEvent } from '../../src/bus/go-event.ts'
import type { BusListener, BusSession, InvalidationBus } from '../../src/bus/invalidation-bus.ts'
import { type Cache, createCache } from '../../src/cache.ts'
import { msgpack } from '../../src/codec/msgpack.ts'
import { tinyLfu } from '../../src/local/tiny-lfu/tiny-lfu.ts'
import type { RemoteLeases, RemoteStore } from '../../src/remote/remote-store.ts'
import { type ManualClock, manualClock } from '../../src/testing/manual-clock.ts'
import { type MemoryRemote, memoryRemote } from '../../src/testing/memory-remote.ts'
import { Gates, runOne, type Scenario } from './explore.ts'

/*
 * Several processes, one key, one remote, one bus, and a database that counts its versions. Every
 * operation of the remote takes effect at a gate and is answered at another, every loader stops at
 * one, and every message is delivered to every process at a gate of its own, in the order in which
 * they were published: as one connection to one server does.
 */

const KEY = 'user:1'
const CODEC = msgpack()
const TTL = 3_600_000
/** How long a value is kept after its freshness, where stale values are in play. */
const RETAIN = TTL

/** `rides`: the messages go out in the step of the change; `after`: they are published once it is acknowledged. */
export type Publishing = 'rides' | 'after'

interface Node {
  readonly name: string
  readonly cache: Cache
  /** The highest version whose change has settled here, or whose message has been delivered here. */
  known: number
}

interface World {
  readonly gates: Gates
  readonly clock: ManualClock
  readonly remote: MemoryRemote
  readonly bus: GatedBus
  readonly nodes: readonly Node[]
  version: number
  readonly running: Set<Promise<void>>
  readonly faults: string[]
  /** How long what somebody else writes lives: fresh for `TTL`. */
  readonly foreignLife: number
}

type Operation = (world: World, node: Node, name: string) => Promise<void>

/** Takes no stale value. */
const STRICT = { staleWhileRevalidate: false, staleIfError: false } as const

const loaderOf = (world: World, name: string) => async () => {
  const seen = world.version
  await world.gates.pass(`${name}:load`)
  return { version: seen }
}

const once: Operation = async (world, node, name) => {
  const due = node.known
  const answer = await node.cache.once(KEY, loaderOf(world, name), STRICT).catch(unlessFailed)
  if (answer !== undefined) judge(world, name, answer, due)
}

/** May be answered with a stale value; what its load stores is judged in the end. */
const onceStale: Operation = async (world, node, name) => {
  await node.cache.once(KEY, loaderOf(world, name)).catch(unlessFailed)
}

const refresh: Operation = async (world, node, name) => {
  const due = node.known
  const answer = await node.cache.refresh(KEY, loaderOf(world, name)).catch(unlessFailed)
  if (answer !== undefined) judge(world, name, answer, due)
}

const FAILED = new Error('no database')

const onceFailing: Operation = async (world, node, name) => {
  const due = node.known
  const load = async (): Promise<{ version: number }> => {
    await world.gates.pass(`${name}:fail`)
    throw FAILED
  }
  const answer = await node.cache.once(KEY, load, STRICT).catch(unlessFailed)
  if (answer !== undefined) judge(world, name, answer, due)
}

const get: Operation = async (world, node, name) => {
  const due = node.known
  const answer = await node.cache.get<{ version: number }>(KEY)
  if (answer !== undefined) judge(world, name, answer, due)
}

const updateAndDelete: Operation = async (world, node) => {
  const version = ++world.version
  world.bus.began(node.name, version)
  await node.cache.delete(KEY)
  settled(world, node, version)
}

const updateAndSet: Operation = async (world, node) => {
  const version = ++world.version
  world.bus.began(node.name, version)
  await node.cache.set(KEY, { version })
  settled(world, node, version)
}

const updateAndExpire: Operation = async (world, node) => {
  const version = ++world.version
  world.bus.began(node.name, version)
  await node.cache.expire(KEY)
  settled(world, node, version)
}

/** A writer that knows of no leases, and publishes jetcache-go's event after its write. */
const foreign =
  (write: (world: World, version: number) => void): Operation =>
  async (world, _, name) => {
    const version = ++world.version
    await world.gates.pass(`${name}:write`)
    write(world, version)
    await world.gates.pass(`${name}:publish`)
    const event = { cacheName: 'go', sourceId: 'go', type: 'delete', keys: [KEY] } as const
    world.bus.publish(encodeGoEvent(event))
  }

/** The next message to a process is lost. */
const lose: Operation = async (world, node, name) => {
  await world.gates.pass(`${name}:loss`)
  world.bus.loseNextTo(node.name)
}

/** The server lets go of the key. */
const evict: Operation = async (world, _, name) => {
  await world.gates.pass(`${name}:eviction`)
  world.remote.plant(KEY, new Uint8Array(0), 0)
}

/** It may have joined a load that failed. */
function unlessFailed(error: unknown): undefined {
  if (error !== FAILED) throw error
}

function settled(world: World, node: Node, version: number): void {
  node.known = Math.max(node.known, version)
  world.bus.settled = Math.max(world.bus.settled, version)
}

function judge(world: World, name: string, answer: { version: number }, due: number): void {
  if (answer.version < due) {
    world.faults.push(`${name} was answered version ${answer.version} after ${due} was known there`)
  }
}

const OPERATIONS = {
  once,
  onceFailing,
  get,
  updateAndDelete,
  updateAndSet,
  foreignSet: foreign((world, version) => {
    world.remote.plant(KEY, CODEC.encode({ version }), world.foreignLife)
  }),
  foreignDelete: foreign((world) => world.remote.plant(KEY, new Uint8Array(0), 0)),
  lose,
  evict,
  onceStale,
  refresh,
  updateAndExpire,
}
type Name = keyof typeof OPERATIONS

/** An operation, and the process that does it. */
export type Step = readonly [Name, node: number]
const ALL = Object.keys(OPERATIONS) as Name[]
/** Those that need stale values to be kept. */
const OF_STALE: ReadonlySet<Name> = new Set<Name>(['onceStale', 'refresh', 'updateAndExpire'])
export const NAMES = ALL.filter((name) => !OF_STALE.has(name))
/** What all schedules are run of. */
export const CORE: readonly Name[] = [
  'once',
  'get',
  'updateAndDelete',
  'updateAndSet',
  'foreignSet',
  'foreignDelete',
]

interface Queue {
  readonly listener: BusListener
  readonly waiting: { readonly text: string; readonly settled: number }[]
  /** Messages to come that will not. */
  losses: number
  /** All there ever were; once there is one, nothing is known of what a later message would prove. */
  lost: number
}

/** Messages wait, in one queue for each process. */
class GatedBus implements InvalidationBus {
  readonly name = 'gated'
  readonly kind = 'messages'
  readonly origin: object = {}
  /** The highest version whose change has settled anywhere. */
  settled = 0
  onDelivery: (node: string, settled: number) => void = () => undefined
  readonly #gates: Gates
  readonly #rides: boolean
  readonly #queues = new Map<string, Queue>()
  /** By process, the versions of its changes that have not taken effect. */
  readonly #begun = new Map<string, number[]>()
  /** Of the change that takes effect at this moment. */
  #effective = 0
  /** Its own message tells the author nothing: its change settles when it is acknowledged. */
  #author = ''
  #count = 0

  constructor(gates: Gates, rides: boolean) {
    this.#gates = gates
    this.#rides = rides
  }

  open(listener: BusListener, { name }: { readonly name: string }): BusSession {
    this.#queues.set(name, { listener, waiting: [], losses: 0, lost: 0 })
    listener.up()
    return {
      beat: () => Promise.resolve(),
      publish: async (text) => {
        this.publish(text)
        return true
      },
      channelOn: (origin) => (this.#rides && origin === this.origin ? 'all' : undefined),
      close: async () => void this.#queues.delete(name),
    }
  }

  began(node: string, version: number): void {
    const begun = this.#begun.get(node) ?? []
    begun.push(version)
    this.#begun.set(node, begun)
  }

  /** The changes of one process take effect in the order in which they began. */
  async effect<T>(node: string, change: () => Promise<T>): Promise<T> {
    this.#effective = this.#begun.get(node)?.shift() ?? 0
    this.#author = node
    const result = change()
    this.#effective = 0
    return await result
  }

  publish(text: string): void {
    const count = ++this.#count
    for (const [node, queue] of this.#queues) {
      const tells = this.#rides && node !== this.#author
      const settled = Math.max(this.settled, tells ? this.#effective : 0)
      queue.waiting.push({ text, settled })
      void this.#deliver(`message#${count}->${node}`, node)
    }
  }

  loseNextTo(node: string): void {
    const queue = this.#queues.get(node)
    if (queue === undefined) return
    // Nobody notices the loss of a message and of both its repeats.
    if (queue.lost === 2) return
    queue.losses++
    queue.lost++
  }

  async #deliver(gate: string, node: string): Promise<void> {
    await this.#gates.pass(gate)
    const queue = this.#queues.get(node)
    const message = queue?.waiting.shift()
    if (queue === undefined || message === undefined) return
    if (queue.losses > 0) {
      queue.losses--
      return
    }
    queue.listener.message(message.text)
    if (queue.lost === 0) this.onDelivery(node, message.settled)
  }
}

/** The effect happens when the first gate opens, the answer arrives when the second does. */
function gated(
  store: MemoryRemote,
  bus: GatedBus,
  gates: Gates,
  node: string,
  replies: boolean,
): RemoteStore {
  let count = 0
  const through = async <T>(operation: string, effect: () => Promise<T>): Promise<T> => {
    const name = `${node}.${operation}#${++count}`
    await gates.pass(name)
    const result = await effect()
    if (replies) await gates.pass(`${name}:reply`)
    return result
  }
  const { leases } = store
  const gatedLeases: RemoteLeases = {
    read: (keys, token, life) => through('read', () => leases.read(keys, token, life)),
    take: (key, token, life) => through('take', () => leases.take(key, token, life)),
    renew: (key, token, life) => through('renew', () => leases.renew(key, token, life)),
    release: (key, token, wake) => through('release', () => leases.release(key, token, wake)),
    fill: (key, token, write) => through('fill', () => leases.fill(key, token, write)),
    touch: (key, token, renewal) => through('touch', () => leases.touch(key, token, renewal)),
  }
  return {
    name: 'gated',
    ...(store.origin === undefined ? {} : { origin: store.origin }),
    leases: gatedLeases,
    get: (key) => through('get', () => store.get(key)),
    getMany: (keys) => through('getMany', () => store.getMany(keys)),
    set: (key, bytes, options) =>
      through('set', () => bus.effect(node, () => store.set(key, bytes, options))),
    compareAndSet: (key, expected, bytes, ttl) =>
      through('compareAndSet', () => store.compareAndSet(key, expected, bytes, ttl)),
    compareAndDelete: (key, expected, options) =>
      through('undo', () => store.compareAndDelete(key, expected, options)),
    delete: (keys, options) =>
      through('delete', () => bus.effect(node, () => store.delete(keys, options))),
    shorten: (key, left, options) =>
      through('shorten', () => bus.effect(node, () => store.shorten(key, left, options))),
    ping: () => store.ping(),
    open: () => store.open(),
    close: () => store.close(),
  }
}

/** Time that passes when nothing else can happen: the life of a lease is over. */
const PASSES = 3100
/** After all operations: the repeats after 1 s and 5 s, and the second that a gap is waited for. */
const PASSES_AT_LAST = 3

export async function acrossProcesses(
  steps: readonly Step[],
  options: {
    readonly processes: number
    readonly publishing: Publishing
    readonly warm: boolean
    /** Whether answers of the remote come at a step of their own. */
    readonly replies: boolean
    /** Stale values are kept, and each hit has its value loaded anew behind it. */
    readonly stale?: boolean
  },
): Promise<Scenario> {
  const gates = new Gates()
  const clock = manualClock()
  const bus = new GatedBus(gates, options.publishing === 'rides')
  const remote = memoryRemote({
    clock,
    announce: (_, text) => bus.publish(text),
    origin: bus.origin,
  })
  const nodes = Array.from({ length: options.processes }, (_, index): Node => {
    const name = `P${index}`
    const cache = createCache({
      name,
      local: tinyLfu({ maxEntries: 10 }),
      remote: gated(remote, bus, gates, name, options.replies),
      sync: { bus },
      remoteTimeout: '1h',
      loadTimeout: '1h',
      lease: { maxWait: '1h' },
      jitterRatio: 0,
      logger: false,
      clock,
      ...(options.stale ? { staleWhileRevalidate: RETAIN, refreshAheadRatio: 1e-9 } : {}),
    })
    return { name, cache, known: 0 }
  })
  await clock.advanceAsync(0)
  bus.onDelivery = (name, version) => {
    const node = nodes.find((each) => each.name === name)
    if (node !== undefined) node.known = Math.max(node.known, version)
  }
  const world: World = {
    gates,
    clock,
    remote,
    bus,
    nodes,
    version: 1,
    running: new Set(),
    faults: [],
    foreignLife: options.stale ? TTL + RETAIN : TTL,
  }
  if (options.warm) remote.plant(KEY, CODEC.encode({ version: 1 }), world.foreignLife)
  const operations = steps.map(([operation, of], index) => {
    const node = nodes[of % nodes.length]
    if (node === undefined) throw new Error('there are processes')
    const name = `${operation}${index}@${node.name}`
    return { name, start: () => run(world, node, OPERATIONS[operation], name) }
  })
  let passes = 0
  const idle = async () => {
    if (world.running.size === 0 && ++passes > PASSES_AT_LAST) return false
    await clock.advanceAsync(PASSES)
    return true
  }
  return { gates, operations, idle, check: () => check(world, steps) }
}

function run(world: World, node: Node, operation: Operation, name: string): void {
  const running = operation(world, node, name)
    .catch((error: unknown) => {
      world.faults.push(`${name} rejected: ${String(error)}`)
    })
    .finally(() => world.running.delete(running))
  world.running.add(running)
}

const CHANGES: ReadonlySet<Name> = new Set([
  'updateAndDelete',
  'updateAndSet',
  'foreignSet',
  'foreignDelete',
  'updateAndExpire',
])

async function check(world: World, steps: readonly Step[]): Promise<void> {
  expect(world.running.size, 'operations that never end').toBe(0)
  const names = steps.map(([name]) => name)
  const has = (...these: Name[]) => these.some((name) => names.includes(name))
  const { version } = world
  const inRemote = freshIn(world)
  // An event without a number that is lost is not missed: its ttl is the bound.
  if (has('lose') && has('foreignSet', 'foreignDelete')) return
  // Who stores may reach the remote in another order than the database: the last there is right.
  const changes = names.filter((name) => CHANGES.has(name)).length
  const mixed = changes > 1 && has('updateAndSet', 'foreignSet')
  expect(world.faults.filter((fault) => !(mixed && fault.includes('answered')))).toEqual([])
  if (!mixed) expect([undefined, version], 'the remote holds').toContain(inRemote)
  for (const { name, cache } of world.nodes) {
    const local = cache.peek<{ version: number }>(KEY)?.version
    // The copy of a key that the server let go of lives on.
    const allowed = has('evict') ? [undefined, inRemote, version] : [undefined, inRemote]
    if (!(mixed && has('evict'))) expect(allowed, `${name} holds`).toContain(local)
    expect(cache.stats(), name).toMatchObject({ recoveryPending: 0, busArmed: true })
  }
}

/** What the remote holds, if it is fresh. */
function freshIn({ remote, foreignLife }: World): number | undefined {
  const held = remote.peek(KEY)
  if (held === undefined || held.ttlLeft <= foreignLife - TTL) return undefined
  return (CODEC.decode(held.bytes) as { version: number }).version
}

/** Every list of so many operations, the first of them by the first process. */
export function stepLists(of: readonly Name[], length: number, processes: number): Step[][] {
  let lists: Step[][] = [[]]
  for (let i = 0; i < length; i++) {
    const nodes = i === 0 ? [0] : Array.from({ length: processes }, (_, index) => index)
    lists = lists.flatMap((list) =>
      of.flatMap((name) => nodes.map((node): Step[] => [...list, [name, node]])),
    )
  }
  return lists
}

/** Nothing can go wrong without something that stores and something that changes. */
export function mayClash(steps: readonly Step[]): boolean {
  const names = steps.map(([name]) => name)
  return (
    names.some((name) => name.startsWith('once') || name === 'get' || name === 'updateAndSet') &&
    names.some((name) => CHANGES.has(name))
  )
}

/**
 * So many lists of 3 to 7 operations in 3 processes, each under a schedule drawn by lot.
 *
 * @param stale With stale values, refreshes by hand, and loads ahead in play.
 */
export async function randomSchedules(
  publishing: Publishing,
  runs: number,
  stale = false,
): Promise<void> {
  const step = fc.tuple(fc.constantFrom(...(stale ? ALL : NAMES)), fc.nat({ max: 2 }))
  const lists: fc.Arbitrary<Step[]> = fc.array(step, { minLength: 3, maxLength: 7 })
  const picks = fc.infiniteStream(fc.nat())
  const property = fc.asyncProperty(lists, fc.boolean(), picks, async (steps, warm, stream) => {
    const trace: string[] = []
    const pick = (of: number) => (stream.next().value ?? 0) % of
    const options = { processes: 3, publishing, warm, replies: true, stale }
    try {
      await runOne(await acrossProcesses(steps, options), trace, pick)
    } catch (cause) {
      throw new Error(`${(cause as Error).message}\n  after: ${trace.join(', ')}`, { cause })
    }
  })
  await fc.assert(property, { numRuns: runs })
}
