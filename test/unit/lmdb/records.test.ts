import { describe, expect, it } from 'vitest'
import {
  costOf,
  dueAt,
  dueKeyOf,
  entryKeyOf,
  leaseKeyOf,
  liveValue,
  newRecord,
  type Place,
  placeOf,
  stampExpiry,
} from '../../../src/lmdb/records.ts'

const value = Uint8Array.of(1, 2, 3)

/** What the record of `written` says to whoever looks for `place`. */
const valueIn = (place: Place, written: Place) => {
  const record = newRecord(written, value)
  stampExpiry(record, 1000)
  return liveValue(place, record, 999)
}

describe('the place of a key in LMDB', () => {
  it('is within the limit of 1,978 bytes for every key, its place in the order included', () => {
    for (const length of [1, 1000, 1960, 1967, 1968, 1969, 1970, 1978, 65_535]) {
      const { key } = placeOf('k'.repeat(length))
      expect(dueKeyOf(1, key).length).toBeLessThanOrEqual(1978)
      expect(dueKeyOf(1, key, 'lease').length).toBeLessThanOrEqual(1978)
      expect(leaseKeyOf(key).length).toBeLessThanOrEqual(1978)
    }
  })

  it('never lets a record answer for another long key, were their hashes equal', () => {
    const [one, two] = [placeOf('1'.repeat(3000)), placeOf('2'.repeat(3000))]
    const longer = placeOf('1'.repeat(3001))
    expect(valueIn(one, one)).toEqual(value)
    expect(valueIn(two, one)).toBeUndefined()
    expect(valueIn(longer, one)).toBeUndefined()
    expect(valueIn(one, longer)).toBeUndefined()
  })

  it('of a short key is not the place of a long one whose hash it spells', () => {
    const hashed = placeOf('k'.repeat(3000)).key
    expect(placeOf(hashed.subarray(1).toString('latin1')).key.equals(hashed)).toBe(false)
  })
})

describe('the order of expiry', () => {
  it('sorts by the moment first, over the whole range of lives', () => {
    const moments = [1, 255, 256, 2 ** 31, 2 ** 32 + 1, Date.now(), Date.now() + 315_360_000_000]
    const keys = moments.map((moment) => dueKeyOf(moment, Buffer.of(255 - moments.indexOf(moment))))
    expect(keys.toReversed().sort(Buffer.compare)).toEqual(keys)
    expect(keys.map(dueAt)).toEqual(moments)
    expect(keys.map((key) => entryKeyOf(key)[0])).toEqual(moments.map((_, i) => 255 - i))
  })
})

describe('the cost of an entry', () => {
  it('is whole pages for a record that LMDB moves out of the tree', () => {
    const key = placeOf('k').key
    expect(costOf(key, 300)).toBe(300 + 4 + 96)
    expect(costOf(key, 2001)).toBe(4096 + 4 + 96)
    expect(costOf(key, 4096)).toBe(8192 + 4 + 96)
  })
})
