import { EventEmitter } from 'node:events'
import { describe, it } from 'vitest'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { memoryRemote } from '../../src/testing/memory-remote.ts'
import { remoteStoreConformance } from '../../src/testing/remote-conformance.ts'

const dispose = async (): Promise<void> => undefined

remoteStoreConformance({
  name: 'memory, on a clock moved by hand',
  endlessLives: true,
  leases: true,
  announcements: true,
  shortens: true,
  touches: true,
  create: async () => {
    const clock = manualClock()
    const channels = new EventEmitter()
    const store = memoryRemote({
      clock,
      announce: (channel, text) => void channels.emit(channel, text),
    })
    return {
      store,
      advance: (ms) => clock.advance(ms),
      listen: async (channel, hear) => void channels.on(channel, hear),
      writeWithoutExpiry: async (key, bytes) => store.plant(key, bytes),
      endsOnClose: true,
      dispose,
    }
  },
  describe,
  it,
})

remoteStoreConformance({
  name: 'memory, on the clock of the machine',
  leases: true,
  shortens: true,
  touches: true,
  create: async () => ({ store: memoryRemote(), endsOnClose: true, dispose }),
  describe,
  it,
})
