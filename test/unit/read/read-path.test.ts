import { describe, expect, it } from 'vitest'
import { createCache } from '../../../src/cache.ts'
import { msgpack } from '../../../src/codec/msgpack.ts'
import type { CacheSettings } from '../../../src/options/options.ts'
import { faultyRemote } from '../../../src/testing/faulty-remote.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'
import { memoryRemote } from '../../../src/testing/memory-remote.ts'
import { HeldLoader } from '../../support/held-loader.ts'
import { LOAD_PATHS } from '../../support/load-paths.ts'

function open(settings: CacheSettings = {}) {
  const clock = manualClock()
  const remote = memoryRemote({ clock })
  const asked: string[] = []
  const store = faultyRemote(remote, {
    script: (operation, keys) => {
      asked.push(`${operation} ${keys.join(' ')}`)
      return 'none'
    },
  })
  return { cache: createCache({ remote: store, clock, ...settings }), remote, asked }
}

describe.each(LOAD_PATHS)('A read of the remote for a load $leases', ({ settings, read }) => {
  it('that has been answered is joined by nobody, though its load still runs', async () => {
    const { cache, remote } = open(settings)
    const loader = new HeldLoader<string>()
    const call = cache.once('k', loader.load)
    const run = await loader.run(0)
    remote.plant('k', msgpack().encode('of another process'))
    expect(await cache.get('k')).toBe('of another process')
    run.resolve('loaded')
    expect(await call).toBe('loaded')
  })

  it('is made once for all who ask while it is under way, with and without a loader', async () => {
    const { cache, remote, asked } = open(settings)
    remote.plant('k', msgpack().encode('held'))
    const never = () => Promise.reject(new Error('a hit was expected'))
    const all = [cache.once('k', never), cache.get('k'), cache.get('k'), cache.once('k', never)]
    expect(await Promise.all(all)).toEqual(['held', 'held', 'held', 'held'])
    expect(asked).toEqual([`${read} k`])
    expect(cache.stats()).toMatchObject({ remoteHit: 3, coalesced: 1 })
  })
})

describe('A get', () => {
  it('that joins the read of a load is a miss where the load got the lease, and where another has it', async () => {
    const { cache, remote, asked } = open()
    await remote.leases.take('held', 'another.1', 1000)
    for (const key of ['free', 'held']) {
      const loading = new AbortController()
      const load = cache.once(key, () => 'loaded', { signal: loading.signal })
      expect(await cache.lookup(key)).toEqual({ status: 'miss' })
      loading.abort('enough')
      await load.catch(() => undefined)
    }
    expect(asked.filter((call) => call.startsWith('get'))).toEqual([])
  })

  it('is not joined by a load, which needs the lease', async () => {
    const { cache, asked } = open()
    const got = cache.get('k')
    expect(await cache.once('k', () => 'loaded')).toBe('loaded')
    expect(await got).toBeUndefined()
    expect(asked).toEqual(['get k', 'lease.read k', 'lease.fill k'])
  })
})
