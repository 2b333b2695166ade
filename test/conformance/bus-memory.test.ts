import { describe, it } from 'vitest'
import type { CustomBus } from '../../src/bus/custom-bus.ts'
import { customBus } from '../../src/bus/custom-bus.ts'
import type { InvalidationBus } from '../../src/bus/invalidation-bus.ts'
import { busConformance } from '../../src/testing/bus-conformance.ts'
import type { InvalidationBusTarget } from '../../src/testing/bus-conformance-trial.ts'
import { type MemoryBus, memoryBus } from '../../src/testing/memory-bus.ts'

/** Several processes on one in-memory bus: each has its own lines. */
async function memoryTarget(): Promise<InvalidationBusTarget> {
  const shared = memoryBus()
  const linesOf = new Map<InvalidationBus, MemoryBus['lines'][number][]>()
  return {
    bus: () => {
      const own: MemoryBus['lines'][number][] = []
      const bus: InvalidationBus = {
        name: shared.name,
        kind: shared.kind,
        open: (listener, cache) => {
          const session = shared.open(listener, cache)
          own.push(...shared.lines.slice(-1))
          return session
        },
      }
      linesOf.set(bus, own)
      return bus
    },
    cut: (bus) => {
      for (const line of linesOf.get(bus) ?? []) line.cut()
    },
    mend: (bus) => {
      for (const line of linesOf.get(bus) ?? []) line.mend()
    },
    publish: (cacheName, text) => shared.announce(cacheName, text),
    dispose: async () => undefined,
  }
}

/** Several processes whose transport is a loop over their buses. */
async function customTarget(): Promise<InvalidationBusTarget> {
  const buses: CustomBus[] = []
  const say = async (text: string): Promise<void> => {
    await undefined
    for (const bus of buses) bus.apply(text)
  }
  return {
    bus: () => {
      const bus = customBus({ onEvent: say })
      buses.push(bus)
      return bus
    },
    namesIgnored: true,
    cut: (bus) => buses[buses.indexOf(bus as CustomBus)]?.down(),
    mend: (bus) => buses[buses.indexOf(bus as CustomBus)]?.up(),
    publish: (_, text) => say(text),
    dispose: async () => undefined,
  }
}

busConformance({
  name: 'memory',
  kind: 'messages',
  create: memoryTarget,
  cuts: true,
  describe,
  it,
})

busConformance({ name: 'custom', kind: 'messages', create: customTarget, describe, it })
