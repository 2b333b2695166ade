import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Servers } from './servers.ts'

/** What was read of one key. */
export interface Found {
  readonly status: string
  readonly value: unknown
  readonly error: string | undefined
}

const READER = fileURLToPath(new URL('reader.mjs', import.meta.url))
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Another process on the same servers, without a local tier; the network's faults do not concern it. */
export class OtherProcess {
  readonly #child: ChildProcess
  readonly #built: string
  readonly #exit: Promise<never>

  private constructor(child: ChildProcess, built: string) {
    this.#child = child
    this.#built = built
    this.#exit = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`the reading process has ended: ${code ?? signal}`)
    })
    this.#exit.catch(() => undefined)
  }

  static async on({ ports, bySlot }: Servers): Promise<OtherProcess> {
    const built = await mkdtemp(join(tmpdir(), 'jetcache-ts-reader-'))
    // It cannot import TypeScript, and `dist` may be older than the source.
    await compile(built)
    const args = [built, bySlot ? 'cluster' : 'single', ...ports.map(String)]
    const child = fork(READER, args, { serialization: 'advanced' })
    const other = new OtherProcess(child, built)
    try {
      await other.#hears()
    } catch (error) {
      await other.end()
      throw error
    }
    return other
  }

  /** One by one what the keys hold, read at once. @throws Error if the process has ended. */
  async read(keys: readonly string[]): Promise<readonly Found[]> {
    this.#child.send(keys)
    return (await this.#hears()) as readonly Found[]
  }

  async end(): Promise<void> {
    if (this.#child.connected) {
      this.#child.disconnect()
      await this.#exit.catch(() => undefined)
    }
    await rm(this.#built, { recursive: true, force: true })
  }

  async #hears(): Promise<unknown> {
    const heard = new Promise((resolve) => this.#child.once('message', resolve))
    return Promise.race([heard, this.#exit])
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
