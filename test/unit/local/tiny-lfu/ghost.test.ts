import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Ghost } from '../../../../src/local/tiny-lfu/ghost.ts'

/** A ring of hashes in the order of leaving; what is taken leaves its place empty. */
class NaiveGhost {
  readonly #ring: (number | undefined)[]
  #next = 0

  constructor(size: number) {
    this.#ring = new Array(size).fill(undefined)
  }

  take(hash: number): boolean {
    const at = this.#ring.indexOf(hash)
    if (at < 0) return false
    this.#ring[at] = undefined
    return true
  }

  remember(hash: number): void {
    this.take(hash)
    this.#ring[this.#next] = hash
    this.#next = (this.#next + 1) % this.#ring.length
  }

  clear(): void {
    this.#ring.fill(undefined)
    this.#next = 0
  }
}

/** Hashes that begin at one place of the table, or at its last, so that runs go around its end. */
const AT_HOME_7 = [7, 0x10007, 0x20005, 0x30005, 0x40007, 0x50007].filter(
  (hash) => ((hash ^ (hash >>> 15)) & 7) === 7,
)
const hash = fc
  .oneof(
    fc.constantFrom(0, -1, 2, 3, 4, 5, 6, 7, 8, 9, -2_147_483_648, ...AT_HOME_7),
    fc.nat(12).map((i) => i << 20),
    fc.nat(20),
  )
  .filter((each) => each !== 1)

describe('the memory of who has left', () => {
  it('is what a plain ring of the last would be, whatever is remembered, taken and forgotten', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.array(fc.tuple(fc.constantFrom('remember', 'remember', 'take', 'clear?'), hash), {
          maxLength: 200,
          size: 'max',
        }),
        (size, steps) => {
          const ghost = new Ghost(size)
          const naive = new NaiveGhost(size)
          expect(ghost.size).toBe(size)
          steps.forEach(([kind, each], i) => {
            if (kind === 'remember') {
              ghost.remember(each)
              naive.remember(each)
            } else if (kind === 'take') {
              expect(ghost.take(each)).toBe(naive.take(each))
            } else if (i % 10 === 0) {
              ghost.clear()
              naive.clear()
            }
          })
          for (const [, each] of steps) expect(ghost.take(each)).toBe(naive.take(each))
        },
      ),
      { numRuns: 500, seed: 20_261_201 },
    )
  })

  it('forgets the oldest first, and takes a hash once', () => {
    const ghost = new Ghost(3)
    for (const each of [10, 20, 30, 40]) ghost.remember(each)
    expect(ghost.take(10)).toBe(false)
    expect([ghost.take(30), ghost.take(30)]).toEqual([true, false])
    ghost.remember(50)
    expect([ghost.take(20), ghost.take(40), ghost.take(50)]).toEqual([false, true, true])
  })

  it('keeps a hash that leaves again for as long as if it had left now', () => {
    const ghost = new Ghost(3)
    for (const each of [10, 20, 10, 30, 40]) ghost.remember(each)
    expect(ghost.take(10)).toBe(true)
    expect(ghost.take(20)).toBe(false)
  })

  it('remembers the hash 0 as it does the hash 1', () => {
    const ghost = new Ghost(2)
    expect(ghost.take(0)).toBe(false)
    ghost.remember(0)
    expect([ghost.take(0), ghost.take(0)]).toEqual([true, false])
    ghost.remember(0)
    expect([ghost.take(1), ghost.take(0)]).toEqual([true, false])
  })
})
