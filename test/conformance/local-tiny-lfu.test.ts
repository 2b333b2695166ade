import { describe, it } from 'vitest'
import { tinyLfu } from '../../src/local/tiny-lfu/tiny-lfu.ts'
import { localStoreConformance } from '../../src/testing/local-conformance.ts'

localStoreConformance({
  name: 'tinyLfu, bound in entries',
  create: (surroundings) => tinyLfu({ maxEntries: 50 }).create(surroundings),
  describe,
  it,
})

localStoreConformance({
  name: 'tinyLfu, bound in bytes',
  create: (surroundings) => tinyLfu({ maxBytes: 50 * 400 }).create(surroundings),
  describe,
  it,
})
