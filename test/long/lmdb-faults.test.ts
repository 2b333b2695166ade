import { describe, expect, it } from 'vitest'
import { crew } from '../real/lmdb-crew.ts'
import { killRounds, openCloseRounds, stopRounds, unclosedRounds } from '../real/lmdb-rounds.ts'

const processes = crew()

describe('processes that share a store of lmdb(), when one of them', () => {
  it('is killed in the middle, 50 times, go on, and no value is torn', async () => {
    await killRounds(processes, 50)
  })

  it.skipIf(process.platform !== 'linux')(
    'is stopped at any moment, 150 times, go on',
    async () => {
      // Some of the stops must have met a transaction.
      expect(await stopRounds(processes, 150)).toBeGreaterThan(0)
    },
  )

  it('opens and closes the directory 1,000 times, go on', async () => {
    await openCloseRounds(processes, 1000)
  })

  it('has threads that end without closing, 200 of them, still find the locks whole', async () => {
    await unclosedRounds(processes, 200)
  })
})
