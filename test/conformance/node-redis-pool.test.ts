import { randomUUID } from 'node:crypto'
import { createClientPool } from 'redis'
import { afterEach, describe, expect, it } from 'vitest'
import { nodeRedis } from '../../src/redis/node-redis-store.ts'
import { startRedis } from '../../src/testing/servers/redis.ts'
import { until } from '../support/until.ts'

const ttl = 60_000

const yes = () => true
const no = () => false

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

describe('nodeRedis on a pool', () => {
  const ends: (() => Promise<unknown>)[] = []

  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  async function started() {
    const server = await startRedis()
    ends.push(() => server.stop())
    return server
  }

  function storeOn(url: string, options = {}) {
    const pool = createClientPool({ url, socket: { reconnectStrategy: 20 } }, options)
    pool.on('error', () => {})
    const store = nodeRedis(pool)
    store.open()
    ends.push(async () => {
      await store.close()
      pool.destroy()
    })
    return { pool, store }
  }

  /** Somebody else has the connection, until the lease ends. */
  function leaseOf(pool: { execute(task: () => Promise<void>): Promise<void> }) {
    let end = () => {}
    const held = new Promise<void>((resolve) => {
      end = resolve
    })
    const leased = pool.execute(() => held)
    return {
      end: () => {
        end()
        return leased
      },
    }
  }

  it('opens more connections when all are in use, and answers everybody', async () => {
    const { pool, store } = storeOn((await started()).url, { minimum: 1, maximum: 5 })
    await pool.connect()
    const keys = Array.from({ length: 50 }, (_, i) => `key${i}`)
    const writes = await Promise.all(keys.map((key) => store.set(key, bytes(key), { ttl })))
    expect(writes).not.toContain(false)
    expect(pool.totalClients).toBe(5)
    const reads = await Promise.all(keys.map((key) => store.get(key)))
    expect(reads.map((read) => read?.bytes)).toEqual(keys.map(bytes))
  })

  it('opens none in vain while the server is gone', async () => {
    const server = await started()
    const { pool, store } = storeOn(server.url, { minimum: 2, maximum: 50 })
    await pool.connect()
    await store.ping()
    await server.kill()
    await until('each loss is known', () =>
      store.ping().then(no, ({ message }) => message === 'the Redis client is not connected'),
    )
    const before = pool.totalClients
    for (let times = 0; times < 50; times++) {
      const outcomes = [store.ping(), store.get('k'), store.set('k', bytes('x'), { ttl })]
      await Promise.allSettled(outcomes)
    }
    expect(pool.totalClients).toBe(before)
    await server.restart()
    await until('it works again', () => store.set('k', bytes('x'), { ttl }).then(yes, no))
    expect(pool.totalClients).toBe(before)
  })

  it('joins a server that was not there when the pool began to connect', async () => {
    const server = await started()
    await server.kill()
    const { pool, store } = storeOn(server.url)
    const connecting = pool.connect()
    for (let times = 0; times < 20; times++) {
      await expect(store.ping()).rejects.toThrow('the Redis client is not connected')
      const judged = store.get('k').catch((error) => store.judge?.(error))
      expect(await judged).toBe('not sent')
    }
    expect(pool.totalClients).toBe(1)
    await server.restart()
    await connecting
    await until('it works', () => store.ping().then(yes, no))
    expect(await store.set('k', bytes('x'), { ttl })).toBe(true)
  })

  it('gives up waiting for a connection at the deadline, and sends nothing later', async () => {
    const options = { minimum: 1, maximum: 1, acquireTimeout: ttl }
    const { pool, store } = storeOn((await started()).url, options)
    await pool.connect()
    await store.ping()
    const key = randomUUID()
    const lease = leaseOf(pool)
    const withdrawal = new AbortController()
    const write = store.set(key, bytes('late'), { ttl, signal: withdrawal.signal })
    const judged = write.catch((error) => store.judge?.(error))
    withdrawal.abort()
    expect(await judged).toBe('not sent')
    await lease.end()
    expect(await store.get(key)).toBeUndefined()
  })

  it('says that a command was not sent when no connection became free', async () => {
    const options = { minimum: 1, maximum: 1, acquireTimeout: 20 }
    const { pool, store } = storeOn((await started()).url, options)
    await pool.connect()
    await store.ping()
    const lease = leaseOf(pool)
    const judged = store.get('k').catch((error) => store.judge?.(error))
    expect(await judged).toBe('not sent')
    await lease.end()
  })
})
