import { expect, it } from 'vitest'
import type { BusListener, BusSession, InvalidationBus } from '../../../src/bus/invalidation-bus.ts'
import { type BusMessage, decodeMessage, encodeMessage } from '../../../src/bus/message.ts'
import { newCounters } from '../../../src/stats/counters.ts'
import { Coherence } from '../../../src/sync/coherence.ts'
import { type ManualClock, manualClock } from '../../../src/testing/manual-clock.ts'
import { type MemoryBus, memoryBus } from '../../../src/testing/memory-bus.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

interface Settings {
  readonly clock?: ManualClock
  readonly bus?: InvalidationBus
  readonly cacheName?: string
  readonly rides?: boolean
  readonly unarmedServe?: number
  readonly publishFills?: boolean
  /** What an undo resolves. */
  readonly undone?: boolean
  readonly origin?: object
  /** Called by each effect. */
  readonly onEffect?: () => void
}

/** A coherence that writes down what it does to its cache. */
function open(settings: Settings = {}) {
  const { clock = manualClock(), cacheName = 'c', onEffect } = settings
  const bus = settings.bus ?? memoryBus()
  const did: unknown[][] = []
  const checks: ((bytes: Uint8Array) => boolean)[] = []
  const warnings: string[] = []
  const counters = newCounters()
  const note =
    (effect: string) =>
    (...args: unknown[]) => {
      did.push([effect, ...args])
      onEffect?.()
    }
  const coherence = new Coherence({
    bus,
    cacheName,
    sourceId: cacheName,
    origin: settings.origin ?? (settings.rides === true ? (bus as MemoryBus).origin : undefined),
    policy: {
      unarmedTtl: 1000,
      unarmedServe: settings.unarmedServe ?? Number.POSITIVE_INFINITY,
      foreignWindow: 2000,
      publishFills: settings.publishFills ?? false,
    },
    clock,
    counters,
    warn: (message) => warnings.push(message),
    effects: {
      changed: note('changed'),
      dropped: note('dropped'),
      flush: note('flush'),
      woken: note('woken'),
      refreshed: note('refreshed'),
      undo: async (key, isOurs) => {
        did.push(['undo', key])
        checks.push(isOurs)
        return settings.undone ?? false
      },
    },
  })
  coherence.start()
  return { bus, clock, coherence, counters, did, checks, warnings }
}

/** One that is armed, and forgets what it did until then. */
async function openArmed(settings: Settings = {}) {
  const opened = open(settings)
  await opened.clock.advanceAsync(0)
  expect(opened.coherence.armed).toBe(true)
  opened.did.length = 0
  return opened
}

/** Two on one bus. */
async function openTwo(settings: Settings = {}) {
  const bus = settings.bus ?? memoryBus()
  const clock = manualClock()
  const one = await openArmed({ ...settings, bus, clock })
  const two = await openArmed({ ...settings, bus, clock })
  return { bus: bus as MemoryBus, clock, one, two }
}

const GO: BusMessage = {
  cacheName: 'go',
  sourceId: '0123456789abcdef',
  type: 'delete',
  keys: ['k'],
  place: undefined,
  flush: false,
  wake: [],
}

function go(message: Partial<BusMessage> = {}): string {
  const { CacheName, SourceID, EventType, Keys } = JSON.parse(
    encodeMessage({ ...GO, ...message }),
  ) as Record<string, unknown>
  return JSON.stringify({ CacheName, SourceID, EventType, Keys })
}

it('a copy lives for a moment only until the bus is heard, and what lay there is dropped then', async () => {
  const { clock, coherence, did, counters } = open()
  expect(coherence.armed).toBe(false)
  expect(coherence.localLimit()).toBe(1000)
  await clock.advanceAsync(0)
  expect(coherence.armed).toBe(true)
  expect(coherence.localLimit()).toBe(Number.POSITIVE_INFINITY)
  expect(did).toEqual([['flush']])
  expect(counters).toMatchObject({ busFlushes: 1, busDisarmed: 0 })
  await clock.advanceAsync(60_000)
  expect(did).toEqual([['flush']])
})

it('a change here is news for others, and not for us', async () => {
  const { clock, one, two } = await openTwo()
  one.coherence.changed(['a', 'b'])
  await clock.advanceAsync(0)
  expect(two.did).toEqual([
    ['changed', 'a', false],
    ['changed', 'b', false],
  ])
  expect(one.did).toEqual([])
  expect(one.counters).toMatchObject({ busSent: 1, busReceived: 0 })
  expect(two.counters).toMatchObject({ busSent: 0, busReceived: 1 })
})

it('a name that is configured twice does not make two sources one', async () => {
  const { bus, one, two, clock } = await openTwo()
  const texts: string[] = []
  const listener: BusListener = {
    message: (text) => texts.push(text),
    changed: () => undefined,
    up: () => undefined,
    down: () => undefined,
  }
  bus.open(listener, { name: 'c' })
  one.coherence.changed(['a'])
  two.coherence.changed(['a'])
  await clock.advanceAsync(0)
  const sources = texts.map((text) => (JSON.parse(text) as { SourceID: string }).SourceID)
  expect(new Set(sources).size).toBe(2)
  for (const source of sources) expect(source).toMatch(/^c#[0-9a-f]{16}$/)
})

it('keys are dropped whatever cache name a message carries', async () => {
  const { bus, clock, did } = await openArmed({ bus: memoryBus() })
  ;(bus as MemoryBus).announce('c', go({ cacheName: 'another' }))
  await clock.advanceAsync(0)
  expect(did).toEqual([['changed', 'k', true]])
})

it.each(['set', 'setByOnce', 'setByRefresh', 'setByMGet', 'delete', undefined] as const)(
  'an event of jetcache-go is a change by someone who voids no leases, type %s',
  async (type) => {
    const { bus, clock, did } = await openArmed()
    ;(bus as MemoryBus).announce('c', go({ type }))
    await clock.advanceAsync(0)
    const refreshed = type === 'setByRefresh' ? [['refreshed', ['k']]] : []
    expect(did).toEqual([...refreshed, ['changed', 'k', true]])
  },
)

it('refreshes of others are counted as foreign where they have no number', async () => {
  const { bus, clock, one, two } = await openTwo()
  one.coherence.changed(['k'], 'setByRefresh')
  await clock.advanceAsync(0)
  expect(two.did).toEqual([
    ['refreshed', ['k']],
    ['changed', 'k', false],
  ])
  expect(two.counters.foreignRefreshes).toBe(0)
  bus.announce('c', go({ type: 'setByRefresh' }))
  await clock.advanceAsync(0)
  expect(two.counters.foreignRefreshes).toBe(1)
})

it('a lost message shows by the next one, and everything is dropped', async () => {
  let lose = false
  const bus = memoryBus({ carry: () => (lose ? 'drop' : 'deliver') })
  const { clock, one, two } = await openTwo({ bus })
  one.coherence.changed(['heard'])
  await clock.advanceAsync(0)
  lose = true
  one.coherence.changed(['lost'])
  await clock.advanceAsync(0)
  lose = false
  one.coherence.changed(['heard too'])
  await clock.advanceAsync(1000)
  expect(two.did).toEqual([['changed', 'heard', false], ['changed', 'heard too', false], ['flush']])
  expect(two.counters).toMatchObject({ busGaps: 1, busFlushes: 2 })
})

it.each([1000, 5000])('a lost last message shows by its repeat after %i ms', async (after) => {
  let lose = false
  const bus = memoryBus({ carry: () => (lose ? 'drop' : 'deliver') })
  const { clock, one, two } = await openTwo({ bus })
  lose = true
  one.coherence.changed(['lost'])
  await clock.advanceAsync(after - 1)
  lose = false
  expect(two.did).toEqual([])
  await clock.advanceAsync(1001)
  expect(two.did).toEqual([['flush']])
  expect(two.counters.busGaps).toBe(1)
})

it('messages that come twice, or overtake each other within a second, drop nothing else', async () => {
  const held = new Set<number>([1])
  let count = 0
  const bus = memoryBus({ carry: () => (held.has(count++) ? 'hold' : 'twice') })
  const clock = manualClock()
  const one = await openArmed({ bus, clock, cacheName: 'c' })
  const two = await openArmed({ bus, clock, cacheName: 'c' })
  for (const key of ['a', 'b', 'c']) {
    one.coherence.changed([key])
    await clock.advanceAsync(300)
  }
  for (const line of bus.lines) while (line.held.length > 0) line.release()
  await clock.advanceAsync(60_000)
  const keys = two.did.map(([, key]) => key)
  expect(new Set(keys)).toEqual(new Set(['a', 'b', 'c']))
  expect(two.did.every(([effect]) => effect === 'changed')).toBe(true)
  expect(two.counters.busGaps).toBe(0)
})

it('messages ride with the changes of the store that the bus belongs to', async () => {
  const { bus, clock, one, two } = await openTwo({ rides: true })
  const ride = one.coherence.ride('k')
  expect(ride?.announcement.channel).toBe('c')
  bus.announce('c', ride?.announcement.text ?? '')
  ride?.settle(true)
  await clock.advanceAsync(0)
  expect(two.did).toEqual([['changed', 'k', false]])
})

it('without a store that the bus belongs to, nothing rides and nobody is woken', async () => {
  const { coherence } = await openArmed()
  expect(coherence.ride('k')).toBeUndefined()
  expect(coherence.wake('k')).toBeUndefined()
  expect(coherence.hearsWakeUps).toBe(false)
})

it('a wake-up wakes, and drops nothing', async () => {
  const { bus, clock, one, two } = await openTwo({ rides: true })
  const { channel, text } = one.coherence.wake('k') ?? { channel: '', text: '' }
  bus.announce(channel, text)
  await clock.advanceAsync(60_000)
  expect(two.did).toEqual([['woken', ['k']]])
})

it('wake-ups are counted on while the bus is heard, and who waits is told when it is not', async () => {
  const { bus, clock, coherence, did } = await openArmed({ rides: true })
  expect(coherence.hearsWakeUps).toBe(true)
  ;(bus as MemoryBus).lines[0]?.cut()
  expect(coherence.hearsWakeUps).toBe(false)
  expect(did).toEqual([['woken', undefined]])
  await clock.advanceAsync(0)
})

it('a message that says everything drops everything', async () => {
  const { bus, clock, did } = await openArmed()
  ;(bus as MemoryBus).announce('c', encodeMessage({ ...GO, flush: true, keys: [] }))
  await clock.advanceAsync(0)
  expect(did).toEqual([['flush']])
})

it('while the bus is not heard copies live on, new ones for a moment, and all are dropped on return', async () => {
  const { bus, clock, coherence, counters, did } = await openArmed()
  const [line] = (bus as MemoryBus).lines
  line?.cut()
  expect(coherence.localLimit()).toBe(1000)
  await clock.advanceAsync(3_600_000)
  expect(did).toEqual([['woken', undefined]])
  line?.mend()
  await clock.advanceAsync(0)
  expect(did).toEqual([['woken', undefined], ['flush']])
  expect(coherence.armed).toBe(true)
  expect(counters).toMatchObject({ busDisarmed: 1, busFlushes: 2 })
})

it('a loss of which nobody tells is noticed within 6 s', async () => {
  const { bus, clock, coherence } = await openArmed()
  await clock.advanceAsync(1500)
  ;(bus as MemoryBus).lines[0]?.cut('silent')
  await clock.advanceAsync(5499)
  expect(coherence.armed).toBe(true)
  await clock.advanceAsync(1)
  expect(coherence.armed).toBe(false)
})

it('a bus that is not heard for 10 s is named, once each time', async () => {
  const { bus, clock, warnings } = await openArmed()
  const [line] = (bus as MemoryBus).lines
  await clock.advanceAsync(60_000)
  line?.cut()
  await clock.advanceAsync(9999)
  expect(warnings).toEqual([])
  await clock.advanceAsync(60_000)
  expect(warnings).toEqual([
    expect.stringContaining('the bus (memory) has not been heard for 10 s'),
  ])
  line?.mend()
  await clock.advanceAsync(60_000)
  line?.cut()
  await clock.advanceAsync(10_000)
  expect(warnings).toHaveLength(2)
})

it('messages ride as soon as the bus can tell its channel', async () => {
  const memory = memoryBus()
  let channel: string | undefined
  const bus: InvalidationBus = {
    name: 'late',
    kind: 'messages',
    open: (listener, cache) => ({
      ...bound(memory.open(listener, cache)),
      channelOn: () => channel,
    }),
  }
  const { coherence } = await openArmed({ bus, origin: {} })
  expect([coherence.ride('k'), coherence.wake('k'), coherence.hearsWakeUps]).toEqual([
    undefined,
    undefined,
    false,
  ])
  channel = 'known now'
  expect(coherence.ride('k')?.announcement.channel).toBe('known now')
  expect([coherence.wake('k')?.channel, coherence.hearsWakeUps]).toEqual(['known now', true])
})

function bound(session: BusSession): BusSession {
  return {
    beat: () => session.beat(),
    publish: (text) => session.publish(text),
    close: () => session.close(),
  }
}

it('older copies are served without the bus for as long as that is allowed', async () => {
  const { bus, clock, did } = await openArmed({ unarmedServe: 30_000 })
  const [line] = (bus as MemoryBus).lines
  line?.cut()
  await clock.advanceAsync(29_999)
  expect(did).toEqual([['woken', undefined]])
  await clock.advanceAsync(1)
  expect(did).toEqual([['woken', undefined], ['flush']])
  line?.mend()
  await clock.advanceAsync(0)
  line?.cut()
  await clock.advanceAsync(10_000)
  line?.mend()
  did.length = 0
  await clock.advanceAsync(60_000)
  expect(did).toEqual([['flush']])
})

it('what was lost before the bus was heard is no gap', async () => {
  const { bus, clock, counters, did } = await openArmed()
  const [line] = (bus as MemoryBus).lines
  const text = (number: number): string =>
    encodeMessage({
      ...GO,
      sourceId: 'peer',
      place: { number, since: 1001, void: [], repeat: false },
    })
  line?.cut()
  did.length = 0
  line?.mend()
  await clock.advanceAsync(0)
  ;(bus as MemoryBus).announce('c', text(7))
  await clock.advanceAsync(5000)
  expect(did).toEqual([['flush'], ['changed', 'k', false]])
  expect(counters.busGaps).toBe(0)
})

it('a fill is taken back if a writer without leases has changed the key, and that is news', async () => {
  const { bus, clock, one, two } = await openTwo({ undone: true })
  one.coherence.filling('k', bytes('stale'), true).settle(true)
  await clock.advanceAsync(2000)
  bus.announce('c', go())
  await clock.advanceAsync(0)
  expect(one.did).toEqual([
    ['changed', 'k', true],
    ['undo', 'k'],
    ['changed', 'k', false],
  ])
  expect(one.checks[0]?.(bytes('stale'))).toBe(true)
  expect(one.checks[0]?.(bytes('other'))).toBe(false)
  expect(one.counters.foreignUndone).toBe(1)
  expect(two.did).toEqual([
    ['changed', 'k', true],
    ['changed', 'k', false],
  ])
})

it.each(['setByOnce', 'setByRefresh', 'setByMGet'] as const)(
  'a load of such a writer takes no fill back, and a change after it does, type %s',
  async (type) => {
    const { bus, clock, one } = await openTwo({ undone: true })
    one.coherence.filling('k', bytes('stale'), true).settle(true)
    bus.announce('c', go({ type }))
    await clock.advanceAsync(0)
    const refreshed = type === 'setByRefresh' ? [['refreshed', ['k']]] : []
    expect(one.did).toEqual([...refreshed, ['changed', 'k', true]])
    bus.announce('c', go())
    await clock.advanceAsync(0)
    expect(one.did.slice(1 + refreshed.length)).toEqual([
      ['changed', 'k', true],
      ['undo', 'k'],
      ['changed', 'k', false],
    ])
  },
)

it('a fill that such a writer overtakes on its way is taken back once it has landed', async () => {
  const { bus, clock, one, two } = await openTwo({ undone: true })
  const filling = one.coherence.filling('k', bytes('stale'), true)
  bus.announce('c', go())
  await clock.advanceAsync(0)
  expect(one.did).toEqual([['changed', 'k', true]])
  filling.settle(true)
  await clock.advanceAsync(0)
  expect(one.did.slice(1)).toEqual([
    ['undo', 'k'],
    ['changed', 'k', false],
  ])
  expect(two.did.at(-1)).toEqual(['changed', 'k', false])
})

it('what could not be taken back is news as well: it may have been evicted, and read before', async () => {
  const { bus, clock, one, two } = await openTwo({ undone: false })
  one.coherence.filling('k', bytes('stale'), true).settle(true)
  bus.announce('c', go())
  await clock.advanceAsync(0)
  expect(one.did).toEqual([
    ['changed', 'k', true],
    ['undo', 'k'],
    ['changed', 'k', true],
  ])
  expect(one.counters.foreignUndone).toBe(0)
  expect(two.did).toEqual([
    ['changed', 'k', true],
    ['changed', 'k', false],
  ])
})

it('a fill of longer ago, one of another key, and one that a numbered peer changes, are left alone', async () => {
  const { bus, clock, one, two } = await openTwo({ undone: true })
  one.coherence.filling('k', bytes('stale'), true).settle(true)
  await clock.advanceAsync(2001)
  bus.announce('c', go())
  await clock.advanceAsync(0)
  one.coherence.filling('other', bytes('stale'), true).settle(true)
  bus.announce('c', go())
  await clock.advanceAsync(0)
  one.coherence.filling('k', bytes('stale'), true).settle(true)
  two.coherence.changed(['k'])
  await clock.advanceAsync(0)
  expect(one.did.filter(([effect]) => effect === 'undo')).toEqual([])
})

it('fills are no news, unless they are asked for', async () => {
  const quiet = await openTwo()
  quiet.one.coherence.filling('k', bytes('x'), true).settle(true)
  await quiet.clock.advanceAsync(0)
  expect(quiet.two.did).toEqual([])
  const bus = memoryBus()
  const loud = await openTwo({ bus, publishFills: true })
  const types: unknown[] = []
  bus.open(
    {
      message: (text) => {
        const result = decodeMessage(text)
        types.push(result.ok && result.message.type)
      },
      changed: () => undefined,
      up: () => undefined,
      down: () => undefined,
    },
    { name: 'c' },
  )
  loud.one.coherence.filling('k', bytes('x'), true).settle(true)
  await loud.clock.advanceAsync(0)
  expect(loud.two.did).toEqual([['changed', 'k', false]])
  expect(types).toEqual(['setByOnce'])
})

/** A bus of notices, up from the beginning. */
function noticesBus() {
  const published: string[] = []
  let told: BusListener | undefined
  const bus: InvalidationBus = {
    name: 'notices',
    kind: 'notices',
    open: (listener) => {
      told = listener
      listener.up()
      return {
        beat: async () => undefined,
        publish: async (text) => published.push(text) > 0,
        channelOn: () => 'never',
        close: async () => undefined,
      }
    },
  }
  return { bus, published, notice: (keys: readonly string[] | undefined) => told?.changed(keys) }
}

it('notices drop copies and end nothing, and one without keys drops everything', async () => {
  const { bus, notice } = noticesBus()
  const { did, coherence, checks } = await openArmed({ bus })
  coherence.filling('a', bytes('x'), true).settle(true)
  notice(['a', 'b'])
  notice(undefined)
  expect(did).toEqual([['dropped', ['a', 'b']], ['flush']])
  expect(checks).toEqual([])
})

it('on a bus of notices nothing is published', async () => {
  const { bus, published } = noticesBus()
  const { clock, coherence } = await openArmed({ bus, rides: true, publishFills: true })
  expect(coherence.ride('k')).toBeUndefined()
  expect(coherence.wake('k')).toBeUndefined()
  expect(coherence.hearsWakeUps).toBe(false)
  coherence.changed(['k'])
  coherence.filling('k', bytes('x'), true).settle(true)
  await clock.advanceAsync(60_000)
  expect(published).toEqual([])
})

it('what is no message is counted, and warned of once', async () => {
  const { bus, clock, counters, did, warnings } = await openArmed()
  for (const text of ['', 'null', '[]', '{"Keys":[1]}', '{"Keys":'])
    (bus as MemoryBus).announce('c', text)
  await clock.advanceAsync(0)
  expect(did).toEqual([])
  expect(counters).toMatchObject({ busMalformed: 5, busReceived: 0 })
  expect(warnings).toEqual([expect.stringContaining('the bus (memory)')])
})

it('a copy that could not be dropped disarms, and nothing is thrown at the bus', async () => {
  let broken = false
  const { bus, clock, coherence, warnings, did } = await openArmed({
    onEffect: () => {
      if (broken) throw new Error('the local tier is broken')
    },
  })
  broken = true
  const heard = () => (bus as MemoryBus).announce('c', go())
  heard()
  heard()
  await clock.advanceAsync(2500)
  expect(coherence.armed).toBe(false)
  expect(coherence.localLimit()).toBe(1000)
  expect(warnings).toEqual([expect.stringContaining('the local tier is broken')])
  broken = false
  did.length = 0
  await clock.advanceAsync(1000)
  expect(did).toEqual([['flush']])
  expect(coherence.armed).toBe(true)
})

it('after its close it hears nothing, says nothing, and leaves no timer', async () => {
  const { bus, clock, one, two } = await openTwo({ rides: true, unarmedServe: 10_000 })
  one.coherence.changed(['last'])
  const [line] = bus.lines
  await Promise.all([one.coherence.close(), one.coherence.close()])
  await two.coherence.close()
  one.did.length = 0
  two.did.length = 0
  line?.mend()
  bus.announce('c', go())
  one.coherence.changed(['k'])
  await clock.advanceAsync(60_000)
  expect(bus.lines).toEqual([])
  expect(one.did).toEqual([])
  expect(two.did).toEqual([])
  expect(one.coherence.armed).toBe(false)
  expect(clock.pendingTimers).toBe(0)
})

it('what waited when it was closed has been said', async () => {
  const { clock, one, two } = await openTwo()
  one.coherence.changed(['last'])
  await one.coherence.close()
  await clock.advanceAsync(0)
  expect(two.did).toEqual([['changed', 'last', false]])
})
