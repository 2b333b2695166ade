// Brings a clone into the state that `npm test` and `npm start` need: dependencies, then the build.
// Plain Node and no dependencies, since it runs before there are any. Silent if nothing is to do.
import { readdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from './run.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

if (Number.parseInt(process.versions.node, 10) < 20) {
  console.error(`jetcache-ts needs Node.js 20 or later, this is ${process.versions.node}`)
  process.exit(1)
}
if (!isInstalled()) {
  console.log('setup: npm ci')
  // Not when it is up to date: npm ci wipes node_modules under whatever runs from it.
  await run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund'], { cwd: root })
}
if (!isBuilt()) {
  console.log('setup: build')
  await run('npm', ['run', '--silent', 'build'], { cwd: root })
  for (const file of strayOutputs()) rmSync(join(root, 'dist', file))
}

/** npm writes this file at the end of an installation. */
function isInstalled() {
  const installed = changedAt('node_modules/.package-lock.json')
  return installed !== undefined && installed >= changedAt('package-lock.json')
}

/** Each output exists and is newer than every source: the compiler writes all of them each time. */
function isBuilt() {
  const sources = sourceFiles()
  const inputs = ['tsconfig.json', 'tsconfig.build.json', ...sources.map((file) => `src/${file}`)]
  const newest = Math.max(...inputs.map(changedAt))
  return (
    sources.every((file) => changedAt(`dist/${toOutput(file)}`) >= newest) &&
    strayOutputs().length === 0
  )
}

/** What was built from sources that are no longer there. */
function strayOutputs() {
  const outputs = new Set(sourceFiles().map(toOutput))
  return filesIn('dist').filter((file) => !outputs.has(file.replace(/\.d\.ts$/, '.js')))
}

function sourceFiles() {
  return filesIn('src').filter((file) => file.endsWith('.ts'))
}

function toOutput(source) {
  return source.replace(/\.ts$/, '.js')
}

function filesIn(folder) {
  try {
    return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(join(root, folder).length + 1))
      .map((path) => path.replaceAll('\\', '/'))
  } catch {
    return []
  }
}

/** Milliseconds; `undefined`, which is neither older nor newer than anything, if it is not there. */
function changedAt(path) {
  return statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs
}
