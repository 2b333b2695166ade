import { type Clock, systemClock } from '../../src/model/clock.ts'

/** The machine's clock, which knows how many timers are running. */
export function countingClock(): { readonly clock: Clock; timers(): number } {
  const running = new Set<object>()
  const clock: Clock = {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic(),
    observe: () => systemClock.observe?.(),
    setTimer: (ms, callback) => {
      const token = {}
      running.add(token)
      const timer = systemClock.setTimer(ms, () => {
        running.delete(token)
        callback()
      })
      return {
        cancel: () => {
          running.delete(token)
          timer.cancel()
        },
      }
    },
  }
  return { clock, timers: () => running.size }
}
