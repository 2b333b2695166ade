/** A record as a service caches it: 240 bytes of JSON. */
export const small = {
  id: 48213977,
  sku: 'AB-4410-XK',
  name: 'Trekking backpack 45 litres',
  price: 129.95,
  stock: 37,
  active: true,
  rating: 4.6,
  tags: ['outdoor', 'hiking', 'new'],
  dimensions: { width: 32, height: 61, depth: 24 },
  updatedAt: 1763824512345,
  note: null,
}

/** A page of such records with longer texts: 10 KB of JSON. */
export const large = {
  page: 3,
  total: 1874,
  next: '/products?page=4',
  products: Array.from({ length: 25 }, (_, i) => ({
    ...small,
    id: small.id + i * 7919,
    sku: `AB-${4410 + i}-XK`,
    price: Math.round(12995 * (1 + i / 9)) / 100,
    description: `Number ${i} of the series. ${'Waterproof, light, repairable; sold with a rain cover. '.repeat(2)}Größe ${i}.`,
  })),
}

const WORDS =
  'river stone cabin trail lantern copper meadow harbor winter signal market engine paper violin garden bridge window summit canvas ember'.split(
    ' ',
  )

/** Orders whose ids, texts and times differ; the same ones in each run. */
export function orders(count) {
  let seed = 42
  const next = (below) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  const words = (length) => Array.from({ length }, () => WORDS[next(WORDS.length)]).join(' ')
  return Array.from({ length: count }, () => ({
    id: next(2 ** 31),
    customer: words(2),
    note: words(4),
    total: next(1e6) / 100,
    paid: next(2) === 1,
    lines: next(9),
    createdAt: 1_763_000_000_000 + next(1e9),
  }))
}

/** Such a record with keys of its own for each number, and some of them in another order. */
export function shaped(number) {
  const entries = Object.entries(small).map(([key, value], i) =>
    i % 3 === number % 3 ? [`${key}${number}`, value] : [key, value],
  )
  const turned = number % entries.length
  return Object.fromEntries([...entries.slice(turned), ...entries.slice(0, turned)])
}
