import { describe, expect, it } from 'vitest'
import { PubSubBus } from '../../../src/redis-common/pub-sub-bus.ts'
import { TrackingBus } from '../../../src/redis-common/tracking-bus.ts'
import { type ManualClock, manualClock } from '../../../src/testing/manual-clock.ts'
import { Ear } from '../../support/redis-buses.ts'
import { type FakeClient, fakeClient } from './fake-listening.ts'
import { pretended } from './fake-servers.ts'

const KINDS = ['redisPubSub', 'redisTracking'] as const

interface Opening {
  readonly addresses?: readonly string[]
  readonly connected?: boolean
}

function opened(kind: (typeof KINDS)[number], opening: Opening = {}) {
  const { addresses = [''], connected = true } = opening
  const clock: ManualClock = manualClock()
  const server = pretended()
  const client: FakeClient = fakeClient(server, addresses)
  if (!connected) for (const address of addresses) client.connections.set(address, undefined)
  const parts = { origin: client, listeningClient: () => client, clock }
  const ear = new Ear()
  const bus =
    kind === 'redisPubSub'
      ? new PubSubBus(parts, { channel: 'c' })
      : new TrackingBus(parts, { prefixes: ['k'] })
  const session = bus.open(ear, { name: 'cache' })
  const up = async () => {
    for (const wire of client.wires) wire.listen()
    await clock.advanceAsync(0)
  }
  return { clock, client, server, ear, session, up }
}

for (const kind of KINDS) {
  describe(`A listener of ${kind}`, () => {
    it('is up once the wire listens, not before', async () => {
      const { clock, client, ear, up } = opened(kind)
      await clock.advanceAsync(100)
      expect(ear.ups).toBe(0)
      client.last.message('c', 'too early')
      client.last.changed(['k'])
      await up()
      expect(ear).toMatchObject({ ups: 1, downs: 0, messages: [], keys: [] })
    })

    it('makes no wire while the client is not connected, and one as soon as it is', async () => {
      const { clock, client, ear, up } = opened(kind, { connected: false })
      await clock.advanceAsync(10_000)
      expect(client.wires).toHaveLength(0)
      client.connections.set('', {})
      client.link.watcher?.ready()
      expect(client.wires).toHaveLength(1)
      await up()
      expect(ear.isUp).toBe(true)
    })

    it('a wire that does not listen within 2 s is closed, and another one made', async () => {
      const { clock, client, ear } = opened(kind)
      await clock.advanceAsync(1999)
      expect(client.wires).toHaveLength(1)
      await clock.advanceAsync(2)
      expect(client.wires[0]?.closed).toBe(true)
      expect(client.wires).toHaveLength(2)
      expect(ear.downs).toBe(0)
    })

    it('a wire that listened for long is replaced at once, the next ones with pauses', async () => {
      const { clock, client, ear, up } = opened(kind)
      await up()
      await clock.advanceAsync(1000)
      client.last.lose()
      expect(ear).toMatchObject({ ups: 1, downs: 1 })
      await clock.advanceAsync(0)
      expect(client.wires).toHaveLength(2)
      const refusals = () => {
        client.last.refuse(new Error('ECONNREFUSED'))
        return clock.advanceAsync(500)
      }
      for (let i = 0; i < 10; i++) await refusals()
      expect(client.wires).toHaveLength(12)
      const made = client.wires.length
      client.last.refuse(new Error('ECONNREFUSED'))
      await clock.advanceAsync(249)
      expect(client.wires).toHaveLength(made)
      await up()
      await clock.advanceAsync(251)
      await up()
      expect(ear).toMatchObject({ ups: 2, downs: 1 })
    })

    it('a wire that is lost as soon as it listens is not replaced in a hot loop', async () => {
      const { clock, client, up } = opened(kind)
      for (let i = 0; i < 100; i++) {
        await up()
        client.last.lose()
        await clock.advanceAsync(10)
      }
      expect(client.wires.length).toBeLessThan(12)
    })

    it('where it is forbidden to listen, it tries again every 5 s', async () => {
      const { clock, client, up, ear } = opened(kind)
      client.last.refuse(
        new Error("NOPERM this user has no permissions to run the 'subscribe' command"),
      )
      await clock.advanceAsync(4999)
      expect(client.wires).toHaveLength(1)
      await clock.advanceAsync(1)
      expect(client.wires).toHaveLength(2)
      await up()
      expect(ear.isUp).toBe(true)
    })

    it('the same if the client tells why by an event, before it rejects', async () => {
      const { clock, client } = opened(kind)
      client.last.lose(new Error('NOPERM this user has no permissions'))
      await clock.advanceAsync(4999)
      expect(client.wires).toHaveLength(1)
      await clock.advanceAsync(1)
      expect(client.wires).toHaveLength(2)
    })

    it('follows the client to another server', async () => {
      const { clock, client, ear, up } = opened(kind)
      await up()
      await clock.advanceAsync(5000)
      const [first] = client.wires
      client.connections.set('', undefined)
      client.link.watcher?.lost()
      await clock.advanceAsync(1000)
      // What it has may be well.
      expect(first?.closed).toBe(false)
      expect(ear.isUp).toBe(true)
      client.connections.set('', {})
      client.link.watcher?.ready()
      expect(ear.isUp).toBe(false)
      await clock.advanceAsync(0)
      expect(first?.closed).toBe(true)
      expect(client.wires).toHaveLength(2)
      await up()
      expect(ear).toMatchObject({ ups: 2, downs: 1 })
    })

    it('a beat that is not answered within 5 s gives up the wire', async () => {
      const { clock, client, ear, session, up } = opened(kind)
      await up()
      const beat = session.beat()
      const rejected = expect(beat).rejects.toThrow()
      await clock.advanceAsync(4999)
      expect(ear.isUp).toBe(true)
      await clock.advanceAsync(1)
      await rejected
      expect(ear.isUp).toBe(false)
      await clock.advanceAsync(500)
      expect(client.wires).toHaveLength(2)
      await up()
      expect(ear.isUp).toBe(true)
      expect(client.wires[0]?.closed).toBe(true)
    })

    it('closing ends all in its turn, whatever it was doing', async () => {
      for (const when of ['connecting', 'waiting', 'up', 'beating'] as const) {
        const { clock, client, ear, session, up } = opened(kind, { connected: when !== 'waiting' })
        if (when === 'up' || when === 'beating') await up()
        const beat = when === 'beating' ? session.beat() : undefined
        const rejected = beat && expect(beat).rejects.toThrow()
        await clock.advanceAsync(0)
        const { ups } = ear
        void session.close()
        expect(client.link.watcher).toBeUndefined()
        expect(client.wires.every(({ closed }) => closed)).toBe(true)
        await rejected
        await clock.advanceAsync(0)
        expect(clock.pendingTimers).toBe(0)
        for (const wire of client.wires) wire.lose()
        await clock.advanceAsync(10_000)
        expect(client.wires.length).toBe(when === 'waiting' ? 0 : 1)
        expect(ear).toMatchObject({ ups, downs: 0 })
      }
    })
  })
}

describe('A session of redisPubSub', () => {
  it('publishes nothing before the client is connected, and says so', async () => {
    const { client, server, session } = opened('redisPubSub', { connected: false })
    client.link.connected = false
    expect(await session.publish('text')).toBe(false)
    client.link.connected = true
    expect(await session.publish('text')).toBe(true)
    server.errors['PUBLISH'] = 'NOPERM no'
    expect(await session.publish('text')).toBe(false)
    server.errors['PUBLISH'] = 'read ECONNRESET'
    await expect(session.publish('text')).rejects.toThrow('ECONNRESET')
    expect(server.heard.filter((one) => one === 'PUBLISH c text')).toHaveLength(3)
  })

  it('publishes in order on one connection of a pool, and on those of a cluster in turn', async () => {
    for (const [addresses, wanted] of [
      [[''], 'aaa'],
      [['x', 'y'], 'aba'],
    ] as const) {
      const { client, session } = opened('redisPubSub', { addresses })
      let used = ''
      client.link.servers = () =>
        ['a', 'b'].map((name) => ({
          send: async () => {
            used += name
          },
        }))
      for (let i = 0; i < 3; i++) await session.publish('text')
      expect(used).toBe(wanted)
    }
  })

  it('a beat is published on a channel of its own, and answered when it is heard there', async () => {
    const { clock, client, server, ear, session, up } = opened('redisPubSub')
    await up()
    const [channel, own = ''] = client.last.names
    expect(channel).toBe('c')
    expect(own).toMatch(/^c:[0-9a-f]{16}$/)
    let answered = false
    const beat = session.beat().then(() => {
      answered = true
    })
    await clock.advanceAsync(10)
    const sent = server.heard.find((one) => one.startsWith(`PUBLISH ${own} `)) ?? ''
    client.last.message('c', sent.split(' ')[2] ?? '')
    client.last.message(own, 'of another')
    await clock.advanceAsync(10)
    expect(answered).toBe(false)
    client.last.message(own, sent.split(' ')[2] ?? '')
    await beat
    expect(ear.messages).toHaveLength(1)
    expect(clock.pendingTimers).toBe(0)
  })

  it('in a cluster it listens to one master, and to the next one when that is lost', async () => {
    const { clock, client, up } = opened('redisPubSub', { addresses: ['a', 'b', 'c'] })
    await up()
    expect(client.wires.map(({ address }) => address)).toEqual(['a'])
    await clock.advanceAsync(5000)
    client.last.lose()
    await clock.advanceAsync(0)
    expect(client.wires.map(({ address }) => address)).toEqual(['a', 'b'])
  })
})

describe('A session of redisTracking', () => {
  const addresses = ['a', 'b', 'c']

  it('is up once all masters are listened to, and down while one is not', async () => {
    const { clock, client, ear } = opened('redisTracking', { addresses })
    expect(client.wires.map(({ address }) => address)).toEqual(addresses)
    for (const [i, wire] of client.wires.entries()) {
      expect(ear.isUp).toBe(false)
      wire.listen()
      await clock.advanceAsync(i)
    }
    expect(ear.isUp).toBe(true)
    await clock.advanceAsync(5000)
    client.wires[1]?.lose()
    expect(ear.isUp).toBe(false)
    client.wires[0]?.changed(['k1'])
    expect(ear.keys).toEqual([])
  })

  it('a master that has failed keeps it down until another has taken its place', async () => {
    const { clock, client, ear, up } = opened('redisTracking', { addresses })
    await up()
    await clock.advanceAsync(5000)
    client.connections.set('b', undefined)
    client.wires[1]?.lose()
    await clock.advanceAsync(60_000)
    await up()
    expect(ear).toMatchObject({ isUp: false, ups: 1 })
    client.connections.delete('b')
    client.connections.set('d', {})
    await clock.advanceAsync(250)
    expect(client.last.address).toBe('d')
    expect(ear.isUp).toBe(false)
    await up()
    expect(ear).toMatchObject({ isUp: true, ups: 2 })
  })

  it('a master that is new takes it down until it is listened to', async () => {
    const { client, ear, session, up } = opened('redisTracking', { addresses })
    await up()
    client.connections.set('d', {})
    // A client may say nothing of it: each beat looks.
    await expect(session.beat()).rejects.toThrow('does not listen')
    expect(ear.isUp).toBe(false)
    await up()
    expect(ear.isUp).toBe(true)
  })

  it('keeps what it has while the client knows no masters', async () => {
    const { clock, client, ear, up } = opened('redisTracking', { addresses })
    await up()
    client.connections.clear()
    client.link.watcher?.ready()
    await clock.advanceAsync(1000)
    expect(ear).toMatchObject({ isUp: true, downs: 0 })
  })

  it('beats ask the masters in turn', async () => {
    const { clock, client, session, up } = opened('redisTracking', { addresses })
    await up()
    for (let i = 0; i < 6; i++) {
      const beat = session.beat()
      for (const wire of client.wires) wire.answerPing()
      await beat
    }
    expect(client.wires.map(({ pings }) => pings)).toEqual([2, 2, 2])
    expect(clock.pendingTimers).toBe(0)
  })

  it('has the client ask its servers when a wire does not come about again', async () => {
    const { clock, client, server, up } = opened('redisTracking', { addresses })
    await up()
    expect(server.heard).toEqual([])
    client.wires[1]?.lose()
    await clock.advanceAsync(2600)
    expect(server.heard.filter((one) => one === 'PING').length).toBeGreaterThanOrEqual(3)
  })
})
