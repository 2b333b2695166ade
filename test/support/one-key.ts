import { expect } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import { msgpack } from '../../src/codec/msgpack.ts'
import { tinyLfu } from '../../src/local/tiny-lfu/tiny-lfu.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { type MemoryRemote, memoryRemote } from '../../src/testing/memory-remote.ts'
import { Gates, type Scenario } from './explore.ts'

/*
 * One process, one key, a database that counts its versions. Each operation is run in every order
 * and every interleaving of its await points with those of the others. The memory remote takes
 * effect when its gate opens, so that operations overlap in every way a real one allows.
 */

export type Tiers = 'local' | 'remote' | 'both'
const KEY = 'user:1'
const CODEC = msgpack()

/** What an operation may do; `version` is the database's. */
interface World {
  readonly cache: Cache
  readonly gates: Gates
  readonly remote: MemoryRemote
  version: number
  /** Highest version whose change has settled. */
  settled: number
  readonly running: Set<Promise<void>>
  readonly faults: string[]
}

type Operation = (world: World, name: string) => Promise<void>

const once: Operation = async (world, name) => {
  const due = world.settled
  const answer = await world.cache.once(KEY, async () => {
    // The worst loader there is: what it returns was read at its very beginning.
    const seen = world.version
    await world.gates.pass(`${name}:load`)
    return { version: seen }
  })
  judge(world, name, answer, due)
}

const onceAndLeave: Operation = async (world, name) => {
  const caller = new AbortController()
  void world.gates.pass(`${name}:leave`).then(() => caller.abort('left'))
  const load = async () => {
    const seen = world.version
    await world.gates.pass(`${name}:load`)
    return { version: seen }
  }
  await world.cache.once(KEY, load, { signal: caller.signal }).catch((reason: unknown) => {
    if (reason !== 'left') throw reason
  })
}

const get: Operation = async (world, name) => {
  const due = world.settled
  const answer = await world.cache.get<{ version: number }>(KEY)
  if (answer !== undefined) judge(world, name, answer, due)
}

const updateAndDelete: Operation = async (world) => {
  const version = ++world.version
  await world.cache.delete(KEY)
  world.settled = Math.max(world.settled, version)
}

const updateAndSet: Operation = async (world) => {
  const version = ++world.version
  await world.cache.set(KEY, { version })
  world.settled = Math.max(world.settled, version)
}

/** Somebody else writes the remote, and an event without an author says so. */
const foreignSetAndDrop: Operation = async (world) => {
  foreignSet(world)
  world.cache.deleteLocal(KEY)
}

/** Somebody else writes the remote, and we learn that something did. */
const foreignSetAndFlush: Operation = async (world) => {
  foreignSet(world)
  world.cache.clearLocal()
}

function foreignSet(world: World): void {
  const version = ++world.version
  void world.remote.set(KEY, CODEC.encode({ version }), { ttl: 3_600_000 })
}

function judge(world: World, name: string, answer: { version: number }, due: number): void {
  if (answer.version < due) {
    world.faults.push(`${name} was answered version ${answer.version} after ${due} had settled`)
  }
}

const OPERATIONS = {
  once,
  onceAndLeave,
  get,
  updateAndDelete,
  updateAndSet,
  foreignSetAndDrop,
  foreignSetAndFlush,
}
export type Name = keyof typeof OPERATIONS
export const NAMES = Object.keys(OPERATIONS) as Name[]
/** What all schedules are run of; a caller who leaves has too many. */
export const SMALL = NAMES.filter((name) => name !== 'onceAndLeave')

/** The effect happens when the first gate opens, the answer arrives when the second does. */
function gated(store: MemoryRemote, gates: Gates): RemoteStore {
  let count = 0
  const through = async <T>(operation: string, effect: () => Promise<T>): Promise<T> => {
    const name = `${operation}#${++count}`
    await gates.pass(name)
    const result = await effect()
    await gates.pass(`${name}:reply`)
    return result
  }
  return {
    name: 'gated',
    get: (key) => through('get', () => store.get(key)),
    getMany: (keys) => through('getMany', () => store.getMany(keys)),
    set: (key, bytes, options) => through('set', () => store.set(key, bytes, options)),
    compareAndSet: (key, expected, bytes, ttl) =>
      through('fill', () => store.compareAndSet(key, expected, bytes, ttl)),
    compareAndDelete: (key, expected) => store.compareAndDelete(key, expected),
    delete: (keys) => through('delete', () => store.delete(keys)),
    ping: () => store.ping(),
    open: () => store.open(),
    close: () => store.close(),
  }
}

export function scenario(tiers: Tiers, names: readonly Name[], warm: boolean): Scenario {
  const gates = new Gates()
  const clock = manualClock()
  const remote = memoryRemote({ clock })
  const store = gated(remote, gates)
  const cache =
    tiers === 'local'
      ? createCache({ local: tinyLfu({ maxEntries: 10 }), clock, jitterRatio: 0 })
      : createCache({
          ...(tiers === 'both' ? { local: tinyLfu({ maxEntries: 10 }) } : {}),
          remote: store,
          clock,
          jitterRatio: 0,
        })
  const world: World = {
    cache,
    gates,
    remote,
    version: 1,
    settled: 0,
    running: new Set(),
    faults: [],
  }
  const operations = names.map((operation, index) => {
    const name = `${operation}${index}`
    const start = () => {
      const running = OPERATIONS[operation](world, name).catch((error: unknown) => {
        world.faults.push(`${name} rejected: ${String(error)}`)
      })
      world.running.add(running)
    }
    return { name, start }
  })
  if (warm && tiers !== 'local') operations.unshift({ name: 'warm', start: () => seed(remote) })
  const check = async () => {
    await Promise.all(world.running)
    expect(world.faults).toEqual([])
    const local = cache.peek<{ version: number }>(KEY)?.version
    const inRemote = versionIn(remote)
    // A foreign write and ours may reach the remote in either order: then the last there is right.
    const mixed = names.includes('updateAndSet') && names.some(isForeign) && tiers !== 'local'
    const last = mixed ? inRemote : world.version
    if (tiers !== 'local') expect([undefined, last], 'remote holds').toContain(inRemote)
    const allowed = tiers === 'both' ? inRemote : last
    expect([undefined, allowed], 'local holds').toContain(local)
  }
  return { gates, operations, check }
}

/** Version 1, which the database holds at first, lies in the remote already. */
function seed(remote: MemoryRemote): void {
  void remote.set(KEY, CODEC.encode({ version: 1 }), { ttl: 3_600_000 })
}

function versionIn(remote: MemoryRemote): number | undefined {
  const held = remote.peek(KEY)
  return held && (CODEC.decode(held.bytes) as { version: number }).version
}

/** Every list of so many names. */
export function sequences(of: readonly Name[], length: number): Name[][] {
  if (length === 0) return [[]]
  return sequences(of, length - 1).flatMap((rest) => of.map((name) => [...rest, name]))
}

const isForeign = (name: Name): boolean => name.startsWith('foreign')
const isFlight = (name: Name): boolean => name.startsWith('once') || name === 'get'

/** Nothing can overlap without something that stores and something that changes. */
export function canOverlap(names: readonly Name[]): boolean {
  return names.some((name) => isFlight(name) || name === 'updateAndSet') && !names.every(isFlight)
}
