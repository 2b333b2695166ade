import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { until } from '../support/until.ts'
import { bytes, crew, textOf, type Worker } from './lmdb-crew.ts'
import { killRounds, openCloseRounds, stopRounds } from './lmdb-rounds.ts'

const MINUTE = 60_000
const TTL = { ttl: MINUTE }

interface Outcome {
  readonly value?: unknown
  readonly verdict?: string
  readonly message?: string
}

const processes = crew()

/** Two processes that share `k`, one of them stopped by `task`. */
async function startWithStopped(task: string): Promise<{ stopped: Worker; own: Worker }> {
  const [stopped, own] = await Promise.all([processes.start(), processes.start()])
  await own.ask('call', 'set', 'k', bytes('v1'), TTL)
  stopped.ask(task, 'k', 'of the stopped one').catch(() => undefined)
  await until('it is stopped', () => stopped.isStopped)
  return { stopped, own }
}

function goOn(stopped: Worker): void {
  stopped.process.kill('SIGCONT')
}

const set = (worker: Worker, text: string) =>
  worker.ask<Outcome>('attempt', 'set', 'k', bytes(text), TTL)

const untilWritten = (worker: Worker, text: string) =>
  until('it writes again', async () => (await set(worker, text)).value === true, 2000)

// What is told of a stopped process is told through /proc.
describe.skipIf(process.platform !== 'linux')('a process stopped by a signal', () => {
  const windows = [
    ['inside a write transaction', 'stopInside'],
    ['at the gate, to open the directory or to begin a transaction', 'stopAtGate'],
  ]

  it.each(windows)('%s leaves the others their reads and refuses their writes', async (_, task) => {
    const { stopped, own } = await startWithStopped(task)
    const write = set(own, 'v2')
    // An event loop that waits for a lock answers nothing.
    expect(textOf(await own.ask('call', 'get', 'k'))).toBe('v1')
    const refused = { verdict: 'refused', message: expect.stringContaining('stopped') }
    expect(await write).toEqual(refused)
    expect(await own.ask('attempt', 'delete', ['k'])).toEqual(refused)
    expect(textOf(await own.ask('call', 'get', 'k'))).toBe('v1')
    goOn(stopped)
    await untilWritten(own, 'v3')
    expect(textOf(await stopped.ask('call', 'get', 'k'))).toBe('v3')
  })

  it('keeps no write of others for later, however many', async () => {
    const { stopped, own } = await startWithStopped('stopInside')
    expect(await own.ask('flood', 2000)).toEqual(['refused'])
    goOn(stopped)
    await untilWritten(own, 'v2')
    expect(await own.ask('call', 'get', 'flood:0')).toBeUndefined()
  })

  it('does not let a write take effect that was taken back meanwhile', async () => {
    const { stopped, own } = await startWithStopped('stopAtGate')
    const reasons = await own.ask<string[]>('withdraw', 'set', 'filled', 'k')
    expect(reasons).toEqual(new Array(5).fill('too late'))
    goOn(stopped)
    // Whatever was still waiting would be committed before it, or together with it.
    const write = () => own.ask<Outcome>('attempt', 'set', 'next', bytes('v'), TTL)
    await until('it writes again', async () => (await write()).value === true, 2000)
    expect(await own.ask('call', 'getMany', ['set', 'filled'])).toEqual([undefined, undefined])
    expect(textOf(await own.ask('call', 'get', 'k'))).toBe('v1')
  })

  it.each(windows)('%s, then killed, leaves nothing behind', async (_, task) => {
    const { stopped, own } = await startWithStopped(task)
    expect(await set(own, 'v2')).toMatchObject({ verdict: 'refused' })
    await stopped.kill()
    expect(textOf(await own.ask('call', 'get', 'k'))).toBe('v1')
    await untilWritten(own, 'v3')
    const audit = await processes.audit()
    const { counted, counter } = audit.recount()
    expect(counter).toBe(counted)
    await audit.close()
  })

  it('does not hold up one that starts: it cannot read yet, and can as soon as that goes on', async () => {
    const { stopped } = await startWithStopped('stopInside')
    const late = await processes.start()
    expect(await late.ask('attempt', 'get', 'k')).toMatchObject({ verdict: 'unavailable' })
    expect(await late.ask('attempt', 'ping')).toMatchObject({ verdict: 'unavailable' })
    goOn(stopped)
    const read = async () => (await late.ask<Outcome>('attempt', 'get', 'k')).value
    await until('it can read', async () => (await read()) !== undefined, 2000)
    expect(textOf(await read())).toBe('of the stopped one')
  })

  it('does not keep another one from closing, or from ending with a write under way', async () => {
    const { own } = await startWithStopped('stopAtGate')
    const ending = await processes.start()
    await own.ask('call', 'close')
    ending.ask('exit').catch(() => undefined)
    const [code] = await once(ending.process, 'exit')
    expect(code).toBe(0)
  })

  it('costs a cache its writes, not its hits, and no old value is read where a set failed', async () => {
    const { stopped, own } = await startWithStopped('stopAtGate')
    goOn(stopped)
    for (const key of ['hit', 'changed']) await own.ask('cached', 'set', key, 'v1')
    stopped.ask('stopAtGate').catch(() => undefined)
    await until('it is stopped', () => stopped.isStopped)
    for (let i = 0; i < 20; i++) {
      const { code } = await own.ask<{ code?: string }>('cached', 'set', 'changed', `v${2 + i}`)
      expect(code).toBe('CACHE_REMOTE')
      // By the loader, and so right.
      expect(await own.ask('cachedOnce', 'changed', 'new')).toEqual({ value: 'new' })
      expect(await own.ask('cachedOnce', `cold${i}`, 'loaded')).toEqual({ value: 'loaded' })
    }
    expect(await own.ask('cached', 'get', 'hit')).toEqual({ value: 'v1' })
    goOn(stopped)
    const pending = async () =>
      (await own.ask<{ recoveryPending: number }>('cacheStats')).recoveryPending
    await until('all is repaired', async () => (await pending()) === 0, 5000)
    expect(await own.ask('cached', 'get', 'changed')).toEqual({ value: undefined })
    expect(await own.ask('cached', 'set', 'changed', 'last')).toEqual({ value: true })
    expect(await own.ask('cached', 'get', 'changed')).toEqual({ value: 'last' })
  })

  it('at any moment costs the others nothing but writes', async () => {
    await stopRounds(processes, 5)
  })
})

describe('processes that share a store of lmdb(), when one of them', () => {
  it('is killed in the middle, go on, and no value is torn', async () => {
    await killRounds(processes, 3)
  })

  it('is of a cluster with another one, do not hold the gate together', async () => {
    const script = fileURLToPath(new URL('lmdb-cluster.mjs', import.meta.url))
    const primary = fork(script, [processes.built, processes.path])
    const ended = once(primary, 'exit')
    const [taken] = await once(primary, 'message')
    expect(taken).toBe(1)
    await ended
  })

  it('opens and closes the directory all the time, go on', async () => {
    await openCloseRounds(processes, 50)
  })
})
