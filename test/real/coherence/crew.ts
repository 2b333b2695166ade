import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CacheStats } from '../../../src/face.ts'
import { Database } from '../../faults/database.ts'
import { until } from '../../support/until.ts'
import { Ledger, now } from './ledger.ts'

const WORKER = fileURLToPath(new URL('worker.mjs', import.meta.url))
const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** The cache of one process, and what it lies on. */
export interface Setup {
  readonly name: string
  readonly client: 'node-redis' | 'ioredis' | 'lmdb'
  readonly port?: number
  /** Where the bus's own client connects; without it the bus is made of the remote tier's client. */
  readonly busPort?: number
  readonly bus?: 'pubSub' | 'tracking'
  /** Of tracking. */
  readonly prefixes?: readonly string[]
  /** Of LMDB. */
  readonly path?: string
  /** More options of `createCache`. */
  readonly options?: Readonly<Record<string, unknown>>
}

/** What a process does until it is told to stop. */
export interface MixedLoad {
  readonly keys: readonly string[]
  /** Those it changes: their places among the keys. */
  readonly own: readonly number[]
  /** Calls of `once` in each 5 ms. */
  readonly reads: number
  /** How many of these turns come with a change. */
  readonly writeRatio: number
  /** The longest a loader takes, in milliseconds. */
  readonly loaderMs: number
}

interface FromWorker {
  readonly id?: number
  readonly answer?: unknown
  readonly failure?: string
  readonly database?: {
    readonly id: number
    readonly verb: 'read' | 'update'
    readonly key: string
  }
  readonly seen?: {
    readonly answers: Float64Array
    readonly changes: Float64Array
    readonly failures: number
  }
}

/** One process. */
export class Worker {
  /** Never given again, also not to the one that takes its place. */
  readonly number: number
  readonly #child: ChildProcess
  readonly #crew: Crew
  #keys: readonly string[] = []
  #asked = 0
  readonly #waiting = new Map<number, (reply: FromWorker) => void>()

  constructor(crew: Crew, number: number, child: ChildProcess) {
    this.#crew = crew
    this.number = number
    this.#child = child
    child.on('message', (message: FromWorker) => this.#hear(message))
    child.on('exit', (code, signal) => {
      const failure = `process ${number} has ended: ${code ?? signal}`
      for (const id of this.#waiting.keys()) this.#settle(id, { failure })
    })
  }

  get isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** @throws Error (as a rejection) if the task fails, or the process ends before. */
  async ask<T>(task: string, ...args: readonly unknown[]): Promise<T> {
    const id = this.#asked++
    const reply = new Promise<FromWorker>((resolve) => this.#waiting.set(id, resolve))
    this.#child.send({ id, task, args })
    const { answer, failure } = await reply
    if (failure !== undefined) throw new Error(`${task}: ${failure}`)
    return answer as T
  }

  started(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(-1, ({ failure }) => {
        if (failure === undefined) resolve()
        else reject(new Error(failure))
      })
    })
  }

  stats(): Promise<CacheStats> {
    return this.ask('stats')
  }

  begin(load: MixedLoad): Promise<void> {
    this.#keys = load.keys
    return this.ask('begin', load)
  }

  freeze(): void {
    this.#child.kill('SIGSTOP')
  }

  resume(): void {
    this.#child.kill('SIGCONT')
  }

  /** By SIGKILL. */
  async kill(): Promise<void> {
    if (this.isGone) return
    this.#crew.ledger.kills.push({ worker: this.number, at: now() })
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }

  #hear({ id, database, seen, ...reply }: FromWorker): void {
    if (database !== undefined) this.#serve(database.id, database.verb, database.key)
    else if (seen !== undefined) this.#record(seen)
    else if (id !== undefined) this.#settle(id, reply)
  }

  #settle(id: number, reply: FromWorker): void {
    this.#waiting.get(id)?.(reply)
    this.#waiting.delete(id)
  }

  #serve(id: number, verb: 'read' | 'update', key: string): void {
    const { ledger, database } = this.#crew
    const row = database[verb](key)
    const at = now()
    if (verb === 'read') ledger.loads.push({ worker: this.number, key, at })
    else ledger.updates.push({ ...row, at })
    // It may be dead by now.
    if (!this.isGone) this.#child.send({ id, row }, () => undefined)
  }

  #record({ answers, changes, failures }: Required<FromWorker>['seen']): void {
    const { ledger } = this.#crew
    ledger.failures += failures
    const keyAt = (index: number | undefined) => this.#keys[index ?? 0] ?? ''
    for (let i = 0; i < answers.length; i += 5) {
      const [index, version = 0, begunAt = 0, settledAt = 0, armed] = answers.subarray(i, i + 5)
      const [worker, key] = [this.number, keyAt(index)]
      ledger.answers.push({ worker, key, version, begunAt, settledAt, armed: armed === 1 })
    }
    for (let i = 0; i < changes.length; i += 3) {
      const [index, version = 0, at = 0] = changes.subarray(i, i + 3)
      ledger.acknowledged.push({ key: keyAt(index), version, at })
    }
  }
}

/** Processes that share servers, and a database that this process keeps for them. */
export class Crew {
  readonly database: Database = new Database()
  /** Of what was done since `renew`. */
  ledger: Ledger = new Ledger()
  readonly #built: string
  readonly #all: Worker[] = []

  private constructor(built: string) {
    this.#built = built
  }

  static async muster(size: number): Promise<Crew> {
    // In here its packages are found. Children cannot import TypeScript, `dist` may be older.
    const built = await mkdtemp(join(ROOT, 'node_modules/.coherence-test-'))
    await compile(built)
    const crew = new Crew(built)
    await Promise.all(Array.from({ length: size }, () => crew.recruit()))
    return crew
  }

  /** Those that are alive, in the order in which they came. */
  get workers(): readonly Worker[] {
    return this.#all.filter((worker) => !worker.isGone)
  }

  async recruit(): Promise<Worker> {
    const child = fork(WORKER, [this.#built], { serialization: 'advanced' })
    const worker = new Worker(this, this.#all.length, child)
    this.#all.push(worker)
    await worker.started()
    return worker
  }

  renew(): void {
    this.ledger = new Ledger()
  }

  /** Opens a cache in each process. */
  async open(setup: (place: number) => Setup): Promise<void> {
    this.renew()
    await this.each((worker, place) => worker.ask('open', setup(place)))
  }

  each<T>(work: (worker: Worker, place: number) => Promise<T>): Promise<T[]> {
    return Promise.all(this.workers.map(work))
  }

  /** Waits until the caches of all processes are as they should be. */
  async all(condition: string, holds: (stats: CacheStats) => boolean): Promise<void> {
    await until(
      condition,
      async () => {
        const stats = await this.each((worker) => worker.stats())
        return stats.every(holds)
      },
      30_000,
    )
  }

  /** The sum of one of their counters. */
  async sum(counter: (stats: CacheStats) => number): Promise<number> {
    const stats = await this.each((worker) => worker.stats())
    return stats.reduce((sum, each) => sum + counter(each), 0)
  }

  async dismiss(): Promise<void> {
    await this.each((worker) => worker.kill())
    await rm(this.#built, { recursive: true, force: true })
  }
}

async function compile(folder: string): Promise<void> {
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
  const project = ['-p', join(ROOT, 'tsconfig.build.json'), '--outDir', folder]
  // Types are checked elsewhere.
  const options = ['--noCheck', '--declaration', 'false', '--isolatedDeclarations', 'false']
  const child = spawn(process.execPath, [compiler, ...project, ...options], { stdio: 'inherit' })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`the compiler ended with ${code}`)
}
