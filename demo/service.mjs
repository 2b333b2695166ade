// What a user of the library would write: an HTTP service that reads cities through a cache.
import { once } from 'node:events'
import { createServer } from 'node:http'
import pg from 'pg'
import { createCache, tinyLfu } from '../dist/index.js'
import { answerParent } from './children.mjs'
import { CITY_PAGE } from './cities.mjs'
import { openRemote } from './remote.mjs'

let pool
let remote
let cache
let server
let keyPrefix

async function start(options) {
  keyPrefix = options.keyPrefix
  pool = new pg.Pool({
    host: '127.0.0.1',
    port: options.databasePort,
    user: 'postgres',
    database: 'postgres',
  })
  // An idle connection that breaks is replaced with the next query.
  pool.on('error', () => {})
  remote = await openRemote(options)
  cache = createCache({
    name: 'cities',
    // Fewer than are asked for: what is asked for least leaves, and comes back from the remote tier.
    local: tinyLfu({ maxEntries: 200, ttl: '1m' }),
    remote: remote.store,
    // Short, so that a Redis of yours is soon rid of the demo's keys.
    ttl: '2m',
    // An id that is in no table is remembered as well, or each request for it would cost a query.
    notFound: { ttl: '1m' },
  })
  if (!(await cache.ready({ timeout: '3s' }))) throw new Error(`${remote.name} does not answer`)
  server = createServer(respond).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: server.address().port }
}

/** `null`: there is no such city. */
async function loadCity(id) {
  const { rows } = await pool.query(CITY_PAGE, [id])
  return rows[0] ?? null
}

function cachedCity(id) {
  return cache.once(`${keyPrefix}:city:${id}`, () => loadCity(id))
}

/** GET /city/:id, or /city/:id?cache=off for the answer of the database. */
async function respond(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost')
  const id = /^\/city\/(\d{1,9})$/.exec(pathname)?.[1]
  try {
    const read = searchParams.get('cache') === 'off' ? loadCity : cachedCity
    const city = id === undefined ? null : await read(Number(id))
    send(response, city === null ? 404 : 200, city ?? { error: 'no such city' })
  } catch (error) {
    send(response, 500, { error: error.message })
  }
}

function send(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function stop() {
  server?.close()
  server?.closeAllConnections()
  await cache?.close()
  await remote?.close()
  await pool?.end()
}

answerParent({ start, stats: async () => cache.stats() }, stop)
