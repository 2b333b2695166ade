import { randomBytes } from 'node:crypto'
import { createCache, freeCache, tinyLfu } from 'jetcache-ts'

const left = []
const products = createCache({
  name: 'products',
  local: tinyLfu({
    maxBytes: 64 * 1024 ** 2, // an estimate, mostly within a quarter
    ttl: '1m',
    onRemoval: (key, value, cause) => left.push(`${key} ${value.name} ${cause}`),
  }),
})

const loadProduct = async () => ({ name: 'Tea', euro: 4 })
const mine = await products.once('product:1', loadProduct)
mine.euro = 0 // a copy of its own
const other = await products.once('product:1', loadProduct)

await products.set('product:1', { name: 'Green tea', euro: 5 })
await products.delete('product:1')

const pages = createCache({
  name: 'pages',
  local: freeCache({ maxBytes: 64 * 1024 ** 2 }), // strict, outside of the JavaScript heap
})

await pages.set('page:1', { html: '<h1>Tea</h1>', at: new Date(0) })
const page = await pages.get('page:1')
await pages.set('page:2', randomBytes(2 * 1024 ** 2)) // more than a 64th of the whole

console.log(other.euro, left.join(', '))
console.log(page.at instanceof Date, pages.peek('page:2'), pages.stats().localRefused)

await products.close()
await pages.close()
