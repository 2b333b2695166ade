import { describe, expect, it } from 'vitest'
import type { Announcer } from '../../../src/remote/announcer.ts'
import { Guard } from '../../../src/remote/guard.ts'
import { Lease } from '../../../src/remote/lease.ts'
import { Leases } from '../../../src/remote/leases.ts'
import { newCounters } from '../../../src/stats/counters.ts'
import {
  type Fault,
  faultyRemote,
  type StoreOperation,
} from '../../../src/testing/faulty-remote.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'
import { memoryRemote } from '../../../src/testing/memory-remote.ts'

const BYTES = Uint8Array.of(1, 2, 3)
const TIMEOUT = 100

function open() {
  const clock = manualClock()
  const memory = memoryRemote({ clock })
  memory.open()
  const asked: string[] = []
  const faults: Partial<Record<StoreOperation, Fault>> = {}
  const held = new Map<StoreOperation, Promise<void>>()
  const store = faultyRemote(memory, {
    script: (operation, keys) => {
      asked.push(`${operation} ${keys.join(' ')}`)
      return faults[operation] ?? 'none'
    },
    gate: async (operation, _keys, moment) => {
      if (moment === 'before') return
      const until = held.get(operation)
      held.delete(operation)
      await until
    },
  })
  const counters = newCounters()
  const cache = (announcer?: Announcer) => {
    const nothing = () => undefined
    const parts = { store, timeout: TIMEOUT, clock, counters, onBack: nothing, onDown: nothing }
    const guard = new Guard(parts)
    const { leases } = store
    if (leases === undefined) throw new Error('the store has leases')
    const refusal = nothing
    const made = new Leases({
      store,
      leases,
      guard,
      clock,
      counters,
      announcer,
      era: () => 0,
      refusal,
    })
    const read = (key: string) => made.read(key, guard.budget())
    const take = (key: string) => made.take(key, guard.budget())
    /** Reads keys that hold nothing and that nobody loads. */
    const granted = async (key: string): Promise<Lease> => {
      const answer = await read(key)
      if (answer.kind !== 'granted') throw new Error(`not granted, but ${answer.kind}`)
      return answer.lease
    }
    return { leases: made, read, take, granted }
  }
  /** The answer to the next such operation is held back until the returned function is called. */
  const hold = (operation: StoreOperation) => {
    let open = () => {}
    const opened = new Promise<void>((resolve) => {
      open = resolve
    })
    held.set(operation, opened)
    return () => open()
  }
  /** Whose the lease of a key is, if it is somebody's. Marks it. */
  const holderOf = async (key: string) => (await memory.leases.take(key, 'tester.1', 1))?.by
  return { clock, memory, asked, faults, counters, hold, holderOf, cache, ...cache() }
}

describe('A read for a load', () => {
  it('brings the value, or grants the lease, or tells whose it is and for how long', async () => {
    const { clock, memory, read, counters } = open()
    memory.plant('value', BYTES, 5000)
    await memory.leases.take('held', 'another.7', 2000)
    clock.advance(500)
    const answers = await Promise.all(['value', 'free', 'held'].map(read))
    expect(answers[0]).toEqual({ kind: 'value', read: { bytes: BYTES, ttlLeft: 4500 } })
    expect(answers[1]).toMatchObject({ kind: 'granted', lease: { key: 'free', isOver: false } })
    expect(answers[2]).toEqual({ kind: 'held', by: 'another.7', left: 1500 })
    expect(counters).toMatchObject({ leasesGranted: 1, leasesLost: 0, remoteErrors: 0 })
  })

  it('travels with the others of its turn, and each key gets a lease of its own', async () => {
    const { granted, asked, holderOf } = open()
    const leases = await Promise.all(['a', 'b', 'c'].map(granted))
    expect(leases.map(({ key }) => key)).toEqual(['a', 'b', 'c'])
    expect(asked).toEqual(['lease.read a b c'])
    leases[1]?.release()
    expect(await holderOf('a')).toBe(leases[0]?.token)
    expect(await holderOf('b')).toBeUndefined()
    expect(await holderOf('c')).toBe(leases[2]?.token)
  })

  it('is granted what its own cache has, and finds held what another cache has', async () => {
    const { granted, cache } = open()
    const mine = await granted('k')
    const again = await granted('k')
    expect(again.token).not.toBe(mine.token)
    expect(await cache().read('k')).toMatchObject({ kind: 'held', by: again.token })
  })

  it('that was granted when nobody waited any more is given back by its token', async () => {
    const { read, clock, asked, hold, holderOf, counters } = open()
    const answer = hold('lease.read')
    const late = Promise.all(['a', 'b'].map((key) => read(key).catch((error: unknown) => error)))
    await clock.advanceAsync(TIMEOUT)
    for (const error of await late) expect(error).toMatchObject({ code: 'CACHE_REMOTE' })
    expect(await holderOf('a')).toBeDefined()
    answer()
    await clock.advanceAsync(0)
    expect(asked).toEqual(['lease.read a b', 'lease.release a', 'lease.release b'])
    expect([await holderOf('a'), await holderOf('b')]).toEqual([undefined, undefined])
    expect([counters.leasesGranted, counters.leasesLost]).toEqual([2, 0])
    expect(clock.pendingTimers).toBe(0)
  })

  it('that came late takes nothing from its own cache, which has asked again meanwhile', async () => {
    const { read, granted, clock, asked, hold, holderOf } = open()
    const answer = hold('lease.read')
    const late = read('k').catch((error: unknown) => error)
    await clock.advanceAsync(TIMEOUT)
    await late
    const next = await granted('k')
    answer()
    await clock.advanceAsync(0)
    expect(asked).toContain('lease.release k')
    expect(await holderOf('k')).toBe(next.token)
    expect(next.isOver).toBe(false)
  })

  it('that failed is an error of its own key', async () => {
    const { read, faults } = open()
    faults['lease.read'] = 'before'
    for (const key of ['a', 'b']) {
      await expect(read(key)).rejects.toMatchObject({ code: 'CACHE_REMOTE', key })
    }
  })
})

describe('A lease that is taken over what a key holds', () => {
  it('is granted, or tells whose it is', async () => {
    const { memory, take, cache, counters } = open()
    memory.plant('k', BYTES)
    const lease = await take('k')
    expect(lease).toBeInstanceOf(Lease)
    const { token } = lease as Lease
    expect(await cache().take('k')).toEqual({ kind: 'held', by: token, left: 3000 })
    expect(counters.leasesGranted).toBe(1)
  })

  it('too late is given back by its token', async () => {
    const { take, clock, asked, hold, holderOf } = open()
    const answer = hold('lease.take')
    const late = take('k').catch((error: unknown) => error)
    await clock.advanceAsync(TIMEOUT)
    expect(await late).toMatchObject({ code: 'CACHE_REMOTE', operation: 'lease', key: 'k' })
    answer()
    await clock.advanceAsync(0)
    expect(asked).toEqual(['lease.take k', 'lease.release k'])
    expect(await holderOf('k')).toBeUndefined()
  })
})

describe('A lease that is kept', () => {
  const RENEWAL = 'lease.renew k'

  it('is renewed each second until it ends, for 3 s each time', async () => {
    const { granted, clock, asked, holderOf } = open()
    const lease = await granted('k')
    lease.keep()
    asked.length = 0
    await clock.advanceAsync(999)
    expect(asked).toEqual([])
    await clock.advanceAsync(1)
    expect(asked).toEqual([RENEWAL])
    await clock.advanceAsync(59_000)
    expect(asked).toEqual(Array(60).fill(RENEWAL))
    expect(await holderOf('k')).toBe(lease.token)
    lease.end()
    expect(clock.pendingTimers).toBe(0)
    await clock.advanceAsync(2999)
    expect([asked.length, await holderOf('k')]).toEqual([60, lease.token])
    await clock.advanceAsync(1)
    expect([asked.length, await holderOf('k')]).toEqual([60, undefined])
  })

  it('is not renewed before it is kept', async () => {
    const { granted, clock, asked } = open()
    await granted('k')
    await clock.advanceAsync(10_000)
    expect(asked).toEqual(['lease.read k'])
  })

  it('is over when a renewal finds it gone, which is counted once, and is not given back', async () => {
    const { granted, clock, asked, memory, counters } = open()
    const lease = await granted('k')
    lease.keep()
    await memory.delete(['k'])
    asked.length = 0
    await clock.advanceAsync(10_000)
    expect(asked).toEqual([RENEWAL])
    expect([lease.isOver, counters.leasesLost]).toEqual([true, 1])
    lease.release()
    lease.end()
    await clock.advanceAsync(10_000)
    expect([asked, counters.leasesLost]).toEqual([[RENEWAL], 1])
    expect(clock.pendingTimers).toBe(0)
  })

  it.each(['before', 'after', 'hang'] as const)(
    'goes on after a renewal of which nobody knows what became of it (%s)',
    async (fault) => {
      const { granted, clock, asked, faults, counters } = open()
      const lease = await granted('k')
      lease.keep()
      faults['lease.renew'] = fault
      await clock.advanceAsync(1000 + TIMEOUT)
      delete faults['lease.renew']
      asked.length = 0
      await clock.advanceAsync(1000)
      expect([asked, lease.isOver, counters.leasesLost]).toEqual([[RENEWAL], false, 0])
    },
  )

  it('that ends during its renewal is renewed no more, and is no loss', async () => {
    const { granted, clock, asked, hold, counters } = open()
    const lease = await granted('k')
    lease.keep()
    const answer = hold('lease.renew')
    await clock.advanceAsync(1000)
    lease.end()
    answer()
    asked.length = 0
    await clock.advanceAsync(10_000)
    expect([asked, counters.leasesLost, clock.pendingTimers]).toEqual([[], 0, 0])
  })
})

describe('A lease that is given back', () => {
  it('is free for others at once, is renewed no more, and is given back once', async () => {
    const { granted, clock, asked, cache } = open()
    const lease = await granted('k')
    lease.keep()
    asked.length = 0
    lease.release()
    lease.release()
    expect(lease.isOver).toBe(true)
    expect(await cache().read('k')).toMatchObject({ kind: 'granted' })
    await clock.advanceAsync(10_000)
    expect(asked).toEqual(['lease.release k', 'lease.read k'])
  })

  it('after its fill or its loss is not', async () => {
    const { granted, asked } = open()
    const lease = await granted('k')
    lease.end()
    lease.release()
    expect(asked).toEqual(['lease.read k'])
  })

  it('is told to those who wait, by what the announcer says', async () => {
    const clock = manualClock()
    const told: string[] = []
    const memory = memoryRemote({ clock, announce: (channel, text) => told.push(channel, text) })
    const guard = new Guard({
      store: memory,
      timeout: TIMEOUT,
      clock,
      counters: newCounters(),
      onBack: () => undefined,
      onDown: () => undefined,
    })
    const announcer: Announcer = {
      ride: () => undefined,
      changed: () => undefined,
      wake: (key) => ({ channel: 'news', text: `${key} is free` }),
      filling: () => ({ settle: () => false }),
    }
    const leases = new Leases({
      era: () => 0,
      store: memory,
      leases: memory.leases,
      guard,
      clock,
      counters: newCounters(),
      announcer,
      refusal: () => undefined,
    })
    for (const key of ['marked', 'unmarked']) {
      const answer = await leases.read(key, guard.budget())
      if (answer.kind !== 'granted') throw new Error(answer.kind)
      if (key === 'marked') await memory.leases.take(key, 'another.1', 1000)
      answer.lease.release()
    }
    expect(told).toEqual(['news', 'marked is free'])
  })
})

describe('The leases of a cache that closes', () => {
  it('are given back, those that are over are not, and it waits until they are', async () => {
    const { leases, granted, asked, hold, clock, holderOf } = open()
    const [one, two] = [await granted('one'), await granted('two')]
    one.keep()
    two.end()
    asked.length = 0
    const answer = hold('lease.release')
    let closed = false
    const closing = leases.close().then(() => {
      closed = true
    })
    await clock.advanceAsync(TIMEOUT - 1)
    expect([asked, closed, one.isOver]).toEqual([['lease.release one'], false, true])
    answer()
    await closing
    expect(await holderOf('one')).toBeUndefined()
    expect(clock.pendingTimers).toBe(0)
  })

  it('do not keep it longer than an operation may take', async () => {
    const { leases, granted, faults, clock } = open()
    ;(await granted('k')).release()
    faults['lease.release'] = 'hang'
    ;(await granted('k')).release()
    let closed = false
    void leases.close().then(() => {
      closed = true
    })
    await clock.advanceAsync(TIMEOUT - 1)
    expect(closed).toBe(false)
    await clock.advanceAsync(1)
    expect(closed).toBe(true)
  })
})
