import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import type { BusSession } from '../../src/bus/invalidation-bus.ts'
import { lmdbBus } from '../../src/lmdb/lmdb-bus.ts'
import { lmdb } from '../../src/lmdb/lmdb-store.ts'
import { busConformance } from '../../src/testing/bus-conformance.ts'
import { remoteStoreConformance } from '../../src/testing/remote-conformance.ts'

remoteStoreConformance({
  name: 'LMDB',
  leases: true,
  announcements: true,
  shortens: true,
  touches: true,
  create: async () => {
    const path = await mkdtemp(join(tmpdir(), 'jetcache-lmdb-'))
    const sessions: BusSession[] = []
    return {
      store: lmdb({ path }),
      listen: async (channel, hear) => {
        const nothing = () => undefined
        const listener = { message: hear, changed: nothing, up: nothing, down: nothing }
        sessions.push(lmdbBus({ path, channel }).open(listener, { name: 'unused' }))
      },
      endsOnClose: true,
      dispose: async () => {
        await Promise.all(sessions.map((session) => session.close()))
        await rm(path, { recursive: true, force: true })
      },
    }
  },
  describe,
  it,
})

busConformance({
  name: 'LMDB',
  kind: 'messages',
  create: async () => {
    const path = await mkdtemp(join(tmpdir(), 'jetcache-lmdb-'))
    return {
      bus: () => lmdbBus({ path }),
      publish: async (cacheName, text) => {
        const store = lmdb({ path })
        store.open()
        // The store is another way in than the bus's own.
        await store.delete(['k'], { announce: { channel: cacheName, text } })
        await store.close()
      },
      dispose: () => rm(path, { recursive: true, force: true }),
    }
  },
  describe,
  it,
})
