import { expect, it } from 'vitest'
import { importsOf, type Sources, src, targetOf } from './source.ts'

/** Rooms of the house (ARCHITECTURE.md): a file imports from its own and from lower ones only. */
const RANKS: Readonly<Record<string, number>> = {
  model: 0,
  ...{ codec: 1, flight: 1, stats: 1, bus: 1 },
  ...{ local: 2, remote: 2, refresh: 2 },
  ...{ tiers: 3, sync: 3, 'redis-common': 3 },
  ...{ read: 4, write: 4, redis: 4, ioredis: 4, lmdb: 4, lru: 4, 'broadcast-channel': 4 },
  ...{ options: 5, testing: 5, doctor: 5 },
  'face.ts': 6,
  'cache.ts': 7,
  'index.ts': 8,
}

/** What may be imported from outside, types included, besides Node.js itself. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = { lru: ['lru-cache'], lmdb: ['lmdb'] }

function roomOf(path: string): string {
  return path.split('/')[1] ?? ''
}

function offences(sources: Sources): string[] {
  return [...sources].flatMap(([path, text]) =>
    importsOf(text).flatMap(({ specifier, line }) => {
      const problem = problemOf(path, specifier)
      return problem === undefined ? [] : [`${path}:${line} imports ${specifier}: ${problem}`]
    }),
  )
}

function problemOf(path: string, specifier: string): string | undefined {
  const room = roomOf(path)
  const rank = RANKS[room]
  if (rank === undefined) return `${room} has no rank`
  if (specifier.startsWith('node:')) return undefined
  if (!specifier.startsWith('.')) {
    return PACKAGES[room]?.includes(specifier) ? undefined : 'a package that is not for this room'
  }
  if (!specifier.endsWith('.ts')) return 'a relative import ends in .ts'
  const target = targetOf(path, specifier)
  if (target.endsWith('/index.ts')) return 'nobody imports through an index.ts'
  const targetRoom = roomOf(target)
  const targetRank = RANKS[targetRoom]
  if (!target.startsWith('src/') || targetRank === undefined) return `${target} has no rank`
  if (targetRoom === room || targetRank < rank) return undefined
  return `${targetRoom} (rank ${targetRank}) does not stand below ${room} (rank ${rank})`
}

it('every file imports from its own room and from lower ones only', () => {
  expect(offences(src)).toEqual([])
  expect(src.size).toBeGreaterThan(20)
})

it.each([
  ['upwards', 'src/model/a.ts', "import { b } from '../codec/b.ts'", /rank 1\).*rank 0/],
  ['sideways', 'src/read/a.ts', "import { b } from '../write/b.ts'", /write \(rank 4\)/],
  ['a type', 'src/model/a.ts', "import type { B } from '../tiers/b.ts'", /a\.ts:1 /],
  ['over lines', 'src/model/a.ts', "\nimport {\n  b,\n} from '../tiers/b.ts'", /a\.ts:2 /],
  ['by re-export', 'src/model/a.ts', "export { b } from '../tiers/b.ts'", /tiers/],
  ['for its effect', 'src/model/a.ts', "import '../tiers/b.ts'", /tiers/],
  ['at run time', 'src/model/a.ts', "const b = await import('../tiers/b.ts')", /tiers/],
  ['an index', 'src/cache.ts', "import { lru } from './lru/index.ts'", /through an index/],
  ['its own index', 'src/lru/a.ts', "import { lru } from './index.ts'", /through an index/],
  ['a .js', 'src/model/a.ts', "import { b } from './b.js'", /ends in \.ts/],
  ['outside', 'src/model/a.ts', "import { b } from '../../test/b.ts'", /no rank/],
  ['a package', 'src/redis/a.ts', "import type { C } from 'redis'", /not for this room/],
  ['from no room', 'src/new/a.ts', "import { b } from '../model/b.ts'", /new has no rank/],
])('would tell of an import %s', (_, path, text, message) => {
  expect(offences(new Map([[path, text]]))).toEqual([expect.stringMatching(message)])
})
