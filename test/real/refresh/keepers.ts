import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { CacheStats } from '../../../src/face.ts'
import type { RedisProcess } from '../../../src/testing/servers/server-process.ts'
import { until } from '../../support/until.ts'
import { type History, type Load, type Loads, type Seen, storedOf } from './judge.ts'

const SCRIPT = fileURLToPath(new URL('keeper.mjs', import.meta.url))
const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** Ends the key of the list to which all loaders of a key write. */
const LOGS = ':loads'

/** How a keeper is started; its last argument is its task. */
export type Command = readonly [program: string, ...args: string[]]

/** What a keeper is to do, in milliseconds. */
interface Task {
  readonly who: string
  readonly url: string
  readonly keys: readonly string[]
  /** What it adds to a key for the list of its loads. */
  readonly logs: string
  /** On which all tell of their changes; empty: they do not. */
  readonly channel: string
  readonly interval: number
  readonly ttl: number
  readonly loaderMs: number
  readonly askEvery: number
}

/** What is the same for all keepers. */
export interface Setup {
  readonly server: RedisProcess
  /** Unique on the server. */
  readonly name: string
  readonly keys: number
  readonly bus: boolean
  readonly interval: number
  readonly loaderMs: number
}

/** One turn of asking for all keys. */
interface Turn {
  readonly seen: readonly (Seen | { readonly failure: string })[]
  /** Of a Node.js process. */
  readonly stats?: CacheStats
}

/** A process that has keys refreshed, and asks for them now and then. */
export class Keeper {
  readonly who: string
  readonly command: Command
  readonly seen: Seen[] = []
  readonly failures: string[] = []
  stats: CacheStats | undefined
  readonly #child: ChildProcess
  #said = ''

  constructor(command: Command, task: Task) {
    const [program, ...args] = command
    this.who = task.who
    this.command = command
    const child = spawn(program, [...args, JSON.stringify(task)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#child = child
    createInterface({ input: child.stdout }).on('line', (line) => this.#hear(JSON.parse(line)))
    child.stderr.on('data', (chunk) => {
      this.#said = `${this.#said}${chunk}`.slice(-2000)
    })
  }

  get isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** It has asked for all keys; from now on they are refreshed by it, too. */
  async started(): Promise<void> {
    await until(
      `${this.who} has asked for its keys`,
      () => {
        if (this.isGone) throw new Error(`${this.who} has ended: ${this.#said}`)
        return this.seen.length > 0
      },
      30_000,
    )
  }

  /** By SIGKILL. */
  async kill(): Promise<void> {
    if (this.isGone) return
    // Once all that it has said is heard.
    const gone = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await gone
  }

  #hear({ seen, stats }: Turn): void {
    this.stats = stats
    for (const each of seen) {
      if ('failure' in each) this.failures.push(each.failure)
      else this.seen.push(each)
    }
  }
}

/** Processes that refresh the same keys between them. */
export class Keepers {
  readonly keys: readonly string[]
  /** Those that are gone included. */
  readonly all: Keeper[] = []
  readonly #setup: Setup

  constructor(setup: Setup) {
    this.#setup = setup
    this.keys = Array.from({ length: setup.keys }, (_, i) => `${setup.name}:${i}`)
  }

  get alive(): readonly Keeper[] {
    return this.all.filter((keeper) => !keeper.isGone)
  }

  /** One more, which has asked for all keys when this resolves. */
  async start(command: Command): Promise<Keeper> {
    const { server, name, bus, interval, loaderMs } = this.#setup
    const keeper = new Keeper(command, {
      who: `${name}-${this.all.length}`,
      url: server.url,
      keys: this.keys,
      logs: LOGS,
      channel: bus ? `${name}:changes` : '',
      interval,
      // Nothing expires in a test, and Go makes an hour of less than a second.
      ttl: 600_000,
      loaderMs,
      askEvery: 100,
    })
    this.all.push(keeper)
    await keeper.started()
    return keeper
  }

  /** All loads there have been. */
  async loads(): Promise<Loads> {
    const { server } = this.#setup
    const loads = new Map<string, readonly Load[]>()
    for (const key of this.keys) {
      const lines = (await server.ask('LRANGE', `${key}${LOGS}`, '0', '-1')) as readonly string[]
      const all = lines.map((line): Load => {
        const [who = '', at, reason = ''] = line.split(' ')
        return { who, at: Number(at), reason }
      })
      loads.set(key, all)
    }
    return loads
  }

  /** All that has happened; asked for when they are gone. */
  async history(): Promise<History> {
    const stored = storedOf(this.all.flatMap(({ seen }) => seen))
    return { keys: this.keys, loads: await this.loads(), stored }
  }

  /** Waits until each key has been loaded so often. */
  async loaded(times: number): Promise<void> {
    await until(
      `each key has been loaded ${times} times`,
      async () => {
        const loads = await this.loads()
        return [...loads.values()].every(({ length }) => length >= times)
      },
      30_000,
    )
  }

  async dismiss(): Promise<void> {
    await Promise.all(this.all.map((keeper) => keeper.kill()))
  }
}

/** The keeper in Node.js, for as long as its folder is there. */
export interface NodeKeeper {
  readonly command: Command
  remove(): Promise<void>
}

export async function buildNodeKeeper(): Promise<NodeKeeper> {
  // In here its packages are found. Children cannot import TypeScript, `dist` may be older.
  const folder = await mkdtemp(join(ROOT, 'node_modules/.refresh-test-'))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
  const project = ['-p', join(ROOT, 'tsconfig.build.json'), '--outDir', folder]
  // Types are checked elsewhere.
  const options = ['--noCheck', '--declaration', 'false', '--isolatedDeclarations', 'false']
  const child = spawn(process.execPath, [compiler, ...project, ...options], { stdio: 'inherit' })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`the compiler ended with ${code}`)
  return {
    command: [process.execPath, SCRIPT, folder],
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
