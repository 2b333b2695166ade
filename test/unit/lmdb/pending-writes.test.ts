import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { PendingWrites } from '../../../src/lmdb/pending-writes.ts'
import type { Space } from '../../../src/lmdb/space.ts'

const NO_SPACE = {} as Space

function commit(pending: PendingWrites): number {
  const batch = pending.takeBatch()
  for (const tell of batch.map((write) => write.run(NO_SPACE))) tell()
  return batch.length
}

describe('the queue of writes', () => {
  it('gives those of a few milliseconds at a time, in order, a large one alone', async () => {
    const pending = new PendingWrites()
    const ran: number[] = []
    const sizes = [2e6, 1, ...Array.from({ length: 300 }, () => 100), 900_000, 900_000]
    const all = sizes.map((bytes, i) => pending.add(() => ran.push(i), bytes))
    const batches: number[] = []
    for (let turns = 0; turns < 10 && !pending.isEmpty; turns++) batches.push(commit(pending))
    expect(batches).toEqual([1, 256, 46, 1])
    expect(ran).toEqual(sizes.map((_, i) => i))
    await Promise.all(all)
  })

  it('takes none whose caller has given up before', async () => {
    const pending = new PendingWrites()
    const late = AbortSignal.abort(new Error('late'))
    await expect(pending.add(() => 1, 0, late)).rejects.toThrow('late')
    expect(pending.isEmpty).toBe(true)
  })

  it('leaves no listener at a signal that others may use for long', async () => {
    const pending = new PendingWrites()
    const { signal } = new AbortController()
    const written = pending.add(() => 'value', 0, signal)
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    commit(pending)
    expect(await written).toBe('value')
    const failed = pending.add(() => 'value', 0, signal)
    pending.failAll(new Error('refused'))
    await expect(failed).rejects.toThrow('refused')
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })
})
