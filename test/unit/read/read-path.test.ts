import { describe, expect, it } from 'vitest'
import { createCache } from '../../../src/cache.ts'
import { msgpack } from '../../../src/codec/msgpack.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'
import { memoryRemote } from '../../../src/testing/memory-remote.ts'
import { HeldLoader } from '../../support/held-loader.ts'

function open() {
  const clock = manualClock()
  const remote = memoryRemote({ clock })
  const asked: string[] = []
  const { get } = remote
  remote.get = (key) => {
    asked.push(key)
    return get.call(remote, key)
  }
  return { cache: createCache({ remote, clock }), remote, asked }
}

describe('A read of the remote', () => {
  it('that has been answered is joined by nobody, though its load still runs', async () => {
    const { cache, remote } = open()
    const loader = new HeldLoader<string>()
    const call = cache.once('k', loader.load)
    const run = await loader.run(0)
    remote.plant('k', msgpack().encode('of another process'))
    expect(await cache.get('k')).toBe('of another process')
    run.resolve('loaded')
    expect(await call).toBe('loaded')
  })

  it('is made once for all who ask while it is under way, with and without a loader', async () => {
    const { cache, remote, asked } = open()
    remote.plant('k', msgpack().encode('held'))
    const never = () => Promise.reject(new Error('a hit was expected'))
    const all = [cache.once('k', never), cache.get('k'), cache.get('k'), cache.once('k', never)]
    expect(await Promise.all(all)).toEqual(['held', 'held', 'held', 'held'])
    expect(asked).toEqual(['k'])
    expect(cache.stats()).toMatchObject({ remoteHit: 3, coalesced: 1 })
  })
})
