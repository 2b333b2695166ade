import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Sequence } from '../../../src/flight/sequence.ts'

/** A turn that the test ends, and that notes when it begins. */
function held(log: string[], name: string): { turn: () => Promise<void>; end: () => void } {
  let end = (): void => undefined
  const over = new Promise<void>((resolve) => {
    end = resolve
  })
  const turn = () => {
    log.push(name)
    return over
  }
  return { turn, end: () => end() }
}

/** All promise reactions there are. */
const reactions = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('turns of a sequence', () => {
  it('the first of a key begins in the turn of the call, the next when it is over', async () => {
    const sequence = new Sequence()
    const log: string[] = []
    const one = held(log, 'one')
    const two = held(log, 'two')
    sequence.run('k', one.turn)
    sequence.run('k', two.turn)
    sequence.run('k', held(log, 'three').turn)
    expect(log).toEqual(['one'])
    one.end()
    await reactions()
    expect(log).toEqual(['one', 'two'])
    two.end()
    await reactions()
    expect(log).toEqual(['one', 'two', 'three'])
  })

  it('those of different keys never wait for each other', () => {
    const sequence = new Sequence()
    const log: string[] = []
    sequence.run('a', held(log, 'a').turn)
    sequence.run('b', held(log, 'b').turn)
    expect(log).toEqual(['a', 'b'])
  })

  it('one whose forerunners are all over begins at once again', async () => {
    const sequence = new Sequence()
    const log: string[] = []
    const first = held(log, 'first')
    sequence.run('k', first.turn)
    first.end()
    await reactions()
    sequence.run('k', held(log, 'at once').turn)
    expect(log).toEqual(['first', 'at once'])
  })

  it('of one key no two ever overlap, and they come in the order of their calls', async () => {
    const plan = fc.array(fc.constantFrom('a', 'b'), { maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(plan, fc.scheduler(), async (keys, scheduler) => {
        const sequence = new Sequence()
        const running = new Set<string>()
        const order: Record<string, number[]> = { a: [], b: [] }
        const overlaps: string[] = []
        const turn = async (key: string, index: number) => {
          if (running.has(key)) overlaps.push(key)
          running.add(key)
          order[key]?.push(index)
          await scheduler.schedule(Promise.resolve())
          running.delete(key)
        }
        const done = keys.map(
          (key, index) =>
            new Promise<void>((resolve) => {
              sequence.run(key, () => turn(key, index).then(resolve))
            }),
        )
        await scheduler.waitFor(Promise.all(done))
        expect(overlaps).toEqual([])
        for (const [key, indexes] of Object.entries(order)) {
          expect(indexes).toEqual([...keys.keys()].filter((index) => keys[index] === key))
        }
      }),
      { numRuns: 100 },
    )
  })
})
