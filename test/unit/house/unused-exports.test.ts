import { expect, it } from 'vitest'
import { importsOf, namesIn, type Sources, src, targetOf } from './source.ts'

const DECLARATION =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:const|let|function\*?|class|interface|type) (\w+)/gm
const LIST = /^export (?:type )?\{([^}]*)\}(?!\s*from)/gm

/** Written and tested ahead of the rooms that will use them. */
const AHEAD: ReadonlySet<string> = new Set([
  'src/model/typed-key.ts',
  'src/refresh/refresh-lock.ts',
])

/** What stands in an entry of the package is used by whoever installs it. */
function isEntry(path: string): boolean {
  return path.endsWith('/index.ts')
}

function exportsOf(text: string): string[] {
  const declared = [...text.matchAll(DECLARATION)].map((match) => match[1] ?? '')
  const listed = [...text.matchAll(LIST)].flatMap((match) => namesIn(`{${match[1]}}`))
  return [...declared, ...listed]
}

/** Exports that no other file of src imports; use by a test alone is no use. */
function unused(sources: Sources): string[] {
  const used = new Set<string>()
  for (const [path, text] of sources) {
    for (const { specifier, clause } of importsOf(text)) {
      const target = targetOf(path, specifier)
      for (const name of namesIn(clause)) used.add(`${target} ${name}`)
    }
  }
  return [...sources]
    .filter(([path]) => !isEntry(path))
    .flatMap(([path, text]) => exportsOf(text).map((name) => `${path} ${name}`))
    .filter((name) => !used.has(name))
}

it('every export is used by another file of src or stands in an entry', () => {
  const found = unused(src).map((name) => name.split(' '))
  expect(found.filter(([path = '']) => !AHEAD.has(path))).toEqual([])
  // A file that has found its room leaves the list.
  expect(new Set(found.map(([path]) => path))).toEqual(AHEAD)
})

it.each([
  ['a function', 'export function f(): void {}'],
  ['a class', 'export class f {}'],
  ['a constant', 'export const f: number = 1'],
  ['a type', 'export type f = 1'],
  ['an interface', 'export interface f {}'],
  ['a list', 'const f = 1\nexport { f }'],
])('would tell of %s that nobody imports', (_, text) => {
  expect(unused(new Map([['src/model/a.ts', text]]))).toEqual(['src/model/a.ts f'])
})

it.each([
  ['an import', 'src/read/b.ts', "import { f } from '../model/a.ts'"],
  ['a type import', 'src/read/b.ts', "import { type f, g } from '../model/a.ts'"],
  ['a renamed import', 'src/read/b.ts', "import {\n  f as g,\n} from '../model/a.ts'"],
  ['an entry', 'src/index.ts', "export type { f } from './model/a.ts'"],
])('takes %s for a use', (_, path, text) => {
  const sources = new Map([
    ['src/model/a.ts', 'export const f: number = 1'],
    [path, text],
  ])
  expect(unused(sources)).toEqual([])
})
