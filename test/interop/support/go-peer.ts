import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import type { GoCodec } from './fixtures.ts'

/** One command to the Go program; `go/main.go` says what each of its fields means. */
export interface GoCommand {
  readonly do:
    | 'set'
    | 'get'
    | 'once'
    | 'delete'
    | 'read'
    | 'typedSet'
    | 'mget'
    | 'event'
    | 'parseEvent'
    | 'refresh'
    | 'join'
    | 'held'
    | 'heard'
    | 'holdEvents'
    | 'releaseEvents'
  readonly codec?: GoCodec
  readonly fixture?: string
  readonly key?: string
  readonly ttl?: number
  readonly loads?: string
  readonly target?: string
  readonly prefix?: string
  readonly idType?: string
  readonly ids?: readonly string[]
  readonly known?: readonly string[]
  readonly text?: string
  readonly member?: string
  readonly channel?: string
  readonly local?: GoLocal
  readonly from?: number
}

/** The local tiers of jetcache-go. */
export type GoLocal = 'tinyLFU' | 'freeCache'

/** One message of a channel, heard by a Go service. */
export interface GoNews {
  readonly text: string
  /** Why it is no event to Go. */
  readonly error?: string
  /** As Go understands it. */
  readonly event: {
    readonly CacheName: string
    readonly SourceID: string
    readonly EventType: number
    readonly Keys: readonly string[] | null
  }
  readonly dropped?: readonly string[]
}

export interface GoAnswer {
  readonly error?: string
  readonly notFound?: boolean
  readonly panicked?: boolean
  readonly same?: boolean
  readonly shown?: string
  readonly loads: number
  readonly asked?: readonly string[]
  readonly values?: Readonly<Record<string, string>>
  readonly text?: string
  readonly held?: boolean
  readonly heard?: readonly GoNews[]
}

const SOURCE = join(import.meta.dirname, '..', 'go')

/** Modules may have to be downloaded, and the standard library to be compiled. */
const DOWNLOAD_DEADLINE = 60_000
export const BUILD_DEADLINE = 300_000

const run = promisify(execFile)

/** The Go toolchain, once it is sure to have what the program imports; or why there is none. */
export async function findGo(): Promise<{ readonly go: string } | { readonly missing: string }> {
  for (const go of ['go', '/usr/local/go/bin/go']) {
    try {
      await run(go, ['version'])
    } catch {
      continue
    }
    try {
      await run(go, ['list', '-deps', '.'], { cwd: SOURCE, timeout: DOWNLOAD_DEADLINE })
      return { go }
    } catch (error) {
      const said = String((error as { stderr?: unknown }).stderr ?? error).split('\n')
      const reason = said.find((line) => line !== '' && !line.startsWith('go: downloading'))
      return { missing: `its modules cannot be had (${reason ?? 'not in time'})` }
    }
  }
  return { missing: 'there is no Go toolchain on PATH or in /usr/local/go' }
}

/** A service on jetcache-go, in a process of its own. */
export class GoPeer {
  readonly #child: ChildProcess
  readonly #dir: string
  readonly #waiting: { resolve: (answer: GoAnswer) => void; reject: (error: Error) => void }[] = []
  #said = ''

  /** Builds the program and starts it. */
  static async start(go: string, redisUrl: string): Promise<GoPeer> {
    const dir = await mkdtemp(join(tmpdir(), 'jetcache-ts-interop-'))
    try {
      const program = join(dir, 'peer')
      await run(go, ['build', '-o', program, '.'], { cwd: SOURCE, timeout: BUILD_DEADLINE })
      const child = spawn(program, ['-redis', redisUrl], { stdio: ['pipe', 'pipe', 'pipe'] })
      await once(child, 'spawn')
      return new GoPeer(child, dir)
    } catch (error) {
      await rm(dir, { recursive: true, force: true })
      throw error
    }
  }

  private constructor(child: ChildProcess, dir: string) {
    this.#child = child
    this.#dir = dir
    if (child.stdout === null || child.stderr === null) throw new Error('no pipes to the program')
    createInterface(child.stdout).on('line', (line) => {
      this.#waiting.shift()?.resolve(JSON.parse(line))
    })
    child.stderr.on('data', (chunk) => {
      this.#said = `${this.#said}${chunk}`.slice(-2000)
    })
    child.once('exit', () => {
      for (const each of this.#waiting.splice(0)) {
        each.reject(new Error(`the Go program ended: ${this.#said}`))
      }
    })
  }

  /** Obeyed one after the other, in the order of the calls. */
  call(command: GoCommand): Promise<GoAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#child.exitCode !== null) reject(new Error(`the Go program ended: ${this.#said}`))
      this.#waiting.push({ resolve, reject })
      this.#child.stdin?.write(`${JSON.stringify(command)}\n`)
    })
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL')
      await once(this.#child, 'exit')
    }
    await rm(this.#dir, { recursive: true, force: true })
  }
}
