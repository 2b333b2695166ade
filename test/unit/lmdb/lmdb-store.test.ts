import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open as openRaw } from 'lmdb'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Environment } from '../../../src/lmdb/environment.ts'
import { type LmdbOptions, lmdb } from '../../../src/lmdb/lmdb-store.ts'
import { FORMAT, META_KEY } from '../../../src/lmdb/records.ts'
import type { RemoteStore } from '../../../src/remote/remote-store.ts'
import { until } from '../../support/until.ts'

const LONG = { ttl: 3_600_000 }
const LEAST = 65_536

let path: string
let opened: RemoteStore[]

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'jetcache-lmdb-'))
  opened = []
})

afterEach(async () => {
  vi.useRealTimers()
  await Promise.all(opened.map((store) => store.close()))
  await rm(path, { recursive: true, force: true })
})

function start(options: Partial<LmdbOptions> = {}): RemoteStore {
  const store = lmdb({ path, ...options })
  store.open()
  opened.push(store)
  return store
}

function filled(size: number, byte = 7): Uint8Array {
  return new Uint8Array(size).fill(byte)
}

async function usedBytes(): Promise<number> {
  const environment = Environment.acquire(path)
  const used = environment.read((get) => get(META_KEY)?.readDoubleBE(4) ?? 0)
  await environment.release()
  return used
}

async function whichAreHeld(store: RemoteStore, keys: readonly string[]): Promise<string[]> {
  const read = await store.getMany(keys)
  return keys.filter((_, i) => read[i] !== undefined)
}

describe('the byte cap of lmdb()', () => {
  it('is never exceeded, and lets the entries go whose lives end soonest', async () => {
    const store = start({ maxBytes: LEAST })
    const keys = Array.from({ length: 100 }, (_, i) => `k${i}`)
    for (const [i, key] of keys.entries()) {
      // The later it is written, the sooner its life is over.
      await store.set(key, filled(1000), { ttl: 3_600_000 - i * 1000 })
      expect(await usedBytes()).toBeLessThanOrEqual(LEAST)
    }
    const held = await whichAreHeld(store, keys)
    expect(held.length).toBeGreaterThan(50)
    expect(held).toEqual([...keys.slice(0, held.length - 1), 'k99'])
  })

  it('counts replaced, deleted and compared entries once, and ends at nothing', async () => {
    const store = start()
    for (let round = 0; round < 20; round++) {
      await store.set('a', filled(100 * round), LONG)
      await store.set('b', filled(5000), { ...LONG, when: 'absent' })
      await store.compareAndSet('b', filled(5000), filled(9), LONG.ttl)
      await store.set('c'.repeat(3000), filled(50), LONG)
    }
    expect(await usedBytes()).toBeGreaterThan(0)
    await store.compareAndDelete('b', filled(9))
    await store.delete(['a', 'b', 'c'.repeat(3000), 'never'])
    expect(await usedBytes()).toBe(0)
  })

  it('counts an entry once whose life was changed, and lets it go in the order of its new life', async () => {
    const store = start({ maxBytes: LEAST })
    const keys = Array.from({ length: 60 }, (_, i) => `k${i}`)
    for (const key of keys) await store.set(key, filled(600), LONG)
    const long = 'x'.repeat(3000)
    await store.set(long, filled(600), LONG)
    const used = await usedBytes()
    await store.shorten?.('k59', LONG.ttl / 2)
    await store.shorten?.('k59', LONG.ttl / 2)
    await store.shorten?.(long, LONG.ttl / 2)
    await store.leases?.take('k0', 'a.1', 60_000)
    const renewal = { expected: filled(600), ttl: 2 * LONG.ttl }
    expect(await store.leases?.touch?.('k0', 'a.1', renewal)).toBe('took')
    expect(await usedBytes()).toBe(used)
    await store.set('large', filled(40_000), LONG)
    const held = await whichAreHeld(store, [...keys, long])
    expect(held).toContain('k0')
    expect(held).toContain('k58')
    expect(held).not.toContain('k59')
    expect(held).not.toContain(long)
    await store.delete([...keys, long, 'large'])
    expect(await usedBytes()).toBe(0)
  })

  it('gives one large value the place of very many small ones', async () => {
    const store = start({ maxBytes: LEAST })
    const keys = Array.from({ length: 560 }, (_, i) => `${i}`)
    await Promise.all(keys.map((key) => store.set(key, filled(1), LONG)))
    expect((await whichAreHeld(store, keys)).length).toBe(560)
    expect(await store.set('large', filled(60_000), LONG)).toBe(true)
    expect((await store.get('large'))?.bytes).toEqual(filled(60_000))
    expect((await whichAreHeld(store, keys)).length).toBeLessThan(50)
    expect(await usedBytes()).toBeLessThanOrEqual(LEAST)
  })

  it('never removes the entry that is being compared to make room for its successor', async () => {
    const store = start({ maxBytes: LEAST })
    await store.set('soonest', filled(10), { ttl: 60_000 })
    const keys = Array.from({ length: 560 }, (_, i) => `${i}`)
    await Promise.all(keys.map((key) => store.set(key, filled(1), LONG)))
    expect(await store.compareAndSet('soonest', filled(10), filled(60_000), 60_000)).toBe(true)
    expect((await store.get('soonest'))?.bytes).toEqual(filled(60_000))
  })

  it('refuses a value that would not fit alone, and leaves the old one', async () => {
    const store = start({ maxBytes: LEAST })
    await store.set('k', filled(10), LONG)
    await expect(store.set('k', filled(LEAST), LONG)).rejects.toThrow(/do not fit into maxBytes/)
    await expect(store.set('k', filled(LEAST), LONG)).rejects.toThrow(RangeError)
    expect((await store.get('k'))?.bytes).toEqual(filled(10))
  })

  it('is taken by a process that opens the directory with less', async () => {
    const keys = Array.from({ length: 200 }, (_, i) => `k${i}`)
    const large = start()
    await Promise.all(keys.map((key) => large.set(key, filled(1000), LONG)))
    const small = start({ maxBytes: LEAST })
    await small.set('last', filled(1000), LONG)
    expect(await usedBytes()).toBeLessThanOrEqual(LEAST)
    expect(await whichAreHeld(small, ['last'])).toEqual(['last'])
  })
})

describe('the sweep of lmdb()', () => {
  it('removes what has expired, in several steps, and nothing else', async () => {
    // More steps than there are intervals until the deadline: one sweep must do them all.
    const store = start({ sweepInterval: '1s' })
    const keys = Array.from({ length: 6000 }, (_, i) => `k${i}`)
    await store.set('kept', filled(10), LONG)
    const kept = await usedBytes()
    await Promise.all(keys.map((key) => store.set(key, filled(10), { ttl: 1 })))
    await until('only what lives is counted', async () => (await usedBytes()) === kept, 6000)
    expect(await whichAreHeld(store, ['kept', ...keys])).toEqual(['kept'])
  })

  it('leaves an entry alone that was written again with a longer life', async () => {
    const store = start({ sweepInterval: 20 })
    await store.set('renewed', filled(10), { ttl: 1 })
    await store.set('renewed', filled(20), LONG)
    await store.set('other', filled(10), { ttl: 1 })
    const one = (await usedBytes()) / 2
    await until('the other one is swept', async () => (await usedBytes()) < 1.5 * one)
    expect((await store.get('renewed'))?.bytes).toEqual(filled(20))
  })

  it('removes an entry whose life was shortened, and leaves nothing in the order of expiry', async () => {
    const store = start({ sweepInterval: 20 })
    await store.set('shortened', filled(10), LONG)
    await store.set('nothing', Uint8Array.of(0x2a), LONG)
    await store.shorten?.('nothing', LONG.ttl)
    await store.shorten?.('shortened', 1)
    await until('it is swept', async () => (await usedBytes()) === 0)
    const environment = Environment.acquire(path)
    expect(environment.soonestDue()).toBe(Infinity)
    await environment.release()
  })
})

describe('a store of lmdb()', () => {
  it('shares what it holds with every store of the process on the same path', async () => {
    const one = start()
    const two = start({ path: join(path, '.', 'x', '..') })
    await Promise.all([one.set('a', filled(1), LONG), two.set('b', filled(2), LONG)])
    expect((await two.get('a'))?.bytes).toEqual(filled(1))
    expect((await one.get('b'))?.bytes).toEqual(filled(2))
    await one.close()
    opened = [two]
    await two.set('c', filled(3), LONG)
    expect((await two.get('c'))?.bytes).toEqual(filled(3))
  })

  it('finishes the writes under way when it is closed, and has them when opened again', async () => {
    const store = start()
    const writes = Array.from({ length: 50 }, (_, i) => store.set(`k${i}`, filled(i), LONG))
    const closing = store.close()
    store.open()
    expect(await Promise.all(writes)).toEqual(writes.map(() => true))
    await closing
    expect((await store.get('k49'))?.bytes).toEqual(filled(49))
  })

  it('writes records again in as many steps as others of their length', async () => {
    const store = start()
    const keys = Array.from({ length: 8 }, (_, i) => `k${i}`)
    await Promise.all(keys.map((key) => store.set(key, filled(300_000), LONG)))
    let turns = 0
    let isOver = false
    const count = () => {
      turns++
      if (!isOver) setImmediate(count)
    }
    count()
    const turnsOf = async (change: (key: string) => Promise<unknown> | undefined) =>
      new Set(await Promise.all(keys.map((key) => change(key)?.then(() => turns)))).size
    expect(await turnsOf((key) => store.shorten?.(key, 60_000))).toBeGreaterThan(2)
    await Promise.all(keys.map((key) => store.leases?.take(key, 'a.1', 60_000)))
    const renewal = { expected: filled(300_000), ...LONG }
    const touch = (key: string) => store.leases?.touch?.(key, 'a.1', renewal)
    expect(await turnsOf(touch)).toBeGreaterThan(2)
    isOver = true
  })

  it('rejects until it is opened', async () => {
    await expect(lmdb({ path }).get('k')).rejects.toThrow('not open')
  })

  it('reads, writes and counts lives under fake timers', async () => {
    const store = start()
    vi.useFakeTimers({
      now: 0,
      toFake: ['setTimeout', 'setInterval', 'setImmediate', 'Date', 'performance'],
    })
    for (let i = 0; i < 20; i++) {
      expect(await store.set('k', filled(i), LONG)).toBe(true)
      const read = await store.get('k')
      expect(read?.bytes).toEqual(filled(i))
      expect(read?.ttlLeft).toBeGreaterThan(LONG.ttl - 60_000)
      expect(read?.ttlLeft).toBeLessThanOrEqual(LONG.ttl)
    }
    vi.advanceTimersByTime(2 * LONG.ttl)
    expect((await store.get('k'))?.bytes).toEqual(filled(19))
  })
})

describe('the directory of lmdb()', () => {
  async function environmentFolder(): Promise<string> {
    const store = start()
    await store.set('k', filled(1), LONG)
    await store.close()
    opened = []
    const [folder = ''] = await readdir(path)
    return join(path, folder)
  }

  async function plant(folder: string, key: Buffer, value: Buffer): Promise<void> {
    const raw = openRaw({
      path: folder,
      noSubdir: false,
      keyEncoding: 'binary',
      encoding: 'binary',
      noSync: true,
    })
    await raw.put(key, value)
    await raw.close()
  }

  it('is refused if it is of another format', async () => {
    const meta = Buffer.alloc(12)
    meta.writeUInt32BE(1)
    await plant(await environmentFolder(), META_KEY, meta)
    expect(() => lmdb({ path }).open()).toThrow(/format 1.*reads format 2/)
    expect(() => lmdb({ path }).open()).toThrow(/format 1/)
  })

  it('has its byte counter set right should it be wrong', async () => {
    const meta = Buffer.alloc(12)
    meta.writeUInt32BE(FORMAT)
    meta.writeDoubleBE(1e12, 4)
    await plant(await environmentFolder(), META_KEY, meta)
    const store = start()
    await store.set('only', filled(100), LONG)
    const used = await usedBytes()
    expect(await whichAreHeld(store, ['k', 'only'])).toEqual(['only'])
    await store.set('more', filled(100), LONG)
    expect(await usedBytes()).toBe(2 * used)
  })

  it('is refused if another program wrote it', async () => {
    const folder = await environmentFolder()
    await rm(folder, { recursive: true })
    await plant(folder, Buffer.from('theirs'), Buffer.from('value'))
    expect(() => lmdb({ path }).open()).toThrow(/another program/)
  })

  it('is refused if it is a file, or damaged', async () => {
    await writeFile(join(path, 'file'), '')
    expect(() => lmdb({ path: join(path, 'file') }).open()).toThrow(/cannot use/)
    await writeFile(join(await environmentFolder(), 'data.mdb'), Buffer.alloc(65_536, 'x'))
    expect(() => lmdb({ path }).open()).toThrow(/cannot use/)
  })

  it.runIf(process.platform === 'linux')(
    'is emptied of what earlier runs of the machine left, and of nothing else',
    async () => {
      const own = await environmentFolder()
      const old = join(path, 'boot-00000000-0000-4000-8000-000000000000')
      await plant(old, META_KEY, Buffer.alloc(12))
      await writeFile(join(path, 'boot-strap.txt'), 'not ours')
      expect((await start().get('k'))?.bytes).toEqual(filled(1))
      expect(await readdir(path)).toEqual([own.slice(path.length + 1), 'boot-strap.txt'].sort())
    },
  )
})

describe('the options of lmdb()', () => {
  it.each([
    [{ path: '' }, TypeError, 'path'],
    [{ path: undefined as unknown as string }, TypeError, 'path'],
    [{ path: 'x', maxBytes: LEAST - 1 }, RangeError, 'maxBytes'],
    [{ path: 'x', maxBytes: Number.NaN }, RangeError, 'maxBytes'],
    [{ path: 'x', sweepInterval: 0 }, RangeError, 'sweepInterval'],
    [{ path: 'x', maxSize: 1 } as LmdbOptions, TypeError, 'maxSize'],
  ])('refuse %j by name', (options, kind, name) => {
    expect(() => lmdb(options)).toThrow(kind)
    expect(() => lmdb(options)).toThrow(name)
  })
})
