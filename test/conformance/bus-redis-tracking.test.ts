import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { InvalidationBus } from '../../src/bus/invalidation-bus.ts'
import { redisTracking } from '../../src/redis/index.ts'
import { slotOf } from '../../src/redis-common/slot.ts'
import { busConformance } from '../../src/testing/bus-conformance.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'
import {
  BUS_KINDS,
  type BusClient,
  type BusKind,
  type ClientSettings,
  type Deployment,
  deploy,
  listen,
  listenersAt,
  MAIN_KINDS,
  targetOf,
} from '../support/redis-buses.ts'
import { until } from '../support/until.ts'

for (const servers of ['single', 'cluster', 'sentinels'] as const) {
  describe(`redisTracking on ${servers}`, () => {
    let deployment: Deployment
    let masters: readonly RedisProcess[]
    const ends: (() => Promise<void> | void)[] = []

    beforeAll(async () => {
      deployment = await deploy(servers)
      masters = await deployment.masters()
    })

    afterEach(async () => {
      for (const end of ends.splice(0).reverse()) await end()
    })

    afterAll(() => deployment.stop())

    async function connected(kind: BusKind, settings: ClientSettings = {}): Promise<BusClient> {
      const client = await kind.connect(deployment, settings)
      ends.push(() => client.destroy())
      return client
    }

    async function opened(bus: InvalidationBus) {
      const listening = await listen(bus)
      ends.push(() => listening.session.close())
      return listening
    }

    /** As somebody would with redis-cli. */
    function byHand(command: string, key: string, ...args: string[]): Promise<unknown> {
      const master = masters[Math.floor((slotOf(key) * masters.length) / 16_384)]
      return master?.ask(command, key, ...args) ?? Promise.reject(new Error('no master'))
    }

    for (const kind of MAIN_KINDS.filter((one) => one.servers === servers)) {
      busConformance({
        name: `redisTracking, ${kind.name}`,
        kind: 'notices',
        cuts: true,
        create: async () => {
          const prefix = `${randomUUID()}:`
          const store = {
            prefix,
            set: async (key: string, value: string) => void (await byHand('SET', key, value)),
            delete: async (key: string) => void (await byHand('DEL', key)),
            setBriefly: async (key: string, value: string) =>
              void (await byHand('SET', key, value, 'PX', '20')),
            flush: async () => void (await masters[0]?.ask('FLUSHALL')),
          }
          return targetOf({
            kind,
            servers: deployment,
            busOf: (client) => client.tracking({ prefixes: [prefix] }),
            more: { store },
          })
        },
        describe,
        it,
      })
    }

    for (const kind of BUS_KINDS.filter((one) => one.servers === servers)) {
      describe(kind.name, () => {
        it('tells what was changed by hand, on whichever server, and what has expired', async () => {
          const client = await connected(kind)
          const prefix = `${randomUUID()}:`
          const { ear, session } = await opened(client.tracking({ prefixes: [prefix] }))
          const told = async (key: string, act: () => Promise<unknown>) => {
            ear.keys.length = 0
            await act()
            await until(`${key} is told`, () => ear.keys.includes(key))
          }
          const keys = Array.from({ length: 30 }, (_, i) => `${prefix}${i}`)
          for (const key of keys) await byHand('SET', key, 'value')
          await until('all are told', () => new Set(ear.keys).size === keys.length)
          expect(new Set(ear.keys)).toEqual(new Set(keys))
          const a = `${prefix}{t}a`
          const b = `${prefix}{t}b`
          await told(a, () => byHand('SET', a, 'value'))
          await told(b, () => byHand('RENAME', a, b))
          expect(ear.keys).toContain(a)
          await told(b, () => byHand('DEL', b))
          await byHand('SET', a, 'value')
          await told(a, () => byHand('PEXPIRE', a, '1'))
          const b2 = `${prefix}short`
          await told(b2, () => byHand('SET', b2, 'value', 'PX', '5'))
          // Once for the write, once more when it is over.
          await until('its end is told', () => ear.keys.filter((key) => key === b2).length === 2)
          await session.beat()
        })

        it('tells of a flush, and of keys without what the client puts before them', async () => {
          const client = await connected(kind, { keyPrefix: 'app:' })
          const { ear, session } = await opened(client.tracking({ prefixes: ['user:', 'order:'] }))
          await byHand('SET', 'user:1', 'not ours')
          await byHand('SET', 'app:other:1', 'not ours')
          await byHand('SET', 'app:order:1', 'ours')
          await byHand('SET', 'app:user:ü', 'ours')
          await until('both are told', () => ear.keys.length === 2)
          for (const _ of masters) await session.beat()
          expect([...ear.keys].sort()).toEqual(['order:1', 'user:ü'])
          expect(ear.flushes).toBe(0)
          await masters[0]?.ask('FLUSHALL')
          await until('the flush is told', () => ear.flushes === 1)
        })

        it('tells of every key but leases and refresh locks, where that was asked for', async () => {
          const client = await connected(kind)
          const { ear, session } = await opened(client.tracking({ prefixes: [''] }))
          await byHand('SET', '_#JL#{k}', 'a lease')
          await byHand('SET', 'k_#RL#', 'a lock')
          await byHand('SET', 'k', 'value')
          await until('it is told', () => ear.keys.length > 0)
          for (const _ of masters) await session.beat()
          expect(ear.keys).toEqual(['k'])
        })

        it('two caches are told each their own, on one connection to each master', async () => {
          const client = await connected(kind)
          const before = client.listeners()
          const [a, b] = [`${randomUUID()}:`, `${randomUUID()}:`]
          const first = await opened(client.tracking({ prefixes: [a] }))
          const second = await opened(client.tracking({ prefixes: [b] }))
          const count = async () => {
            const lists = await Promise.all(deployment.nodes.map(listenersAt))
            return lists.flat().length
          }
          expect(await count()).toBe(2 * masters.length)
          await byHand('SET', `${a}1`, 'value')
          await byHand('SET', `${b}1`, 'value')
          await until('both are told', () => first.ear.keys.length + second.ear.keys.length === 2)
          expect([first.ear.keys, second.ear.keys]).toEqual([[`${a}1`], [`${b}1`]])
          void first.session.close()
          await byHand('SET', `${a}2`, 'value')
          await byHand('SET', `${b}2`, 'value')
          await until('the other goes on', () => second.ear.keys.length === 2)
          expect(first.ear).toMatchObject({ keys: [`${a}1`], downs: 0 })
          void second.session.close()
          await until('they are closed', async () => (await count()) === 0)
          expect(client.listeners()).toBe(before)
        })

        it('the writes of the store are told like all others', async () => {
          const client = await connected(kind)
          const prefix = `${randomUUID()}:`
          const { ear, session } = await opened(client.tracking({ prefixes: [prefix] }))
          expect(session.channelOn?.(client.origin)).toBeUndefined()
          const store = client.store()
          store.open()
          ends.push(() => store.close())
          await until('it is written', () =>
            store.set(`${prefix}k`, Uint8Array.of(1), { ttl: 60_000 }).catch(() => false),
          )
          await until('it is told', () => ear.keys.includes(`${prefix}k`))
        })
      })
    }
  })
}

describe('redisTracking', () => {
  it('refuses at once no prefixes, prefixes that overlap, and unknown options', () => {
    const client = { withCommandOptions: 0, sendCommand: 0, isReady: true } as never
    const refused = (options: unknown) => expect(() => redisTracking(client, options as never))
    refused(undefined).toThrow('prefixes must be a list')
    refused({}).toThrow('prefixes must be a list')
    refused({ prefixes: [] }).toThrow('prefixes must be a list of one string or more')
    refused({ prefixes: 'user:' }).toThrow('prefixes must be a list')
    refused({ prefixes: ['user:', 7] }).toThrow('prefixes must be a list')
    refused({ prefixes: ['user:', 'user:1'] }).toThrow('"user:1" begins with "user:"')
    refused({ prefixes: ['a', 'a'] }).toThrow('must not overlap')
    refused({ prefixes: ['', 'a'] }).toThrow('must not overlap')
    refused({ prefixes: ['a'], noloop: true }).toThrow('has no option "noloop"')
    expect(() => redisTracking(client, { prefixes: ['ab', 'ac'] })).not.toThrow()
  })
})
