import assert from 'node:assert/strict'
import { it } from 'vitest'
import { seededHash } from '../../src/local/free-cache/key-hash.ts'
import type { KeptBytes } from '../../src/local/kept-bytes.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { bytesEntry, checkParts, openStore } from '../support/free-store.ts'

const OPERATIONS = 1_000_000
const CHECK_EVERY = 97
const SIZE = { chunks: 15, chunkUnits: 521, buckets: 512, mostUnits: 130 }
const BOUND = SIZE.chunks * SIZE.chunkUnits * 8 + SIZE.buckets * 4

it.each([
  ['seeded', seededHash()],
  ['of 64 values', (words: Uint32Array) => (words[0] as number) % 64],
])('a million changes leave ring and index in agreement, with a hash that is %s', (_, hash) => {
  const clock = manualClock()
  const last = new Map<string, number>()
  let told = 0
  const open = openStore(SIZE, {
    hash,
    clock,
    removed: (key, { kept }) => {
      told++
      const number = numberOf(kept as KeptBytes)
      if (last.get(key) === number) last.delete(key)
    },
  })
  let seed = 20_261_201
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  for (let i = 0; i < OPERATIONS; i++) {
    const key = `key${Math.min(random(1500), random(1500))}`.padEnd(random(3) === 0 ? 30 : 0, 'é')
    const action = random(100)
    if (action < 50) {
      const found = open.store.get(key)
      assert.equal(found && numberOf(found.kept as KeptBytes), last.get(key))
    } else if (action < 92) {
      const bytes = new Uint8Array(8 + random(random(20) === 0 ? 900 : 200))
      new DataView(bytes.buffer).setFloat64(0, i)
      const until = clock.now() + 1 + random(5000)
      open.store.set(key, bytesEntry(bytes, { freshUntil: until, keptUntil: until + random(2) }))
      last.set(key, i)
    } else if (action < 99) {
      const held = last.has(key)
      assert.equal(open.store.delete(key, 'deleted'), held)
    } else if (random(500) === 0) {
      open.store.clear('deleted')
    } else {
      clock.advance(1)
    }
    assert.equal(open.store.size, last.size)
    if (i % CHECK_EVERY === 0) checkParts(open, BOUND)
  }
  assert.ok(told > OPERATIONS / 10)
})

function numberOf({ bytes }: KeptBytes): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0)
}
