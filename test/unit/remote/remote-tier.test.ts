import { describe, expect, it } from 'vitest'
import { CacheRemoteError } from '../../../src/model/errors.ts'
import { Budget } from '../../../src/remote/budget.ts'
import { Lease } from '../../../src/remote/lease.ts'
import { RemoteTier } from '../../../src/remote/remote-tier.ts'
import { newCounters } from '../../../src/stats/counters.ts'
import {
  type Fault,
  type FaultyRemoteOptions,
  faultyRemote,
} from '../../../src/testing/faulty-remote.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'
import { memoryRemote } from '../../../src/testing/memory-remote.ts'

interface Without {
  readonly shorten?: false
  readonly touch?: false
}

function open(
  fault: Fault | 'none' = 'none',
  gate?: FaultyRemoteOptions['gate'],
  without: Without = {},
) {
  const clock = manualClock()
  let observed = 0
  const observing = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    setTimer: clock.setTimer.bind(clock),
    observe: () => {
      observed++
    },
  }
  const memory = memoryRemote({ clock })
  if (without.shorten === false) Object.assign(memory, { shorten: undefined })
  if (without.touch === false) Object.assign(memory.leases, { touch: undefined })
  const switches: { fault: Fault | 'none'; asked: number } = { fault, asked: 0 }
  const operations: string[] = []
  const store = faultyRemote(memory, {
    script: (operation) => {
      operations.push(operation)
      switches.asked++
      return switches.fault
    },
    gate,
  })
  const counters = newCounters()
  const tier = new RemoteTier({
    store,
    timeout: 100,
    replay: 10_000,
    clock: observing,
    counters,
    leasing: true,
    announcer: undefined,
    onDown: () => undefined,
    onReplaced: () => undefined,
    warn: () => undefined,
  })
  return { clock, memory, switches, counters, tier, operations, observed: () => observed }
}

const PLAIN = { event: 'setByOnce', unchanged: false } as const
const BYTES = Uint8Array.of(1, 2, 3)

describe('A budget', () => {
  it('is shared by operations that come one after the other', async () => {
    const { tier, clock } = open('none', (_operation, _keys, moment) =>
      moment === 'before'
        ? new Promise((resolve) => void clock.setTimer(30, resolve))
        : Promise.resolve(),
    )
    const budget = tier.budget()
    for (const left of [70, 40, 10]) {
      const read = tier.get('k', budget)
      await clock.advanceAsync(30)
      await read
      expect(budget.left).toBe(left)
    }
    const late = tier.get('k', budget)
    late.catch(() => undefined)
    await clock.advanceAsync(10)
    await expect(late).rejects.toBeInstanceOf(CacheRemoteError)
    expect(budget.left).toBe(0)
  })

  it('that is used up sends nothing more', async () => {
    const { tier, switches, counters } = open()
    const budget = new Budget(10)
    budget.spend(10)
    await expect(tier.delete('k', budget)).rejects.toMatchObject({
      code: 'CACHE_REMOTE',
      operation: 'delete',
      key: 'k',
      message: expect.stringContaining('not sent'),
    })
    expect([switches.asked, counters.remoteErrors]).toEqual([0, 1])
  })

  it('counts on the monotonic clock: setting the wall clock changes nothing', async () => {
    const { tier, clock } = open('hang')
    const read = tier.get('k', tier.budget())
    let state = 'pending'
    read.catch(() => {
      state = 'rejected'
    })
    clock.stepWall(3_600_000)
    await clock.advanceAsync(99)
    expect(state).toBe('pending')
    clock.stepWall(-7_200_000)
    await clock.advanceAsync(1)
    expect(state).toBe('rejected')
  })
})

describe('The remote tier', () => {
  it('sends a write in the turn of its own call, a read in that turn after its promises', async () => {
    const { tier, switches } = open()
    void tier.set('k', BYTES, { ttl: 1 }, tier.budget())
    expect(switches.asked).toBe(1)
    void tier.get('k', tier.budget())
    for (let i = 0; i < 10; i++) await undefined
    expect(switches.asked).toBe(1)
    await new Promise((resolve) => process.nextTick(resolve))
    expect(switches.asked).toBe(2)
  })

  it('does not read a key whose change failed in the turn in which the read was asked for', async () => {
    const { tier, switches, counters, memory } = open('before')
    memory.plant('k', BYTES)
    const read = tier.get('k', tier.budget())
    const change = tier.delete('k', tier.budget())
    await expect(change).rejects.toMatchObject({ outcome: 'unknown' })
    switches.fault = 'none'
    await expect(read).rejects.toMatchObject({ outcome: 'not sent', key: 'k' })
    expect([switches.asked, counters.remoteSkipped]).toEqual([1, 1])
  })

  it('hands values through as they are', async () => {
    const { tier, memory } = open()
    const budget = tier.budget()
    expect(await tier.get('k', budget)).toBeUndefined()
    const fill = (may: boolean) =>
      tier.fill(
        {
          key: 'k',
          expected: undefined,
          bytes: BYTES,
          ttl: 1000,
          lease: undefined,
          mayStill: () => may,
          ...PLAIN,
        },
        budget,
      )
    expect([await fill(false), await fill(true), await fill(true)]).toEqual([
      'fenced',
      'took',
      'refused',
    ])
    expect(await tier.get('k', budget)).toEqual({ bytes: BYTES, ttlLeft: 1000 })
    expect(await tier.set('k', BYTES, { ttl: 500, when: 'absent' }, budget)).toBe(false)
    expect(await tier.set('k', BYTES, { ttl: 500 }, budget)).toBe(true)
    expect(memory.peek('k')?.ttlLeft).toBe(500)
    expect(await tier.delete('k', budget)).toBe(1)
  })

  it('gives each failure one type, with operation, key and the cause as it was', async () => {
    const calls: Record<string, (tier: RemoteTier) => Promise<unknown>> = {
      get: (tier) => tier.get('k', tier.budget()),
      fill: (tier) =>
        tier.fill(
          {
            key: 'k',
            expected: undefined,
            bytes: BYTES,
            ttl: 1,
            lease: undefined,
            mayStill: () => true,
            ...PLAIN,
          },
          tier.budget(),
        ),
      set: (tier) => tier.set('k', BYTES, { ttl: 1 }, tier.budget()),
      delete: (tier) => tier.delete('k', tier.budget()),
    }
    for (const [operation, call] of Object.entries(calls)) {
      const { tier, counters } = open('before')
      await expect(call(tier)).rejects.toMatchObject({
        code: 'CACHE_REMOTE',
        operation,
        key: 'k',
        cause: { message: expect.stringContaining('injected') },
      })
      expect(counters.remoteErrors).toBe(1)
    }
  })

  it('cancels its timer when the store answers, and compares the clocks', async () => {
    const { tier, clock, observed } = open()
    await tier.get('k', tier.budget())
    expect([clock.pendingTimers, observed()]).toEqual([0, 1])
  })

  it('an answer after the deadline is dropped without a trace', async () => {
    let answer: (() => void) | undefined
    const { tier, clock, counters } = open('none', (_operation, _keys, moment) =>
      moment === 'after'
        ? new Promise((resolve) => {
            answer = resolve
          })
        : Promise.resolve(),
    )
    const budget = tier.budget()
    const read = tier.get('k', budget)
    read.catch(() => undefined)
    await clock.advanceAsync(100)
    await expect(read).rejects.toThrow('no answer within remoteTimeout (100 ms)')
    await clock.advanceAsync(500)
    answer?.()
    await clock.advanceAsync(0)
    expect([counters.remoteErrors, budget.left]).toEqual([1, 0])
  })

  it('never sends a write whose time was over before its turn came', async () => {
    const { tier, clock, switches, counters } = open('hang')
    // Only if absent: nothing has to be repaired, so that nothing else is sent.
    const set = (budget: Budget) => tier.set('k', BYTES, { ttl: 1, when: 'absent' }, budget)
    const first = set(tier.budget()).catch((error: unknown) => error)
    const second = set(new Budget(50)).catch((error: unknown) => error)
    await clock.advanceAsync(50)
    expect(await second).toMatchObject({ code: 'CACHE_REMOTE', outcome: 'not sent' })
    await clock.advanceAsync(50)
    expect(await first).toMatchObject({ code: 'CACHE_REMOTE', outcome: 'unknown' })
    await clock.advanceAsync(1000)
    expect([switches.asked, counters.remoteErrors]).toEqual([1, 2])
  })

  it('withdraws a write when its time is over, and no other', async () => {
    const { tier, clock, memory } = open()
    const withdrawn: string[] = []
    memory.set = (key, _bytes, { signal }) => {
      signal?.addEventListener('abort', () => withdrawn.push(key))
      return key === 'hangs' ? new Promise(() => undefined) : Promise.resolve(true)
    }
    const set = (key: string) => tier.set(key, BYTES, { ttl: 1 }, tier.budget())
    const hanging = set('hangs').catch((error: unknown) => error)
    await set('answered')
    await clock.advanceAsync(99)
    expect(withdrawn).toEqual([])
    await clock.advanceAsync(1)
    expect(await hanging).toMatchObject({ outcome: 'unknown' })
    expect(withdrawn).toEqual(['hangs'])
  })

  it.each([
    ['refused', 'refused', 'closed'],
    ['unavailable', 'refused', 'open'],
    ['not sent', 'not sent', 'open'],
    [undefined, 'unknown', 'open'],
  ] as const)('a store that says %s: outcome %s, breaker %s', async (verdict, outcome, breaker) => {
    const { tier, memory } = open('before')
    Object.assign(memory, { judge: () => verdict })
    for (let i = 0; i < 3; i++) {
      const failed = tier.set('k', BYTES, { ttl: 1, when: 'absent' }, tier.budget())
      await expect(failed).rejects.toMatchObject({ outcome })
    }
    expect(tier.breaker).toBe(breaker)
  })

  it('takes a write for possible while the connection lingers that it was SENT on', async () => {
    const { tier, memory, clock, switches } = open('before')
    const connections = [{ lingers: false }, { lingers: false }]
    let current = connections[0]
    Object.assign(memory, { connection: () => current })
    const first = tier.set('k', BYTES, { ttl: 1 }, tier.budget()).catch(() => undefined)
    // Its turn comes when the first is over: by then another connection is the one.
    const second = tier.delete('k', tier.budget()).catch(() => undefined)
    current = connections[1]
    await Promise.all([first, second])
    if (connections[1] !== undefined) connections[1].lingers = true
    switches.fault = 'none'
    await clock.advanceAsync(500)
    expect(tier.repairsPending).toBe(1)
    await clock.advanceAsync(5000)
    expect(tier.repairsPending).toBe(0)
  })

  it('is ready as soon as the store answers a ping; pings that fail are no errors', async () => {
    const { tier, clock, switches, counters } = open('before')
    const ready = tier.ready(10_000)
    await clock.advanceAsync(120)
    expect(switches.asked).toBe(3)
    switches.fault = 'none'
    await clock.advanceAsync(50)
    expect(await ready).toBe(true)
    expect(counters.remoteErrors).toBe(0)
  })

  it.each(['before', 'hang'] as const)(
    'is not ready in time: a store that fails (%s)',
    async (fault) => {
      const { tier, clock } = open(fault)
      let answer: boolean | undefined
      void tier.ready(1000).then((ready) => {
        answer = ready
      })
      await clock.advanceAsync(999)
      expect(answer).toBeUndefined()
      await clock.advanceAsync(1)
      expect(answer).toBe(false)
      expect(clock.pendingTimers).toBe(0)
    },
  )

  it('asks nothing of the store once it is closed', async () => {
    const { tier, switches } = open()
    await tier.close()
    await expect(tier.set('k', BYTES, { ttl: 1 }, tier.budget())).rejects.toThrow('not sent')
    await expect(tier.get('k', tier.budget())).rejects.toThrow('not sent')
    expect(await tier.ready(1000)).toBe(false)
    expect(switches.asked).toBe(0)
  })
})

describe('A fill under a lease', () => {
  /** A tier, and the lease of `k` that it was granted. */
  async function leased() {
    const opened = open()
    const { tier } = opened
    const answer = await tier.leases?.read('k', tier.budget())
    if (answer?.kind !== 'granted') throw new Error('not granted')
    const { lease } = answer
    const fill = (expected?: Uint8Array) =>
      tier.fill(
        { key: 'k', expected, bytes: BYTES, ttl: 1000, lease, mayStill: () => true, ...PLAIN },
        tier.budget(),
      )
    return { ...opened, lease, fill }
  }

  it('stores, and ends the lease', async () => {
    const { fill, lease, memory, switches } = await leased()
    expect(await fill()).toBe('took')
    expect(memory.peek('k')).toEqual({ bytes: BYTES, ttlLeft: 1000 })
    expect(lease.isOver).toBe(true)
    switches.asked = 0
    lease.release()
    expect(switches.asked).toBe(0)
  })

  it('is refused over what it did not expect, and ends the lease too', async () => {
    const { fill, lease, memory } = await leased()
    memory.plant('k', Uint8Array.of(9))
    expect(await fill()).toBe('refused')
    expect([lease.isOver, memory.peek('k')?.bytes]).toEqual([true, Uint8Array.of(9)])
  })

  it('stores nothing where a change has taken the lease away, and that is counted', async () => {
    const { fill, lease, memory, counters } = await leased()
    await memory.delete(['k'])
    expect(await fill()).toBe('lost')
    expect([memory.size, lease.isOver, counters.leasesLost]).toEqual([0, true, 1])
  })

  it('is not sent any more once the lease is over', async () => {
    const { fill, lease, memory, switches } = await leased()
    lease.end()
    switches.asked = 0
    expect(await fill()).toBe('lost')
    expect([memory.size, switches.asked]).toEqual([0, 0])
  })

  it('that nobody knows the outcome of leaves the lease to be given back, and nothing to repair', async () => {
    const { fill, lease, tier, switches } = await leased()
    switches.fault = 'before'
    await expect(fill()).rejects.toMatchObject({ operation: 'fill', outcome: 'unknown' })
    expect([lease.isOver, tier.repairsPending]).toEqual([false, 0])
  })

  it('of a tier that takes no leases is repaired', async () => {
    const { tier, switches } = open()
    switches.fault = 'before'
    const fill = {
      key: 'k',
      expected: undefined,
      bytes: BYTES,
      ttl: 1000,
      mayStill: () => true,
      ...PLAIN,
    }
    await expect(tier.fill({ ...fill, lease: undefined }, tier.budget())).rejects.toThrow()
    expect(tier.repairsPending).toBe(1)
  })
})

describe('To shorten the life of a key', () => {
  it('leaves its value, for so long, and tells whether there was one', async () => {
    const { tier, memory } = open()
    memory.plant('k', BYTES, 1000)
    expect(await tier.shorten('k', 300, tier.budget())).toBe(true)
    expect(memory.peek('k')).toEqual({ bytes: BYTES, ttlLeft: 300 })
    expect(await tier.shorten('none', 300, tier.budget())).toBe(false)
  })

  it('is to delete it on a store that cannot', async () => {
    const { tier, memory, operations } = open('none', undefined, { shorten: false })
    memory.plant('k', BYTES, 1000)
    expect(await tier.shorten('k', 300, tier.budget())).toBe(true)
    expect([memory.size, operations]).toEqual([0, ['delete']])
    expect(await tier.shorten('k', 300, tier.budget())).toBe(false)
  })

  it('is repaired where nobody knows whether it took', async () => {
    const { tier, memory, clock, switches } = open('before')
    memory.plant('k', BYTES, 1000)
    const shortened = tier.shorten('k', 300, tier.budget())
    await expect(shortened).rejects.toMatchObject({ operation: 'expire', outcome: 'unknown' })
    expect(tier.repairsPending).toBe(1)
    await expect(tier.get('k', tier.budget())).rejects.toMatchObject({ outcome: 'not sent' })
    switches.fault = 'none'
    await clock.advanceAsync(10_000)
    expect([tier.repairsPending, memory.size]).toEqual([0, 0])
  })
})

describe('A lock of the remote tier', () => {
  it('is taken by one, for its life, and given back only with its own text', async () => {
    const { tier, clock, memory } = open()
    expect(await tier.lock('k', 'mine', 1000)).toBe(true)
    expect(await tier.lock('k', 'another', 1000)).toBe(false)
    await tier.unlock('k', 'another')
    expect(memory.peek('k')?.ttlLeft).toBe(1000)
    await tier.unlock('k', 'mine')
    expect(memory.size).toBe(0)
    expect(await tier.lock('k', 'mine', 1000)).toBe(true)
    clock.advance(1000)
    expect(await tier.lock('k', 'another', 1000)).toBe(true)
  })

  it('is neither taken nor refused where the remote cannot be asked', async () => {
    const { tier } = open('before')
    expect(await tier.lock('k', 'mine', 1000)).toBeUndefined()
    await tier.unlock('k', 'mine')
    expect(tier.repairsPending).toBe(0)
  })
})

describe('A fill of what is there already', () => {
  async function renew(without: Without = {}) {
    const opened = open('none', undefined, without)
    const { tier, memory, operations } = opened
    memory.plant('k', BYTES, 500)
    const lease = await tier.leases?.take('k', tier.budget())
    if (!(lease instanceof Lease)) throw new Error('not granted')
    operations.length = 0
    const outcome = await tier.fill(
      {
        key: 'k',
        expected: BYTES,
        bytes: BYTES,
        ttl: 2000,
        lease,
        mayStill: () => true,
        event: 'setByOnce',
        unchanged: true,
      },
      tier.budget(),
    )
    return { ...opened, outcome }
  }

  it('gives it another life without its bytes, or with them on a store that cannot', async () => {
    const touched = await renew()
    const filled = await renew({ touch: false })
    for (const { outcome, memory } of [touched, filled]) {
      expect([outcome, memory.peek('k')]).toEqual(['took', { bytes: BYTES, ttlLeft: 2000 }])
    }
    expect([touched.operations, filled.operations]).toEqual([['lease.touch'], ['lease.fill']])
  })
})
