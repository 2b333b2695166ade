import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { freePort } from '../../../src/testing/servers/free-port.ts'
import { type StartRedisOptions, startRedis } from '../../../src/testing/servers/redis.ts'
import { type RedisCluster, startRedisCluster } from '../../../src/testing/servers/redis-cluster.ts'
import { type RedisSentinels, startSentinels } from '../../../src/testing/servers/sentinels.ts'
import type { RedisProcess } from '../../../src/testing/servers/server-process.ts'
import { until } from '../../support/until.ts'

const run = promisify(execFile)

const started: RedisProcess[] = []

afterEach(async () => {
  vi.unstubAllEnvs()
  for (const server of started.splice(0)) await server.stop()
})

async function start(options?: StartRedisOptions): Promise<RedisProcess> {
  const server = await startRedis(options)
  started.push(server)
  return server
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('startRedis', () => {
  it('starts a server that answers on its port of 127.0.0.1 and writes nothing to disk', async () => {
    const server = await start()
    expect(server.url).toBe(`redis://127.0.0.1:${server.port}`)
    expect(await server.ask('PING')).toBe('PONG')
    expect(await server.ask('CONFIG', 'GET', 'bind')).toEqual(['bind', '127.0.0.1'])
    expect(await server.ask('CONFIG', 'GET', 'save')).toEqual(['save', ''])
    expect(await server.ask('CONFIG', 'GET', 'appendonly')).toEqual(['appendonly', 'no'])
    expect(String(await server.ask('INFO', 'server'))).toContain(`process_id:${server.pid}\r\n`)
  })

  it('takes arguments, and a port', async () => {
    const port = await freePort()
    const server = await start({ port, args: ['--maxmemory', '3mb'] })
    expect(server.port).toBe(port)
    expect(await server.ask('CONFIG', 'GET', 'maxmemory')).toEqual(['maxmemory', '3145728'])
  })

  it('reads every kind of reply, and rejects with an error reply as it is', async () => {
    const server = await start()
    expect(await server.ask('RPUSH', 'list', 'ä', '')).toBe(2)
    expect(await server.ask('LRANGE', 'list', '0', '-1')).toEqual(['ä', ''])
    expect(await server.ask('GET', 'none')).toBeNull()
    await expect(server.ask('GET', 'list')).rejects.toThrow(/^WRONGTYPE /)
    const long = 'x'.repeat(2 ** 20)
    await server.ask('SET', 'long', long)
    expect(await server.ask('GET', 'long')).toBe(long)
  })

  it('ends by stop, its process and its directory, and refuses from then on', async () => {
    const server = await start()
    const [, directory] = (await server.ask('CONFIG', 'GET', 'dir')) as string[]
    const other = await start()
    await server.stop()
    await server.stop()
    expect([server.isRunning, isThere(server.pid)]).toEqual([false, false])
    await expect(server.ask('PING')).rejects.toThrow('ECONNREFUSED')
    await expect(start({ args: ['--dir', String(directory)] })).rejects.toThrow(/No such file/)
    expect(await other.ask('PING')).toBe('PONG')
  })

  it('frozen takes connections and answers none; resumed it answers and has lost nothing', async () => {
    const server = await start()
    server.freeze()
    await expect(server.ask('INCR', 'n')).rejects.toThrow('no reply within 1000 ms')
    expect(server.isRunning).toBe(true)
    server.resume()
    // What was sent to it while it was frozen is read now.
    await until('it took', async () => (await server.ask('GET', 'n')) === '1')
  })

  it('is killed although it is frozen', async () => {
    const server = await start()
    server.freeze()
    await server.kill()
    expect([server.isRunning, isThere(server.pid)]).toEqual([false, false])
  })

  it.each([
    ['is empty', false, null],
    ['has all that was acknowledged if it was to be persistent', true, 'x'],
  ])('restarted on the same port, running or killed, %s', async (_, persistent, kept) => {
    const server = await start({ persistent, args: ['--maxmemory', '3mb'] })
    const { port, pid } = server
    await server.ask('SET', 'k', 'x')
    await server.restart()
    expect(await server.ask('GET', 'k')).toBe(kept)
    await server.kill()
    await server.restart()
    expect(await server.ask('GET', 'k')).toBe(kept)
    expect(await server.ask('CONFIG', 'GET', 'maxmemory')).toEqual(['maxmemory', '3145728'])
    expect(server.port).toBe(port)
    expect(server.pid).not.toBe(pid)
    expect(isThere(pid)).toBe(false)
  })

  it('is no other server that holds the port already', async () => {
    const { port } = await start()
    await expect(start({ port })).rejects.toThrow(/Address already in use/)
  })

  it('neither keeps its process alive nor outlives it', async () => {
    const script = `
      import { startRedis, tcpFaultProxy } from 'jetcache-ts/testing'
      const servers = [await startRedis(), await startRedis()]
      await tcpFaultProxy({ target: { port: servers[0].port } })
      servers[1].freeze()
      console.log(servers.map(({ pid }) => pid).join(' '))`
    const { stdout } = await run('node', ['--input-type=module', '--eval', script])
    const pids = stdout.trim().split(' ').map(Number)
    expect(pids).toHaveLength(2)
    await until('both are gone', () => pids.every((pid) => !isThere(pid)))
  })

  it('says what a server wrote that would not start', async () => {
    await expect(start({ args: ['--maxmemory', 'plenty'] })).rejects.toThrow(/'maxmemory "plenty"'/)
  })

  it('runs what REDIS_SERVER names and nothing else', async () => {
    vi.stubEnv('REDIS_SERVER', 'no-such-server')
    await expect(start()).rejects.toThrow(/none of no-such-server can be run.*REDIS_SERVER/)
    vi.stubEnv('REDIS_SERVER', 'redis-server')
    expect(await (await start()).ask('PING')).toBe('PONG')
  })
})

describe('startRedisCluster', () => {
  let cluster: RedisCluster | undefined

  afterEach(async () => {
    await cluster?.stop()
    cluster = undefined
  })

  it('starts three masters that call the cluster well and share all slots', async () => {
    cluster = await startRedisCluster()
    expect(cluster.nodes).toHaveLength(3)
    for (const node of cluster.nodes) {
      const state = String(await node.ask('CLUSTER', 'INFO'))
      expect(state).toContain('cluster_state:ok')
      expect(state).toContain('cluster_slots_ok:16384')
      expect(state).toContain('cluster_size:3')
    }
    // The slot of foo is 12,182: in the last third.
    const [first, , last] = cluster.masters
    await expect(first?.ask('SET', 'foo', 'x')).rejects.toThrow(
      `MOVED 12182 127.0.0.1:${last?.port}`,
    )
    expect(await last?.ask('SET', 'foo', 'x')).toBe('OK')
    const pids = cluster.nodes.map(({ pid }) => pid)
    await cluster.stop()
    expect(pids.filter(isThere)).toEqual([])
  }, 60_000)

  it('gives each master its replicas, and one takes over when its master is killed', async () => {
    cluster = await startRedisCluster({ masters: 3, replicasPerMaster: 1 })
    const [master] = cluster.masters
    const [replica, other] = cluster.replicas
    const role = String(await replica?.ask('INFO', 'replication'))
    expect(role).toContain('role:slave')
    expect(role).toContain(`master_port:${master?.port}\r\n`)
    await master?.kill()
    const takes = async () => (await replica?.ask('ROLE')) as readonly string[]
    await until('the replica is a master', async () => (await takes())[0] === 'master', 20_000)
    const well = async () => String(await other?.ask('CLUSTER', 'INFO')).includes('state:ok')
    await until('the cluster is well', well, 20_000)
  }, 90_000)

  it.each([
    ['no masters', { masters: 0 }],
    ['half a replica', { replicasPerMaster: 0.5 }],
  ])('refuses %s', async (_, options) => {
    await expect(startRedisCluster(options)).rejects.toThrow(RangeError)
  })
})

describe('startSentinels', () => {
  let trio: RedisSentinels

  beforeAll(async () => {
    trio = await startSentinels()
  }, 60_000)

  afterAll(() => trio?.stop())

  it('starts three that name the master, and after it was killed its replica', async () => {
    const [master, replica] = trio.servers
    expect(await trio.master()).toBe(master)
    for (const sentinel of trio.sentinels) {
      const address = await sentinel.ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', trio.masterName)
      expect(address).toEqual(['127.0.0.1', String(master.port)])
      expect(await sentinel.ask('SENTINEL', 'CKQUORUM', trio.masterName)).toMatch(/^OK 3 usable/)
    }
    await expect(replica.ask('SET', 'k', 'x')).rejects.toThrow(/^READONLY/)
    await master.kill()
    await until('all name the replica', async () => (await trio.master()) === replica, 20_000)
    expect(await replica.ask('SET', 'k', 'x')).toBe('OK')
  }, 60_000)
})
