import { once } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { Gate } from '../../src/lmdb/gate.ts'
import { lmdb } from '../../src/lmdb/lmdb-store.ts'
import { bytes, crew, MANY_BYTES, textOf } from './lmdb-crew.ts'

const MINUTE = 60_000

const processes = crew()

describe('processes that share a store of lmdb()', () => {
  it('see each other’s writes as soon as these have resolved', async () => {
    const [one, two] = await Promise.all([processes.start(), processes.start()])
    for (let i = 0; i < 100; i++) {
      const [writer, reader] = i % 2 === 0 ? [one, two] : [two, one]
      await writer.ask('call', 'set', 'k', bytes(`v${i}`), { ttl: MINUTE })
      expect(textOf(await reader.ask('call', 'get', 'k'))).toBe(`v${i}`)
    }
    await one.ask('call', 'delete', ['k'])
    expect(await two.ask('call', 'get', 'k')).toBeUndefined()
  })

  it('see each other’s writes within one turn and under fake timers', async () => {
    const worker = await processes.start()
    const store = lmdb({ path: processes.path })
    store.open()
    const fakes = ['setTimeout', 'setImmediate', 'setInterval', 'Date'] as const
    vi.useFakeTimers({ toFake: [...fakes] })
    try {
      for (let i = 0; i < 20; i++) {
        await store.get('k')
        await worker.ask('call', 'set', 'k', bytes(`v${i}`), { ttl: MINUTE })
        expect(textOf(await store.get('k'))).toBe(`v${i}`)
      }
    } finally {
      await store.close()
    }
  })

  it('have exactly one winner in each of 200 races for a key', async () => {
    const [one, two] = await Promise.all([processes.start(), processes.start()])
    const wins = [0, 0]
    for (let round = 0; round < 200; round++) {
      const won = await Promise.all([one, two].map((each) => each.ask<number>('race', `r${round}`)))
      expect((won[0] ?? 0) + (won[1] ?? 0), `round ${round}`).toBe(1)
      wins[0] = (wins[0] ?? 0) + (won[0] ?? 0)
      wins[1] = (wins[1] ?? 0) + (won[1] ?? 0)
    }
    expect(
      wins.every((count) => count > 0),
      `wins ${wins}`,
    ).toBe(true)
  })

  it('keep the byte cap and one true counter, in every snapshot while two of them write', async () => {
    const cap = 2 ** 19
    const [one, two] = await Promise.all([processes.start(cap), processes.start(cap)])
    let writing = true
    const both = Promise.all([one.ask('churn', 1500), two.ask('churn', 1500)]).finally(() => {
      writing = false
    })
    const audit = await processes.audit()
    let most = 0
    do {
      const { counted, counter } = audit.recount()
      expect(counter).toBe(counted)
      most = Math.max(most, counted)
      await new Promise((resolve) => setImmediate(resolve))
    } while (writing)
    await both
    await audit.close()
    expect(most).toBeLessThanOrEqual(cap)
    expect(most).toBeGreaterThan(cap / 2)
  })

  it('may open the directory again while they write', async () => {
    const worker = await processes.start()
    // Two environments of one process on one path would wait for each other for ever.
    expect(await worker.ask('openAgain', 200)).toBe(200)
  })

  it('never commit while another one is opening the directory', async () => {
    const worker = await processes.start()
    const leave = new Gate(await processes.dataFolder()).take()
    expect(leave).toBeDefined()
    const write = worker.ask('call', 'set', 'k', bytes('v'), { ttl: MINUTE })
    for (let i = 0; i < 20; i++) expect(await worker.ask('call', 'get', 'k')).toBeUndefined()
    leave?.()
    expect(await write).toBe(true)
    expect(textOf(await worker.ask('call', 'get', 'k'))).toBe('v')
  })

  it('may come and go while others write', async () => {
    const [one, two] = await Promise.all([processes.start(2 ** 19), processes.start(2 ** 19)])
    let writing = true
    const both = Promise.all([one.ask('churn', 4000), two.ask('churn', 4000)]).finally(() => {
      writing = false
    })
    let visits = 0
    while (writing) {
      const store = lmdb({ path: processes.path })
      store.open()
      await store.get('churn:1')
      await store.close()
      await new Promise((resolve) => setImmediate(resolve))
      visits++
    }
    expect(await both).toEqual([4000, 4000])
    expect(visits).toBeGreaterThan(20)
    expect((await one.ask<{ torn: number }>('inspect')).torn).toBe(0)
  }, 60_000)

  it('find what an ended process has written, also after a SIGKILL', async () => {
    const first = await processes.start()
    await first.ask('call', 'set', 'closed', bytes('1'), { ttl: MINUTE })
    await first.ask('close')
    first.process.disconnect()
    await once(first.process, 'exit')
    const second = await processes.start()
    await second.ask('call', 'set', 'killed', bytes('2'), { ttl: MINUTE })
    await second.kill()
    const third = await processes.start()
    expect(textOf(await third.ask('call', 'get', 'closed'))).toBe('1')
    expect(textOf(await third.ask('call', 'get', 'killed'))).toBe('2')
  })

  it.skipIf(process.platform === 'win32')(
    'reject a write that the disk has no room for, read on, and write again once there is room',
    async () => {
      // 8,192 blocks of 512 bytes; what is beyond fails as on a full disk.
      const worker = await processes.start(MANY_BYTES, [
        'sh',
        '-c',
        'ulimit -f 8192; exec "$0" "$@"',
      ])
      expect(await worker.ask('overflow')).toEqual({
        failure: { verdict: 'refused', message: expect.stringContaining('not committed') },
        readable: 50_000,
        after: true,
      })
      expect(worker.process.exitCode).toBeNull()
    },
  )
})
