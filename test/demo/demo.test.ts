import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, inject, it } from 'vitest'
import { until } from '../support/until.ts'

const MAIN = fileURLToPath(new URL('../../demo/main.mjs', import.meta.url))
const FOLDER = fileURLToPath(new URL('../../.demo/', import.meta.url))

/** The first run imports the cities, on a machine that runs other tests as well. */
const LONG = 150_000

interface Demo {
  readonly child: ChildProcess
  readonly out: () => string
  readonly err: () => string
}

/** A process group of its own, so that whatever it leaves running is found by the group's id. */
function start(args: readonly string[], environment: Record<string, string> = {}): Demo {
  const { REDIS_URL: _, INIT_CWD: __, ...inherited } = process.env
  const child = spawn(process.execPath, [MAIN, ...args], {
    detached: true,
    env: { ...inherited, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  child.stderr.on('data', (chunk) => {
    err += chunk
  })
  return { child, out: () => out, err: () => err }
}

function anyRuns({ child }: Demo): boolean {
  try {
    return process.kill(-pidOf(child), 0)
  } catch {
    return false
  }
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('the demo was not started')
  return child.pid
}

async function finished(demo: Demo): Promise<number | null> {
  const [code] = await once(demo.child, 'close')
  return code as number | null
}

function loading(demo: Demo): Promise<void> {
  const begun = (): boolean => {
    if (demo.child.exitCode !== null) throw new Error(`the demo ended: ${demo.err()}`)
    return demo.out().includes('Requests:')
  }
  return until('the load has begun', begun, LONG)
}

/** The table's rows: name, then the figures as printed. */
function rowsOf(out: string): Map<string, string[]> {
  const cells = out
    .split('\n')
    .filter((line) => line.trimStart().startsWith('│'))
    .map((line) => line.split('│').map((cell) => cell.trim()))
  return new Map(cells.map(([, name = '', ...figures]) => [name, figures.slice(0, 2)]))
}

function figures(out: string, name: string): readonly [number, number] {
  const [without = '', cached = ''] = rowsOf(out).get(name) ?? []
  const value = (text: string): number => Number.parseFloat(text.replaceAll(',', ''))
  return [value(without), value(cached)]
}

async function runFolders(): Promise<string[]> {
  return (await readdir(FOLDER)).filter((name) => name.startsWith('run-'))
}

function expectWholeTable(out: string, remote: string): void {
  expect([...rowsOf(out).keys()]).toEqual([
    '',
    'requests',
    'database queries',
    'hit ratio, local',
    `hit ratio, remote (${remote})`,
    'joined a load under way',
    'p50',
    'p99',
    'throughput',
  ])
  const [requests, again] = figures(out, 'requests')
  expect(again).toBe(requests)
  const [queries, fewer] = figures(out, 'database queries')
  expect(queries).toBe(requests)
  expect(fewer).toBeLessThan(queries)
  for (const name of ['p50', 'p99', 'throughput']) {
    for (const figure of figures(out, name)) expect(figure, name).toBeGreaterThan(0)
  }
  const shares = ['hit ratio, local', `hit ratio, remote (${remote})`, 'joined a load under way']
  const answered = shares.map((name) => figures(out, name)[1]).reduce((sum, share) => sum + share)
  // Each share is rounded to a tenth.
  expect(answered + (100 * fewer) / requests).toBeCloseTo(100, -0.5)
  expect(figures(out, shares[0] ?? '')[1]).toBeGreaterThan(0)
  expect(figures(out, shares[1] ?? '')[1]).toBeGreaterThan(0)
  expect(out).toMatch(/All [\d,]+ answers through the cache equal the database's/)
}

describe('the demo', () => {
  it(
    'shows fewer database queries with the cache, and leaves nothing running',
    async () => {
      const demo = start(['--quick'])
      expect(await finished(demo), demo.err()).toBe(0)
      expect(demo.err()).toBe('')
      expectWholeTable(demo.out(), 'LMDB')
      expect(anyRuns(demo)).toBe(false)
      expect(await runFolders()).not.toContain(`run-${demo.child.pid}`)
    },
    LONG,
  )

  it(
    'shares the Redis that REDIS_URL names',
    async () => {
      const demo = start(['--quick'], { REDIS_URL: inject('redisUrl') })
      expect(await finished(demo), demo.err()).toBe(0)
      expect(demo.err()).toBe('')
      expectWholeTable(demo.out(), 'Redis')
      expect(anyRuns(demo)).toBe(false)
    },
    LONG,
  )

  it(
    'fails with one clear line if that Redis does not answer',
    async () => {
      const demo = start(['--quick'], { REDIS_URL: 'redis://:secret@127.0.0.1:1' })
      expect(await finished(demo)).toBe(1)
      expect(demo.err()).toBe('  The demo failed: Redis at 127.0.0.1:1 does not answer\n\n')
      expect(anyRuns(demo)).toBe(false)
    },
    LONG,
  )

  it(
    'leaves nothing behind on Ctrl-C',
    async () => {
      const demo = start(['--requests', '100000'])
      await loading(demo)
      process.kill(-pidOf(demo.child), 'SIGINT')
      expect(await finished(demo)).toBe(130)
      expect(demo.err()).toBe('')
      expect(anyRuns(demo)).toBe(false)
      expect(await runFolders()).not.toContain(`run-${demo.child.pid}`)
    },
    LONG,
  )

  it(
    'leaves no process behind when it is killed',
    async () => {
      const demo = start(['--requests', '100000'])
      await loading(demo)
      demo.child.kill('SIGKILL')
      await until('its processes have left', () => !anyRuns(demo))
    },
    LONG,
  )
})

describe('the demo with --trace', () => {
  let folder: string | undefined
  afterAll(() => folder && rm(folder, { recursive: true }))

  it(
    'asks for one city per key of the trace, as often and in the order the trace did',
    async () => {
      folder = await mkdtemp(join(tmpdir(), 'jetcache-ts-trace-'))
      const lines = Array.from({ length: 500 }, (_, index) => String(1000 + (index % 3)))
      await writeFile(join(folder, 'three.gz'), gzipSync(`${lines.join('\n')}\n`))
      const demo = start(['--trace', 'three.gz', '--requests', '200'], { INIT_CWD: folder })
      expect(await finished(demo), demo.err()).toBe(0)
      expect(demo.out()).toContain('up to 200 for 3 ids (trace three.gz, its first keys)')
      const [without, cached] = figures(demo.out(), 'database queries')
      expect(without).toBe(200)
      // Each of the two services may load each key before the other's fill is there.
      expect(cached).toBeGreaterThanOrEqual(3)
      expect(cached).toBeLessThanOrEqual(6)
    },
    LONG,
  )

  it(
    'says which line of the file is no key',
    async () => {
      folder ??= await mkdtemp(join(tmpdir(), 'jetcache-ts-trace-'))
      await writeFile(join(folder, 'broken.gz'), gzipSync('1\n2\nthree\n'))
      const demo = start(['--trace', join(folder, 'broken.gz')])
      expect(await finished(demo)).toBe(1)
      expect(demo.err()).toMatch(
        /^ {2}The demo failed: .*broken\.gz: line 3 is no decimal key\n\n$/,
      )
      expect(anyRuns(demo)).toBe(false)
    },
    LONG,
  )
})
