// Breaks the code on purpose, one place at a time, and demands that the test named beside each break
// turns red. `npm run test:mutants [words]`: only the mutants whose entry holds all the words.
import { spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const COPIED = [
  'src',
  'test',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'vitest.config.ts',
]
const LINKED = ['node_modules', 'dist', 'demo', 'examples', 'docs', 'README.md']
const AT_ONCE = 2

const words = process.argv.slice(2)
const all = JSON.parse(await readFile(join(ROOT, 'test/mutants.json'), 'utf8'))
const mutants = all.filter((mutant) => words.every((word) => JSON.stringify(mutant).includes(word)))
const survivors = []
const queue = mutants.values()
await Promise.all(Array.from({ length: AT_ONCE }, work))

console.log(`${mutants.length - survivors.length} of ${mutants.length} mutants were caught`)
process.exitCode = survivors.length > 0 || mutants.length === 0 ? 1 : 0

async function work() {
  const copy = await mkdtemp(join(tmpdir(), 'jetcache-mutants-'))
  try {
    for (const path of COPIED) await cp(join(ROOT, path), join(copy, path), { recursive: true })
    for (const path of LINKED) await symlink(join(ROOT, path), join(copy, path))
    for (const mutant of queue) await judge(copy, mutant)
  } finally {
    await rm(copy, { recursive: true })
  }
}

async function judge(copy, mutant) {
  const path = join(copy, mutant.file)
  const source = await readFile(path, 'utf8')
  const verdict = await caught(copy, path, source, mutant)
  await writeFile(path, source)
  if (verdict !== undefined) survivors.push(mutant)
  const change = `${mutant.find} -> ${mutant.replace}`.replace(/\s+/g, ' ')
  console.log(`${verdict ?? 'caught'}: ${mutant.file}: ${change}\n    by "${mutant.name}"`)
}

/** Resolves `undefined` if the named test failed, else why not. */
async function caught(copy, path, source, mutant) {
  if (source.split(mutant.find).length !== 2) return 'NOT ONE PLACE'
  await writeFile(
    path,
    source.replace(mutant.find, () => mutant.replace),
  )
  const report = join(copy, 'report.json')
  await rm(report, { force: true })
  const named = ['-t', mutant.name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), '--bail=1']
  await vitest(copy, [mutant.test, ...named, '--reporter=json', `--outputFile=${report}`])
  const text = await readFile(report, 'utf8').catch(() => undefined)
  if (text === undefined) return 'NO REPORT'
  const results = JSON.parse(text).testResults.flatMap((file) => file.assertionResults)
  const ran = results.filter((result) => result.fullName.includes(mutant.name))
  if (ran.length === 0) return 'NO SUCH TEST'
  return ran.some((result) => result.status === 'failed') ? undefined : 'SURVIVED'
}

function vitest(cwd, args) {
  const command = join(ROOT, 'node_modules/vitest/vitest.mjs')
  const child = spawn(process.execPath, [command, 'run', ...args], { cwd, stdio: 'ignore' })
  const limit = setTimeout(() => child.kill('SIGKILL'), 180_000)
  return new Promise((resolve) => {
    child.on('close', () => {
      clearTimeout(limit)
      resolve()
    })
  })
}
