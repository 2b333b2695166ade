import { afterEach, describe, expect, it } from 'vitest'
import { type BusMessage, encodeMessage } from '../../src/bus/message.ts'
import { type Cache, createCache } from '../../src/cache.ts'
import { lru } from '../../src/lru/lru.ts'
import { CacheLoadTimeoutError } from '../../src/model/errors.ts'
import type { CacheSettings } from '../../src/options/options.ts'
import type { RemoteStore, RemoteWatcher } from '../../src/remote/remote-store.ts'
import { type Fault, faultyRemote, type StoreOperation } from '../../src/testing/faulty-remote.ts'
import { type ManualClock, manualClock } from '../../src/testing/manual-clock.ts'
import { type MemoryBus, type MemoryBusLine, memoryBus } from '../../src/testing/memory-bus.ts'
import { type MemoryRemote, memoryRemote } from '../../src/testing/memory-remote.ts'
import { HeldLoader, reactions } from '../support/held-loader.ts'

/** One process: a cache with a local tier of its own, and what it asked of the shared remote. */
interface Process {
  readonly cache: Cache
  readonly loader: HeldLoader<string>
  readonly asked: StoreOperation[]
  /** What becomes of its next operations of that name. */
  readonly faults: Map<StoreOperation, Fault>
  hold(operation: StoreOperation, moment?: 'before' | 'after'): () => void
  once(options?: Parameters<Cache['once']>[2]): Promise<unknown>
}

const KEY = 'user:1'
const caches: Cache[] = []

/** @param bus What carries messages, in the step of each change. */
function machine(bus?: MemoryBus): {
  readonly clock: ManualClock
  readonly remote: MemoryRemote
  process(settings?: CacheSettings, store?: RemoteStore): Process
} {
  const clock = manualClock()
  const remote = memoryRemote(
    bus === undefined ? { clock } : { clock, announce: bus.announce, origin: bus.origin },
  )
  remote.open()
  return {
    clock,
    remote,
    process: (settings = {}, behind = remote) => {
      const asked: StoreOperation[] = []
      const faults: Process['faults'] = new Map()
      const held = new Map<string, Promise<void>>()
      const store = faultyRemote(behind, {
        script: (operation) => {
          asked.push(operation)
          return faults.get(operation) ?? 'none'
        },
        gate: async (operation, _, moment) => {
          await held.get(`${moment} ${operation}`)
        },
      })
      const cache = createCache({
        local: lru({ maxEntries: 100 }),
        remote: store,
        jitterRatio: 0,
        logger: false,
        clock,
        ...(bus === undefined ? {} : { sync: { bus } }),
        ...settings,
      })
      caches.push(cache)
      const loader = new HeldLoader<string>()
      return {
        cache,
        loader,
        asked,
        faults,
        hold: (operation, moment = 'after') => {
          const name = `${moment} ${operation}`
          let open = () => {}
          held.set(name, new Promise<void>((resolve) => (open = resolve)))
          return () => {
            held.delete(name)
            open()
          }
        },
        once: (options) => {
          const call = cache.once(KEY, loader.load, options as never)
          call.catch(() => undefined)
          return call
        },
      }
    },
  }
}

afterEach(async () => {
  // A manual clock bounds nothing by itself.
  for (const cache of caches.splice(0)) void cache.close()
})

/** Lets every timer up to there fire, and everything between them run. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  await clock.advanceAsync(ms)
  await reactions()
}

describe('P1 across processes', () => {
  it('one process loads a cold key, and the others get its value', async () => {
    const { clock, process } = machine()
    const [a, b, c] = [process(), process(), process()]
    const calls = [a.once(), a.once()]
    const run = await a.loader.run(0)
    calls.push(b.once(), c.once(), c.once())
    await pass(clock, 500)
    run.resolve('loaded once')
    await pass(clock, 250)
    expect(await Promise.all(calls)).toEqual(Array(5).fill('loaded once'))
    expect([a, b, c].map(({ loader }) => loader.runs.length)).toEqual([1, 0, 0])
    expect(b.cache.stats()).toMatchObject({
      leasesWaited: 1,
      loadsAlone: 0,
      query: 0,
      remoteHit: 1,
    })
    expect([a, b, c].map(({ cache }) => cache.peek(KEY))).toEqual(Array(3).fill('loaded once'))
  })

  it('reads and takes the lease in one operation, and fills in another', async () => {
    const { clock, process } = machine()
    const a = process()
    const call = a.once()
    ;(await a.loader.run(0)).resolve('v')
    expect(await call).toBe('v')
    expect(a.asked).toEqual(['lease.read', 'lease.fill'])
    expect(a.cache.stats()).toMatchObject({ leasesGranted: 1, leasesLost: 0, leasesWaited: 0 })
    expect(clock.pendingTimers).toBe(0)
  })

  it('a get takes no lease', async () => {
    const { process } = machine()
    const [a, b] = [process(), process()]
    expect(await a.cache.get(KEY)).toBeUndefined()
    const call = b.once()
    ;(await b.loader.run(0)).resolve('v')
    await call
    expect([a.asked, b.cache.stats().leasesWaited]).toEqual([['get'], 0])
  })

  it('two loads of one key in one turn do not share a lease', async () => {
    const { process, remote } = machine()
    const a = process()
    const caller = new AbortController()
    const left = a.once({ signal: caller.signal })
    caller.abort('left')
    const call = a.once()
    await expect(left).rejects.toBe('left')
    ;(await a.loader.run(0)).resolve('v')
    expect(await call).toBe('v')
    expect([remote.size, a.cache.stats().leasesLost]).toEqual([1, 0])
  })

  it('a renewal that is lost is made up for by the next', async () => {
    const { clock, process } = machine()
    const [a, b] = [process(), process({ lease: { maxWait: '1h' } })]
    const call = a.once()
    const run = await a.loader.run(0)
    a.faults.set('lease.renew', 'hang')
    await pass(clock, 1500)
    a.faults.delete('lease.renew')
    await pass(clock, 600)
    void b.once()
    await pass(clock, 2800)
    expect(b.loader.runs).toHaveLength(0)
    run.resolve('v')
    expect(await call).toBe('v')
    expect(a.cache.stats().leasesLost).toBe(0)
  })

  it('other keys never wait', async () => {
    const { process } = machine()
    const [a, b] = [process(), process()]
    void a.once()
    await a.loader.run(0)
    expect(await b.cache.once('user:2', () => 'at once')).toBe('at once')
  })

  it('a load that runs for long keeps its lease', async () => {
    const { clock, process } = machine()
    const [a, b] = [process(), process({ lease: { maxWait: '1h' } })]
    const first = a.once()
    const run = await a.loader.run(0)
    await pass(clock, 10_000)
    const second = b.once()
    await pass(clock, 15_000)
    expect(b.loader.runs).toHaveLength(0)
    run.resolve('slow')
    await pass(clock, 250)
    expect(await Promise.all([first, second])).toEqual(['slow', 'slow'])
    expect(a.asked.filter((operation) => operation === 'lease.renew')).toHaveLength(25)
  })

  it('after a holder has failed each waiter loads at most once, in three rounds, and stores nothing alone', async () => {
    const { clock, process, remote } = machine()
    const crowd = Array.from({ length: 4 }, () => process())
    const calls = crowd.map((each) => each.once())
    const fail = (each: Process) => each.loader.runs[0]?.reject(new Error('down'))
    const runs = () => crowd.map(({ loader }) => loader.runs.length)
    const [first] = crowd
    if (first === undefined) throw new Error('there are four')
    await first.loader.run(0)
    await pass(clock, 300)
    expect(runs()).toEqual([1, 0, 0, 0])
    fail(first)
    await pass(clock, 250)
    const second = crowd.find((each) => each !== first && each.loader.runs.length === 1)
    if (second === undefined) throw new Error('nobody has taken over')
    expect(runs().reduce((sum, count) => sum + count)).toBe(2)
    // The others wait for nobody after the second holder, but for that one.
    fail(second)
    await pass(clock, 250)
    expect(runs()).toEqual([1, 1, 1, 1])
    for (const each of crowd) fail(each)
    await pass(clock, 0)
    const settled = await Promise.allSettled(calls)
    expect(settled.every(({ status }) => status === 'rejected')).toBe(true)
    expect(crowd.filter(({ cache }) => cache.stats().leasesTakenOver === 1)).not.toHaveLength(0)
    expect(remote.size).toBe(0)
  })

  it('a holder that hangs but renews is waited for until maxWait, then the value is handed over and not stored', async () => {
    const { clock, process, remote } = machine()
    const [a, b] = [process(), process({ lease: { maxWait: '4s' } })]
    void a.once()
    await a.loader.run(0)
    const call = b.once()
    await pass(clock, 3999)
    expect(b.loader.runs).toHaveLength(0)
    await pass(clock, 1)
    ;(await b.loader.run(0)).resolve('alone')
    expect(await call).toBe('alone')
    expect([b.cache.peek(KEY), remote.size]).toEqual([undefined, 0])
    expect(b.cache.stats()).toMatchObject({ loadsAlone: 1, leasesGranted: 0 })
    // The next one waits again, from its own arrival.
    void b.once()
    await pass(clock, 3999)
    expect(b.loader.runs).toHaveLength(1)
  })

  it('a holder that died is waited for no longer than the life that its lease has left', async () => {
    const { clock, process, remote } = machine()
    const b = process()
    await remote.leases.read([KEY], 'dead.1', 3000)
    await pass(clock, 1000)
    const call = b.once()
    await pass(clock, 1999)
    expect(b.loader.runs).toHaveLength(0)
    await pass(clock, 251)
    ;(await b.loader.run(0)).resolve('taken over')
    expect(await call).toBe('taken over')
    expect(b.cache.stats()).toMatchObject({ leasesTakenOver: 1, loadsAlone: 0 })
    expect(remote.size).toBe(1)
  })

  it('looks again after 10, 20, 40 ... 250 ms, less by up to a half: some 45 times in 10 s', async () => {
    const { clock, process } = machine()
    const [a, b] = [process(), process()]
    void a.once()
    await a.loader.run(0)
    void b.once()
    await pass(clock, 9999)
    const looks = b.asked.filter((operation) => operation === 'lease.read').length
    expect(looks).toBeGreaterThan(38)
    expect(looks).toBeLessThan(86)
  })

  it('a waiter whose last caller leaves stops looking', async () => {
    const { clock, process } = machine()
    const [a, b] = [process(), process()]
    void a.once()
    await a.loader.run(0)
    const caller = new AbortController()
    const call = b.once({ signal: caller.signal })
    await pass(clock, 300)
    caller.abort('left')
    await expect(call).rejects.toBe('left')
    await reactions()
    // Of the load that goes on: its deadline, and the renewal of its lease.
    expect(clock.pendingTimers).toBe(2)
    const looks = b.asked.length
    await pass(clock, 5000)
    expect(b.asked).toHaveLength(looks)
    expect(b.loader.runs).toHaveLength(0)
  })

  it('a waiter loads at once when the remote fails, and local keeps what it brings', async () => {
    const { clock, process } = machine()
    const [a, b] = [process(), process()]
    void a.once()
    await a.loader.run(0)
    const call = b.once()
    await pass(clock, 100)
    b.faults.set('lease.read', 'before')
    await pass(clock, 250)
    ;(await b.loader.run(0)).resolve('without the remote')
    expect(await call).toBe('without the remote')
    expect(b.cache.peek(KEY)).toBe('without the remote')
  })

  it.each([
    ['fails', (run: { reject: (error: unknown) => void }) => run.reject(new Error('no'))],
    [
      'brings what no codec writes',
      (run: { resolve: (value: never) => void }) => run.resolve((() => 0) as never),
    ],
  ])('a load that %s gives its lease back at once', async (_, end) => {
    const { process } = machine()
    const [a, b] = [process(), process()]
    const call = a.once()
    end((await a.loader.run(0)) as never)
    await expect(call).rejects.toBeInstanceOf(Error)
    await reactions()
    void b.once()
    await b.loader.run(0)
    expect(b.cache.stats().leasesWaited).toBe(0)
  })

  it('a load that is not to be cached gives its lease back', async () => {
    const { process } = machine()
    const [a, b] = [process(), process()]
    const call = a.once({ cacheIf: () => false })
    ;(await a.loader.run(0)).resolve('v')
    await call
    await reactions()
    void b.once()
    await b.loader.run(0)
    expect(b.cache.stats().leasesWaited).toBe(0)
  })

  it('a load whose callers have all left gives its lease back at once', async () => {
    const { process } = machine()
    const [a, b] = [process(), process()]
    const caller = new AbortController()
    const call = a.once({ signal: caller.signal })
    await a.loader.run(0)
    caller.abort('left')
    await expect(call).rejects.toBe('left')
    await reactions()
    void b.once()
    await b.loader.run(0)
    expect(b.cache.stats().leasesWaited).toBe(0)
  })

  it('a load that takes longer than loadTimeout gives its lease back, and renews it no more', async () => {
    const { clock, process } = machine()
    const [a, b] = [process({ loadTimeout: '5s' }), process()]
    const call = a.once()
    await a.loader.run(0)
    await pass(clock, 5000)
    await expect(call).rejects.toBeInstanceOf(CacheLoadTimeoutError)
    void b.once()
    await b.loader.run(0)
    const asked = a.asked.length
    await pass(clock, 10_000)
    expect(a.asked).toHaveLength(asked)
  })

  it('a lease that was granted too late is given back by its token, and its load stores nothing in the remote', async () => {
    const { clock, process, remote } = machine()
    const [a, b] = [process(), process()]
    const answer = a.hold('lease.read')
    const call = a.once()
    await pass(clock, 250)
    const run = await a.loader.run(0)
    const waiting = b.once()
    await pass(clock, 100)
    expect(b.loader.runs).toHaveLength(0)
    answer()
    await pass(clock, 250)
    await b.loader.run(0)
    run.resolve('unleased')
    expect(await call).toBe('unleased')
    expect(a.asked).toEqual(['lease.read', 'lease.release'])
    expect(remote.size).toBe(0)
    b.loader.settleAll(({ resolve }) => resolve('leased'))
    expect(await waiting).toBe('leased')
    expect(remote.size).toBe(1)
  })

  it('with lease: false each process loads for itself', async () => {
    const { process } = machine()
    const [a, b] = [process({ lease: false }), process({ lease: false })]
    const calls = [a.once(), b.once()]
    ;(await a.loader.run(0)).resolve('a')
    ;(await b.loader.run(0)).resolve('b')
    expect(await Promise.all(calls)).toEqual(['a', 'b'])
    expect(a.asked).toEqual(['get', 'compareAndSet'])
  })

  it('close gives back the leases of what it does not wait for', async () => {
    const { clock, process } = machine()
    const [a, b] = [process(), process()]
    void a.once()
    await a.loader.run(0)
    const closed = a.cache.close({ timeout: 100 })
    await pass(clock, 100)
    await closed
    a.loader.settleAll(({ resolve }) => resolve('too late'))
    await reactions()
    void b.once()
    await b.loader.run(0)
    expect([b.cache.stats().leasesWaited, clock.pendingTimers]).toEqual([0, 2])
  })
})

const NEWS: BusMessage = {
  cacheName: 'default',
  sourceId: 'another',
  type: 'delete',
  keys: [],
  place: { number: 1, since: 0, void: [], repeat: false },
  flush: false,
  wake: [],
}

describe('P1 across processes, with a bus whose messages ride along', () => {
  async function armed(count: number) {
    const bus = memoryBus()
    const all = machine(bus)
    const processes = Array.from({ length: count }, () => all.process())
    await pass(all.clock, 0)
    expect(processes.every(({ cache }) => cache.stats().busArmed)).toBe(true)
    return { ...all, bus, processes }
  }
  const looks = ({ asked }: Process) => asked.filter((name) => name === 'lease.read').length

  it('those who wait are woken by the fill, and look twice in all', async () => {
    const { processes } = await armed(3)
    const [a, b, c] = processes as [Process, Process, Process]
    const calls = [a.once()]
    const run = await a.loader.run(0)
    calls.push(b.once(), c.once())
    await reactions()
    run.resolve('v')
    expect(await Promise.all(calls)).toEqual(['v', 'v', 'v'])
    expect([looks(b), looks(c)]).toEqual([2, 2])
    expect([b, c].map(({ cache }) => cache.peek(KEY))).toEqual(['v', 'v'])
  })

  it('a fill that nobody waits for publishes nothing', async () => {
    const { processes } = await armed(2)
    const [a, b] = processes as [Process, Process]
    const call = a.once()
    ;(await a.loader.run(0)).resolve('v')
    await call
    await reactions()
    expect(b.cache.stats().busReceived).toBe(0)
  })

  it('those who wait are woken by a load that fails', async () => {
    const { processes } = await armed(2)
    const [a, b] = processes as [Process, Process]
    const call = a.once()
    const run = await a.loader.run(0)
    void b.once()
    await reactions()
    run.reject(new Error('down'))
    await expect(call).rejects.toThrow('down')
    await b.loader.run(0)
    expect([looks(b), b.cache.stats().leasesTakenOver]).toEqual([2, 1])
  })

  it('those who wait are woken by a change, and load anew', async () => {
    const { processes } = await armed(3)
    const [a, b, c] = processes as [Process, Process, Process]
    const old = a.once()
    const run = await a.loader.run(0)
    const waiting = b.once()
    await reactions()
    await c.cache.delete(KEY)
    ;(await b.loader.run(0)).resolve('new')
    expect(await waiting).toBe('new')
    run.resolve('old')
    expect(await old).toBe('old')
    expect(a.cache.peek(KEY)).toBeUndefined()
    expect(await a.cache.get(KEY)).toBe('new')
  })

  it('a wake-up that comes before the answer of the look it belongs to is not missed', async () => {
    const { processes } = await armed(2)
    const [a, b] = processes as [Process, Process]
    const call = a.once()
    const run = await a.loader.run(0)
    const answer = b.hold('lease.read')
    const waiting = b.once()
    await reactions()
    run.resolve('v')
    await call
    await reactions()
    answer()
    expect(await waiting).toBe('v')
  })

  it('they look when the life that they were told is over: a lease that expires tells nobody', async () => {
    const { clock, processes, remote } = await armed(1)
    const [a] = processes as [Process]
    await remote.leases.read([KEY], 'dead.1', 700)
    void a.once()
    await pass(clock, 704)
    expect(looks(a)).toBe(2)
    await pass(clock, 1)
    await a.loader.run(0)
    expect(looks(a)).toBe(3)
  })

  it('they look again and again once the bus is lost', async () => {
    const { bus, clock, processes } = await armed(2)
    const [a, b] = processes as [Process, Process]
    const call = a.once()
    const run = await a.loader.run(0)
    const waiting = b.once()
    await pass(clock, 500)
    expect(looks(b)).toBe(2)
    for (const line of bus.lines) line.cut()
    await pass(clock, 1000)
    expect(looks(b)).toBeGreaterThan(4)
    run.resolve('v')
    await call
    await pass(clock, 250)
    expect(await waiting).toBe('v')
  })

  it('they load at once when the remote is held to be down', async () => {
    const { clock, processes } = await armed(2)
    const [a, b] = processes as [Process, Process]
    void a.once()
    await a.loader.run(0)
    void b.once()
    await reactions()
    b.faults.set('get', 'before')
    b.faults.set('lease.read', 'before')
    for (let i = 0; i < 10; i++) await b.cache.get(`other:${i}`)
    expect(b.cache.stats().breaker).toBe('open')
    await reactions()
    await b.loader.run(0)
    await pass(clock, 0)
  })

  it('they look every half a second in any case: who has the lease may have no bus', async () => {
    const { clock, process, processes } = await armed(1)
    const [b] = processes as [Process]
    const a = process({ sync: undefined })
    const call = a.once()
    const run = await a.loader.run(0)
    const waiting = b.once()
    await pass(clock, 100)
    run.resolve('v')
    await call
    await pass(clock, 399)
    expect(looks(b)).toBe(1)
    await pass(clock, 1)
    expect(await waiting).toBe('v')
  })

  it('a load that began after a change is not ended by the news of it', async () => {
    const held: MemoryBusLine[] = []
    const bus = memoryBus({
      carry: (_, line) => {
        held.push(line)
        return 'hold'
      },
    })
    const { clock, process, remote } = machine(bus)
    const [a, b] = [process(), process()]
    await pass(clock, 0)
    await b.cache.delete(KEY)
    const call = a.once()
    const run = await a.loader.run(0)
    for (const line of held) line.release()
    const joined = a.once()
    await reactions()
    run.resolve('new')
    expect(await Promise.all([call, joined])).toEqual(['new', 'new'])
    expect([a.loader.runs.length, remote.size]).toEqual([1, 1])
    expect(a.asked).toEqual(['lease.read', 'lease.renew', 'lease.fill'])
    // A change after the fill may have news that come before its answer.
    expect(a.cache.peek(KEY)).toBeUndefined()
  })

  it('one who asks after the news of a change is not given what was loaded before it', async () => {
    const { processes, remote } = await armed(2)
    const [a, b] = processes as [Process, Process]
    const old = a.once()
    const run = await a.loader.run(0)
    const renewal = a.hold('lease.renew')
    await b.cache.delete(KEY)
    await reactions()
    const fresh = a.once()
    await reactions()
    expect(a.loader.runs).toHaveLength(1)
    renewal()
    ;(await a.loader.run(1)).resolve('new')
    expect(await fresh).toBe('new')
    run.resolve('old')
    expect(await old).toBe('old')
    expect([a.cache.peek(KEY), remote.size]).toEqual(['new', 1])
  })

  it('where nobody can tell which came first, the epoch ends and the lease is given back', async () => {
    const { bus, clock, processes } = await armed(2)
    const [a, b] = processes as [Process, Process]
    void a.once()
    await a.loader.run(0)
    a.faults.set('lease.renew', 'before')
    // Takes nothing away, and is told like a change that might have.
    bus.announce('default', encodeMessage({ ...NEWS, keys: [KEY] }))
    await reactions()
    void b.once()
    await b.loader.run(0)
    expect(a.asked).toEqual(['lease.read', 'lease.renew', 'lease.release'])
    await pass(clock, 0)
  })

  it('one who waits for that answer leaves by the signal', async () => {
    const { processes } = await armed(2)
    const [a, b] = processes as [Process, Process]
    void a.once()
    await a.loader.run(0)
    a.hold('lease.renew')
    await b.cache.delete(KEY)
    await reactions()
    const caller = new AbortController()
    const call = a.once({ signal: caller.signal })
    await reactions()
    caller.abort('left')
    await expect(call).rejects.toBe('left')
  })

  it('one who waits for the third holder, by joining younger loads, has come when it came', async () => {
    const { clock, processes } = await armed(2)
    const [a, b] = processes as [Process, Process]
    void a.once()
    await a.loader.run(0)
    const first = b.once()
    await pass(clock, 4000)
    // A younger load of a new epoch, which waits as well; the older one joins it.
    const answer = b.hold('lease.read')
    await pass(clock, 500)
    await b.cache.set(KEY, 'x', { when: 'present' })
    const second = b.once()
    answer()
    await pass(clock, 5499)
    expect(b.loader.runs).toHaveLength(0)
    await pass(clock, 1)
    ;(await b.loader.run(0)).resolve('alone')
    expect(await Promise.all([first, second])).toEqual(['alone', 'alone'])
  })

  it('a server that was replaced is trusted with no lease of the last one', async () => {
    const { remote, process } = machine()
    let watcher: RemoteWatcher | undefined
    const watched = Object.assign(remote, {
      watch: (told: RemoteWatcher) => {
        watcher = told
        return () => undefined
      },
    })
    const a = process({}, watched)
    const call = a.once()
    const run = await a.loader.run(0)
    watcher?.replaced()
    run.resolve('old')
    expect(await call).toBe('old')
    expect([remote.size, a.cache.peek(KEY), a.cache.stats().leasesLost]).toEqual([0, undefined, 1])
  })

  it('a load that a foreign writer has outdated gives its lease back at once', async () => {
    const { bus, processes } = await armed(2)
    const [a, b] = processes as [Process, Process]
    const old = a.once()
    const run = await a.loader.run(0)
    bus.announce('default', '{"CacheName":"go","SourceID":"go","EventType":5,"Keys":["user:1"]}')
    await reactions()
    const fresh = b.once()
    ;(await b.loader.run(0)).resolve('new')
    expect(await fresh).toBe('new')
    run.resolve('old')
    await old
    expect(await a.cache.get(KEY)).toBe('new')
    expect(b.cache.stats().leasesWaited).toBe(0)
  })

  it('a fill that a foreign writer overtakes is undone when it has landed', async () => {
    const { bus, processes, remote } = await armed(1)
    const [a] = processes as [Process]
    const call = a.once()
    const run = await a.loader.run(0)
    const fill = a.hold('lease.fill')
    run.resolve('old')
    await reactions()
    expect(remote.size).toBe(1)
    bus.announce('default', '{"CacheName":"go","SourceID":"go","EventType":5,"Keys":["user:1"]}')
    await reactions()
    fill()
    expect(await call).toBe('old')
    await reactions()
    expect([remote.size, a.cache.peek(KEY)]).toEqual([0, undefined])
    expect(a.cache.stats().foreignUndone).toBe(1)
  })
})

describe('P2 across processes', () => {
  const changes: [string, (process: Process) => Promise<unknown>, string | undefined][] = [
    ['delete', ({ cache }) => cache.delete(KEY), undefined],
    ['set', ({ cache }) => cache.set(KEY, 'new'), 'new'],
    ['set of null', ({ cache }) => cache.set(KEY, null), undefined],
  ]

  it.each(changes)(
    'what was loaded before the %s of another process is stored by no tier',
    async (_, change, left) => {
      const { clock, process } = machine()
      const [a, b] = [process(), process()]
      const call = a.once()
      const run = await a.loader.run(0)
      await change(b)
      run.resolve('old')
      expect(await call).toBe('old')
      expect(a.cache.peek(KEY)).toBeUndefined()
      expect(await b.cache.get(KEY)).toBe(left)
      expect(await a.cache.get(KEY, { skipLocal: true })).toBe(left)
      expect(a.cache.stats()).toMatchObject({ leasesLost: 1, fillsFenced: 1 })
      await pass(clock, 2000)
      expect(a.asked).not.toContain('lease.renew')
    },
  )

  it('a set only where nothing is, or only where something is, that does not take leaves the load alone', async () => {
    const { process, remote } = machine()
    const [a, b] = [process(), process()]
    const call = a.once()
    const run = await a.loader.run(0)
    expect(await b.cache.set(KEY, 'x', { when: 'present' })).toBe(false)
    run.resolve('v')
    await call
    expect(remote.size).toBe(1)
  })

  it('a process that comes after the change loads anew, while the old load goes on', async () => {
    const { process } = machine()
    const [a, b, c] = [process(), process(), process()]
    const old = a.once()
    const run = await a.loader.run(0)
    await b.cache.delete(KEY)
    const fresh = c.once()
    ;(await c.loader.run(0)).resolve('new')
    expect(await fresh).toBe('new')
    run.resolve('old')
    expect(await old).toBe('old')
    expect([a.cache.peek(KEY), await a.cache.get(KEY)]).toEqual([undefined, 'new'])
  })

  it('a load never waits for the lease of an ended epoch of its own process', async () => {
    const { process } = machine()
    const a = process()
    const old = a.once()
    const run = await a.loader.run(0)
    // Takes nothing away: nothing is there.
    expect(await a.cache.set(KEY, 'x', { when: 'present' })).toBe(false)
    const fresh = a.once()
    ;(await a.loader.run(1)).resolve('new')
    expect(await fresh).toBe('new')
    run.resolve('old')
    expect(await old).toBe('old')
    expect(a.cache.stats().leasesWaited).toBe(0)
    expect(await a.cache.get(KEY, { skipLocal: true })).toBe('new')
  })

  it('a load that the key is changed under before its loader begins looks again, and is stored', async () => {
    const { process, remote } = machine()
    const a = process()
    const answer = a.hold('lease.read')
    const call = a.once()
    await reactions()
    await a.cache.delete(KEY)
    answer()
    ;(await a.loader.run(0)).resolve('new')
    expect(await call).toBe('new')
    expect([a.cache.peek(KEY), remote.size]).toEqual(['new', 1])
  })

  it('a change of the same process ends the lease of the load that it has outdated', async () => {
    const { clock, process } = machine()
    const a = process()
    void a.once()
    await a.loader.run(0)
    await a.cache.delete(KEY)
    await pass(clock, 5000)
    expect(a.asked).toEqual(['lease.read', 'delete'])
    void a.once()
    await a.loader.run(1)
    await a.cache.set(KEY, 'x', { when: 'present' })
    await pass(clock, 5000)
    expect(a.asked).toEqual(['lease.read', 'delete', 'lease.read', 'set', 'lease.release'])
    expect(a.cache.stats().leasesLost).toBe(0)
  })

  it('a fill that arrives after the change of another process stores nothing, however late', async () => {
    const { clock, process, remote } = machine()
    const [a, b] = [process(), process()]
    const call = a.once()
    const run = await a.loader.run(0)
    const fill = a.hold('lease.fill', 'before')
    run.resolve('old')
    await b.cache.delete(KEY)
    await pass(clock, 250)
    expect(await call).toBe('old')
    fill()
    await reactions()
    expect(a.asked).toContain('lease.fill')
    expect(remote.size).toBe(0)
  })

  it('a fill of unknown outcome is not repaired, and local keeps its value', async () => {
    const { clock, process, remote } = machine()
    const a = process()
    const call = a.once()
    const run = await a.loader.run(0)
    a.faults.set('lease.fill', 'after')
    run.resolve('v')
    expect(await call).toBe('v')
    expect([a.cache.peek(KEY), remote.size, a.cache.stats().recoveryPending]).toEqual(['v', 1, 0])
    await pass(clock, 60_000)
    expect(remote.size).toBe(1)
  })

  it('a lease that has expired under a stalled process lets nothing in', async () => {
    const { clock, process, remote } = machine()
    const [a, b] = [process(), process()]
    a.faults.set('lease.renew', 'hang')
    const old = a.once()
    const run = await a.loader.run(0)
    await pass(clock, 3001)
    const fresh = b.once()
    const running = await b.loader.run(0)
    run.resolve('old')
    expect(await old).toBe('old')
    expect(remote.size).toBe(0)
    running.resolve('new')
    expect(await fresh).toBe('new')
    expect(await a.cache.get(KEY)).toBe('new')
    expect(a.cache.stats().leasesLost).toBe(1)
  })
})
