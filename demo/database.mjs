// A process of its own: Postgres as WebAssembly, which would block the services' event loops.
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'
import { answerParent } from './children.mjs'
import { importCities, openCopy } from './cities.mjs'

/** More than the services' pools ask for together. */
const MOST_CONNECTIONS = 32

/** Types of the wire protocol's messages that run a statement: Execute, and the simple Query. */
const RUNS_A_STATEMENT = new Set(['E', 'Q'].map((letter) => letter.charCodeAt(0)))

let db
let server
let queries = 0

async function start({ directory, scratch, copy }) {
  await importCities(directory, scratch)
  db = await openCopy(directory, copy)
  const { rows } = await db.query('SELECT id FROM city ORDER BY population DESC, id')
  countQueries()
  server = new PGLiteSocketServer({ db, port: 0, maxConnections: MOST_CONNECTIONS })
  await server.start()
  return { port: Number(server.getServerConn().split(':').at(-1)), ids: rows.map(({ id }) => id) }
}

/** Counts what reaches Postgres, not what the services say they sent. */
function countQueries() {
  const run = db.execProtocolRawStream.bind(db)
  db.execProtocolRawStream = (message, options) => {
    if (RUNS_A_STATEMENT.has(message[0])) queries += 1
    return run(message, options)
  }
}

async function stop() {
  await server?.stop()
  await db?.close()
}

answerParent({ start, queries: async () => queries }, stop)
