import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import type { LookupFunction } from 'node:net'
import { createClient } from 'redis'
import { afterEach, describe, expect, it } from 'vitest'
import { busParts as ioredisParts } from '../../src/ioredis/listening-client.ts'
import { type Clock, systemClock } from '../../src/model/clock.ts'
import { redisPubSub } from '../../src/redis/index.ts'
import { busParts as nodeRedisParts } from '../../src/redis/listening-client.ts'
import { PubSubBus } from '../../src/redis-common/pub-sub-bus.ts'
import { TrackingBus } from '../../src/redis-common/tracking-bus.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'
import { tcpFaultProxy } from '../../src/testing/tcp-fault-proxy.ts'
import {
  type BusClient,
  connectionsOf,
  type Deployment,
  deploy,
  Ear,
  listen,
  listenersAt,
  MAIN_KINDS,
} from '../support/redis-buses.ts'
import { until } from '../support/until.ts'

const ends: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function deployed(
  kind: 'single' | 'cluster' | 'sentinels',
  replicas = 0,
): Promise<Deployment> {
  const deployment = await deploy(kind, replicas)
  ends.push(() => deployment.stop())
  return deployment
}

type BusName = 'redisPubSub' | 'redisTracking'

/** A bus, and a way to tell it of something by hand. */
const BUSES: Readonly<
  Record<
    BusName,
    {
      bus(client: BusClient, name: string): ReturnType<BusClient['pubSub']>
      say(server: RedisProcess, name: string): Promise<unknown>
      heard(ear: Ear): number
    }
  >
> = {
  redisPubSub: {
    bus: (client, name) => client.pubSub({ channel: name }),
    say: (server, name) => server.ask('PUBLISH', name, 'text'),
    heard: (ear) => ear.messages.length,
  },
  redisTracking: {
    bus: (client, name) => client.tracking({ prefixes: [name] }),
    say: (server, name) => server.ask('SET', name, 'value'),
    heard: (ear) => ear.keys.length,
  },
}

for (const name of ['redisPubSub', 'redisTracking'] as const) {
  const { bus, say, heard } = BUSES[name]

  async function opened(client: BusClient) {
    ends.push(() => client.destroy())
    const own = randomUUID()
    const listening = await listen(bus(client, own))
    ends.push(() => listening.session.close())
    const hears = async (server: RedisProcess) => {
      const before = heard(listening.ear)
      await say(server, own)
      await until('it hears', () => heard(listening.ear) > before)
    }
    return { ...listening, hears }
  }

  for (const kind of MAIN_KINDS.filter(({ servers }) => servers === 'single')) {
    describe(`${name}, ${kind.name}`, () => {
      it('listens again to a server that was restarted', async () => {
        const deployment = await deployed('single')
        const [server] = deployment.nodes
        if (server === undefined) throw new Error('no server')
        const { ear, session, hears } = await opened(await kind.connect(deployment))
        await server.kill()
        await until('down is told', () => !ear.isUp)
        await expect(session.beat()).rejects.toThrow()
        await server.restart()
        await until('up is told', () => ear.isUp)
        await session.beat()
        await hears(server)
        expect(ear).toMatchObject({ ups: 2, downs: 1 })
      })

      it('a beat is silent while the server is frozen, and answers when it goes on', async () => {
        const deployment = await deployed('single')
        const [server] = deployment.nodes
        if (server === undefined) throw new Error('no server')
        const { session, hears } = await opened(await kind.connect(deployment))
        server.freeze()
        let answered = false
        const beat = session.beat().then(() => {
          answered = true
        })
        await expect(server.ask('PING')).rejects.toThrow('no reply')
        expect(answered).toBe(false)
        server.resume()
        await beat
        await hears(server)
      })

      it('closing does not wait for a server that is frozen', async () => {
        const deployment = await deployed('single')
        const [server] = deployment.nodes
        if (server === undefined) throw new Error('no server')
        const { session } = await opened(await kind.connect(deployment))
        server.freeze()
        const before = handles()
        void session.close()
        await until('its socket is gone', () => handles() < before, 1000)
        server.resume()
      })

      it('waits for a client that has lost its server', async () => {
        const deployment = await deployed('single')
        const [server] = deployment.nodes
        if (server === undefined) throw new Error('no server')
        const client = await kind.connect(deployment)
        ends.push(() => client.destroy())
        await server.kill()
        const ear = new Ear()
        const session = bus(client, randomUUID()).open(ear, { name: 'c' })
        ends.push(() => session.close())
        await expect(session.beat()).rejects.toThrow()
        await server.restart()
        await until('up is told', () => ear.isUp)
        expect(ear).toMatchObject({ ups: 1, downs: 0 })
        expect(await listenersAt(server)).toHaveLength(1)
      })

      it('closing while it connects to a network that swallows all leaves no connection', async () => {
        const deployment = await deployed('single')
        const [server] = deployment.nodes
        if (server === undefined) throw new Error('no server')
        const proxy = await tcpFaultProxy({ target: { port: server.port } })
        ends.push(() => proxy.close())
        const url = `redis://127.0.0.1:${proxy.port}`
        const client = await kind.connect({ ...deployment, nodes: [{ ...server, url }] })
        ends.push(() => client.destroy())
        const before = proxy.counts()
        proxy.blackHole()
        const session = bus(client, randomUUID()).open(new Ear(), { name: 'c' })
        const opened = () => proxy.counts().connections - before.connections
        await until('it tries to connect', () => opened() > 0)
        await session.close()
        await until('what it opened is ended', () => proxy.counts().open === before.open)
        expect(opened()).toBe(1)
      })

      it('100 losses leave no listener, connection or handle behind', async () => {
        const deployment = await deployed('single')
        const [server] = deployment.nodes
        if (server === undefined) throw new Error('no server')
        const client = await kind.connect(deployment)
        ends.push(() => client.destroy())
        const own = randomUUID()
        const listening = await listen(hurried(name, client, own))
        const { ear, session } = listening
        ends.push(() => session.close())
        const state = async () => ({
          listeners: client.listeners(),
          connections: (await connectionsOf(server)).length,
          handles: handles(),
        })
        const before = await state()
        for (let i = 1; i <= 100; i++) {
          for (const line of await listenersAt(server)) {
            await server.ask('CLIENT', 'KILL', 'ID', /^id=(\d+)/.exec(line)?.[1] ?? '')
          }
          await until('it is up again', () => ear.downs >= i && ear.isUp)
        }
        await until('all is as before', async () => {
          const now = await state()
          return JSON.stringify(now) === JSON.stringify(before)
        })
        await session.close()
        await until('it is closed', async () => (await listenersAt(server)).length === 0)
      }, 60_000)
    })
  }
}

/** A clock on which each wire has listened for long, so that another is tried at once. */
const fast: Clock = {
  now: () => systemClock.now(),
  monotonic: () => systemClock.monotonic() * 10_000,
  setTimer: (ms, callback) => systemClock.setTimer(ms, callback),
}

function hurried(name: BusName, client: BusClient, own: string) {
  const { origin } = client
  const parts = {
    ...('createBuiltinCommand' in origin
      ? ioredisParts(origin as Parameters<typeof ioredisParts>[0])
      : nodeRedisParts(origin as Parameters<typeof nodeRedisParts>[0])),
    clock: fast,
  }
  return name === 'redisPubSub'
    ? new PubSubBus(parts, { channel: own })
    : new TrackingBus(parts, { prefixes: [own] })
}

/** What the process has open; sockets that do not keep it alive, too. */
function handles(): number {
  return readdirSync('/dev/fd').length
}

it('node-redis: closing while the name of the server is looked up opens nothing later', async () => {
  const [server] = (await deployed('single')).nodes
  if (server === undefined) throw new Error('no server')
  const found: (() => void)[] = []
  let holds = false
  const lookup: LookupFunction = (_host, _options, done) => {
    const answer = () => done(null, [{ address: '127.0.0.1', family: 4 }])
    if (holds) found.push(answer)
    else answer()
  }
  const client = createClient({
    socket: { host: 'redis.test', port: server.port, lookup },
    // It would look the name up by itself.
    maintNotifications: 'disabled',
  })
  await client.connect()
  ends.push(() => client.destroy())
  const connections = async () => (await connectionsOf(server)).length
  const before = await connections()
  holds = true
  const session = redisPubSub(client).open(new Ear(), { name: 'c' })
  await until('it is looked up', () => found.length > 0)
  await session.close()
  holds = false
  for (const answer of found) answer()
  // One that begins after it has come.
  const later = client.duplicate()
  await later.connect()
  ends.push(() => later.destroy())
  expect(await connections()).toBe(before + 1)
})
