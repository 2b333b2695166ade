import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { open as openRaw } from 'lmdb'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { lmdb } from '../../src/lmdb/lmdb-store.ts'
import { costOf, META_KEY } from '../../src/lmdb/records.ts'
import { until } from '../support/until.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const MINUTE = 60_000
const MANY_BYTES = 256 * 2 ** 20

let built: string
let path: string
let workers: Worker[]

// Children cannot import TypeScript, and `dist` may be older than the source.
beforeAll(async () => {
  built = await mkdtemp(join(ROOT, 'node_modules/.lmdb-test-'))
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
  const args = [
    '-p',
    join(ROOT, 'tsconfig.build.json'),
    '--outDir',
    built,
    '--declaration',
    'false',
  ]
  await once(
    spawn(process.execPath, [
      compiler,
      ...args,
      '--isolatedDeclarations',
      'false',
      '--noEmitOnError',
      'false',
    ]),
    'close',
  )
  expect(existsSync(join(built, 'lmdb/index.js'))).toBe(true)
}, 60_000)

afterAll(() => rm(built, { recursive: true, force: true }))

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'jetcache-lmdb-'))
  workers = []
})

afterEach(async () => {
  vi.useRealTimers()
  await Promise.all(workers.map((worker) => worker.kill()))
  await rm(path, { recursive: true, force: true })
})

interface Reply {
  readonly id?: number
  readonly answer?: unknown
  readonly failure?: string
}

/** One child process with a store on the directory of the test. */
class Worker {
  readonly process: ChildProcess
  progress: unknown
  #errors = ''
  #asked = 0
  readonly #waiting = new Map<number, (reply: Reply) => void>()

  private constructor(maxBytes: number, command: readonly string[]) {
    const script = fileURLToPath(new URL('lmdb-process.mjs', import.meta.url))
    const [file = '', ...args] = [...command, process.execPath, script, built, path, `${maxBytes}`]
    this.process = spawn(file, args, {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      serialization: 'advanced',
    })
    this.process.stderr?.on('data', (text) => {
      this.#errors += text
    })
    this.process.on('message', (reply: Reply & { progress?: unknown }) => {
      if (reply.progress !== undefined) this.progress = reply.progress
      if (reply.id !== undefined) this.#settle(reply.id, reply)
    })
    this.process.on('exit', (code, signal) => {
      const failure = `exited (${code ?? signal}): ${this.#errors}`
      for (const id of this.#waiting.keys()) this.#settle(id, { failure })
    })
  }

  static async start(maxBytes = MANY_BYTES, command: readonly string[] = []): Promise<Worker> {
    const worker = new Worker(maxBytes, command)
    workers.push(worker)
    await until('the child has started', () => {
      if (worker.process.exitCode !== null) throw new Error(`the child exited: ${worker.#errors}`)
      return worker.progress !== undefined
    })
    return worker
  }

  async ask<T>(task: string, ...args: unknown[]): Promise<T> {
    const id = this.#asked++
    const reply = new Promise<Reply>((resolve) => this.#waiting.set(id, resolve))
    this.process.send({ id, task, args })
    const { answer, failure } = await reply
    if (failure !== undefined) throw new Error(failure)
    return answer as T
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    this.process.kill('SIGKILL')
    await once(this.process, 'exit')
  }

  #settle(id: number, reply: Reply): void {
    this.#waiting.get(id)?.(reply)
    this.#waiting.delete(id)
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (read: unknown): string =>
  Buffer.from((read as { bytes: Uint8Array }).bytes).toString()

const RAW = { noSubdir: false, keyEncoding: 'binary', encoding: 'binary', noSync: true } as const

async function dataFolder(): Promise<string> {
  return join(path, (await readdir(path))[0] ?? '')
}

interface Audit {
  /** What all entries cost together, and the counter, both in one snapshot. */
  recount(): { counted: number; counter: number }
  close(): Promise<void>
}

/** Looks at the data past the store; opened as the store opens it, while nobody commits. */
async function startAudit(): Promise<Audit> {
  const folder = await dataFolder()
  const gate = openRaw<Buffer, Buffer>({ ...RAW, path: join(folder, 'gate') })
  const raw = gate.transactionSync(() => openRaw<Buffer, Buffer>({ ...RAW, path: folder }))
  return {
    recount: () => {
      let counted = 0
      const transaction = raw.useReadTransaction()
      const entries = { start: Buffer.of(1), end: Buffer.of(3), transaction }
      for (const { key, value } of raw.getRange(entries)) counted += costOf(key, value.length)
      const counter = raw.get(META_KEY, { transaction })?.readDoubleBE(4) ?? 0
      transaction.done()
      raw.resetReadTxn()
      return { counted, counter }
    },
    close: async () => {
      await raw.close()
      await gate.close()
    },
  }
}

describe('processes that share a store of lmdb()', () => {
  it('see each other’s writes as soon as these have resolved', async () => {
    const [one, two] = await Promise.all([Worker.start(), Worker.start()])
    for (let i = 0; i < 100; i++) {
      const [writer, reader] = i % 2 === 0 ? [one, two] : [two, one]
      await writer.ask('call', 'set', 'k', bytes(`v${i}`), { ttl: MINUTE })
      expect(textOf(await reader.ask('call', 'get', 'k'))).toBe(`v${i}`)
    }
    await one.ask('call', 'delete', ['k'])
    expect(await two.ask('call', 'get', 'k')).toBeUndefined()
  })

  it('see each other’s writes within one turn and under fake timers', async () => {
    const worker = await Worker.start()
    const store = lmdb({ path })
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
    const [one, two] = await Promise.all([Worker.start(), Worker.start()])
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
    const [one, two] = await Promise.all([Worker.start(cap), Worker.start(cap)])
    let writing = true
    const both = Promise.all([one.ask('churn', 1500), two.ask('churn', 1500)]).finally(() => {
      writing = false
    })
    const audit = await startAudit()
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
    const worker = await Worker.start()
    // Two environments of one process on one path would wait for each other for ever.
    expect(await worker.ask('openAgain', 200)).toBe(200)
  })

  it('never commit while another one is opening the directory', async () => {
    const worker = await Worker.start()
    const gate = openRaw<Buffer, Buffer>({ ...RAW, path: join(await dataFolder(), 'gate') })
    let finishOpening = (): void => undefined
    let opening: Promise<unknown> = Promise.resolve()
    await new Promise<void>((begun) => {
      opening = gate.transaction(() => {
        begun()
        return new Promise<void>((resolve) => {
          finishOpening = resolve
        })
      })
    })
    const write = worker.ask('call', 'set', 'k', bytes('v'), { ttl: MINUTE })
    for (let i = 0; i < 100; i++) expect(await worker.ask('call', 'get', 'k')).toBeUndefined()
    finishOpening()
    expect(await write).toBe(true)
    expect(textOf(await worker.ask('call', 'get', 'k'))).toBe('v')
    await opening
    await gate.close()
  })

  it('may come and go while others write', async () => {
    const [one, two] = await Promise.all([Worker.start(2 ** 19), Worker.start(2 ** 19)])
    let writing = true
    const both = Promise.all([one.ask('churn', 4000), two.ask('churn', 4000)]).finally(() => {
      writing = false
    })
    let visits = 0
    while (writing) {
      const store = lmdb({ path })
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
    const first = await Worker.start()
    await first.ask('call', 'set', 'closed', bytes('1'), { ttl: MINUTE })
    await first.ask('close')
    first.process.disconnect()
    await once(first.process, 'exit')
    const second = await Worker.start()
    await second.ask('call', 'set', 'killed', bytes('2'), { ttl: MINUTE })
    await second.kill()
    const third = await Worker.start()
    expect(textOf(await third.ask('call', 'get', 'closed'))).toBe('1')
    expect(textOf(await third.ask('call', 'get', 'killed'))).toBe('2')
  })

  it('go on when a writer is killed in the middle, and no value is torn', async () => {
    const survivor = await Worker.start()
    const audit = await startAudit()
    for (let round = 0; round < 5; round++) {
      const victim = await Worker.start()
      victim.ask('churn', 1e9).catch(() => undefined)
      const own = survivor.ask('churn', 300)
      await until('the victim is writing', () => Number(victim.progress) >= 100)
      await victim.kill()
      expect(victim.process.signalCode).toBe('SIGKILL')
      await own
      const { whole, torn } = await survivor.ask<{ whole: number; torn: number }>('inspect')
      expect(torn).toBe(0)
      expect(whole).toBeGreaterThan(10)
      const { counted, counter } = audit.recount()
      expect(counter).toBe(counted)
    }
    await audit.close()
  }, 60_000)

  it.skipIf(process.platform === 'win32')(
    'reject a write that the disk has no room for, read on, and write again once there is room',
    async () => {
      // 8,192 blocks of 512 bytes; what is beyond fails as on a full disk.
      const worker = await Worker.start(MANY_BYTES, ['sh', '-c', 'ulimit -f 8192; exec "$0" "$@"'])
      expect(await worker.ask('overflow')).toEqual({
        failure: expect.stringContaining('not committed'),
        readable: 50_000,
        after: true,
      })
      expect(worker.process.exitCode).toBeNull()
    },
  )
})
