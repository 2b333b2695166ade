import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { encodeGoEvent } from '../../src/bus/go-event.ts'
import type { InvalidationBus } from '../../src/bus/invalidation-bus.ts'
import { redisPubSub as overIoredis } from '../../src/ioredis/index.ts'
import { redisPubSub } from '../../src/redis/index.ts'
import { busConformance } from '../../src/testing/bus-conformance.ts'
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

const GO_EVENT = encodeGoEvent({
  cacheName: 'users',
  sourceId: 'go-1',
  type: 'set',
  keys: ['user:1'],
})

for (const servers of ['single', 'cluster', 'sentinels'] as const) {
  describe(`redisPubSub on ${servers}`, () => {
    let deployment: Deployment
    const ends: (() => Promise<void> | void)[] = []

    beforeAll(async () => {
      deployment = await deploy(servers)
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

    async function opened(bus: InvalidationBus, name?: string) {
      const listening = await listen(bus, name)
      ends.push(() => listening.session.close())
      return listening
    }

    for (const kind of MAIN_KINDS.filter((one) => one.servers === servers)) {
      busConformance({
        name: `redisPubSub, ${kind.name}`,
        kind: 'messages',
        cuts: true,
        create: async () => {
          const [master] = await deployment.masters()
          const publish = async (cacheName: string, text: string) => {
            await master?.ask('PUBLISH', `jetcache-ts:0:${cacheName}`, text)
          }
          return targetOf({
            kind,
            servers: deployment,
            busOf: (client) => client.pubSub(),
            more: { publish },
          })
        },
        describe,
        it,
      })
    }

    for (const kind of BUS_KINDS.filter((one) => one.servers === servers)) {
      describe(kind.name, () => {
        it('what a Go service publishes reaches the cache, from whichever server', async () => {
          const client = await connected(kind)
          const channel = randomUUID()
          const { ear } = await opened(client.pubSub({ channel }))
          const masters = await deployment.masters()
          for (const master of masters) await master.ask('PUBLISH', channel, GO_EVENT)
          await until('it is heard', () => ear.messages.length === masters.length)
          expect(new Set(ear.messages)).toEqual(new Set([GO_EVENT]))
        })

        it('the channel names the database, and not the prefix of the keys', async () => {
          const client = await connected(kind, { keyPrefix: 'p:', database: 3 })
          const database = servers === 'cluster' ? 0 : 3
          const { ear, session } = await opened(client.pubSub(), 'orders')
          const channel = `jetcache-ts:${database}:orders`
          expect(session.channelOn?.(client.origin)).toBe(channel)
          const [master] = await deployment.masters()
          await master?.ask('PUBLISH', channel, 'from outside')
          await until('it is heard', () => ear.messages.length === 1)
          const outside = await connected(kind)
          const { ear: other } = await opened(outside.pubSub({ channel }))
          expect(await session.publish('from inside')).toBe(true)
          await until('it is heard there', () => other.messages.length === 1)
        })

        it('one connection more is opened, and closed in the turn of close()', async () => {
          const client = await connected(kind)
          const before = client.listeners()
          const { ear, session } = await opened(client.pubSub())
          const count = async () => {
            const lists = await Promise.all(deployment.nodes.map(listenersAt))
            return lists.flat().length
          }
          expect(await count()).toBe(1)
          void session.close()
          void session.close()
          expect(client.listeners()).toBe(before)
          expect(await session.publish('too late')).toBe(false)
          await until('it is closed', async () => (await count()) === 0)
          expect(ear).toMatchObject({ messages: [], ups: 1, downs: 0 })
        })

        it('messages ride with the changes of the store on the same client only', async () => {
          const client = await connected(kind)
          const { session } = await opened(client.pubSub())
          expect(client.store().origin).toBe(client.origin)
          expect(session.channelOn?.(client.origin)).toMatch(/^jetcache-ts:0:/)
          expect(session.channelOn?.({})).toBeUndefined()
        })

        it('a beat comes behind what was published before it, on the same way', async () => {
          const client = await connected(kind)
          const { ear, session } = await opened(client.pubSub())
          for (let i = 1; i <= 20; i++) {
            const masters = await deployment.masters()
            // In a cluster a beat tells of one master: which one is its turn.
            const heard = ear.messages.length
            if (masters.length > 1) {
              await session.beat()
              continue
            }
            expect(await session.publish(`${i}`)).toBe(true)
            await session.beat()
            expect(ear.messages.length).toBe(heard + 1)
          }
        })
      })
    }
  })
}

describe('redisPubSub', () => {
  it('refuses at once what is no client, and wrong options', () => {
    for (const make of [redisPubSub, overIoredis]) {
      const anything = make as (client: unknown, options?: object) => unknown
      expect(() => anything('redis://127.0.0.1')).toThrow('client must be')
    }
    const client = { withCommandOptions: 0, sendCommand: 0, isReady: true } as never
    const refused = (options: object) => expect(() => redisPubSub(client, options))
    refused({ chanel: 'x' }).toThrow('redisPubSub has no option "chanel"')
    refused({ channel: '' }).toThrow('channel must be a string that is not empty')
    refused({ channel: 7 }).toThrow('channel must be a string that is not empty, but is 7')
  })
})
