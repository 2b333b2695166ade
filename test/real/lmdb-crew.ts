import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, expect, vi } from 'vitest'
import { openData } from '../../src/lmdb/directory.ts'
import { Gate } from '../../src/lmdb/gate.ts'
import { costOf, META_KEY } from '../../src/lmdb/records.ts'
import { until } from '../support/until.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const MANY_BYTES: number = 256 * 2 ** 20

interface Reply {
  readonly id?: number
  readonly answer?: unknown
  readonly failure?: string
}

interface Audit {
  /** What all entries cost together, and the counter, both in one snapshot. */
  recount(): { counted: number; counter: number }
  close(): Promise<void>
}

/** Child processes with a store on one directory, new for each test. */
export interface Crew {
  readonly path: string
  /** The folder of the compiled package. */
  readonly built: string
  /** Where the data stands, once somebody has opened the directory. */
  dataFolder(): Promise<string>
  /** One more process. */
  start(maxBytes?: number, command?: readonly string[]): Promise<Worker>
  /** Looks at the data past the store; opened as the store opens it, while nobody commits. */
  audit(): Promise<Audit>
}

/** To be called once in a test file: the children live for a test, the compiled package for all. */
export function crew(): Crew {
  let built: string
  let path: string
  let workers: Worker[]

  // Children cannot import TypeScript, and `dist` may be older than the source.
  beforeAll(async () => {
    built = await mkdtemp(join(ROOT, 'node_modules/.lmdb-test-'))
    await compile(built)
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

  const dataFolder = async () => join(path, (await readdir(path))[0] ?? '')
  return {
    get path() {
      return path
    },
    get built() {
      return built
    },
    dataFolder,
    start: async (maxBytes = MANY_BYTES, command = []) => {
      const worker = new Worker([...command, process.execPath, SCRIPT, built, path, `${maxBytes}`])
      workers.push(worker)
      await worker.started()
      return worker
    },
    audit: async () => startAudit(await dataFolder()),
  }
}

const SCRIPT = fileURLToPath(new URL('lmdb-process.mjs', import.meta.url))

async function compile(folder: string): Promise<void> {
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
  const project = ['-p', join(ROOT, 'tsconfig.build.json'), '--outDir', folder]
  const leniently = ['--declaration', '--isolatedDeclarations', '--noEmitOnError']
  const options = leniently.flatMap((option) => [option, 'false'])
  await once(spawn(process.execPath, [compiler, ...project, ...options]), 'close')
}

/** One child process with a store on the directory of the test. */
export class Worker {
  readonly process: ChildProcess
  progress: unknown
  #errors = ''
  #asked = 0
  readonly #waiting = new Map<number, (reply: Reply) => void>()

  constructor([file = '', ...args]: readonly string[]) {
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

  started(): Promise<void> {
    return until('the child has started', () => {
      if (this.process.exitCode !== null) throw new Error(`the child exited: ${this.#errors}`)
      return this.progress !== undefined
    })
  }

  /** Whether a signal has stopped it (Linux). */
  get isStopped(): boolean {
    // After the name, which may itself hold anything: the state.
    return / T [^)]*$/.test(readFileSync(`/proc/${this.process.pid}/stat`, 'latin1'))
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

async function startAudit(folder: string): Promise<Audit> {
  const gate = new Gate(folder)
  const enter = async () => {
    let leave = gate.take()
    await until('the gate is open', () => {
      leave ??= gate.take()
      return leave !== undefined
    })
    return () => leave?.()
  }
  const opened = await enter()
  const data = openData(folder)
  opened()
  return {
    recount: () => {
      let counted = 0
      const transaction = data.useReadTransaction()
      const entries = { start: Buffer.of(1), end: Buffer.of(3), transaction }
      for (const { key, value } of data.getRange(entries)) counted += costOf(key, value.length)
      const counter = data.get(META_KEY, { transaction })?.readDoubleBE(4) ?? 0
      transaction.done()
      data.resetReadTxn()
      return { counted, counter }
    },
    close: async () => {
      const leave = await enter()
      await data.close()
      leave()
    },
  }
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const textOf = (read: unknown): string =>
  Buffer.from((read as { bytes: Uint8Array }).bytes).toString()
