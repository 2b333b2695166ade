import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Change, Flights, type Ticket } from '../../../src/flight/flights.ts'

type Table = Flights<number, number>

/** What the rules say, told by keeping every event with its time: slow, and plain to see. */
interface FlightRecord {
  readonly ticket: Ticket
  readonly key: string
  readonly openedAt: number
  revoked: boolean
  closed: boolean
}
interface ChangeRecord {
  readonly change: Change
  readonly key: string
  readonly calledAt: number
  settledAt: number
}
interface Event {
  readonly at: number
  readonly key: string
}

class Chronicle {
  readonly table: Table = new Flights()
  now = 0
  readonly flights: FlightRecord[] = []
  readonly changes: ChangeRecord[] = []
  /** Fences of one key, and of all (`'*'`). */
  readonly fences: Event[] = []
  readonly loads: (Event & { readonly load: number })[] = []
  readonly reads: (Event & { readonly read: number })[] = []
  readonly withdrawn = new Set<number>()
  revokedAll = false

  overlaps(flight: FlightRecord): boolean {
    return this.changes.some(
      ({ key, settledAt }) => key === flight.key && settledAt > flight.openedAt,
    )
  }

  fencedSince(key: string, at: number): boolean {
    return this.fences.some((fence) => fence.at > at && (fence.key === key || fence.key === '*'))
  }

  mayStore(flight: FlightRecord): boolean {
    return !flight.revoked && !flight.closed && !this.revokedAll && !this.overlaps(flight)
  }

  /** Nothing was under way when it began, or came since; its own settlement is not asked about. */
  alone({ key, calledAt }: ChangeRecord): boolean {
    const beside = this.changes.some(
      (other) => other.key === key && other.calledAt < calledAt && other.settledAt > calledAt,
    )
    return (
      !beside &&
      !this.epochEnded(key, calledAt) &&
      !this.fencedSince(key, calledAt) &&
      !this.revokedAll
    )
  }

  /** Whether a change of the key was called or settled since then. */
  epochEnded(key: string, since: number): boolean {
    const moved = (change: ChangeRecord) =>
      change.calledAt > since || (change.settledAt > since && change.settledAt !== Infinity)
    return this.changes.some((change) => change.key === key && moved(change))
  }

  isOpen(key: string): boolean {
    return (
      this.flights.some((flight) => flight.key === key && !flight.closed) ||
      this.changes.some((change) => change.key === key && change.settledAt === Infinity)
    )
  }

  check(): void {
    for (const flight of this.flights) {
      const may = this.mayStore(flight)
      expect(flight.ticket.mayStore()).toBe(may)
      const locally = may && !this.fencedSince(flight.key, flight.openedAt)
      expect(flight.ticket.mayStoreLocally()).toBe(locally)
    }
    for (const record of this.changes) {
      if (record.settledAt === Infinity) expect(record.change.alone()).toBe(this.alone(record))
    }
    for (const key of KEYS) {
      const load = this.loads.filter((each) => each.key === key).at(-1)
      const joinable = load !== undefined && !this.withdrawn.has(load.load)
      const lives = joinable && !this.epochEnded(key, load.at)
      expect(this.table.load(key)).toBe(lives ? load.load : undefined)
      const read = this.reads.filter((each) => each.key === key).at(-1)
      const usable = read !== undefined && !this.withdrawn.has(read.read)
      const readLives = usable && !this.epochEnded(key, read.at) && !this.fencedSince(key, read.at)
      expect(this.table.read(key)).toBe(readLives ? read.read : undefined)
    }
    expect(this.table.size).toBe(KEYS.filter((key) => this.isOpen(key)).length)
  }
}

const KEYS = ['a', 'b']
const STEPS = [
  'open',
  'close',
  'revoke',
  'change',
  'settle',
  'invalidate',
  'invalidateLoad',
  'fence',
  'fenceAll',
  'offerLoad',
  'withdrawLoad',
  'offerRead',
  'withdrawRead',
  'revokeAll',
] as const

/** As a change that is over in its turn. */
function invalidated(to: Chronicle, key: string, at: number): void {
  const settle = (): void => undefined
  to.changes.push({ change: { alone: () => false, settle }, key, calledAt: at, settledAt: at })
}

/** One step, on the key or the flight or change that `pick` selects. */
function take(to: Chronicle, step: (typeof STEPS)[number], pick: number): void {
  const at = ++to.now
  const key = KEYS[pick % KEYS.length] ?? 'a'
  const openFlights = to.flights.filter((flight) => !flight.closed)
  const flight = openFlights[pick % Math.max(1, openFlights.length)]
  switch (step) {
    case 'open':
      to.flights.push({
        ticket: to.table.open(key),
        key,
        openedAt: at,
        revoked: false,
        closed: false,
      })
      return
    case 'close':
      if (flight === undefined) return
      close(to, flight)
      // A second close is none.
      if (pick % 3 === 0) flight.ticket.close()
      return
    case 'revoke':
      if (flight === undefined) return
      flight.ticket.revoke()
      flight.revoked = true
      return
    case 'invalidateLoad': {
      const load = to.loads.at(-1 - (pick % 3))
      if (load === undefined) return
      if (to.table.load(load.key) === load.load) invalidated(to, load.key, at)
      to.table.invalidateLoad(load.key, load.load)
      return
    }
    case 'invalidate': {
      const load = to.table.load(key)
      expect(to.table.invalidate(key)).toBe(load)
      invalidated(to, key, at)
      return
    }
    case 'change':
      to.changes.push({ change: to.table.change(key), key, calledAt: at, settledAt: Infinity })
      return
    case 'settle': {
      const running = to.changes.filter(({ settledAt }) => settledAt === Infinity)
      const record = running[pick % Math.max(1, running.length)]
      if (record === undefined) return
      record.change.settle()
      record.settledAt = at
      return
    }
    case 'fence':
      to.table.fence(key)
      to.fences.push({ at, key })
      return
    case 'fenceAll':
      to.table.fenceAll()
      to.fences.push({ at, key: '*' })
      return
    case 'offerLoad':
      if (flight === undefined) return
      to.table.offerLoad(flight.key, at)
      to.loads.push({ at, key: flight.key, load: at })
      return
    case 'offerRead':
      if (flight === undefined) return
      to.table.offerRead(flight.key, at)
      to.reads.push({ at, key: flight.key, read: at })
      return
    case 'withdrawLoad': {
      const offered = to.loads[pick % Math.max(1, to.loads.length)]
      if (offered === undefined) return
      to.table.withdrawLoad(offered.key, offered.load)
      to.withdrawn.add(offered.load)
      return
    }
    case 'withdrawRead': {
      const offered = to.reads[pick % Math.max(1, to.reads.length)]
      if (offered === undefined) return
      to.table.withdrawRead(offered.key, offered.read)
      to.withdrawn.add(offered.read)
      return
    }
    case 'revokeAll':
      // Rarely: after it there is nothing left to see.
      if (pick % 20 !== 0) return
      to.table.revokeAll()
      to.revokedAll = true
  }
}

/** Who closes withdraws first what it offered, as every flight does. */
function close(to: Chronicle, flight: FlightRecord): void {
  for (const { key, load } of to.loads) {
    if (key !== flight.key) continue
    to.table.withdrawLoad(key, load)
    to.withdrawn.add(load)
  }
  for (const { key, read } of to.reads) {
    if (key !== flight.key) continue
    to.table.withdrawRead(key, read)
    to.withdrawn.add(read)
  }
  flight.ticket.close()
  flight.closed = true
}

const anyRun = fc.array(fc.tuple(fc.constantFrom(...STEPS), fc.nat({ max: 1000 })), {
  minLength: 1,
  maxLength: 40,
})

describe('The table of flights', () => {
  it('says after every step what a record of all events says', () => {
    fc.assert(
      fc.property(anyRun, (run) => {
        const chronicle = new Chronicle()
        for (const [step, pick] of run) {
          take(chronicle, step, pick)
          chronicle.check()
        }
      }),
      { numRuns: 400 },
    )
  })

  it('is empty once everything is closed, and only then resolves idle', async () => {
    await fc.assert(
      fc.asyncProperty(anyRun, async (run) => {
        const chronicle = new Chronicle()
        for (const [step, pick] of run) take(chronicle, step, pick)
        const { table } = chronicle
        const wasIdle = table.size === 0
        let idle = false
        const waiting = table.idle().then(() => {
          idle = true
        })
        await Promise.resolve()
        await Promise.resolve()
        expect(idle).toBe(wasIdle)
        for (const flight of chronicle.flights) if (!flight.closed) close(chronicle, flight)
        for (const { change, settledAt } of chronicle.changes) {
          if (settledAt === Infinity) change.settle()
        }
        expect(table.size).toBe(0)
        await waiting
      }),
      { numRuns: 200 },
    )
  })

  it('a load that begins during a change and ends after it may not store', () => {
    const table: Table = new Flights()
    const change = table.change('a')
    const ticket = table.open('a')
    change.settle()
    expect(ticket.mayStore()).toBe(false)
    expect(table.open('a').mayStore()).toBe(true)
  })

  it('a change of one key is nothing to another', () => {
    const table: Table = new Flights()
    const ticket = table.open('a')
    table.change('b').settle()
    table.fence('b')
    expect([ticket.mayStore(), ticket.mayStoreLocally()]).toEqual([true, true])
  })

  it('a flight that is closed twice has left once: those that stay still see a change', () => {
    const table: Table = new Flights()
    const [left, stays] = [table.open('a'), table.open('a')]
    left.close()
    left.close()
    table.change('a')
    expect(stays.mayStore()).toBe(false)
  })

  it('refuses an offer for which no flight is open', () => {
    const table: Table = new Flights()
    expect(() => table.offerLoad('a', 1)).toThrow('no flight of a is open')
    expect(() => table.offerRead('a', 1)).toThrow('no flight of a is open')
    expect(table.size).toBe(0)
  })
})
