import { describe, expect, it } from 'vitest'
import { copyPlain } from '../../../src/codec/copy.ts'
import { type Copying, keeperFor } from '../../../src/local/keeper.ts'
import type { Isolation, LocalStore } from '../../../src/local/local-store.ts'
import { LocalTier } from '../../../src/local/local-tier.ts'
import { lru } from '../../../src/lru/lru.ts'
import type { Clock } from '../../../src/model/clock.ts'
import { NOT_FOUND } from '../../../src/model/entry.ts'
import { type ManualClock, manualClock } from '../../../src/testing/manual-clock.ts'
import { alone } from '../../support/local-store.ts'

function until(freshUntil: number) {
  return { freshUntil, keptUntil: freshUntil, aheadAt: Infinity }
}

const copying: Copying = { copy: copyPlain, decode: () => undefined }

function tier(isolation: Isolation = 'copy', maxEntries = 3) {
  const clock: ManualClock = manualClock()
  const store: LocalStore = lru({ maxEntries }).create(alone())
  const local = new LocalTier(store, keeperFor(isolation, copying, copying), clock)
  return { clock, store, local }
}

describe('an entry of the local tier', () => {
  it('answers until the last millisecond of its life and not in the first after it', () => {
    const { clock, local } = tier()
    local.put('k', 'v', until(clock.now() + 10))
    clock.advance(9)
    expect([local.fresh('k')?.kept, local.peek('k')?.kept]).toEqual(['v', 'v'])
    clock.advance(1)
    expect([local.peek('k'), local.fresh('k')]).toEqual([undefined, undefined])
  })

  it('leaves when somebody finds it expired, but not for a peek', () => {
    const { clock, local } = tier()
    local.put('k', 'v', until(clock.now() + 10))
    clock.advance(10)
    local.peek('k')
    expect(local.size).toBe(1)
    local.fresh('k')
    expect(local.size).toBe(0)
  })

  it('stays while it may still be served stale, and answers no more', () => {
    const { clock, local, store } = tier()
    const now = clock.now()
    store.set('k', {
      kept: 'v',
      freshUntil: now + 10,
      keptUntil: now + 20,
      aheadAt: Infinity,
      answer: undefined,
    })
    clock.advance(10)
    expect([local.fresh('k'), local.peek('k'), local.size]).toEqual([undefined, undefined, 1])
    clock.advance(10)
    expect([local.fresh('k'), local.size]).toEqual([undefined, 0])
  })

  it('is not stored when its life is over already, and what was there leaves', () => {
    const { clock, local } = tier()
    local.put('k', 'old', until(clock.now() + 10))
    local.put('k', 'new', until(clock.now()))
    expect([local.peek('k'), local.size]).toEqual([undefined, 0])
  })

  it('is used by a hit and not by a peek', () => {
    const { clock, local } = tier('copy', 2)
    const life = clock.now() + 10
    local.put('a', 1, until(life))
    local.put('b', 2, until(life))
    local.fresh('a')
    local.peek('b')
    local.put('c', 3, until(life))
    expect([local.peek('a')?.kept, local.peek('b')?.kept]).toEqual([1, undefined])
  })

  it('costs one reading of the clock', () => {
    const { local, store, clock } = tier()
    let readings = 0
    const counting: Clock = {
      now: () => {
        readings++
        return clock.now()
      },
      monotonic: () => clock.monotonic(),
      setTimer: (ms, callback) => clock.setTimer(ms, callback),
    }
    local.put('k', 'v', until(clock.now() + 10))
    const counted = new LocalTier(store, keeperFor('copy', copying, copying), counting)
    counted.fresh('k')
    expect(readings).toBe(1)
    counted.fresh('none')
    expect(readings).toBe(1)
  })
})

describe('the answer to a hit', () => {
  const answers = (isolation: Isolation, kept: unknown) => {
    const { clock, local } = tier(isolation)
    local.put('k', kept, until(clock.now() + 10))
    return [1, 2].map(() => {
      const entry = local.fresh('k')
      if (entry === undefined) throw new Error('no hit')
      return local.answer(entry)
    })
  }

  it('is one promise where all callers get the same', async () => {
    for (const [isolation, kept] of [
      ['copy', 'text'],
      ['copy', 0],
      ['frozen', Object.freeze({ a: 1 })],
      ['shared', { a: 1 }],
    ] as const) {
      const [first, second] = answers(isolation, kept)
      expect(first).toBe(second)
      expect(await first).toBe(kept)
    }
  })

  it('is a promise and a value each where callers get copies', async () => {
    const [first, second] = answers('copy', { a: 1 })
    expect(first).not.toBe(second)
    expect(await first).toEqual({ a: 1 })
    expect(await first).not.toBe(await second)
  })

  it('is null where the record is known not to exist', async () => {
    expect(await Promise.all(answers('copy', NOT_FOUND))).toEqual([null, null])
  })

  it('of a replaced entry is that of the new one', async () => {
    const { clock, local } = tier('shared')
    for (const value of ['old', 'new']) {
      local.put('k', value, until(clock.now() + 10))
      const entry = local.fresh('k')
      expect(entry && (await local.answer(entry))).toBe(value)
    }
  })
})

describe('dropping', () => {
  it('tells whether there was something, and leaves the others', () => {
    const { clock, local } = tier()
    local.put('a', 1, until(clock.now() + 10))
    local.put('b', 2, until(clock.now() + 10))
    expect([local.delete('a'), local.delete('a')]).toEqual([true, false])
    expect([local.peek('a'), local.peek('b')?.kept]).toEqual([undefined, 2])
    local.clear()
    expect(local.size).toBe(0)
  })
})

describe('an entry that is kept for after its freshness', () => {
  /** Fresh for 10 ms, kept for 30. */
  function kept() {
    const opened = tier()
    const now = opened.clock.now()
    const life = { freshUntil: now + 10, keptUntil: now + 30, aheadAt: Infinity }
    opened.local.put('k', 'v', life)
    return { ...opened, life }
  }

  it('is there, fresh or stale, until its time is over, and counts as no use', () => {
    const { clock, local } = kept()
    expect(local.kept('k')?.kept).toBe('v')
    clock.advance(29)
    expect(local.kept('k')?.kept).toBe('v')
    clock.advance(1)
    expect([local.kept('k'), local.size]).toEqual([undefined, 1])
  })

  it('is dropped by dropStale if it is stale, and only then', () => {
    const { clock, local } = kept()
    local.dropStale('k')
    expect(local.peek('k')?.kept).toBe('v')
    clock.advance(10)
    local.dropStale('k')
    expect(local.size).toBe(0)
  })

  it('is stale at once when it expires by hand, kept for as long as is said, and never longer', () => {
    const { clock, local, life } = kept()
    const now = clock.now()
    local.expire('k', 5)
    expect(local.peek('k')).toBeUndefined()
    expect(local.kept('k')).toMatchObject({ freshUntil: now, keptUntil: now + 5 })
    local.put('k', 'v', life)
    local.expire('k', 1000)
    expect(local.kept('k')?.keptUntil).toBe(life.keptUntil)
  })

  it('has been stale for no shorter time by expiring once more', () => {
    const { clock, local, life } = kept()
    clock.advance(15)
    local.expire('k', 1000)
    expect(local.kept('k')).toMatchObject(life)
  })

  it('is no placeholder: one that expires by hand leaves', () => {
    const { clock, local } = tier()
    local.put('k', NOT_FOUND, until(clock.now() + 10))
    local.expire('k', 1000)
    expect(local.size).toBe(0)
  })
})
