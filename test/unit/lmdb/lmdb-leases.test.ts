import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { prepareDirectory } from '../../../src/lmdb/directory.ts'
import { Environment } from '../../../src/lmdb/environment.ts'
import { Gate } from '../../../src/lmdb/gate.ts'
import { type LmdbOptions, lmdb } from '../../../src/lmdb/lmdb-store.ts'
import { dueKeyOf, leaseKeyOf, META_KEY, placeOf } from '../../../src/lmdb/records.ts'
import type { RemoteLeases, RemoteStore } from '../../../src/remote/remote-store.ts'
import { until } from '../../support/until.ts'

const LIFE = 60_000
const LONG = { ttl: 3_600_000 }
const LEAST = 65_536

let path: string
let opened: RemoteStore[]

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'jetcache-lmdb-'))
  opened = []
})

afterEach(async () => {
  await Promise.all(opened.map((store) => store.close()))
  await rm(path, { recursive: true, force: true })
})

function start(options: Partial<LmdbOptions> = {}): RemoteStore & { leases: RemoteLeases } {
  const store = lmdb({ path, ...options })
  const { leases } = store
  if (leases === undefined) throw new Error('it has no leases')
  store.open()
  opened.push(store)
  return Object.assign(store, { leases })
}

const filled = (size: number): Uint8Array => new Uint8Array(size).fill(7)
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `k${i}`)

async function stored(key: Buffer): Promise<Buffer | undefined> {
  const environment = Environment.acquire(path)
  const bytes = environment.read((get) => get(key))
  await environment.release()
  return bytes
}

describe('the leases of lmdb()', () => {
  it('take no room from entries, and making room ends none', async () => {
    const store = start({ maxBytes: LEAST })
    const { leases } = store
    const keys = names(2000)
    for (let i = 0; i < keys.length; i += 200) {
      await leases.read(keys.slice(i, i + 200), 'a.1', LIFE)
    }
    expect((await stored(META_KEY))?.readDoubleBE(4)).toBe(0)
    // Their lives end after those of the leases.
    await Promise.all(names(200).map((key) => store.set(`v${key}`, filled(1000), LONG)))
    expect(await store.get('vk199')).toBeDefined()
    const held = await leases.read(keys.slice(0, 200), 'b.1', LIFE)
    expect(held.map(({ kind }) => kind)).toEqual(held.map(() => 'held'))
  })

  it('are swept when their holders have died, their place in the order of expiry too', async () => {
    const { leases } = start({ sweepInterval: 20 })
    const keys = ['short', 'x'.repeat(5000)]
    await leases.read([...keys, 'kept'], 'a.1', LIFE)
    for (const key of keys) await leases.renew(key, 'a.1', 1)
    for (const key of keys) {
      const lease = leaseKeyOf(placeOf(key).key)
      await until('it is swept', async () => (await stored(lease)) === undefined)
    }
    const kept = await stored(leaseKeyOf(placeOf('kept').key))
    expect(kept).toBeDefined()
    const due = dueKeyOf(kept?.readDoubleBE() ?? 0, placeOf('kept').key, 'lease')
    expect(await stored(due)).toBeDefined()
    await leases.release('kept', 'a.1')
    expect(await stored(due)).toBeUndefined()
  })

  it('leave nothing in the order of expiry when they are renewed or used', async () => {
    const { leases } = start()
    const dueNow = async () => {
      const lease = await stored(leaseKeyOf(placeOf('k').key))
      return dueKeyOf(lease?.readDoubleBE() ?? 0, placeOf('k').key, 'lease')
    }
    await leases.take('k', 'a.1', LIFE)
    const first = await dueNow()
    await leases.renew('k', 'a.1', 2 * LIFE)
    const second = await dueNow()
    expect(await stored(first)).toBeUndefined()
    expect(await stored(second)).toBeDefined()
    await leases.fill('k', 'a.1', { expected: undefined, bytes: filled(1), ...LONG })
    expect(await stored(second)).toBeUndefined()
  })

  it('are asked for without a lock where there is a value, or where it is known that somebody waits', async () => {
    const store = start()
    const { leases } = store
    await store.set('value', filled(1), LONG)
    await leases.take('held', 'a.1', LIFE)
    await leases.read(['held'], 'b.1', LIFE)
    const leave = new Gate(prepareDirectory(path)).take()
    const answers = await leases.read(['value', 'held'], 'b.2', LIFE)
    expect(answers.map(({ kind }) => kind)).toEqual(['value', 'held'])
    leave?.()
  })

  it('are not granted for a key that was written after it was found missing', async () => {
    const store = start()
    const leave = new Gate(prepareDirectory(path)).take()
    const set = store.set('k', filled(1), LONG)
    const reading = store.leases.read(['other', 'k'], 'a.1', LIFE)
    leave?.()
    await set
    expect((await reading).map(({ kind }) => kind)).toEqual(['granted', 'value'])
    expect(await store.leases.release('k', 'a.1')).toBe(false)
  })

  it('let a value in that needs the place of very many others', async () => {
    const store = start({ maxBytes: LEAST })
    await Promise.all(names(560).map((key) => store.set(key, filled(1), LONG)))
    await store.leases.take('large', 'a.1', LIFE)
    const write = { expected: undefined, bytes: filled(60_000), ...LONG }
    expect(await store.leases.fill('large', 'a.1', write)).toBe('took')
    expect((await store.get('large'))?.bytes).toEqual(filled(60_000))
  })

  it('outlast a fill that is too large ever to be stored', async () => {
    const { leases } = start({ maxBytes: LEAST })
    await leases.take('k', 'a.1', LIFE)
    const write = { expected: undefined, bytes: filled(LEAST), ...LONG }
    await expect(leases.fill('k', 'a.1', write)).rejects.toThrow(RangeError)
    expect(await leases.release('k', 'a.1')).toBe(true)
  })

  it('may be all that a directory holds when it is opened again', async () => {
    const { leases } = start()
    await leases.take('k', 'a.1', LIFE)
    await opened[0]?.close()
    opened = []
    expect(await start().leases.take('k', 'b.1', LIFE)).toMatchObject({ kind: 'held', by: 'a.1' })
  })
})
