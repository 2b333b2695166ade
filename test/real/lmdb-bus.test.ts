import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import type { LeaseRead } from '../../src/remote/remote-store.ts'
import { until } from '../support/until.ts'
import { bytes, crew, textOf, Worker } from './lmdb-crew.ts'

const SCRIPT = fileURLToPath(new URL('lmdb-bus-process.mjs', import.meta.url))
const MINUTE = 60_000

const processes = crew()
let workers: Worker[] = []

afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.kill()))
  workers = []
})

async function start(): Promise<Worker> {
  const worker = new Worker([process.execPath, SCRIPT, processes.built, processes.path])
  workers.push(worker)
  await worker.started()
  await until('it listens', async () => (await told(worker))[0] === 'up')
  return worker
}

const told = (worker: Worker) => worker.ask<string[]>('told')

async function heard(worker: Worker): Promise<string[]> {
  await worker.ask('beat')
  return told(worker)
}

const kindOf = async (worker: Worker, key: string, token: string): Promise<string> => {
  const [answer] = await worker.ask<LeaseRead[]>('lease', 'read', [key], token, MINUTE)
  return answer?.kind ?? 'none'
}

const numbered = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${name} ${i}`)

describe('processes that share an lmdbBus()', () => {
  it('hear all that each of them says, in its order', async () => {
    const all = await Promise.all([start(), start(), start()])
    await Promise.all(all.map((worker, i) => worker.ask('publishMany', `p${i}`, 300)))
    for (const worker of all) {
      const messages = await heard(worker)
      for (const i of all.keys()) {
        expect(messages.filter((text) => text.startsWith(`p${i} `))).toEqual(numbered(`p${i}`, 300))
      }
      expect(messages.length).toBe(1 + 3 * 300)
    }
    expect((await heard(await start())).length).toBe(1)
  })

  it('can read a change when they hear of it', async () => {
    const [reader, one, two] = await Promise.all([start(), start(), start()])
    await Promise.all([one.ask('count', 'a', 400), two.ask('count', 'b', 400)])
    expect((await heard(reader)).length).toBe(1 + 2 * 400)
    expect(await reader.ask('tooEarly')).toEqual({ tooEarly: 0, reads: 800 })
  })

  it('go on when one is killed while it publishes, and have lost nothing that went out', async () => {
    const [listener, victim] = await Promise.all([start(), start()])
    victim.ask('publishMany', 'v', 100_000).catch(() => undefined)
    await until('it publishes', () => Number(victim.progress) >= 200)
    await victim.kill()
    expect(await listener.ask('publish', 'after')).toBe(true)
    const messages = await heard(listener)
    const fromVictim = messages.filter((text) => text.startsWith('v '))
    expect(fromVictim).toEqual(numbered('v', fromVictim.length))
    expect(fromVictim.length).toBeGreaterThan(200)
    expect(messages.at(-1)).toBe('after')
    expect(messages).not.toContain('down')
  }, 20_000)

  it('do not keep a process from ending', async () => {
    const worker = await start()
    await worker.ask('leave')
    await once(worker.process, 'exit')
    expect(worker.process.exitCode).toBe(0)
  })
})

// What is told of a stopped process is told through /proc.
describe.skipIf(process.platform !== 'linux')('a process that shares an lmdbBus()', () => {
  it('that was stopped for longer than messages are kept says that it has lost some', async () => {
    const [listener, other] = await Promise.all([start(), start()])
    await other.ask('publish', 'before')
    expect(await heard(listener)).toEqual(['up', 'before'])
    listener.process.kill('SIGSTOP')
    await until('it is stopped', () => listener.isStopped)
    await other.ask('publish', 'lost')
    await other.ask('overflow')
    listener.process.kill('SIGCONT')
    await until('it listens again', async () => (await told(listener)).at(-1) === 'up')
    await other.ask('publish', 'after')
    expect(await heard(listener)).toEqual(['up', 'before', 'down', 'up', 'after'])
  })

  it('that was stopped for less has lost nothing', async () => {
    const [listener, other] = await Promise.all([start(), start()])
    listener.process.kill('SIGSTOP')
    await until('it is stopped', () => listener.isStopped)
    await other.ask('publishMany', 'm', 500)
    listener.process.kill('SIGCONT')
    expect(await heard(listener)).toEqual(['up', ...numbered('m', 500)])
  })

  it('stopped in the middle of a write leaves the others their ears, not their voices', async () => {
    const [stopped, own] = await Promise.all([start(), start()])
    await own.ask('publish', 'before')
    stopped.ask('stopInside').catch(() => undefined)
    await until('it is stopped', () => stopped.isStopped)
    expect(await own.ask('publish', 'never')).toBe(false)
    expect(await heard(own)).toEqual(['up', 'before'])
    stopped.process.kill('SIGCONT')
    await until('it writes again', async () => await own.ask('publish', 'after'))
    expect(await heard(own)).toEqual(['up', 'before', 'from inside', 'after'])
  })

  it('killed in the middle of a write has said nothing', async () => {
    const [stopped, own] = await Promise.all([start(), start()])
    stopped.ask('stopInside').catch(() => undefined)
    await until('it is stopped', () => stopped.isStopped)
    await stopped.kill()
    await until('it writes again', async () => await own.ask('publish', 'after'))
    expect(await heard(own)).toEqual(['up', 'after'])
  })

  it('stopped between the grant of a lease and its fill stores nothing after a delete', async () => {
    const [holder, other] = await Promise.all([start(), start()])
    expect(await kindOf(holder, 'k', 'h.1')).toBe('granted')
    const fill = holder.ask('stopThenFill', 'k', 'h.1')
    await until('it is stopped', () => holder.isStopped)
    expect(await kindOf(other, 'k', 'o.1')).toBe('held')
    await other.ask('store', 'delete', ['k'])
    holder.process.kill('SIGCONT')
    expect(await fill).toBe('lost')
    expect(await other.ask('store', 'get', 'k')).toBeUndefined()
  })
})

describe('processes that share the leases of lmdb()', () => {
  it('have exactly one holder in each of 100 races for a key', async () => {
    const pair = await Promise.all([start(), start()])
    const wins = [0, 0]
    for (let round = 0; round < 100; round++) {
      const won = await Promise.all(pair.map((each) => each.ask<number>('race', `r${round}`)))
      expect((won[0] ?? 0) + (won[1] ?? 0), `round ${round}`).toBe(1)
      for (const i of wins.keys()) wins[i] = (wins[i] ?? 0) + (won[i] ?? 0)
    }
    expect(
      wins.every((count) => count > 0),
      `wins ${wins}`,
    ).toBe(true)
  })

  it('are granted the lease of a killed holder when its life is over', async () => {
    const [holder, other] = await Promise.all([start(), start()])
    await holder.ask('lease', 'take', 'k', 'h.1', 300)
    await holder.kill()
    const write = { expected: undefined, bytes: bytes('loaded'), ttl: MINUTE }
    expect(await other.ask('lease', 'fill', 'k', 'o.1', write)).toBe('lost')
    await until('it is granted', async () => (await kindOf(other, 'k', 'o.1')) === 'granted')
    expect(await other.ask('lease', 'fill', 'k', 'o.1', write)).toBe('took')
    expect(textOf(await other.ask('store', 'get', 'k'))).toBe('loaded')
  })
})
