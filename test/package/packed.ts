import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'

const exec = promisify(execFile)

export const root: string = resolve(import.meta.dirname, '../..')

/** The package as `npm publish` would send it, installed beside its real optional peers. */
export interface Packed {
  readonly tarball: string
  /** Bytes. */
  readonly packedSize: number
  readonly unpackedSize: number
  /** Paths in the tarball, sorted. */
  readonly files: readonly string[]
  /** A project that has the package, its peers and @types/node in node_modules. */
  readonly consumer: string
  remove(): Promise<void>
}

interface PackReport {
  readonly filename: string
  readonly size: number
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string }[]
}

const BESIDE_DIST = ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'docs']

const PEERS = ['lmdb', 'lru-cache', 'redis', '@types/node', 'undici-types']

/** Builds into a folder of its own, so that it neither depends on `dist` nor disturbs it. */
export async function pack(): Promise<Packed> {
  const scratch = await mkdtemp(join(tmpdir(), 'jetcache-ts-package-'))
  const staging = join(scratch, 'staging')
  for (const file of BESIDE_DIST) {
    if (!existsSync(join(root, file))) continue
    await cp(join(root, file), join(staging, file), { recursive: true })
  }
  await runTool('tsc', ['-p', 'tsconfig.build.json', '--outDir', join(staging, 'dist')])
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', scratch]
  const { stdout } = await exec('npm', args, { cwd: staging })
  const [report] = JSON.parse(stdout) as PackReport[]
  if (report === undefined) throw new Error('npm pack packed nothing')
  const tarball = join(scratch, report.filename)
  const consumer = join(scratch, 'consumer')
  await install(tarball, consumer)
  return {
    tarball,
    packedSize: report.size,
    unpackedSize: report.unpackedSize,
    files: report.files.map(({ path }) => path).sort(),
    consumer,
    remove: () => rm(scratch, { recursive: true }),
  }
}

async function install(tarball: string, consumer: string): Promise<void> {
  const own = join(consumer, 'node_modules/jetcache-ts')
  await mkdir(own, { recursive: true })
  await exec('tar', ['-xzf', tarball, '-C', own, '--strip-components=1'])
  for (const peer of PEERS) {
    const link = join(consumer, 'node_modules', peer)
    await mkdir(dirname(link), { recursive: true })
    await symlink(join(root, 'node_modules', peer), link)
  }
  await writeFile(join(consumer, 'package.json'), '{ "type": "module", "private": true }')
}

/** Runs a tool of this repository's node_modules; rejects with what it printed if it fails. */
export async function runTool(tool: string, args: readonly string[], cwd = root): Promise<string> {
  try {
    const { stdout } = await exec(join(root, 'node_modules/.bin', tool), args, { cwd })
    return stdout
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    throw new Error(`${tool} failed:\n${stdout}${stderr}`)
  }
}

/** Runs a module of the consumer project and returns what it printed, as JSON. */
export async function runConsumer(consumer: string, source: string): Promise<unknown> {
  const file = join(consumer, 'main.mjs')
  await writeFile(file, source)
  const { stdout } = await exec(process.execPath, [file], { cwd: consumer })
  return JSON.parse(stdout)
}
