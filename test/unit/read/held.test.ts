import { describe, expect, it } from 'vitest'
import { NOT_FOUND } from '../../../src/model/entry.ts'
import {
  type Held,
  isValue,
  type Permission,
  permits,
  TAKES_NOTHING,
} from '../../../src/read/held.ts'

/** Fresh until 1,000, kept until 2,000. */
const HELD: Held = {
  kept: 'v',
  bytes: undefined,
  tier: 'remote',
  freshUntil: 1000,
  keptUntil: 2000,
}
const ALL: Permission = { fresh: true, staleWhileRevalidate: 5000, staleIfError: 5000 }
const takes = (more: Partial<Permission>): Permission => ({ ...TAKES_NOTHING, ...more })

describe('Who takes what is held', () => {
  it.each<[string, Permission, number, string, boolean]>([
    ['all', ALL, 0, '', true],
    ['all', ALL, 1999, '', true],
    ['all', ALL, 2000, '', false],
    ['all', ALL, 2000, 'impatient failing', false],
    ['nothing', TAKES_NOTHING, 0, 'impatient failing', false],
    ['nothing', TAKES_NOTHING, 1000, 'impatient failing', false],
    ['fresh', takes({ fresh: true }), 999, '', true],
    ['fresh', takes({ fresh: true }), 1000, '', false],
    ['fresh', takes({ fresh: true }), 1999, 'impatient', true],
    ['stale while revalidate', takes({ staleWhileRevalidate: 10 }), 999, '', false],
    ['stale while revalidate', takes({ staleWhileRevalidate: 10 }), 1009, '', true],
    ['stale while revalidate', takes({ staleWhileRevalidate: 10 }), 1010, '', false],
    ['stale while revalidate', takes({ staleWhileRevalidate: 10 }), 1010, 'failing', false],
    ['stale if error', takes({ staleIfError: 10 }), 1009, '', false],
    ['stale if error', takes({ staleIfError: 10 }), 1009, 'failing', true],
    ['stale if error', takes({ staleIfError: 10 }), 1010, 'failing', false],
    ['the longer', takes({ staleWhileRevalidate: 5, staleIfError: 10 }), 1007, 'failing', true],
    ['the longer', takes({ staleWhileRevalidate: 10, staleIfError: 5 }), 1007, 'failing', true],
  ])('takes %s, %j at %i, standing "%s": %s', (_, permission, now, standing, expected) => {
    const stands = {
      impatient: standing.includes('impatient'),
      failing: standing.includes('failing'),
    }
    expect(permits(permission, HELD, stands, now)).toBe(expected)
  })
})

describe('What a loader may compare with', () => {
  it('is a value, not nothing, and not the absence of a record', () => {
    expect([isValue(HELD), isValue({ ...HELD, kept: NOT_FOUND }), isValue(undefined)]).toEqual([
      true,
      false,
      false,
    ])
  })
})
