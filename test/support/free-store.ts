import assert from 'node:assert/strict'
import { FreeStore } from '../../src/local/free-cache/free-store.ts'
import { HashIndex } from '../../src/local/free-cache/hash-index.ts'
import { type KeyHash, seededHash } from '../../src/local/free-cache/key-hash.ts'
import { NOWHERE, Ring, type RingSize } from '../../src/local/free-cache/ring.ts'
import { UseClock } from '../../src/local/free-cache/use-clock.ts'
import type { KeptBytes } from '../../src/local/kept-bytes.ts'
import type { LocalEntry, LocalSurroundings } from '../../src/local/local-store.ts'
import { alone } from './local-store.ts'

/** A store of `freeCache` and its parts, which a test can look into. */
export interface OpenStore {
  readonly store: FreeStore
  readonly ring: Ring
  readonly index: HashIndex
}

export function openStore(
  size: RingSize & { readonly buckets: number; readonly mostUnits: number },
  { hash = seededHash(), ...surroundings }: Partial<LocalSurroundings> & { hash?: KeyHash } = {},
): OpenStore {
  const ring = new Ring(size)
  const index = new HashIndex(ring, size.buckets)
  const uses = new UseClock()
  const around = { ...alone(), ...surroundings }
  const store = new FreeStore({ ring, index, uses, hash, mostUnits: size.mostUnits, ...around })
  return { store, ring, index }
}

export function bytesEntry(bytes: Uint8Array, lives: Partial<LocalEntry> = {}): LocalEntry {
  const kept: KeptBytes = { form: 0, bytes }
  return {
    ...{ kept, answer: undefined, freshUntil: Infinity, keptUntil: Infinity, aheadAt: Infinity },
    ...lives,
  }
}

/** Fails unless ring and index agree: every live record is found by its hash, once, and nothing else is. */
export function checkParts({ store, ring, index }: OpenStore, mostBytes: number): void {
  let live = 0
  let units = 0
  ring.walk((position) => {
    const chunk = ring.chunkAt(position)
    const at = ring.wordAt(position)
    const room = chunk.room(at)
    assert.ok(room > 0, 'a record without room')
    units += room
    assert.ok(units * 8 <= ring.bytes, 'records that overlap')
    if (chunk.isDead(at)) return
    live++
    assert.ok(chunk.needs(at) <= room, 'a record larger than its room')
    let found = 0
    for (let next = index.first(chunk.hash(at)); next !== NOWHERE; next = index.after(next)) {
      if (next === position) found++
    }
    assert.equal(found, 1, 'a record that its chain does not hold once')
  })
  assert.equal(live, index.records, 'the index holds something else')
  assert.equal(store.size, live)
  assert.ok(ring.bytes + index.bytes <= mostBytes, `${ring.bytes} + ${index.bytes} bytes`)
}
