import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import type { BusSession } from '../../src/bus/invalidation-bus.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'
import {
  type BusClient,
  type Deployment,
  deploy,
  listen,
  listenersAt,
  MAIN_KINDS,
} from './redis-buses.ts'
import { until } from './until.ts'

const PATIENCE = 20_000

const ends: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function deployed(kind: 'cluster' | 'sentinels'): Promise<Deployment> {
  const deployment = await deploy(kind, kind === 'cluster' ? 1 : 0)
  ends.push(() => deployment.stop())
  return deployment
}

/** The servers that take writes, once there are as many as there should be. */
async function mastersOf(deployment: Deployment, count: number): Promise<readonly RedisProcess[]> {
  let masters: readonly RedisProcess[] = []
  await until(
    'all masters are there',
    async () => {
      masters = await deployment.masters().catch(() => [])
      return masters.length === count
    },
    PATIENCE,
  )
  return masters
}

/** Beats as a cache does: once a second, one at a time. */
function keepBeating(session: BusSession): void {
  let waits = false
  const beat = () => {
    if (waits) return
    waits = true
    session.beat().then(over, over)
  }
  const over = () => {
    waits = false
  }
  const timer = setInterval(beat, 1000)
  ends.push(() => clearInterval(timer))
}

async function isListenedTo(server: RedisProcess): Promise<boolean> {
  return (await listenersAt(server)).length > 0
}

/** @param fail What becomes of the server that is listened to. */
export function busFailovers(fail: (server: RedisProcess) => unknown): void {
  for (const kind of MAIN_KINDS.filter(({ servers }) => servers === 'cluster')) {
    describe(kind.name, () => {
      async function opened(
        deployment: Deployment,
        make: (client: BusClient) => ReturnType<BusClient['pubSub']>,
      ) {
        const client = await kind.connect(deployment)
        ends.push(() => client.destroy())
        const listening = await listen(make(client))
        ends.push(() => listening.session.close())
        keepBeating(listening.session)
        return listening
      }

      it('redisPubSub listens to another node when the one it listened to is gone', async () => {
        const deployment = await deployed('cluster')
        const channel = randomUUID()
        const { ear, session } = await opened(deployment, (client) => client.pubSub({ channel }))
        const heardOf = await Promise.all(deployment.nodes.map(isListenedTo))
        const node = deployment.nodes[heardOf.indexOf(true)]
        await fail(node as RedisProcess)
        await until('down is told', () => ear.downs === 1, PATIENCE)
        await until('up is told', () => ear.isUp, PATIENCE)
        const masters = await mastersOf(deployment, 3)
        for (const master of masters) {
          const before = ear.messages.length
          await master.ask('PUBLISH', channel, 'text')
          await until('it hears', () => ear.messages.length > before)
        }
        await until(
          'beats are heard',
          () =>
            session.beat().then(
              () => true,
              () => false,
            ),
          PATIENCE,
        )
        expect(ear.isUp).toBe(true)
      }, 60_000)

      it('redisTracking is down while a master is replaced, and listens to the new one', async () => {
        const deployment = await deployed('cluster')
        const prefix = `${randomUUID()}:`
        const { ear } = await opened(deployment, (client) =>
          client.tracking({ prefixes: [prefix] }),
        )
        const [first] = await mastersOf(deployment, 3)
        await fail(first as RedisProcess)
        await until('down is told', () => !ear.isUp, PATIENCE)
        const ups = ear.ups
        const masters = await mastersOf(deployment, 3)
        await until('up is told', () => ear.isUp && ear.ups > ups, PATIENCE)
        // It was not told too early: as long as the new one was not listened to.
        expect(ear.ups).toBe(ups + 1)
        for (const master of masters) expect(await isListenedTo(master)).toBe(true)
        const written = new Set<string>()
        for (let n = 0; n < 30; n++) {
          for (const master of masters) {
            const key = `${prefix}${n}`
            await master.ask('SET', key, 'value').then(
              () => written.add(key),
              () => undefined,
            )
          }
        }
        expect(written.size).toBe(30)
        await until('all are told', () => [...written].every((key) => ear.keys.includes(key)))
      }, 60_000)
    })
  }

  for (const kind of MAIN_KINDS.filter(({ servers }) => servers === 'sentinels')) {
    for (const name of ['redisPubSub', 'redisTracking'] as const) {
      describe(`${name}, ${kind.name}`, () => {
        it('listens to the new master when the old one is gone', async () => {
          const deployment = await deployed('sentinels')
          const own = randomUUID()
          const client = await kind.connect(deployment)
          ends.push(() => client.destroy())
          const bus =
            name === 'redisPubSub'
              ? client.pubSub({ channel: own })
              : client.tracking({ prefixes: [own] })
          const { ear, session } = await listen(bus)
          ends.push(() => session.close())
          keepBeating(session)
          const [old] = await mastersOf(deployment, 1)
          await fail(old as RedisProcess)
          await until('down is told', () => !ear.isUp, PATIENCE)
          await until('up is told', () => ear.isUp, PATIENCE)
          const [master] = await mastersOf(deployment, 1)
          expect(master?.port).not.toBe(old?.port)
          await until('it listens to the new one', async () => isListenedTo(master as RedisProcess))
          if (name === 'redisPubSub') await master?.ask('PUBLISH', own, 'text')
          else await master?.ask('SET', own, 'value')
          await until('it hears', () => ear.messages.length + ear.keys.length > 0)
          await session.beat()
        }, 60_000)
      })
    }
  }
}
