import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'

export const root: string = resolve(import.meta.dirname, '../../..')

/** Text of files by their path from the root of the repository. */
export type Sources = ReadonlyMap<string, string>

/** Not ours, or made from what is. */
const SKIPPED = new Set(['.git', 'node_modules', 'dist', 'coverage', '.demo'])

export function readTree(folder: string, wanted: (path: string) => boolean): Sources {
  const files = new Map<string, string>()
  const visit = (directory: string) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name)
      const name = relative(root, path).replaceAll('\\', '/')
      if (entry.isDirectory() && !SKIPPED.has(entry.name)) visit(path)
      else if (entry.isFile() && wanted(name)) files.set(name, readFileSync(path, 'utf8'))
    }
  }
  visit(join(root, folder))
  return files
}

export const src: Sources = readTree('src', (path) => path.endsWith('.ts'))

export interface Import {
  /** As written. */
  readonly specifier: string
  /** What stands between `import` or `export` and `from`; empty for `import('x')`. */
  readonly clause: string
  readonly line: number
}

const STATEMENT =
  /^(?:import|export)\s+((?:type\s+)?(?:\{[^}]*\}|\*(?:\s+as\s+\w+)?|\w+))\s+from\s*['"]([^'"]+)['"]/gm
const BARE = /^import\s*()['"]([^'"]+)['"]/gm
const DYNAMIC = /\bimport\s*\(()\s*['"]([^'"]+)['"]/g

/** Every import and re-export of a file, `import type` and `import('x')` included. */
export function importsOf(text: string): Import[] {
  return [STATEMENT, BARE, DYNAMIC].flatMap((form) =>
    [...text.matchAll(form)].map((match) => ({
      specifier: match[2] ?? '',
      clause: match[1] ?? '',
      line: text.slice(0, match.index).split('\n').length,
    })),
  )
}

/** The path from the root that a relative import names. */
export function targetOf(importer: string, specifier: string): string {
  return join(importer, '..', specifier).replaceAll('\\', '/')
}

/** The names in `{ a, type B, c as d }`, as the module that exports them calls them. */
export function namesIn(clause: string): string[] {
  const list = /\{([^}]*)\}/.exec(clause)?.[1] ?? ''
  return list
    .split(',')
    .map((part) => /^\s*(?:type\s+)?(\w+)/.exec(part)?.[1])
    .filter((name) => name !== undefined)
}
