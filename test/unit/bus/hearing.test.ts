import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Hearing } from '../../../src/bus/hearing.ts'
import { FORGET_AFTER, GAP_AFTER, Numbers, type Place } from '../../../src/bus/numbers.ts'
import { type ManualClock, manualClock } from '../../../src/testing/manual-clock.ts'

const SOURCES = ['a', 'b']

/** Whatever follows a loss within a second has come by then. */
const LATEST = GAP_AFTER - 1

interface Lost {
  readonly source: string
  readonly number: number
  /** When the change took effect that it told of. */
  readonly effectAt: number
  /** When something arrived that shows it, first since we listen. */
  shownAt: number | undefined
}

/** An interval in which losses must be told. */
interface Armed {
  readonly since: number
  until: number
}

/** Sources that send to one receiver, with what became of each message written down. */
class World {
  readonly clock: ManualClock = manualClock()
  readonly gaps: number[] = []
  readonly lost: Lost[] = []
  readonly armed: Armed[] = []
  /** Losses that had to be told, and were. */
  told = 0
  readonly #hearing = new Hearing(this.clock, () => this.gaps.push(this.clock.monotonic()))
  readonly #numbers = new Map(SOURCES.map((source) => [source, new Numbers()]))
  #listening = true

  numbersOf(source: string): Numbers {
    return this.#numbers.get(source) ?? expect.fail()
  }

  send(source: string, { delay, effect, fate }: Sending): void {
    const now = this.clock.monotonic()
    const place = this.numbersOf(source).next(now)
    this.clock.setTimer(delay, () => this.numbersOf(source).told(place.void))
    if (fate === 'lost') {
      const effectAt = now + Math.min(effect, LATEST)
      this.lost.push({ source, number: place.number, effectAt, shownAt: undefined })
    }
    for (let times = { lost: 0, once: 1, twice: 2 }[fate]; times > 0; times--) {
      this.clock.setTimer(Math.min(delay * times, LATEST), () => this.#arrive(source, place))
    }
  }

  /** A number is given out, and its message certainly never goes out; known `after` milliseconds. */
  void(source: string, after: number): void {
    const numbers = this.numbersOf(source)
    const { number } = numbers.next(this.clock.monotonic())
    this.clock.setTimer(after, () => {
      numbers.withdrawn(number)
      if (numbers.voidsUntold) this.repeat(source, after, true)
    })
  }

  repeat(source: string, delay: number, comes: boolean): void {
    const numbers = this.numbersOf(source)
    if (!numbers.begun) return
    const place = numbers.repeat(this.clock.monotonic())
    this.clock.setTimer(delay, () => numbers.told(place.void))
    if (comes) this.clock.setTimer(delay, () => this.#arrive(source, place))
  }

  down(): void {
    this.#listening = false
    this.#hearing.disarm()
    const last = this.armed.at(-1)
    if (last !== undefined) last.until = Math.min(last.until, this.clock.monotonic())
    for (const lost of this.lost) lost.shownAt = undefined
  }

  up(): void {
    this.#listening = true
  }

  arm(): void {
    if (!this.#listening || this.armed.at(-1)?.until === Number.POSITIVE_INFINITY) return
    this.#hearing.arm()
    this.armed.push({ since: this.clock.monotonic(), until: Number.POSITIVE_INFINITY })
  }

  #arrive(source: string, place: Place): void {
    if (!this.#listening) return
    const now = this.clock.monotonic()
    const upTo = place.repeat ? place.number : place.number - 1
    for (const lost of this.lost) {
      if (lost.source === source && lost.number <= upTo) this.#show(lost, now)
    }
    this.#hearing.hear(source, place)
  }

  #show(lost: Lost, now: number): void {
    if (lost.shownAt !== undefined) return
    lost.shownAt = now
    const told = this.armed.find(({ since, until }) => since <= lost.effectAt && now < until)
    if (told === undefined) return
    // Looked at once it must have been told, if losses were told all the time.
    const endsAt = Math.max(now, lost.effectAt) + GAP_AFTER
    this.clock.setTimer(endsAt - now + 1, () => {
      if (told.until <= endsAt) return
      const at = `${lost.source} ${lost.number}, shown at ${now}, told by ${endsAt}`
      expect(
        this.gaps.some((gap) => gap >= lost.effectAt && gap <= endsAt),
        at,
      ).toBe(true)
      this.told++
    })
  }
}

interface Sending {
  readonly delay: number
  readonly effect: number
  readonly fate: 'lost' | 'once' | 'twice'
}

type Step = (world: World) => void

const source = fc.constantFrom(...SOURCES)
const delay = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: LATEST }))

function sends(...fates: Sending['fate'][]): fc.Arbitrary<Step> {
  const sending = fc.record({ delay, effect: delay, fate: fc.constantFrom(...fates) })
  return fc.tuple(source, sending).map(
    ([from, how]) =>
      (world: World) =>
        world.send(from, how),
  )
}

const passes = fc
  .oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 3000 }))
  .map((ms) => (world: World) => world.clock.advance(ms))

const voids = fc.tuple(source, fc.integer({ min: 0, max: 450 })).map(
  ([from, after]) =>
    (world: World) =>
      world.void(from, after),
)

const repeats = (comes: fc.Arbitrary<boolean>): fc.Arbitrary<Step> =>
  fc.tuple(source, delay, comes).map(
    ([from, ms, it]) =>
      (world: World) =>
        world.repeat(from, ms, it),
  )

function run(steps: readonly Step[], world = new World()): World {
  for (const step of steps) step(world)
  world.clock.advance(10_000)
  return world
}

const outages = fc
  .tuple(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 1500 }))
  .map(([ms, untilArmed]) => (world: World) => {
    world.down()
    world.clock.advance(ms)
    world.up()
    world.clock.setTimer(untilArmed, () => world.arm())
  })

const ANYTHING = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: sends('lost', 'once', 'once', 'twice') },
    { weight: 4, arbitrary: passes },
    { weight: 2, arbitrary: repeats(fc.boolean()) },
    { weight: 1, arbitrary: voids },
    { weight: 1, arbitrary: outages },
  ),
  { maxLength: 40, size: 'max' },
)

const NOTHING_LOST = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: sends('once', 'once', 'twice') },
    { weight: 4, arbitrary: passes },
    { weight: 2, arbitrary: repeats(fc.constant(true)) },
    { weight: 1, arbitrary: voids },
  ),
  { maxLength: 40, size: 'max' },
)

describe('lost messages', () => {
  it('are told within a second after something shows them, once they may have taken effect', () => {
    let told = 0
    fc.assert(
      fc.property(ANYTHING, (steps) => {
        told += run([(world) => world.arm(), ...steps]).told
      }),
      { numRuns: 3000 },
    )
    expect(told).toBeGreaterThan(100)
  })

  it('are not told if all come within a second, in any order', () => {
    fc.assert(
      fc.property(NOTHING_LOST, (steps) => {
        expect(run([(world) => world.arm(), ...steps]).gaps).toEqual([])
      }),
      { numRuns: 3000 },
    )
  })

  it('are not told of what came before the arming, once it has taken effect', () => {
    const sent = fc.array(fc.oneof(sends('lost', 'once'), passes), { maxLength: 20 })
    const inOrder = fc.tuple(source, fc.integer({ min: 0, max: 5000 })).map(
      ([from, ms]): Step =>
        (world) => {
          world.send(from, { delay: 0, effect: 0, fate: 'once' })
          world.clock.advance(ms)
        },
    )
    fc.assert(
      fc.property(sent, fc.array(inOrder, { maxLength: 10 }), (before, after) => {
        const world = new World()
        world.down()
        run(before, world)
        world.up()
        world.arm()
        expect(run(after, world).gaps).toEqual([])
      }),
    )
  })
})

/** A receiver on a clock of its own, armed from the beginning. */
function receiver() {
  const clock = manualClock()
  clock.advance(5000)
  const gaps: string[] = []
  const hearing = new Hearing(clock, (from) => gaps.push(from))
  hearing.arm()
  const hear = (number: number, more: Partial<Place> = {}, from = 's') =>
    hearing.hear(from, { number, since: 0, void: [], repeat: false, ...more })
  return { clock, gaps, hearing, hear }
}

describe('a gap', () => {
  it('is told a second after the message that shows it, not before, and once', () => {
    const { clock, gaps, hear } = receiver()
    hear(1)
    hear(4)
    clock.advance(GAP_AFTER - 1)
    expect(gaps).toEqual([])
    clock.advance(1)
    expect(gaps).toEqual(['s'])
    hear(5)
    clock.advance(60_000)
    expect(gaps).toEqual(['s'])
  })

  it('is none if the number comes in time, or is said to be void', () => {
    const { clock, gaps, hear } = receiver()
    hear(1)
    hear(4)
    hear(2)
    hear(5, { void: [3] })
    hear(8, { void: [6, 7] })
    clock.advance(60_000)
    expect(gaps).toEqual([])
  })

  it('that closes in part is told when the rest is due', () => {
    const { clock, gaps, hear } = receiver()
    hear(1)
    hear(3)
    clock.advance(500)
    hear(5)
    hear(2)
    clock.advance(999)
    expect(gaps).toEqual([])
    clock.advance(1)
    expect(gaps).toEqual(['s'])
  })

  it('at the end is shown by a repeat', () => {
    const { clock, gaps, hear } = receiver()
    hear(1)
    hear(1, { repeat: true, since: 1000 })
    clock.advance(60_000)
    expect(gaps).toEqual([])
    hear(2, { repeat: true, since: 1000 })
    clock.advance(GAP_AFTER)
    expect(gaps).toEqual(['s'])
  })

  it('of several sources that were busy while we were armed is told once', () => {
    const { clock, gaps, hearing, hear } = receiver()
    clock.advance(10_000)
    hearing.arm()
    for (const [from, since] of [
      ['a', 100],
      ['b', 300],
      ['c', 900],
    ] as const) {
      clock.advance(50)
      hear(7, { since }, from)
    }
    clock.advance(2 * GAP_AFTER)
    expect(gaps).toHaveLength(1)
  })

  it('of several sources at one moment is told once', () => {
    const { clock, gaps, hear } = receiver()
    for (const from of ['a', 'b', 'c']) hear(1, {}, from)
    hear(3, {}, 'a')
    hear(2, {}, 'b')
    hear(3, {}, 'c')
    clock.advance(GAP_AFTER)
    expect(gaps).toHaveLength(1)
    hear(5, {}, 'b')
    clock.advance(GAP_AFTER - 1)
    hear(5, {}, 'a')
    clock.advance(GAP_AFTER)
    expect(gaps).toHaveLength(3)
  })
})

describe('a source that was never heard', () => {
  it.each<[string, number, Partial<Place>]>([
    ['begins with number 1', 1, {}],
    ['has said nothing that may have taken effect since we were armed', 9, { since: 2000 }],
    ['repeats what it said before we were armed', 1, { since: 2000, repeat: true }],
    ['has said nothing but what never went out', 3, { void: [1, 2] }],
    ['repeats what never went out', 1, { void: [1], repeat: true }],
  ])('is no loss if it %s', (_, number, more) => {
    const { clock, gaps, hear } = receiver()
    clock.advance(1000)
    hear(number, more)
    clock.advance(60_000)
    expect(gaps).toEqual([])
  })

  it.each<[string, number, Partial<Place>]>([
    ['has said something since', 9, { since: 100 }],
    ['has said something that may have taken effect since', 9, { since: 1999 }],
    ['repeats what we have not heard', 1, { since: 1000, repeat: true }],
    ['has said more than what never went out', 3, { void: [2] }],
  ])('is a loss if it %s', (_, number, more) => {
    const { clock, gaps, hear } = receiver()
    clock.advance(1000)
    hear(number, more)
    clock.advance(GAP_AFTER)
    expect(gaps).toEqual(['s'])
  })

  it('is no loss if it has been silent for so long that we may have forgotten it', () => {
    const { clock, gaps, hear } = receiver()
    clock.advance(3 * FORGET_AFTER)
    hear(9, { since: FORGET_AFTER + 1 })
    clock.advance(60_000)
    expect(gaps).toEqual([])
  })

  it('is no loss if the one before comes too, and what came before that is older than we', () => {
    const { clock, gaps, hear } = receiver()
    hear(9, { since: 100 })
    clock.advance(500)
    hear(8, { since: 9000 })
    clock.advance(60_000)
    expect(gaps).toEqual([])
  })

  it('is a loss if what was missing before we were armed does not come', () => {
    const { clock, gaps, hear, hearing } = receiver()
    hearing.disarm()
    hear(1)
    hear(3)
    clock.advance(500)
    hearing.arm()
    clock.advance(499)
    expect(gaps).toEqual([])
    clock.advance(1)
    expect(gaps).toEqual(['s'])
  })

  it('is told of nothing while we are not armed', () => {
    const { clock, gaps, hear, hearing } = receiver()
    hearing.disarm()
    hear(5)
    hear(9)
    clock.advance(60_000)
    expect(gaps).toEqual([])
  })
})

describe('what is remembered', () => {
  it('is one timer at most, and none after disarming', () => {
    const { clock, hear, hearing } = receiver()
    for (let i = 1; i < 500; i++) {
      hear(i * 2, {}, String(i % 7))
      expect(clock.pendingTimers).toBeLessThanOrEqual(1)
      clock.advance(1)
    }
    expect(clock.pendingTimers).toBe(1)
    hearing.disarm()
    expect(clock.pendingTimers).toBe(0)
  })

  it('is a source for an hour after it was last heard', () => {
    const { clock, hear, hearing, gaps } = receiver()
    hear(1, {}, 'gone')
    hear(1, {}, 'goes on')
    clock.advance(FORGET_AFTER / 2)
    hear(2, { since: FORGET_AFTER / 2 }, 'goes on')
    clock.advance(FORGET_AFTER / 2)
    hear(1, {}, 'new')
    expect(hearing.size).toBe(2)
    hear(3, { since: FORGET_AFTER / 2 }, 'goes on')
    hear(2, { since: FORGET_AFTER + 1 }, 'gone')
    clock.advance(60_000)
    expect(gaps).toEqual([])
  })

  it('is 20,000 sources at most; what one has lost is told before it is forgotten', () => {
    const { hear, hearing, gaps } = receiver()
    hear(1, {}, 'lossy')
    hear(3, {}, 'lossy')
    for (let i = 0; i < 25_000; i++) hear(1, {}, `source ${i}`)
    expect(hearing.size).toBe(20_000)
    expect(gaps).toEqual(['lossy'])
  })

  it('is no more for a number that somebody made up, which costs no time', () => {
    const { clock, hear, gaps } = receiver()
    hear(1)
    const startedAt = performance.now()
    for (const number of [1e6, 1e12, Number.MAX_SAFE_INTEGER]) hear(number)
    expect(performance.now() - startedAt).toBeLessThan(100)
    // At once, and again when the last of them must have taken effect.
    expect(gaps.length).toBe(3)
    clock.advance(GAP_AFTER - 1)
    expect(gaps.length).toBe(3)
    clock.advance(1)
    expect(gaps.length).toBe(4)
  })

  it('is not more and more while a source skips numbers faster than they are lost', () => {
    const { clock, hear, gaps } = receiver()
    for (let i = 0; i < 100_000; i++) hear(1 + i * 10)
    clock.advance(GAP_AFTER)
    expect(gaps.length).toBeGreaterThan(1)
  })
})
