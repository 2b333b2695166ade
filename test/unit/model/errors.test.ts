import { readFile } from 'node:fs/promises'
import { describe, expect, it, vi } from 'vitest'
import {
  CacheClosedError,
  CacheDecodeError,
  CacheEncodeError,
  CacheError,
  CacheLoadTimeoutError,
  CacheMissError,
  CacheNotFoundError,
  CacheRemoteError,
  isCacheError,
  optionRangeError,
  optionTypeError,
  shown,
} from '../../../src/model/errors.ts'

const cause = new Error('below')

const OURS: readonly (readonly [string, string, Error])[] = [
  ['CacheMissError', 'CACHE_MISS', new CacheMissError('k')],
  ['CacheNotFoundError', 'CACHE_NOT_FOUND', new CacheNotFoundError('k', cause)],
  [
    'CacheRemoteError',
    'CACHE_REMOTE',
    new CacheRemoteError('set', 'unknown', 'gone', { key: 'k', cause }),
  ],
  ['CacheLoadTimeoutError', 'CACHE_LOAD_TIMEOUT', new CacheLoadTimeoutError('k', 5)],
  [
    'CacheEncodeError',
    'CACHE_ENCODE',
    new CacheEncodeError('json', '$.a', 'a bigint', { key: 'k' }),
  ],
  [
    'CacheDecodeError',
    'CACHE_DECODE',
    new CacheDecodeError('json', 'cut off', { key: 'k', cause }),
  ],
  ['CacheClosedError', 'CACHE_CLOSED', new CacheClosedError()],
  ['TypeError', 'CACHE_OPTION', optionTypeError('ttl must be x', 'Do y.')],
  ['RangeError', 'CACHE_OPTION', optionRangeError('ttl must be x', 'Do y.')],
]

describe.each(OURS)('%s', (name, code, error) => {
  it('carries its name, its code and where that is explained', () => {
    expect(error.name).toBe(name)
    const docs = `jetcache-ts/docs/errors.md#${code.toLowerCase()}`
    expect(error).toMatchObject({ code, docs })
    expect(error.message).toContain(`(see ${docs})`)
  })

  it('is told from others by its code', () => {
    expect(isCacheError(error)).toBe(true)
    expect(error instanceof CacheError).toBe(code !== 'CACHE_OPTION')
  })

  it('points to a section that exists', async () => {
    const guide = await readFile(new URL('../../../docs/errors.md', import.meta.url), 'utf8')
    expect(guide.split('\n')).toContain(`## ${code}`)
  })
})

describe('errors of the cache', () => {
  it('carry the key where there is one', () => {
    const withKey = OURS.filter(([, code]) => !['CACHE_CLOSED', 'CACHE_OPTION'].includes(code))
    expect(withKey.map(([, , error]) => Reflect.get(error, 'key'))).toEqual(withKey.map(() => 'k'))
    expect(new CacheClosedError().key).toBeUndefined()
  })

  it('have a cause only where something caused them', () => {
    expect(new CacheRemoteError('get', 'unknown', 'gone', { cause }).cause).toBe(cause)
    expect('cause' in new CacheMissError('k')).toBe(false)
    expect('cause' in new CacheNotFoundError('k')).toBe(false)
  })

  it('of another copy of the package are recognised', async () => {
    vi.resetModules()
    const copy = await import('../../../src/model/errors.ts')
    const foreign = new copy.CacheMissError('k')
    expect(foreign).not.toBeInstanceOf(CacheMissError)
    expect(isCacheError(foreign)).toBe(true)
  })

  it.each([
    ['an error of somebody else', new Error('x')],
    ['an error of the system', Object.assign(new Error('x'), { code: 'ECONNRESET' })],
    ['an error with a number for a code', Object.assign(new Error('x'), { code: 5 })],
    ['an object that only looks like one', { code: 'CACHE_MISS', message: 'x' }],
    ['a code', 'CACHE_MISS'],
    ['nothing', undefined],
  ])('are not confused with %s', (_, thing) => {
    expect(isCacheError(thing)).toBe(false)
  })
})

describe('a section of docs/errors.md', () => {
  it('belongs to a code that exists', async () => {
    const guide = await readFile(new URL('../../../docs/errors.md', import.meta.url), 'utf8')
    const sections = [...guide.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)
    expect(sections.toSorted()).toEqual([...new Set(OURS.map(([, code]) => code))].toSorted())
  })
})

describe('a value shown in a message', () => {
  it.each([
    ['a"b', '"a\\"b"'],
    ['x'.repeat(80), `"${'x'.repeat(80)}"`],
    ['x'.repeat(81), `"${'x'.repeat(77)}..."`],
    [5n, '5n'],
    [-0, '0'],
    [Symbol('s'), 'Symbol(s)'],
    [() => 1, 'a function'],
    [[1, 2], 'an array'],
    [{ password: 'secret' }, 'an object'],
    [Object.create(null), 'an object'],
    [null, 'null'],
    [undefined, 'undefined'],
  ])('is quoted, short and gives nothing away: %#', (value, text) => {
    expect(shown(value)).toBe(text)
  })
})
