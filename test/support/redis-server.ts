import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './until.ts'

export interface RedisServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Kills it, a stopped (SIGSTOP) one as well, and waits until it is gone. */
  stop(): Promise<void>
}

export interface RedisServerOptions {
  /** To start one again where one ran before. Default: a free port. */
  readonly port?: number
  /** More arguments, as on the command line. */
  readonly args?: readonly string[]
}

const BINARIES = ['redis-server', 'valkey-server']

/** Another process may take the free port before the server does. */
const TRIES = 5

/** Starts a Redis or Valkey of our own on a loopback port, without persistence. */
export async function startRedisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  for (let tries = 1; ; tries++) {
    try {
      return await start(options.port ?? (await freePort()), options.args ?? [])
    } catch (error) {
      if (tries === TRIES || options.port !== undefined) throw error
    }
  }
}

async function start(port: number, more: readonly string[]): Promise<RedisServer> {
  const dir = await mkdtemp(join(tmpdir(), 'jetcache-ts-redis-'))
  const { child, output } = await launch([
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', dir],
    ...['--save', '', '--appendonly', 'no'],
    ...more,
  ])
  // Whatever ends this process must not leave a server behind.
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const stop = async () => {
    process.off('exit', kill)
    if (child.exitCode === null && child.signalCode === null) {
      kill()
      await once(child, 'exit')
    }
    await rm(dir, { recursive: true, force: true })
  }
  try {
    await until('the server answers PING', async () => {
      if (child.exitCode !== null) throw new Error(`it ended: ${output()}`)
      return answersPing(port)
    })
  } catch (error) {
    await stop()
    throw error
  }
  return { url: `redis://127.0.0.1:${port}`, port, pid: child.pid ?? -1, stop }
}

async function launch(
  args: readonly string[],
): Promise<{ child: ChildProcess; output: () => string }> {
  for (const binary of BINARIES) {
    const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    child.stdout.on('data', (chunk) => {
      said = `${said}${chunk}`.slice(-2000)
    })
    child.stderr.on('data', (chunk) => {
      said = `${said}${chunk}`.slice(-2000)
    })
    const missing = await new Promise<boolean>((resolve) => {
      child.once('spawn', () => resolve(false))
      child.once('error', () => resolve(true))
    })
    if (!missing) return { child, output: () => said }
  }
  throw new Error(
    `none of ${BINARIES.join(', ')} is on PATH: install one, or name a server in REDIS_URL`,
  )
}

/** A port that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return address.port
}

function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    const answer = (yes: boolean) => {
      socket.destroy()
      resolve(yes)
    }
    socket.setTimeout(1000, () => answer(false))
    socket.on('error', () => answer(false))
    socket.on('data', (reply) => answer(reply.toString().startsWith('+PONG')))
  })
}
