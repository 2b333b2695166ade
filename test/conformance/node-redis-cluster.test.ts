import { setTimeout as pause } from 'node:timers/promises'
import { createCluster } from 'redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nodeRedis } from '../../src/redis/node-redis-store.ts'
import { slotOf } from '../../src/redis-common/slot.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { type RedisCluster, startRedisCluster } from '../../src/testing/servers/redis-cluster.ts'
import type { RedisProcess } from '../../src/testing/servers/server-process.ts'
import { until } from '../support/until.ts'
import { callsOf } from './node-redis-kinds.ts'

const ttl = 60_000
/** One for each of some hundred slots, so for each master. */
const KEYS = Array.from({ length: 100 }, (_, i) => `key${i}`)

const yes = () => true
const no = () => false

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

describe('nodeRedis on a cluster', () => {
  let servers: RedisCluster
  const ended: (() => Promise<void>)[] = []

  beforeAll(async () => {
    servers = await startRedisCluster({ replicasPerMaster: 1 })
  })

  afterAll(async () => {
    for (const end of ended) await end()
    await servers.stop()
  })

  async function opened(options = {}) {
    const client = createCluster({
      rootNodes: servers.nodes.map(({ url }) => ({ url })),
      defaults: { socket: { reconnectStrategy: 50 } },
      topologyRefreshOnReconnectionAttemptStrategy: 200,
      ...options,
    })
    client.on('error', () => {})
    await client.connect()
    const store = nodeRedis(client)
    const replaced = { times: 0 }
    store.watch?.({
      reachable: () => {},
      replaced: () => {
        replaced.times++
      },
      forbidden: () => {},
    })
    store.open()
    ended.push(async () => {
      await store.close()
      client.destroy()
    })
    await until('it takes writes', () => takesAll(store))
    return { client, store, replaced }
  }

  /** Whether each master takes a write now. */
  async function takesAll(store: RemoteStore): Promise<boolean> {
    await store.ping().catch(() => {})
    const outcomes = await Promise.allSettled(
      KEYS.map((key) => store.set(key, bytes(key), { ttl })),
    )
    return outcomes.every(({ status }) => status === 'fulfilled')
  }

  async function ownerOf(key: string): Promise<RedisProcess> {
    const port = await homeOf(key)
    const owner = servers.nodes.find((node) => node.port === port)
    if (owner === undefined) throw new Error('no node has the key')
    return owner
  }

  /** The port of the master of a key's slot, as the first node that runs says. */
  async function homeOf(key: string): Promise<number> {
    const node = servers.nodes.find(({ isRunning }) => isRunning)
    const shares = (await node?.ask('CLUSTER', 'SLOTS')) as [number, number, [string, number]][]
    const slot = slotOf(key)
    const share = shares.find(([from, to]) => from <= slot && slot <= to)
    return share?.[2][1] ?? 0
  }

  it('reads from masters only, even where the client reads from replicas', async () => {
    const { store } = await opened({ useReplicas: true })
    const before = await callsOf(servers.replicas, 'evalsha')
    for (const key of KEYS) expect((await store.get(key))?.bytes).toEqual(bytes(key))
    expect(await callsOf(servers.replicas, 'evalsha')).toBe(before)
  })

  it('tells that it can be reached as soon as it is connected', async () => {
    const client = createCluster({ rootNodes: servers.masters.map(({ url }) => ({ url })) })
    const store = nodeRedis(client)
    let reachable = false
    store.watch?.({
      reachable: () => {
        reachable = true
      },
      replaced: () => {},
      forbidden: () => {},
    })
    store.open()
    ended.push(async () => {
      await store.close()
      client.destroy()
    })
    await client.connect()
    await until('it tells so, asked by nobody', () => reachable)
  })

  it('connects to each master where the client connects late', async () => {
    const { store } = await opened({ minimizeConnections: true })
    expect(await store.set('late', bytes('x'), { ttl })).toBe(true)
  })

  it('follows a key to the master that it moves to, and writes once', async () => {
    const { store } = await opened()
    const key = '{moving}1'
    const slot = String(slotOf(key))
    const from = await ownerOf(key)
    const to = servers.masters.find((master) => master !== from)
    if (to === undefined) throw new Error('there is one master only')
    const [fromId, toId] = [await from.ask('CLUSTER', 'MYID'), await to.ask('CLUSTER', 'MYID')]
    await to.ask('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(fromId))
    await from.ask('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(toId))
    const before = await callsOf(servers.masters, 'set')
    // Not there any more: ASK.
    expect(await store.set(key, bytes('asked'), { ttl })).toBe(true)
    expect((await store.get(key))?.bytes).toEqual(bytes('asked'))
    expect(await from.ask('CLUSTER', 'COUNTKEYSINSLOT', slot)).toBe(0)
    expect(await to.ask('CLUSTER', 'COUNTKEYSINSLOT', slot)).toBe(1)
    for (const node of servers.masters) {
      await node.ask('CLUSTER', 'SETSLOT', slot, 'NODE', String(toId))
    }
    // At home there: MOVED.
    expect(await store.set(key, bytes('moved'), { ttl })).toBe(true)
    expect((await store.get(key))?.bytes).toEqual(bytes('moved'))
    expect(await callsOf(servers.masters, 'set')).toBe(before + 2)
  })

  it('looks at the topology when it has been sent elsewhere', async () => {
    const { client, store } = await opened()
    const key = '{moves}1'
    const slot = slotOf(key)
    const from = await ownerOf(key)
    const to = servers.masters.find((master) => master !== from)
    if (to === undefined) throw new Error('there is one master only')
    const toId = String(await to.ask('CLUSTER', 'MYID'))
    for (const node of servers.masters) {
      await node.ask('CLUSTER', 'SETSLOT', String(slot), 'NODE', toId)
    }
    await store.get(key)
    await until('the client knows', () => client.slots[slot]?.master.port === to.port)
    expect(await store.set(key, bytes('x'), { ttl })).toBe(true)
  })

  it('goes on with the other masters while one is gone, and with its replica from then on', async () => {
    const { store, replaced } = await opened()
    const lost = await ownerOf('key0')
    await lost.kill()
    let others = 0
    await until('a promoted replica takes its writes', async () => {
      if (await takesAll(store)) return true
      const outcomes = await Promise.all(KEYS.map((key) => store.get(key).then(yes, no)))
      if (outcomes.includes(true)) others++
      return false
    })
    expect(others).toBeGreaterThan(0)
    expect(replaced.times).toBeGreaterThan(0)
    expect(await homeOf('key0')).not.toBe(lost.port)
    await lost.restart()
  })

  it('goes on with the replica of a master that is silent, its connection alive', async () => {
    const { store } = await opened()
    const silent = await ownerOf('key2')
    silent.freeze()
    await until('a promoted replica takes its writes', () => {
      // As the cache does while operations fail.
      store.ping().catch(() => {})
      const write = store.set('key2', bytes('x'), { ttl }).then(yes, no)
      return Promise.race([write, pause(250, false)])
    })
    silent.resume()
    expect(await homeOf('key2')).not.toBe(silent.port)
  })

  it('follows a failover that an operator asked for, to a replica that it was connected to', async () => {
    const { store, replaced } = await opened({ useReplicas: true })
    const before = await homeOf('key1')
    const standby = await replicaOf(before)
    await standby.ask('CLUSTER', 'FAILOVER')
    await until('the replica has taken over', async () => (await homeOf('key1')) === standby.port)
    await until('it takes writes again', () => takesAll(store))
    expect(replaced.times).toBeGreaterThan(0)
  })

  /** A replica that is connected to the master at a port. */
  async function replicaOf(port: number): Promise<RedisProcess> {
    let found: RedisProcess | undefined
    await until('the master has a replica', async () => {
      for (const node of servers.nodes) {
        if (!node.isRunning) continue
        const state = String(await node.ask('INFO', 'replication'))
        if (state.includes(`master_port:${port}`) && state.includes('master_link_status:up')) {
          found = node
        }
      }
      return found !== undefined
    })
    if (found === undefined) throw new Error('the master has no replica')
    return found
  }
})
