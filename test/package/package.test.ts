import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Packed, pack, root, runConsumer, runTool } from './packed.ts'

/** Each entry, with the foreign packages that importing it loads. */
const LOADS: Readonly<Record<string, readonly string[]>> = {
  'jetcache-ts': [],
  'jetcache-ts/lru': ['lru-cache'],
  'jetcache-ts/redis': [],
  'jetcache-ts/ioredis': [],
  'jetcache-ts/lmdb': [
    '@harperfast/extended-iterable',
    'detect-libc',
    'lmdb',
    'msgpackr',
    'msgpackr-extract',
    'node-gyp-build-optional-packages',
    'ordered-binary',
    'weak-lru-cache',
  ],
  'jetcache-ts/broadcast-channel': [],
  'jetcache-ts/testing': [],
}

const ENTRIES = Object.keys(LOADS)

let packed: Packed

beforeAll(async () => {
  packed = await pack()
}, 60_000)

afterAll(() => packed?.remove())

describe('the tarball', () => {
  it('holds the build, the licence and the papers that travel with it, and nothing else', () => {
    const [built, others] = [true, false].map((inDist) =>
      packed.files.filter((file) => file.startsWith('dist/') === inDist),
    )
    expect(others).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'docs/clients.md',
      'docs/coherence.md',
      'docs/errors.md',
      'docs/freshness.md',
      'docs/interop.md',
      'docs/local-engines.md',
      'docs/outages.md',
      'docs/scale.md',
      'docs/testing.md',
      'package.json',
    ])
    expect(built?.filter((file) => !/\.js$|\.d\.ts$/.test(file))).toEqual([])
    const kilobytes = (bytes: number) => `${(bytes / 1024).toFixed(1)} KiB`
    console.log(
      `packed ${kilobytes(packed.packedSize)}, unpacked ${kilobytes(packed.unpackedSize)}, ${packed.files.length} files`,
    )
  })

  it('has the entries that package.json names, and they are all tried here', async () => {
    const { exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    const named = Object.keys(exports).map((path) => path.replace(/^\./, 'jetcache-ts'))
    expect(named.filter((name) => !name.endsWith('.json')).sort()).toEqual([...ENTRIES].sort())
  })

  it('is clean to publint', async () => {
    await runTool('publint', ['run', '--strict', packed.tarball])
  })

  it('gives its types to every kind of ESM consumer', async () => {
    await runTool('attw', [packed.tarball, '--profile', 'esm-only', '--no-color', '--no-emoji'])
  })
})

describe.each(ENTRIES)('%s', (entry) => {
  it('has the same named exports by import and by require, and no default', async () => {
    const names = await runConsumer(
      packed.consumer,
      `import { createRequire } from 'node:module'
      const imported = Object.keys(await import('${entry}')).sort()
      const required = Object.keys(createRequire(import.meta.url)('${entry}')).sort()
      console.log(JSON.stringify({ imported, required }))`,
    )
    const { imported, required } = names as Record<'imported' | 'required', string[]>
    expect(imported.length).toBeGreaterThan(0)
    expect(imported).not.toContain('default')
    expect(required).toEqual(imported)
  })

  it('loads no other package than those it is for', async () => {
    expect(await foreignPackages(entry)).toEqual(LOADS[entry])
  })
})

/** ES modules are told of by a resolve hook, CommonJS ones stand in require.cache. */
async function foreignPackages(entry: string): Promise<string[]> {
  await writeFile(
    join(packed.consumer, 'hooks.mjs'),
    `import { appendFileSync } from 'node:fs'
    export async function resolve(specifier, context, next) {
      const resolved = await next(specifier, context)
      appendFileSync('loaded.txt', resolved.url + '\\n')
      return resolved
    }`,
  )
  const loaded = await runConsumer(
    packed.consumer,
    `import { readFileSync, writeFileSync } from 'node:fs'
    import { createRequire, register } from 'node:module'
    writeFileSync('loaded.txt', '')
    register('./hooks.mjs', import.meta.url)
    await import('${entry}')
    const cached = Object.keys(createRequire(import.meta.url).cache)
    console.log(JSON.stringify([...readFileSync('loaded.txt', 'utf8').split('\\n'), ...cached]))`,
  )
  const names = (loaded as string[])
    .map((path) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1])
    .filter((name) => name !== undefined)
    .filter((name) => name !== 'jetcache-ts')
    // The binary for each platform has a package of its own.
    .map((name) => name.replace(/^@(?:lmdb|msgpackr-extract)\/(lmdb|msgpackr-extract)-.*/, '$1'))
  return [...new Set(names)].sort()
}

describe('the declarations', () => {
  const imports = ENTRIES.map((entry, i) => `import * as entry${i} from '${entry}'`).join('\n')
  const uses = ENTRIES.map((_, i) => `entry${i}`).join(', ')

  async function compile(options: object, args: readonly string[] = []): Promise<string> {
    await writeFile(join(packed.consumer, 'main.ts'), `${imports}\nexport default [${uses}]\n`)
    const compilerOptions = {
      ...{ target: 'es2023', module: 'nodenext', moduleResolution: 'nodenext' },
      ...{ strict: true, noEmit: true, skipLibCheck: false, types: ['node'] },
      ...options,
    }
    const project = join(packed.consumer, 'tsconfig.json')
    await writeFile(project, JSON.stringify({ compilerOptions, files: ['main.ts'] }))
    return await runTool('tsc', ['-p', project, ...args])
  }

  it.each([
    ['strict', {}],
    ['strict with exactOptionalPropertyTypes', { exactOptionalPropertyTypes: true }],
    ['strict under a bundler', { module: 'esnext', moduleResolution: 'bundler' }],
  ])('compile in a project that is %s and checks libraries too', async (_, options) => {
    await compile(options)
  })

  it('read no declarations of another package than Node.js', async () => {
    const files = await compile({}, ['--listFilesOnly'])
    const packages = files
      .split('\n')
      .map((file) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1])
      .filter((name) => name !== undefined && !/^(?:@typescript\/.*|typescript)$/.test(name))
    expect([...new Set(packages)].sort()).toEqual(['@types/node', 'jetcache-ts', 'undici-types'])
  })
})
