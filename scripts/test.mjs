// All that must hold, fastest first; the first stage that fails ends the run. The last line counts.
//   npm test                     everything
//   npm test -- test/promises    only these tests (arguments of vitest)
//   npm run test:long            only test/long
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureRedis } from './redis.mjs'
import { exitCode } from './run.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const args = process.argv.slice(2)
const long = args.includes('--long')
const chosen = args.filter((arg) => arg !== '--long')
const only = long || chosen.length > 0
const scratch = await mkdtemp(join(tmpdir(), 'jetcache-ts-test-'))
// Biome colours what it prints for a CI, terminal or not.
const plain = process.stdout.isTTY ? [] : ['--colors=off']
const report = join(scratch, 'report.json')

const stages = [
  ...(only
    ? []
    : [
        {
          name: 'lint and format',
          start: () => npx('biome', ['ci', '--error-on-warnings', ...plain, '.']),
        },
      ]),
  ...(only ? [] : [{ name: 'types', start: () => npx('tsc', ['--noEmit']) }]),
  { name: 'redis', start: redis },
  { name: long ? 'long tests' : 'tests', start: tests },
]

const times = []
let failed
for (const stage of stages) {
  const startedAt = performance.now()
  console.log(`\n== ${stage.name}`)
  const code = await stage.start()
  times.push(`${stage.name} ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
  if (code === 0) continue
  failed = stage.name
  break
}
console.log(`\n${times.join(', ')}${failed === undefined ? '' : `: ${failed} FAILED`}`)
console.log(await countLine())
await rm(scratch, { recursive: true })
process.exit(failed === undefined ? 0 : 1)

async function redis() {
  try {
    console.log(await ensureRedis())
    return 0
  } catch (error) {
    console.error(error.message)
    return 1
  }
}

function tests() {
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const env = long ? { ...process.env, TEST_LONG: '1' } : process.env
  const none = long ? ['--passWithNoTests'] : []
  return npx('vitest', ['run', ...reporters, ...none, ...chosen], { env })
}

function npx(binary, binaryArgs, options = {}) {
  return exitCode(join(root, 'node_modules', '.bin', binary), binaryArgs, { cwd: root, ...options })
}

/** `N passed, N failed`, as vitest counted. What failed without being a test counts as one. */
async function countLine() {
  let passed = 0
  let broken = 0
  let skipped = 0
  try {
    const { numPassedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
      await readFile(report, 'utf8'),
    )
    passed = numPassedTests
    skipped = numPendingTests + numTodoTests
    for (const file of testResults) {
      const tests = file.assertionResults.filter((test) => test.status === 'failed').length
      // A file that cannot be imported has no tests, but has failed.
      broken += file.status === 'failed' ? Math.max(1, tests) : tests
    }
  } catch {
    // No report: the run ended in a stage before the tests.
  }
  if (failed !== undefined) broken = Math.max(1, broken)
  return `${passed} passed, ${broken} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`
}
