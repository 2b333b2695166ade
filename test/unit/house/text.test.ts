import { basename, extname } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readTree, type Sources } from './source.ts'

const TEXT = new Set(['.ts', '.mjs', '.js', '.json', '.md', '.yml', '.yaml', '.sh', '.lua', ''])

/** Put together here, so that this file does not hold what it looks for. */
const slashed = (...parts: string[]): string => ['', ...parts].join('/')

/** Places of one machine, and papers that the repository does not hold. */
const FORBIDDEN: readonly RegExp[] = [
  new RegExp(`(?<![\\w.)}])${slashed('(?:work|tmp|home|root|Users)')}/`),
  /\bissues? ?#?\d/i,
  new RegExp(`\\b(?:${['feasibility', 'measured', 'peers', 'js-peers'].join('|')})\\.md\\b`),
]

function offences(sources: Sources): string[] {
  return [...sources].flatMap(([path, text]) =>
    text
      .split('\n')
      .flatMap((line, i) =>
        FORBIDDEN.some((form) => form.test(line)) ? [`${path}:${i + 1} ${line.trim()}`] : [],
      ),
  )
}

describe('the text of the repository', () => {
  const all = readTree('.', (path) => TEXT.has(extname(path)) || basename(path).startsWith('.'))

  it('names no place of one machine and nothing that is not in it', () => {
    expect(offences(all)).toEqual([])
    expect(all.has('package.json')).toBe(true)
  })

  it('installs from whichever registry npm is set to', () => {
    const resolved = [...all].filter(
      ([path, text]) => basename(path) === 'package-lock.json' && text.includes('"resolved"'),
    )
    expect(resolved.map(([path]) => path)).toEqual([])
    expect(all.get('.npmrc')).not.toMatch(/registry\s*=|_auth/)
  })

  it.each([
    ['a path', `see ${slashed('work', 'main', 'src')}`],
    ['a scratch path', `const dir = '${slashed('tmp', 'x')}'`],
    ['a number of a tracker', `${'issue'} 12`],
  ])('would tell of %s', (_, line) => {
    expect(offences(new Map([['a.md', line]]))).toEqual([`a.md:1 ${line}`])
  })
})
