import { describe, expect, it } from 'vitest'
import { Repairs } from '../../../src/remote/repairs.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'

class Forbidden extends Error {}

/** Repairs on a remote that deletes nothing while it is down, and never the keys it forbids. */
function open() {
  const clock = manualClock()
  const remote = { down: false, forbidden: new Set<string>() }
  const commands: (readonly string[])[] = []
  let givenUp = 0
  const repairs = new Repairs(
    clock,
    async (keys) => {
      commands.push(keys)
      if (remote.down) throw new Error('gone')
      if (keys.some((key) => remote.forbidden.has(key))) throw new Forbidden('NOPERM')
    },
    (error) => error instanceof Forbidden,
    () => {
      givenUp++
    },
  )
  const deleted = () => new Set(remote.down ? [] : commands.flat())
  return { clock, remote, commands, repairs, deleted, givenUp: () => givenUp }
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `k${i}`)

describe('Repairs', () => {
  it('of one key that fails all through an outage are one deletion in the end', async () => {
    const { clock, remote, repairs, commands } = open()
    remote.down = true
    for (let i = 0; i < 50_000; i++)
      repairs.add('hot', { lane: undefined, over: false, pending: false, lingers: true })
    expect(repairs.pending).toBe(1)
    remote.down = false
    await clock.advanceAsync(500)
    await clock.advanceAsync(5000)
    expect(repairs.pending).toBe(0)
    // Once, and once more when nothing can come late any longer.
    expect(commands).toEqual([['hot'], ['hot']])
  })

  it('remember a write on a living connection although the next change failed without being sent', async () => {
    const { clock, repairs, commands } = open()
    const write = { lane: {}, over: false, pending: false, lingers: false }
    repairs.add('k', write)
    repairs.add('k')
    // The connection is lost only now: the write may lie in a buffer.
    write.lingers = true
    await clock.advanceAsync(500)
    expect([commands.length, repairs.pending]).toEqual([1, 1])
    await clock.advanceAsync(5000)
    expect([commands.length, repairs.pending]).toEqual([2, 0])
  })

  it('are not put off by changes that go on failing', async () => {
    const { clock, repairs, commands } = open()
    for (let i = 0; i < 20; i++) {
      repairs.add(`k${i}`)
      await clock.advanceAsync(100)
    }
    expect(commands.flat()).toContain('k0')
  })

  it('of keys that may not be deleted hold up none of the others, however many they are', async () => {
    const { clock, remote, repairs } = open()
    for (const key of names(3000)) {
      remote.forbidden.add(key)
      repairs.add(key)
    }
    for (const key of ['a', 'b', 'c']) repairs.add(key)
    await clock.advanceAsync(2000)
    expect(['a', 'b', 'c'].filter((key) => repairs.has(key))).toEqual([])
    expect(repairs.pending).toBe(3000)
  })

  it('that fail begin anew where they stopped', async () => {
    const { clock, remote, repairs, deleted } = open()
    remote.down = true
    for (const key of names(5000)) repairs.add(key)
    await clock.advanceAsync(2000)
    expect(repairs.pending).toBe(5000)
    remote.down = false
    repairs.resume()
    await clock.advanceAsync(0)
    expect(repairs.pending).toBe(0)
    expect(deleted().size).toBe(5000)
  })

  it('of a write that has not settled go on until it has, and once after that', async () => {
    const { clock, repairs, commands } = open()
    const write = { lane: undefined, over: false, pending: true, lingers: true }
    repairs.add('k', write)
    await clock.advanceAsync(500)
    await clock.advanceAsync(20_000)
    expect(repairs.pending).toBe(1)
    expect(commands.length).toBeGreaterThan(3)
    // It took, or was rejected for certain: over.
    write.pending = false
    write.lingers = false
    const before = commands.length
    await clock.advanceAsync(5000)
    expect([repairs.pending, commands.length - before]).toEqual([0, 1])
  })

  it('of a write that settles while its deletion is under way are made again: which came first?', async () => {
    const clock = manualClock()
    const write = { lane: undefined, over: false, pending: true, lingers: true }
    let deletions = 0
    const repairs = new Repairs(
      clock,
      async () => {
        deletions++
        write.pending = false
        write.lingers = false
      },
      () => false,
      () => undefined,
    )
    repairs.add('k', write)
    await clock.advanceAsync(500)
    expect([deletions, repairs.pending]).toEqual([1, 1])
    await clock.advanceAsync(5000)
    expect([deletions, repairs.pending]).toEqual([2, 0])
  })

  it('of a write that stays silent for longer than a connection can are over', async () => {
    const { clock, repairs } = open()
    repairs.add('k', { lane: undefined, over: false, pending: true, lingers: true })
    await clock.advanceAsync(21 * 60_000)
    expect(repairs.pending).toBe(0)
  })

  it('beyond 100,000 keys give up the oldest, counted', () => {
    const { repairs, givenUp } = open()
    for (const key of names(100_001)) repairs.add(key)
    expect([repairs.pending, givenUp(), repairs.has('k0'), repairs.has('k1')]).toEqual([
      100_000,
      1,
      false,
      true,
    ])
  })
})
