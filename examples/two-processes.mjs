import { createCache, tinyLfu } from 'jetcache-ts'
import { manualClock, memoryBus, memoryRemote } from 'jetcache-ts/testing'

const clock = manualClock()
const bus = memoryBus()
const remote = memoryRemote({ clock, announce: bus.announce, origin: bus.origin })
const openCache = () =>
  createCache({ local: tinyLfu({ maxEntries: 100 }), remote, sync: { bus }, clock, logger: false })

const [one, two] = [openCache(), openCache()] // as if in two processes
await clock.advanceAsync(0) // both buses are armed

let loads = 0
const loadUser = async () => {
  loads++
  return 'Ada'
}
await Promise.all([one.once('user:1', loadUser), two.once('user:1', loadUser)])

const [, wayToTwo] = bus.lines
wayToTwo.cut('silent') // nothing arrives any more, and nobody says so
await one.set('user:1', 'Grace')
const old = await two.once('user:1', loadUser)

await clock.advanceAsync(6000)
const { busArmed } = two.stats()

wayToTwo.mend()
await clock.advanceAsync(0)
const fresh = await two.once('user:1', loadUser)

console.log(loads, old, busArmed, fresh)

await one.close()
await two.close()
