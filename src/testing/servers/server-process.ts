import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { ask, type Reply } from './resp.ts'
import { until } from './until.ts'

/** A Redis or Valkey server of our own. It ends, at the latest, with the process that started it. */
export interface RedisProcess {
  /** `redis://127.0.0.1:<port>` */
  readonly url: string
  readonly port: number
  /** Of the process that runs, or ran last; a restart changes it. */
  readonly pid: number
  /** Whether the process is there, frozen or not. */
  readonly isRunning: boolean
  /**
   * Sends a command over a connection of its own; bulk strings are read as UTF-8.
   *
   * @throws Error (as a rejection): the server's error reply as it is, or that no reply came within
   * a second.
   */
  ask(...command: readonly string[]): Promise<Reply>
  /** Ends the process by SIGKILL, frozen or not, and waits until it is gone. The port stays ours. */
  kill(): Promise<void>
  /** Stops the process by SIGSTOP: connections stay, and are made, but nothing is answered. */
  freeze(): void
  /** Lets a frozen process go on (SIGCONT): it reads what was sent to it meanwhile. */
  resume(): void
  /**
   * Kills the process if it runs and starts another one on the same port, with the same arguments
   * and directory. Without persistence it is empty.
   *
   * @throws Error (as a rejection) if it does not answer within 10 s.
   */
  restart(): Promise<void>
  /** Kills the process and removes its directory. Does nothing the second time. */
  stop(): Promise<void>
}

/** How one kind of server is started. */
interface Launch {
  readonly port?: number | undefined
  readonly args: readonly string[]
  /** Text of a configuration file, for servers that want one of their own to write to. */
  readonly config?: string | undefined
}

/** Milliseconds to the first answer; it takes some 50 on an idle machine. */
const PATIENCE = 10_000

/** In the directory of a server that has one. */
const CONFIG = 'server.conf'

/** Another process may take the free port before the server does. */
const TRIES = 5

/** @throws Error (as a rejection) as `startRedis` tells. */
export async function startServer(launch: Launch): Promise<RedisProcess> {
  for (let tries = 1; ; tries++) {
    const directory = await mkdtemp(join(tmpdir(), 'jetcache-ts-redis-'))
    const server = new ServerProcess(launch.port ?? (await freePort()), directory, launch)
    try {
      if (launch.config !== undefined) await writeFile(join(directory, CONFIG), launch.config)
      await server.start()
      return server
    } catch (error) {
      await server.stop()
      const mayTry = launch.port === undefined && tries < TRIES
      if (!mayTry || !String(error).includes('Address already in use')) throw error
    }
  }
}

class ServerProcess implements RedisProcess {
  readonly port: number
  readonly #directory: string
  readonly #launch: Launch
  #child: ChildProcess | undefined

  constructor(port: number, directory: string, launch: Launch) {
    this.port = port
    this.#directory = directory
    this.#launch = launch
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.#child?.pid ?? -1
  }

  get isRunning(): boolean {
    const child = this.#child
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null
  }

  /** @throws Error (as a rejection) with what the server wrote, if it does not answer in time. */
  async start(): Promise<void> {
    const { args, config } = this.#launch
    const own = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#directory]
    const file = config === undefined ? [] : [join(this.#directory, CONFIG)]
    await this.#spawn([...file, ...own, ...args])
    try {
      await until(
        `the server on port ${this.port} answers`,
        async () => !this.isRunning || (await this.#answers()),
        PATIENCE,
      )
    } catch (cause) {
      throw new Error(`the server does not answer: ${await this.#written()}`, { cause })
    }
    if (!this.isRunning) throw new Error(`the server ended: ${await this.#written()}`)
  }

  ask(...command: readonly string[]): Promise<Reply> {
    return ask(this.port, ...command)
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || !this.isRunning) return
    child.ref()
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  async restart(): Promise<void> {
    await this.kill()
    await this.start()
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #spawn(args: readonly string[]): Promise<void> {
    // A file, not a pipe: it keeps neither process waiting for the other.
    const output = await open(join(this.#directory, 'output.txt'), 'a')
    try {
      for (const binary of binaries()) {
        const child = spawn(binary, args, { stdio: ['ignore', output.fd, output.fd] })
        this.#child = child
        if (await hasBegun(child)) {
          killAtExit(child)
          child.unref()
          return
        }
      }
    } finally {
      await output.close()
    }
    throw new Error(
      `none of ${binaries().join(', ')} can be run: install redis-server or valkey-server, or name one in REDIS_SERVER`,
    )
  }

  /** Another server may answer on this port while ours is finding out that it is taken. */
  async #answers(): Promise<boolean> {
    const about = String(await this.ask('INFO', 'server'))
    return about.includes(`process_id:${this.pid}\r\n`) && (await this.ask('PING')) === 'PONG'
  }

  async #written(): Promise<string> {
    return (await readFile(join(this.#directory, 'output.txt'), 'utf8')).slice(-2000)
  }
}

/** Children that would outlive this process. One listener serves them all. */
const running = new Set<ChildProcess>()

function killAtExit(child: ChildProcess): void {
  if (running.size === 0) process.on('exit', killRunning)
  running.add(child)
  child.once('exit', () => {
    running.delete(child)
    if (running.size === 0) process.off('exit', killRunning)
  })
}

function killRunning(): void {
  for (const child of running) child.kill('SIGKILL')
}

function binaries(): readonly string[] {
  const named = process.env['REDIS_SERVER']
  return named === undefined || named === '' ? ['redis-server', 'valkey-server'] : [named]
}

function hasBegun(child: ChildProcess): Promise<boolean> {
  return new Promise((resolve) => {
    child.once('spawn', () => resolve(true))
    child.once('error', () => resolve(false))
  })
}
