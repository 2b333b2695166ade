import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { Flights } from '../../../src/flight/flights.ts'
import { TAKES_NOTHING } from '../../../src/read/held.ts'
import { Load } from '../../../src/read/load.ts'
import { LoadFlight } from '../../../src/read/load-flight.ts'
import { fromLoader, type Loaded } from '../../../src/read/loaded.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'
import { reactions } from '../../support/held-loader.ts'

function open() {
  const abandoned: unknown[] = []
  const flight = new LoadFlight({
    key: 'k',
    purpose: 'answer',
    load: new Load('k'),
    ticket: new Flights().open('k'),
    clock: manualClock(),
    abandon: (reason) => abandoned.push(reason),
    onStale: () => undefined,
  })
  const join = (signal?: AbortSignal) =>
    flight.join({ signal, softTimeout: undefined, hardTimeout: undefined, takes: TAKES_NOTHING })
  return { flight, abandoned, join }
}

const LOADED: Loaded = fromLoader('value', undefined, 'stored')

describe('A flight that callers share', () => {
  it('gives its result to those who join before and after it lands', async () => {
    const { flight, abandoned, join } = open()
    const early = [flight.joinPlainly(), join(new AbortController().signal)]
    flight.lands(Promise.resolve(LOADED))
    const late = flight.joinPlainly()
    for (const joined of [...early, late]) expect(await joined).toBe(LOADED)
    expect(abandoned).toEqual([])
  })

  it('is abandoned once, by the last to leave, for that one’s reason', async () => {
    const { abandoned, join } = open()
    const leavers = [new AbortController(), new AbortController()]
    const joined = leavers.map(({ signal }) => join(signal))
    leavers[1]?.abort('second')
    expect(abandoned).toEqual([])
    leavers[0]?.abort('first')
    expect(abandoned).toEqual(['first'])
    await expect(joined[0]).rejects.toBe('first')
    await expect(joined[1]).rejects.toBe('second')
  })

  it('counts every join of one signal as a caller', async () => {
    const { abandoned, join } = open()
    const leaving = new AbortController()
    const joined = [join(leaving.signal), join(leaving.signal)]
    leaving.abort('gone')
    expect(abandoned).toEqual(['gone'])
    for (const caller of joined) await expect(caller).rejects.toBe('gone')
  })

  it('is left at once by who comes with a signal that has aborted already', async () => {
    const { abandoned, join } = open()
    await expect(join(AbortSignal.abort('before'))).rejects.toBe('before')
    expect(abandoned).toEqual(['before'])
  })

  it('a signal that aborts after the result has come is not heard any more', async () => {
    const { flight, abandoned, join } = open()
    const leaving = new AbortController()
    const joined = join(leaving.signal)
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
      const { flight, join } = open()
      const leaving = new AbortController()
      const joined = join(leaving.signal)
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
