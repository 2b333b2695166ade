import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** The source, compiled: a process of its own cannot import TypeScript, and `dist` may be older. */
export interface BuiltSource {
  /** Runs a module that imports from `./`; returns what it writes. */
  run(program: string, ...flags: string[]): string
  remove(): Promise<void>
}

export async function buildSource(): Promise<BuiltSource> {
  const cwd = await mkdtemp(join(tmpdir(), 'jetcache-ts-built-'))
  await writeFile(join(cwd, 'package.json'), '{ "type": "module" }')
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
  // Types are checked elsewhere.
  const options = ['--noCheck', '--declaration', 'false', '--isolatedDeclarations', 'false']
  const project = ['-p', 'tsconfig.build.json', '--outDir', cwd]
  execFileSync(process.execPath, [compiler, ...project, ...options], { cwd: ROOT })
  return {
    run: (program, ...flags) => {
      const args = [...flags, '--input-type=module', '-e', program]
      return execFileSync(process.execPath, args, { cwd, encoding: 'utf8' })
    },
    remove: () => rm(cwd, { recursive: true, force: true }),
  }
}
