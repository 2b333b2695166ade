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
  'redis.mjs': 'Ada null absent\n',
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

describe('the README', () => {
  it('shows examples as they are, and no JavaScript that is none of them', async () => {
    const page = await readFile(join(root, 'README.md'), 'utf8')
    const blocks = blocksOf(page)
    expect(blocks.length).toBe(page.match(/```(js|ts|javascript|typescript)\n/g)?.length)
    expect(blocks.length).toBeGreaterThan(0)
    for (const [name, code] of blocks) {
      expect(code, name).toBe(await readFile(join(root, 'examples', name), 'utf8'))
    }
  })
})
