import { expect, it } from 'vitest'
import { freeCache } from '../../../src/local/free-cache/free-cache.ts'
import { tinyLfu } from '../../../src/local/tiny-lfu/tiny-lfu.ts'
import { lru } from '../../../src/lru/lru.ts'
import { NOT_FOUND } from '../../../src/model/entry.ts'
import { entryOf } from '../../support/local-store.ts'

it.each([
  tinyLfu({ maxEntries: 10 }),
  tinyLfu({ maxBytes: 10_000 }),
  freeCache({ maxBytes: 65_536 }),
  lru({ maxEntries: 10 }),
])('$name makes stores that need no cache around them', (engine) => {
  const store = engine.create()
  store.set('a', entryOf(NOT_FOUND))
  expect(store.get('a')?.kept).toBe(NOT_FOUND)
  store.clear('deleted')
  expect(store.size).toBe(0)
})
