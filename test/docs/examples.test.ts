import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, inject, it } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))

/** What each example prints: the examples say it in comments, and this holds them to it. */
const PRINTS: Readonly<Record<string, string>> = {
  'embedded.mjs': 'Ada true null 2\n',
  'freshness.mjs': '10 stale 10 20 1\n',
  'go-peers.mjs': 'Ada 0.10000000149011612 undefined\n',
  'go-strings.mjs':
    '<h1>Welcome</h1> 4 <h1>Welcome</h1>\na string, which Go keeps raw. Use codec text\n',
  'local-engines.mjs': '4 product:1 Tea replaced, product:1 Green tea deleted\ntrue undefined 1\n',
  'outage.mjs': '2 Grace true\n',
  'redis.mjs': 'Ada null absent\n',
  'transport.mjs': 'Ada Grace 1\n',
  'two-processes.mjs': '1 Ada false Grace\n',
}

/** Blocks of a page that stand for a file: `<!-- example: name -->` above a code block. */
function blocksOf(page: string): [name: string, code: string][] {
  const block = /<!-- example: (\S+) -->\n```\w+\n([\s\S]*?)```/g
  return [...page.matchAll(block)].map(([, name = '', code = '']) => [name, code])
}

describe('the examples', () => {
  it('are all known here', async () => {
    expect((await readdir(join(root, 'examples'))).sort()).toEqual(Object.keys(PRINTS).sort())
  })

  it.each(Object.keys(PRINTS))('%s runs and prints what it says', async (name) => {
    const cwd = await mkdtemp(join(tmpdir(), 'jetcache-example-'))
    try {
      const env = { ...process.env, REDIS_URL: inject('redisUrl') }
      const { stdout, stderr } = await run('node', [join(root, 'examples', name)], { cwd, env })
      expect({ stdout, stderr }).toEqual({ stdout: PRINTS[name], stderr: '' })
    } finally {
      await rm(cwd, { recursive: true })
    }
  })
})

/** Fenced blocks of any language, and those of JavaScript. */
const ANY = /^```\w/gm
const JAVASCRIPT = /^```(js|mjs|ts|javascript|typescript)\n/gm

async function expectExamples(path: string, fence: RegExp): Promise<number> {
  const page = await readFile(join(root, path), 'utf8')
  const blocks = blocksOf(page)
  expect(blocks.length, path).toBe(page.match(fence)?.length ?? 0)
  for (const [name, code] of blocks) {
    expect(code, `${path}: ${name}`).toBe(await readFile(join(root, 'examples', name), 'utf8'))
  }
  return blocks.length
}

describe('the README', () => {
  it('shows examples as they are, and no JavaScript that is none of them', async () => {
    expect(await expectExamples('README.md', JAVASCRIPT)).toBeGreaterThan(0)
  })
})

describe('the docs', () => {
  it('show examples as they are, and no other code', async () => {
    const pages = (await readdir(join(root, 'docs'))).filter((name) => name.endsWith('.md'))
    let shown = 0
    for (const page of pages) shown += await expectExamples(`docs/${page}`, ANY)
    expect(shown).toBeGreaterThan(0)
  })
})
