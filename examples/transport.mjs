import { EventEmitter } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { createCache, customBus, tinyLfu } from 'jetcache-ts'

const broker = new EventEmitter() // stands for the client of a broker

function openCache() {
  const bus = customBus({
    onEvent: async (text) => void broker.emit('cache.users', text), // rejects if it may be lost
  })
  broker.on('cache.users', (text) => bus.apply(text)) // each text, in order, own ones too
  broker.on('disconnected', () => bus.down())
  broker.on('subscribed again', () => bus.up())
  return createCache({ name: 'users', local: tinyLfu({ maxEntries: 10_000 }), sync: { bus } })
}

const [here, there] = [openCache(), openCache()]
await setImmediate() // both are listening

const before = await there.once('user:1', async () => 'Ada')
await here.delete('user:1') // after an update in the database
await setImmediate() // the way through the broker
const after = await there.once('user:1', async () => 'Grace')

console.log(before, after, there.stats().busReceived)

await here.close()
await there.close()
