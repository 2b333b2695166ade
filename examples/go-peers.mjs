import { createCache, msgpack } from 'jetcache-ts'
import { nodeRedis } from 'jetcache-ts/redis'
import { createClient } from 'redis'

const client = await createClient({ url: process.env.REDIS_URL }).connect()

// The Go services have a cache.NewT[int64, Order], and ask it for Get(ctx, "order", 7, load):
//
//   type Order struct {
//     ID        int64
//     Customer  string `msgpack:"customer"`
//     City      string `msgpack:",intern"`
//     Weight    float32
//     PlacedAt  time.Time
//     ShippedAt time.Time
//   }

const cache = createCache({
  remote: nodeRedis(client),
  codec: msgpack({
    interop: 'go', // refuse what Go has no word for
    omitNull: ['ShippedAt'], // a time.Time that is no pointer
    float32Fields: ['Weight'],
    internedFields: ['City'], // tagged intern
  }),
})

const loadOrder = async (id) => ({
  ID: id,
  customer: 'Ada',
  City: 'Lisbon',
  Weight: 0.1,
  PlacedAt: new Date('2024-05-06T07:08:09Z'),
  ShippedAt: null,
})

const id = 7
const order = await cache.once(`order:${id}`, () => loadOrder(id))

console.log(order.customer, order.Weight, order.ShippedAt)

await cache.close()
client.destroy()
