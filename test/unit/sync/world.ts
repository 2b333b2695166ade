import type { BusListener, BusSession, InvalidationBus } from '../../../src/bus/invalidation-bus.ts'
import { type Counters, newCounters } from '../../../src/stats/counters.ts'
import { Coherence } from '../../../src/sync/coherence.ts'
import { type ManualClock, manualClock } from '../../../src/testing/manual-clock.ts'
import {
  type MemoryBus,
  type MemoryBusCarriage,
  type MemoryBusLine,
  type MemoryBusSending,
  memoryBus,
} from '../../../src/testing/memory-bus.ts'

/** Milliseconds a local copy lives; longer than any run. */
const TTL = 3_600_000
/** Milliseconds after which a change of unknown outcome is repaired. */
const REPAIR_AFTER = 500
const CHANNEL = 'c'

/** What becomes of a change. */
export type Outcome = 'takes' | 'is not sent' | 'takes, unknown' | 'does not take, unknown'

/** A value is the number of the change that made it; 0: none has. */
interface Version {
  readonly value: number
  /** When it was replaced; `Infinity`: it is what the remote holds. */
  until: number
}

interface Copy {
  readonly value: number
  readonly until: number
}

export interface WorldOptions {
  /** Whether messages ride with changes. */
  readonly rides: boolean
  readonly processes: number
  readonly carry?: (text: string, line: MemoryBusLine) => MemoryBusCarriage
  /** Milliseconds for which a message waits that `carry` holds. */
  readonly holdFor?: () => number
}

/** A remote, a bus, and processes with a local tier each; everything on one manual clock. */
export class World {
  readonly clock: ManualClock = manualClock()
  readonly bus: MemoryBus
  readonly processes: Process[] = []
  readonly rides: boolean
  readonly #history = new Map<string, Version[]>()
  #changes = 0

  constructor({ rides, processes, carry, holdFor }: WorldOptions) {
    this.rides = rides
    this.bus = memoryBus({
      carry: (text, line) => {
        const how = carry?.(text, line) ?? 'deliver'
        if (how === 'hold') {
          this.clock.setTimer(holdFor?.() ?? 0, () => {
            const index = line.held.indexOf(text)
            if (index >= 0) line.release(index)
          })
        }
        return how
      },
      send: (_, line) => this.processes[this.bus.lines.indexOf(line)]?.sending ?? 'out',
    })
    for (let i = 0; i < processes; i++) this.processes.push(new Process(this))
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.setTimer(ms, resolve))
  }

  read(key: string): number {
    return this.#versions(key).at(-1)?.value ?? 0
  }

  write(key: string): void {
    const versions = this.#versions(key)
    const last = versions.at(-1)
    if (last !== undefined) last.until = this.clock.monotonic()
    versions.push({ value: ++this.#changes, until: Number.POSITIVE_INFINITY })
  }

  /** Milliseconds since that was what the remote held; 0 if it is now. */
  age(key: string, value: number): number {
    const version = this.#versions(key).find((each) => each.value === value)
    return Math.max(0, this.clock.monotonic() - (version?.until ?? 0))
  }

  announce(text: string): void {
    this.bus.announce(CHANNEL, text)
  }

  /** A writer who numbers nothing, and whose news are never dropped one by one. */
  writeForeignly(key: string): void {
    this.write(key)
    this.announce(
      JSON.stringify({ CacheName: 'go', SourceID: 'go', EventType: 1, Keys: [key], Foreign: true }),
    )
  }

  #versions(key: string): Version[] {
    let versions = this.#history.get(key)
    if (versions === undefined) {
      versions = [{ value: 0, until: Number.POSITIVE_INFINITY }]
      this.#history.set(key, versions)
    }
    return versions
  }
}

/** One process: a local tier as small as can be, kept coherent. */
export class Process {
  readonly #world: World
  readonly local = new Map<string, Copy>()
  readonly coherence: Coherence
  readonly counters: Counters = newCounters()
  readonly line: MemoryBusLine
  /** What becomes of what it publishes. */
  sending: MemoryBusSending = 'out'
  /** Nothing comes in, no beat is answered, and nobody is told, neither of the end of it. */
  muted = false
  /** Moves with each change of a key, and with each flush. */
  readonly #epochs = new Map<string, number>()
  readonly #changing = new Map<string, number>()
  #flushes = 0

  constructor(world: World) {
    this.#world = world
    const { bus, clock } = world
    const flush = () => {
      this.local.clear()
      this.#flushes++
    }
    this.coherence = new Coherence({
      bus: this.#mutable(bus),
      cacheName: CHANNEL,
      sourceId: CHANNEL,
      origin: world.rides ? bus.origin : undefined,
      policy: {
        unarmedTtl: 1000,
        unarmedServe: Number.POSITIVE_INFINITY,
        foreignWindow: 2000,
        publishFills: false,
      },
      clock,
      counters: this.counters,
      warn: (message) => {
        // Some are cut off for that long.
        if (!message.includes('has not been heard')) throw new Error(message)
      },
      effects: {
        changed: (key) => this.#drop(key),
        dropped: (keys) => {
          for (const key of keys) this.#drop(key)
        },
        flush,
        woken: () => undefined,
        refreshed: () => undefined,
        undo: async () => false,
      },
    })
    this.coherence.start()
    const line = bus.lines.at(-1)
    if (line === undefined) throw new Error('the bus has no line')
    this.line = line
  }

  /** Through local, as a cache reads; a read and its answer take so long. */
  async read(key: string, asking: number, answering: number): Promise<number> {
    const { clock } = this.#world
    const copy = this.local.get(key)
    if (copy !== undefined && copy.until > clock.now()) return copy.value
    const askedAt = clock.now()
    const ticket = this.#ticket(key)
    await this.#world.sleep(asking)
    const value = this.#world.read(key)
    await this.#world.sleep(answering)
    if (ticket === this.#ticket(key)) {
      this.local.set(key, {
        value,
        until: askedAt + Math.min(TTL, this.coherence.localLimit()),
      })
    }
    return value
  }

  /** Resolves when it is settled; a repair comes later. */
  async change(key: string, outcome: Outcome, asking: number, answering: number): Promise<void> {
    const world = this.#world
    this.#changing.set(key, (this.#changing.get(key) ?? 0) + 1)
    this.#drop(key)
    const ride = this.coherence.ride(key)
    await world.sleep(asking)
    const takes = outcome === 'takes' || outcome === 'takes, unknown'
    if (takes) {
      world.write(key)
      if (ride !== undefined) world.announce(ride.announcement.text)
    }
    await world.sleep(answering)
    if (outcome === 'takes') {
      ride?.settle(true)
      if (ride === undefined) this.coherence.changed([key])
    } else if (outcome === 'is not sent') {
      ride?.settle(false)
    } else {
      ride?.settle(undefined)
      void this.#repair(key)
    }
    this.#drop(key)
    this.#changing.set(key, (this.#changing.get(key) ?? 0) - 1)
  }

  /** Copies that are no longer what the remote holds, and for how long they have not been. */
  stale(): { readonly key: string; readonly age: number }[] {
    const now = this.#world.clock.now()
    return [...this.local]
      .filter(([, { until }]) => until > now)
      .map(([key, { value }]) => ({ key, age: this.#world.age(key, value) }))
      .filter(({ age }) => age > 0)
  }

  async #repair(key: string): Promise<void> {
    await this.#world.sleep(REPAIR_AFTER)
    this.#world.write(key)
    this.#drop(key)
    this.coherence.changed([key])
  }

  #drop(key: string): void {
    this.local.delete(key)
    this.#epochs.set(key, (this.#epochs.get(key) ?? 0) + 1)
  }

  /** Never the same while a change is under way. */
  #ticket(key: string): unknown {
    if ((this.#changing.get(key) ?? 0) > 0) return Symbol('a change is under way')
    return `${this.#epochs.get(key) ?? 0} ${this.#flushes}`
  }

  #mutable(bus: MemoryBus): InvalidationBus {
    const never = () => new Promise<void>(() => undefined)
    return {
      name: bus.name,
      kind: bus.kind,
      open: (listener: BusListener, cache): BusSession => {
        const session = bus.open(
          {
            ...listener,
            message: (text) => {
              if (!this.muted) listener.message(text)
            },
          },
          cache,
        )
        return { ...session, beat: () => (this.muted ? never() : session.beat()) }
      },
    }
  }
}
