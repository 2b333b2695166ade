import { describe, expect, it } from 'vitest'
import { manualClock } from '../../../src/testing/manual-clock.ts'
import { memoryRemote } from '../../../src/testing/memory-remote.ts'

const bytes = Uint8Array.of(1, 2, 3)

describe('memoryRemote', () => {
  it('shows a test what it holds without lending its bytes', async () => {
    const store = memoryRemote({ clock: manualClock() })
    await store.set('a', bytes, { ttl: 1000 })
    store.plant('b', bytes)
    expect(store.entries()).toEqual([
      ['a', { bytes, ttlLeft: 1000 }],
      ['b', { bytes, ttlLeft: Infinity }],
    ])
    store.peek('a')?.bytes.fill(0)
    expect(store.peek('a')?.bytes).toEqual(bytes)
  })

  it('counts lives on the monotonic clock, so that setting the wall clock changes none', () => {
    const clock = manualClock()
    const store = memoryRemote({ clock })
    store.plant('a', bytes, 1000)
    clock.stepWall(5000)
    expect(store.peek('a')?.ttlLeft).toBe(1000)
    clock.advance(999)
    expect(store.peek('a')?.ttlLeft).toBe(1)
    clock.advance(1)
    expect(store.peek('a')).toBeUndefined()
    expect(store.size).toBe(0)
  })

  it('refuses a key above its limit of bytes', async () => {
    const store = memoryRemote({ maxKeyBytes: 4 })
    await store.set('éé', bytes, { ttl: 1000 })
    await expect(store.set('ééx', bytes, { ttl: 1000 })).rejects.toThrow(RangeError)
    await expect(store.getMany(['a', 'ééx'])).rejects.toThrow('5 bytes')
  })

  it('keeps what it holds through a close and works again when it is opened again', async () => {
    const store = memoryRemote()
    store.open()
    await store.set('a', bytes, { ttl: 1000 })
    await store.close()
    await expect(store.get('a')).rejects.toThrow('closed')
    store.open()
    expect((await store.get('a'))?.bytes).toEqual(bytes)
  })

  it('has an origin only if it can announce, and announces what it has changed', async () => {
    expect(memoryRemote().origin).toBeUndefined()
    const heard: unknown[] = []
    const store = memoryRemote({
      announce: (...said) => heard.push([...said, store.peek('k')?.bytes]),
    })
    expect(store.origin).toBeTypeOf('object')
    expect(memoryRemote({ announce: () => undefined }).origin).not.toBe(store.origin)
    await store.set('k', bytes, { ttl: 1000, announce: { channel: 'c', text: 'set' } })
    await store.delete(['k'], { announce: { channel: 'c', text: 'deleted' } })
    expect(heard).toEqual([
      ['c', 'set', bytes],
      ['c', 'deleted', undefined],
    ])
    const origin = {}
    expect(memoryRemote({ announce: () => undefined, origin }).origin).toBe(origin)
  })
})
