import { describe, expect, it } from 'vitest'
import { FrequencySketch } from '../../../../src/local/tiny-lfu/sketch.ts'
import { seeded } from '../../../support/tiny-lfu-walk.ts'

/** Any 32 bits. */
function hashes(count: number, seed = 1): number[] {
  const random = seeded(seed)
  return Array.from({ length: count }, () => (random(2 ** 16) << 16) ^ random(2 ** 16))
}

describe('a frequency sketch', () => {
  it('knows nothing of what was never counted', () => {
    const sketch = new FrequencySketch(64, 64)
    for (const hash of [0, -1, 1, 0x7fffffff, ...hashes(100)])
      expect(sketch.frequency(hash)).toBe(0)
  })

  it('never estimates below the true count before it ages, 15 being the most it tells', () => {
    const sketch = new FrequencySketch(64, 100_000)
    const random = seeded(3)
    const keys = [0, -1, ...hashes(150)]
    const counts = new Map<number, number>()
    for (let i = 0; i < 1500; i++) {
      const hash = keys[Math.min(random(152), random(152))] as number
      sketch.increment(hash)
      counts.set(hash, (counts.get(hash) ?? 0) + 1)
      for (const [each, count] of counts) {
        const least = Math.min(15, count)
        if (sketch.frequency(each) < least) expect.fail(`${sketch.frequency(each)} for ${count}`)
      }
    }
    expect(sketch.ages).toBe(0)
  })

  it('is mostly right about a full load of keys', () => {
    const sketch = new FrequencySketch(1024, 1024)
    const keys = hashes(1024, 5)
    for (const hash of keys) for (let i = 0; i < 3; i++) sketch.increment(hash)
    const right = keys.filter((hash) => sketch.frequency(hash) === 3).length
    expect(sketch.ages).toBe(0)
    expect(right).toBeGreaterThan(1000)
    const strangers = hashes(1024, 6).filter((hash) => sketch.frequency(hash) > 0).length
    expect(strangers).toBeLessThan(40)
  })

  it('says that it counted, but not where a key is at the end of its counters', () => {
    const sketch = new FrequencySketch(64, 64)
    for (let i = 1; i <= 15; i++) {
      expect(sketch.increment(77)).toBe(true)
      expect(sketch.frequency(77)).toBe(i)
    }
    for (let i = 0; i < 5000; i++) expect(sketch.increment(77)).toBe(false)
    expect([sketch.frequency(77), sketch.ages]).toEqual([15, 0])
  })

  it('halves what it knows after 15 counts for each entry it serves', () => {
    const sketch = new FrequencySketch(16, 16)
    const keys = hashes(240, 9)
    for (let i = 0; i < 9; i++) sketch.increment(42)
    for (let i = 0; i < 230; i++) sketch.increment(keys[i] as number)
    const before = sketch.frequency(42)
    expect([before >= 9, sketch.ages]).toEqual([true, 0])
    sketch.increment(1234)
    expect(sketch.ages).toBe(1)
    expect(sketch.frequency(42)).toBe(before >>> 1)
  })

  it('halves again about half as many counts later', () => {
    const sketch = new FrequencySketch(1024, 1024)
    let count = 0
    const ages: number[] = []
    for (const hash of hashes(60_000, 11)) {
      const known = sketch.ages
      if (sketch.increment(hash)) count++
      if (sketch.ages > known) ages.push(count)
    }
    const [first = 0, second = 0, third = 0] = ages
    expect(first).toBe(15 * 1024)
    for (const between of [second - first, third - second]) {
      expect(between / first).toBeGreaterThan(0.45)
      expect(between / first).toBeLessThan(0.75)
    }
  })

  it('keeps what it knows of each key as it grows, and serves more', () => {
    const sketch = new FrequencySketch(64, 4096)
    const keys = hashes(64, 13)
    keys.forEach((hash, i) => {
      for (let n = 0; n <= i % 12; n++) sketch.increment(hash)
    })
    const known = keys.map((hash) => sketch.frequency(hash))
    expect(known.every((frequency, i) => frequency > i % 12)).toBe(true)
    sketch.grow(128)
    expect(keys.map((hash) => sketch.frequency(hash))).toEqual(known)
    sketch.grow(4096)
    expect(keys.map((hash) => sketch.frequency(hash))).toEqual(known)
    const more = hashes(4096, 14)
    for (const hash of more) sketch.increment(hash)
    const over = more.filter((hash) => sketch.frequency(hash) > 1).length
    expect(over).toBeLessThan(300)
  })

  it('ages by the entries it serves where nobody knows how many it ever will', () => {
    const counts = (most: number | undefined) => {
      const sketch = new FrequencySketch(64, most)
      sketch.grow(128)
      let count = 0
      for (const hash of hashes(100_000, 15)) {
        if (sketch.ages > 0) break
        if (sketch.increment(hash)) count++
      }
      return count
    }
    expect([counts(undefined), counts(256)]).toEqual([15 * 128, 15 * 256])
  })
})
