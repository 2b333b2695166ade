import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { Flights } from '../../../src/flight/flights.ts'
import { Load } from '../../../src/read/load.ts'
import { LoadFlight } from '../../../src/read/load-flight.ts'
import type { Loaded } from '../../../src/read/loaded-value.ts'
import { reactions } from '../../support/held-loader.ts'

function open() {
  const abandoned: unknown[] = []
  const flight = new LoadFlight(new Load('k'), new Flights().open('k'), 0, (reason) =>
    abandoned.push(reason),
  )
  return { flight, abandoned }
}

const LOADED: Loaded = { kept: 'value', cause: undefined }

describe('A flight that callers share', () => {
  it('gives its result to those who join before and after it lands', async () => {
    const { flight, abandoned } = open()
    const early = [flight.join(undefined), flight.join(new AbortController().signal)]
    flight.lands(Promise.resolve(LOADED))
    const late = flight.join(undefined)
    for (const joined of [...early, late]) expect(await joined).toBe(LOADED)
    expect(abandoned).toEqual([])
  })

  it('is abandoned once, by the last to leave, for that one’s reason', async () => {
    const { flight, abandoned } = open()
    const leavers = [new AbortController(), new AbortController()]
    const joined = leavers.map(({ signal }) => flight.join(signal))
    leavers[1]?.abort('second')
    expect(abandoned).toEqual([])
    leavers[0]?.abort('first')
    expect(abandoned).toEqual(['first'])
    await expect(joined[0]).rejects.toBe('first')
    await expect(joined[1]).rejects.toBe('second')
  })

  it('counts every join of one signal as a caller', async () => {
    const { flight, abandoned } = open()
    const leaving = new AbortController()
    const joined = [flight.join(leaving.signal), flight.join(leaving.signal)]
    leaving.abort('gone')
    expect(abandoned).toEqual(['gone'])
    for (const caller of joined) await expect(caller).rejects.toBe('gone')
  })

  it('a signal that aborts after the result has come is not heard any more', async () => {
    const { flight, abandoned } = open()
    const leaving = new AbortController()
    const joined = flight.join(leaving.signal)
    flight.lands(Promise.resolve(LOADED))
    expect(await joined).toBe(LOADED)
    leaving.abort('late')
    expect(abandoned).toEqual([])
    expect(getEventListeners(leaving.signal, 'abort')).toHaveLength(0)
  })

  it('whose callers have all left may fail unheard', async () => {
    const unhandled: unknown[] = []
    const note = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', note)
    try {
      const { flight } = open()
      const leaving = new AbortController()
      const joined = flight.join(leaving.signal)
      leaving.abort('gone')
      await expect(joined).rejects.toBe('gone')
      flight.lands(Promise.reject(new Error('nobody hears it')))
      await reactions()
      await reactions()
      expect(unhandled).toEqual([])
    } finally {
      process.off('unhandledRejection', note)
    }
  })
})
