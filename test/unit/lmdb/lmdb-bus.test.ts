import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { BusListener, BusSession } from '../../../src/bus/invalidation-bus.ts'
import { prepareDirectory } from '../../../src/lmdb/directory.ts'
import { Environment } from '../../../src/lmdb/environment.ts'
import { Gate } from '../../../src/lmdb/gate.ts'
import { type LmdbBusOptions, lmdbBus } from '../../../src/lmdb/lmdb-bus.ts'
import { lmdb } from '../../../src/lmdb/lmdb-store.ts'
import type { Space } from '../../../src/lmdb/space.ts'
import { until } from '../../support/until.ts'

let path: string
let sessions: BusSession[]

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'jetcache-lmdb-'))
  sessions = []
})

afterEach(async () => {
  vi.useRealTimers()
  await Promise.all(sessions.map((session) => session.close()))
  await rm(path, { recursive: true, force: true })
})

interface Heard extends BusSession {
  readonly told: string[]
}

function open(options: Partial<LmdbBusOptions> = {}, react?: (text: string) => void): Heard {
  const told: string[] = []
  const listener: BusListener = {
    message: (text) => {
      told.push(text)
      react?.(text)
    },
    changed: () => told.push('changed'),
    up: () => told.push('up'),
    down: () => told.push('down'),
  }
  const session = lmdbBus({ path, ...options }).open(listener, { name: 'cache' })
  sessions.push(session)
  return Object.assign(session, { told })
}

/** In one transaction: between two looks at the log. */
async function write(run: (space: Space) => void): Promise<void> {
  const environment = Environment.acquire(path)
  await environment.write(run, 0)
  await environment.release()
}

const message = (i: number) => ({ channel: 'cache', text: `m${i}` })

describe('a session of lmdbBus()', () => {
  it('begins at the end of the log', async () => {
    const early = open()
    expect(await early.publish('before')).toBe(true)
    const late = open()
    await early.publish('after')
    await Promise.all([early.beat(), late.beat()])
    expect(early.told).toEqual(['up', 'before', 'after'])
    expect(late.told).toEqual(['up', 'after'])
  })

  it('hands over what was written together in parts, in order', async () => {
    const session = open()
    const texts = Array.from({ length: 3000 }, (_, i) => `m${i}`)
    await write((space) => {
      for (let i = 0; i < texts.length; i++) space.log.append(message(i), Date.now())
    })
    await session.beat()
    expect(session.told).toEqual(['up', ...texts])
  })

  it.each([
    ['by their age', 3, Date.now() - 60_000],
    ['by their number', 20_001, Date.now()],
  ])('tells of messages that were removed before it read them, %s', async (_, count, sentAt) => {
    const session = open()
    await write((space) => space.log.append({ channel: 'cache', text: 'first' }, sentAt))
    await session.beat()
    await write((space) => {
      for (let i = 0; i < count; i++) space.log.append(message(i), sentAt)
      space.log.append(message(count), Date.now())
    })
    // It has no answer to what it has not heard.
    await expect(session.beat()).rejects.toThrow('removed')
    await until('it listens again', () => session.told.at(-1) === 'up')
    await session.publish('last')
    await session.beat()
    expect(session.told).toEqual(['up', 'first', 'down', 'up', 'last'])
  })

  it('tells of messages that were removed by their size', async () => {
    const session = open()
    const text = 'x'.repeat(2 ** 20)
    await write((space) => {
      for (let i = 0; i < 9; i++) space.log.append({ channel: 'cache', text }, Date.now())
    })
    await until('it listens again', () => session.told.at(-1) === 'up' && session.told.length > 1)
    expect(session.told).toEqual(['up', 'down', 'up'])
  })

  it('hears one message that is larger than all that is kept', async () => {
    const session = open()
    const text = 'x'.repeat(9 * 2 ** 20)
    expect(await session.publish(text)).toBe(true)
    await session.beat()
    expect(session.told.map((each) => each.length)).toEqual([2, text.length])
  })

  it('may be asked for a beat while it hands over a message', async () => {
    const beats: Promise<void>[] = []
    const session = open({}, (text) => {
      if (text === 'm1') beats.push(session.beat())
    })
    await write((space) => {
      for (let i = 0; i < 5; i++) space.log.append(message(i), Date.now())
    })
    await session.beat()
    await Promise.all(beats)
    expect(beats.length).toBe(1)
    expect(session.told).toEqual(['up', 'm0', 'm1', 'm2', 'm3', 'm4'])
  })

  it('may be closed while it hands over a message', async () => {
    const session = open({}, (text) => {
      if (text === 'm3') void session.close()
    })
    await write((space) => {
      for (let i = 0; i < 5; i++) space.log.append(message(i), Date.now())
    })
    await until('it is closed', () => session.told.includes('m3'))
    expect(await session.publish('late')).toBe(false)
    await expect(session.beat()).rejects.toThrow('closed')
    expect(session.told).toEqual(['up', 'm0', 'm1', 'm2', 'm3'])
  })

  it('listens as soon as the directory can be opened, and says so', async () => {
    const leave = new Gate(prepareDirectory(path)).take()
    const session = open()
    await expect(session.beat()).rejects.toThrow('does not listen')
    const published = session.publish('waits')
    expect(session.told).toEqual([])
    leave?.()
    expect(await published).toBe(true)
    await until('it listens', () => session.told.includes('up'))
    await session.publish('m')
    await session.beat()
    expect(session.told.filter((each) => each !== 'waits')).toEqual(['up', 'm'])
  })

  it('says for certain that a message did not go out while nobody can write', async () => {
    const session = open()
    const leave = new Gate(prepareDirectory(path)).take()
    expect(await session.publish('never')).toBe(false)
    leave?.()
    expect(await session.publish('m')).toBe(true)
    await session.beat()
    expect(session.told).toEqual(['up', 'm'])
  })

  it('listens under fake timers', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'setImmediate', 'Date'] })
    const session = open()
    await session.publish('m')
    await vi.waitFor(() => expect(session.told).toEqual(['up', 'm']))
  })

  it('has its channel in common with stores of the same directory, and its name with none', () => {
    const { origin = {} } = lmdb({ path: join(path, 'x', '..') })
    expect(open().channelOn?.(origin)).toBe('cache')
    expect(open({ channel: 'c' }).channelOn?.(origin)).toBe('c')
    expect(open().channelOn?.(lmdb({ path: join(path, 'other') }).origin ?? {})).toBeUndefined()
    expect(open().channelOn?.({})).toBeUndefined()
  })

  it('hears of a change in the very step in which it can be read', async () => {
    const session = open()
    const store = lmdb({ path })
    store.open()
    const announce = { channel: 'cache', text: 'set' }
    await store.set('k', Uint8Array.of(1), { ttl: 60_000, announce })
    await session.beat()
    expect(session.told).toEqual(['up', 'set'])
    await store.close()
  })
})

describe('the options of lmdbBus()', () => {
  it.each([
    [{ path: '' }, TypeError, 'path'],
    [{ path: 'x', channel: '' }, RangeError, 'channel'],
    [{ path: 'x', channel: 'x'.repeat(1001) }, RangeError, 'channel'],
    [{ path: 'x', channel: 1 } as unknown as LmdbBusOptions, TypeError, 'channel'],
    [{ path: 'x', maxBytes: 1 } as LmdbBusOptions, TypeError, 'maxBytes'],
  ])('refuse %j by name', (options, kind, name) => {
    expect(() => lmdbBus(options)).toThrow(kind)
    expect(() => lmdbBus(options)).toThrow(name)
  })
})
