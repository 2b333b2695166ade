import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ClusterConnection } from '../../src/ioredis/cluster.ts'
import { ioredis } from '../../src/ioredis/ioredis.ts'
import { slotOf } from '../../src/redis-common/slot.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { remoteStoreConformance } from '../../src/testing/remote-conformance.ts'
import { type RedisCluster, startRedisCluster } from '../../src/testing/servers/redis-cluster.ts'
import { type TcpFaultProxy, tcpFaultProxy } from '../../src/testing/tcp-fault-proxy.ts'
import {
  ADVISED,
  answers,
  type ClusterClient,
  type ClusterSettings,
  DISTINCT,
  type Package,
  whenReady,
} from '../support/ioredis-clients.ts'
import { until } from '../support/until.ts'
import { redisEar } from './redis-ear.ts'

const ttl = 60_000

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

let cluster: RedisCluster

beforeAll(async () => {
  cluster = await startRedisCluster()
})

afterAll(() => cluster.stop())

const settings: ClusterSettings = { clusterRetryStrategy: () => 100 }

async function connected(
  { cluster: make }: Package,
  options: ClusterSettings = {},
): Promise<ClusterClient> {
  const [first] = cluster.masters
  const nodes = [{ host: '127.0.0.1', port: first?.port ?? 0 }]
  return await whenReady(make(nodes, { ...settings, ...options }))
}

/** A key whose slot the master with this number serves. */
function keyOf(master: number, prefix = ''): string {
  const shareOf = (key: string) => Math.floor((slotOf(key) * cluster.masters.length) / 16_384)
  for (;;) {
    const key = `${randomUUID()}`
    if (shareOf(prefix + key) === master) return key
  }
}

/** Takes the slot of a key from the first master to the second. */
async function slotMove(key: string) {
  const [from, to] = cluster.masters
  if (from === undefined || to === undefined) throw new Error('no masters')
  const slot = String(slotOf(key))
  const [fromId, toId] = await Promise.all(
    [from, to].map(async (node) => String(await node.ask('CLUSTER', 'MYID'))),
  )
  const serves = async (id = '') => {
    for (const node of cluster.masters) await node.ask('CLUSTER', 'SETSLOT', slot, 'NODE', id)
  }
  return {
    key,
    from,
    to,
    begin: async () => {
      await to.ask('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId ?? '')
      await from.ask('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId ?? '')
    },
    end: () => serves(toId),
    /** For the tests to come. */
    back: () => serves(fromId),
  }
}

for (const one of DISTINCT) {
  remoteStoreConformance({
    name: `${one.name}, a cluster`,
    endlessLives: true,
    leases: true,
    announcements: true,
    shortens: true,
    touches: true,
    create: async () => {
      const ear = redisEar(cluster.masters[2]?.url ?? '')
      const client = await connected(one)
      // Nodes connect when they are needed, and the suite begins at once.
      for (const node of client.nodes('master')) if (node.status === 'wait') await node.connect()
      await until('all masters are connected', () => {
        return client.nodes('master').every(({ status }) => status === 'ready')
      })
      return {
        store: ioredis(client),
        writeWithoutExpiry: async (key, value) => {
          await client.call('set', key, Buffer.from(value))
        },
        listen: ear.listen,
        endsOnClose: true,
        dispose: async () => {
          ear.end()
          client.disconnect()
        },
      }
    },
    describe,
    it,
  })
}

describe.each(DISTINCT)('$name on a cluster', (one) => {
  const clients: ClusterClient[] = []
  const stores: RemoteStore[] = []
  const proxies: TcpFaultProxy[] = []

  async function client(options: ClusterSettings = {}): Promise<ClusterClient> {
    const made = await connected(one, options)
    clients.push(made)
    return made
  }

  async function opened(on: ClusterClient): Promise<RemoteStore> {
    const store = ioredis(on)
    stores.push(store)
    store.open()
    await until('the store answers', () => answers(store))
    return store
  }

  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close()
    for (const made of clients.splice(0)) made.disconnect()
    for (const proxy of proxies.splice(0)) await proxy.close()
  })

  it('reads, writes and deletes keys of all slots together, in order', async () => {
    const store = await opened(await client())
    const keys = Array.from({ length: 100 }, () => randomUUID())
    await Promise.all(keys.map((key, i) => store.set(key, Uint8Array.of(i, 0, 255), { ttl })))
    const reads = await store.getMany([...keys, 'none'])
    expect(reads.map((read) => read?.bytes[0])).toEqual([...keys.keys(), undefined])
    expect(reads[7]?.bytes).toEqual(Uint8Array.of(7, 0, 255))
    expect(await store.delete([...keys, 'none'])).toBe(100)
    expect(new Set(await store.getMany(keys))).toEqual(new Set([undefined]))
  })

  it.each([
    ['its own', { keyPrefix: 'app:{x}:' }],
    ['that of its nodes', { redisOptions: { keyPrefix: 'app:{x}:' } }],
  ])('honours a key prefix, %s, in every command, script and slot', async (_, options) => {
    const on = await client(options)
    const store = await opened(on)
    const outer = await opened(await client())
    const seen = async (key: string) => (await outer.get(`app:{x}:${key}`))?.bytes
    const moved = async () => {
      const stats = await Promise.all(cluster.masters.map((node) => node.ask('INFO', 'errorstats')))
      return stats.map((stat) => /errorstat_MOVED:count=(\d+)/.exec(String(stat))?.[1])
    }
    const before = await moved()
    for (const node of cluster.masters) await node.ask('SCRIPT', 'FLUSH')
    expect(await store.set('k', bytes('1'), { ttl })).toBe(true)
    expect(await seen('k')).toEqual(bytes('1'))
    const reads = await store.getMany(['none', 'k'])
    expect(reads.map((read) => read?.bytes)).toEqual([undefined, bytes('1')])
    expect(await store.compareAndSet('k', bytes('1'), bytes('2'), ttl)).toBe(true)
    expect(await seen('k')).toEqual(bytes('2'))
    expect(await store.compareAndDelete('k', bytes('2'))).toBe(true)
    expect(await store.compareAndSet('l', undefined, bytes('3'), ttl)).toBe(true)
    expect(await seen('l')).toEqual(bytes('3'))
    expect(await store.delete(['k', 'l'])).toBe(1)
    // Each went to the master of the key as it was sent.
    expect(await moved()).toEqual(before)
  })

  it('reads from masters, whatever the client does for others', async () => {
    const store = await opened(await client({ scaleReads: 'slave' }))
    await store.set('k', bytes('x'), { ttl })
    expect((await store.get('k'))?.bytes).toEqual(bytes('x'))
    await store.delete(['k'])
  })

  it('follows a key that is on its way to another master, and one that has arrived', async () => {
    const store = await opened(await client())
    const move = await slotMove(keyOf(0))
    const { key, from, to } = move
    await store.set(key, bytes('stays'), { ttl })
    await move.begin()
    expect((await store.get(key))?.bytes).toEqual(bytes('stays'))
    await from.ask('MIGRATE', '127.0.0.1', String(to.port), key, '0', '1000')
    expect((await store.get(key))?.bytes).toEqual(bytes('stays'))
    expect(await store.compareAndSet(key, bytes('stays'), bytes('moved'), ttl)).toBe(true)
    await move.end()
    expect((await store.get(key))?.bytes).toEqual(bytes('moved'))
    expect(await store.delete([key])).toBe(1)
    await move.back()
  })

  it('changes a key whose slot is on its way to another master, and voids its lease', async () => {
    const store = await opened(await client())
    const { leases } = store
    if (leases === undefined) throw new Error('it has no leases')
    const move = await slotMove(keyOf(0))
    const { key, from, to } = move
    await store.set(key, bytes('old'), { ttl })
    await leases.take(key, 'a.1', 60_000)
    await move.begin()
    await from.ask('MIGRATE', '127.0.0.1', String(to.port), key, '0', '1000')
    const [read] = await leases.read([key], 'b.1', 60_000)
    expect(read?.kind === 'value' && read.read.bytes).toEqual(bytes('old'))
    const fill = { expected: bytes('old'), bytes: bytes('filled'), ttl }
    const filling = leases.fill(key, 'a.1', fill).catch((error) => store.judge?.(error))
    expect(await filling).toBe('refused')
    expect(await store.set(key, bytes('new'), { ttl })).toBe(true)
    expect((await store.get(key))?.bytes).toEqual(bytes('new'))
    expect(await leases.renew(key, 'a.1', 60_000)).toBe(false)
    expect(await store.delete([key, `{${key}}`])).toBe(1)
    const reading = leases.read([key], 'b.1', 60_000).catch((error) => store.judge?.(error))
    expect(await reading).toBe('refused')
    await move.end()
    expect(await leases.read([key], 'b.1', 60_000)).toEqual([{ kind: 'granted' }])
    await leases.release(key, 'b.1')
    await move.back()
  })

  it('does not follow with a write that has been taken back', async () => {
    const { natMap, proxy } = await proxied()
    const on = await client({ natMap })
    const store = await opened(on)
    const move = await slotMove(keyOf(0))
    const { key, to } = move
    const learn = on.refreshSlotsCache
    on.refreshSlotsCache = (callback) => callback()
    await until('the client learns nothing more', () => Reflect.get(on, 'isRefreshing') === false)
    await move.begin()
    await move.end()
    proxy.hold('toClient')
    const withdrawal = new AbortController()
    const { requests } = proxy.counts()
    const late = store.set(key, bytes('late'), { ttl, signal: withdrawal.signal })
    const verdict = late.catch((error: unknown) => store.judge?.(error))
    await until('the write has left', () => proxy.counts().requests > requests)
    withdrawal.abort()
    proxy.release('toClient')
    expect(await verdict).toBe('not sent')
    expect(await to.ask('EXISTS', key)).toBe(0)
    on.refreshSlotsCache = learn
    await until('the client has learned who serves it', () => {
      return store.set(key, bytes('next'), { ttl }).catch(() => false)
    })
    expect(await store.delete([key])).toBe(1)
    await move.back()
  })

  it('gives a client that is not ready nothing, not even to keep', async () => {
    const [first] = cluster.masters
    const made = one.cluster([{ host: '127.0.0.1', port: first?.port ?? 0 }], { lazyConnect: true })
    clients.push(made)
    made.on('error', () => {})
    const store = ioredis(made)
    stores.push(store)
    store.open()
    const key = randomUUID()
    const verdicts = async () => {
      const attempts = await Promise.allSettled([
        store.get(key),
        store.getMany([key]),
        store.set(key, bytes('late'), { ttl }),
        store.compareAndSet(key, bytes('a'), bytes('b'), ttl),
        store.compareAndDelete(key, bytes('a')),
        store.shorten?.(key, ttl),
        store.delete([key]),
        store.ping(),
      ])
      return attempts.map((one) => one.status === 'rejected' && store.judge?.(one.reason))
    }
    const none = new Array(8).fill('not sent')
    expect(await verdicts()).toEqual(none)
    expect(made.status).toBe('wait')
    const connecting = made.connect()
    expect(await verdicts()).toEqual(none)
    await connecting
    await until('the store answers', () => answers(store))
    expect(await made.call('get', key)).toBeNull()
  })

  /** The first master is reached through a proxy. */
  async function proxied() {
    const [node] = cluster.masters
    if (node === undefined) throw new Error('no master')
    const proxy = await tcpFaultProxy({ target: { port: node.port } })
    proxies.push(proxy)
    const host = '127.0.0.1'
    const natMap = { [`${host}:${node.port}`]: { host, port: proxy.port } }
    return { node, proxy, natMap }
  }

  it('is without our listeners after the last close, on nodes too', async () => {
    const on = await client()
    const count = () =>
      ['error', 'ready', 'close', 'refresh', '+node', '-node']
        .map((event) => on.listenerCount(event))
        .concat(
          on
            .nodes('all')
            .flatMap((node) => [
              node.listenerCount('ready'),
              node.listenerCount('close'),
              node.listenerCount('end'),
            ]),
        )
    const store = await opened(on)
    await store.close()
    const before = count()
    for (let times = 0; times < 100; times++) {
      store.open()
      await store.close()
    }
    store.open()
    expect(count()).not.toEqual(before)
    await store.close()
    expect(count()).toEqual(before)
  })

  it('has as many listeners after 100 lost connections as before', async () => {
    const on = await client()
    const store = await opened(on)
    const events = ['error', 'ready', 'close', 'refresh', '+node', '-node']
    const count = () => events.map((event) => on.listenerCount(event))
    const before = count()
    const [node] = cluster.masters
    for (let times = 0; times < 100; times++) {
      await node?.ask('CLIENT', 'KILL', 'TYPE', 'normal')
    }
    await until('all masters answer again', async () => {
      const ready = on.nodes('master').filter((master) => master.status === 'ready')
      return ready.length === cluster.masters.length && (await answers(store))
    })
    expect(count()).toEqual(before)
  })

  it.each<[string, ClusterSettings]>([
    ['whose nodes are given up when they are lost', {}],
    [
      'whose nodes connect again',
      { clusterNodeRetryStrategy: () => 10, redisOptions: { maxRetriesPerRequest: 0 } },
    ],
  ])('sends no write again when its connection is lost, a client %s', async (_, options) => {
    const { natMap, proxy, node } = await proxied()
    const on = await client({ ...options, natMap })
    const store = await opened(on)
    const keys = Array.from({ length: 20 }, () => keyOf(0))
    // Nothing comes back, so that each write is under way when the connection ends.
    proxy.hold('toClient')
    const before = setsOf(await node.ask('INFO', 'commandstats'))
    const writes = Promise.allSettled(keys.map((key) => store.set(key, bytes('x'), { ttl })))
    await until('the server has them all', async () => {
      return setsOf(await node.ask('INFO', 'commandstats')) === before + keys.length
    })
    proxy.cut()
    expect((await writes).every(({ status }) => status === 'rejected')).toBe(true)
    await proxy.heal()
    await until('the node is back', async () => {
      return store.get(keys[0] ?? '').then(
        () => true,
        () => false,
      )
    })
    expect(setsOf(await node.ask('INFO', 'commandstats'))).toBe(before + keys.length)
    await store.delete(keys)
  })

  it('goes on with the other masters while one is gone, and with it when it is back', async () => {
    const on = await client({ redisOptions: { connectTimeout: ADVISED.connectTimeout ?? 0 } })
    const store = await opened(on)
    const [, second] = cluster.masters
    if (second === undefined) throw new Error('no master')
    const [gone, there] = [keyOf(1), keyOf(0)]
    second.freeze()
    // The last ones wait for room in the socket.
    const large = new Uint8Array(1_000_000)
    const writing = Array.from({ length: 20 }, () => store.set(gone, large, { ttl }))
    const waiting = Promise.allSettled([store.get(gone), ...writing])
    await second.kill()
    expect((await waiting).every(({ status }) => status === 'rejected')).toBe(true)
    const works = (key: string) => store.set(key, bytes('x'), { ttl }).catch(() => false)
    await until('the others take writes', () => works(there))
    expect(await store.get(gone).catch((error: unknown) => store.judge?.(error))).toBe('not sent')
    let answered = 0
    on.on('refresh', () => answered++)
    await until('the client goes on asking who serves what', () => answered > 2)
    await second.restart()
    const since = performance.now()
    const isReady = ({ status }: { status: string }) => status === 'ready'
    await until('it is connected, though nobody asks for its keys', () => {
      return on.nodes('master').filter(isReady).length === cluster.masters.length
    })
    await until('the master is back', () => works(gone))
    expect(performance.now() - since).toBeLessThan(2500)
  })

  it('tells of a master that is lost, and of it when it is back', async () => {
    const connection = new ClusterConnection(await client())
    const told: string[] = []
    connection.attach({
      ready: () => told.push('ready'),
      lost: () => told.push('lost'),
      admission: () => undefined,
    })
    await until('all masters are there', () => connection.servers().length === 3)
    told.length = 0
    await cluster.masters[1]?.ask('CLIENT', 'KILL', 'TYPE', 'normal')
    await until('it is back', () => told.includes('ready'))
    expect(told).toEqual(['lost', 'ready'])
    expect(connection.servers()).toHaveLength(3)
    connection.detach()
  })
})

function setsOf(stats: unknown): number {
  return Number(/cmdstat_set:calls=(\d+)/.exec(String(stats))?.[1] ?? 0)
}
