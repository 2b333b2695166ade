import { describe, expect, it } from 'vitest'
import type { RemoteStore } from '../../../src/remote/remote-store.ts'
import { type Fault, faultyRemote } from '../../../src/testing/faulty-remote.ts'
import { memoryRemote } from '../../../src/testing/memory-remote.ts'

const bytes = Uint8Array.of(1, 2, 3)

describe('faultyRemote', () => {
  it('answers as the wrapped store does when no fault is asked for', async () => {
    const store = faultyRemote(memoryRemote())
    expect(await store.set('k', bytes, { ttl: 1000 })).toBe(true)
    expect((await store.get('k'))?.bytes).toEqual(bytes)
    expect((await store.getMany(['k', 'none'])).map((read) => read?.bytes)).toEqual([
      bytes,
      undefined,
    ])
    expect(await store.compareAndSet('k', bytes, Uint8Array.of(9), 1000)).toBe(true)
    expect(await store.shorten?.('k', 500)).toBe(true)
    expect((await store.get('k'))?.ttlLeft).toBeLessThanOrEqual(500)
    expect(await store.compareAndDelete('k', Uint8Array.of(9))).toBe(true)
    expect(await store.delete(['k'])).toBe(0)
    await store.ping()
  })

  it('fails before the store was asked, or after it has done it', async () => {
    const inner = memoryRemote()
    let fault: Fault | undefined = 'before'
    const store = faultyRemote(inner, { script: () => fault })
    await expect(store.set('k', bytes, { ttl: 1000 })).rejects.toThrow('before it took')
    expect(inner.size).toBe(0)
    fault = 'after'
    await expect(store.set('k', bytes, { ttl: 1000 })).rejects.toThrow('its answer was lost')
    expect(inner.peek('k')?.bytes).toEqual(bytes)
    fault = undefined
    expect((await store.get('k'))?.bytes).toEqual(bytes)
  })

  it('hangs without asking the store', async () => {
    const inner = memoryRemote()
    const store = faultyRemote(inner, { script: () => 'hang' })
    const outcome = store.set('k', bytes, { ttl: 1000 }).then(() => 'settled')
    const first = await Promise.race([outcome, new Promise((resolve) => setImmediate(resolve))])
    expect(first).toBeUndefined()
    expect(inner.size).toBe(0)
  })

  it('draws the same faults from the same seed, at about the given rates', async () => {
    const run = async (seed: number): Promise<string> => {
      const store = faultyRemote(memoryRemote(), { seed, rates: { before: 0.2, after: 0.1 } })
      let outcomes = ''
      for (let i = 0; i < 1000; i++) {
        outcomes += await store.ping().then(
          () => '.',
          (error: Error) => (error.message.includes('before') ? 'b' : 'a'),
        )
      }
      return outcomes
    }
    const outcomes = await run(7)
    expect(await run(7)).toBe(outcomes)
    expect(await run(8)).not.toBe(outcomes)
    expect(outcomes.split('b').length).toBeGreaterThan(150)
    expect(outcomes.split('b').length).toBeLessThan(250)
    expect(outcomes.split('a').length).toBeGreaterThan(60)
    expect(outcomes.split('a').length).toBeLessThan(140)
  })

  it('holds an operation at its gate before it takes effect and before it is answered', async () => {
    const inner = memoryRemote()
    const open: Record<string, () => void> = {}
    const store = faultyRemote(inner, {
      gate: (operation, keys, moment) =>
        new Promise((resolve) => {
          open[`${operation} ${keys.join()} ${moment}`] = resolve
        }),
    })
    const mutable = Uint8Array.from(bytes)
    let answered = false
    const write = store.set('k', mutable, { ttl: 1000 }).then(() => {
      answered = true
    })
    mutable.fill(0)
    await new Promise((resolve) => setImmediate(resolve))
    expect(inner.size).toBe(0)
    open['set k before']?.()
    await new Promise((resolve) => setImmediate(resolve))
    expect(inner.peek('k')?.bytes).toEqual(bytes)
    expect(answered).toBe(false)
    open['set k after']?.()
    await write
    expect(answered).toBe(true)
  })

  it('lets leases fail, hang and wait as other operations, each under a name of its own', async () => {
    const inner = memoryRemote({ announce: () => undefined })
    const asked: string[] = []
    let fault: Fault | undefined
    const { leases, origin } = faultyRemote(inner, {
      script: (operation, keys) => {
        asked.push(`${operation} ${keys.join()}`)
        return fault
      },
    })
    expect(origin).toBe(inner.origin)
    if (leases === undefined) throw new Error('it has no leases')
    const write = { expected: undefined, bytes, ttl: 1000 }
    expect(await leases.read(['k', 'l'], 'a.1', 1000)).toEqual([
      { kind: 'granted' },
      { kind: 'granted' },
    ])
    expect(await leases.take('k', 'b.1', 1000)).toMatchObject({ kind: 'held', by: 'a.1' })
    expect(await leases.renew('k', 'a.1', 1000)).toBe(true)
    fault = 'after'
    await expect(leases.fill('k', 'a.1', write)).rejects.toThrow('its answer was lost')
    expect(inner.peek('k')?.bytes).toEqual(bytes)
    fault = undefined
    await leases.take('k', 'a.1', 1000)
    fault = 'after'
    const renewal = { expected: bytes, ttl: 2000 }
    await expect(leases.touch?.('k', 'a.1', renewal)).rejects.toThrow('its answer was lost')
    expect(inner.peek('k')?.ttlLeft).toBeGreaterThan(1000)
    fault = 'before'
    await expect(leases.release('l', 'a.1')).rejects.toThrow('before it took')
    fault = undefined
    expect(await leases.release('l', 'a.1')).toBe(true)
    expect(asked).toEqual([
      'lease.read k,l',
      'lease.take k',
      'lease.renew k',
      'lease.fill k',
      'lease.take k',
      'lease.touch k',
      'lease.release l',
      'lease.release l',
    ])
  })

  it('lets the shortening of a life fail under its name', async () => {
    const inner = memoryRemote()
    const asked: string[] = []
    const { shorten } = faultyRemote(inner, {
      script: (operation, keys) => {
        asked.push(`${operation} ${keys.join()}`)
        return 'before'
      },
    })
    inner.plant('k', bytes, 1000)
    await expect(shorten?.('k', 500)).rejects.toThrow('before it took')
    expect(inner.peek('k')?.ttlLeft).toBeGreaterThan(500)
    expect(asked).toEqual(['shorten k'])
  })

  it('has nothing that the wrapped store has not', () => {
    const { leases: _, ...without } = memoryRemote()
    const store = faultyRemote(without as RemoteStore)
    expect([store.leases, store.shorten]).toEqual([undefined, undefined])
    const bare = { ...without, leases: { ...memoryRemote().leases } } as unknown as RemoteStore
    expect(faultyRemote(bare).leases).toBeDefined()
    expect(faultyRemote(bare).leases?.touch).toBeUndefined()
  })
})
