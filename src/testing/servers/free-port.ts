import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Below the range that Linux and macOS give to outgoing connections (from 32,768), so that nobody
 * gets the port while a server is being restarted, and so that a client that keeps trying a closed
 * port cannot meet itself there. The bus port of a cluster node, 10,000 higher, lies between the two.
 */
const LOWEST = 10_000
const HIGHEST = 19_999

const TRIES = 100

/** By this process: a server that is down for a while gets its port back. */
const given = new Set<number>()

/**
 * A port of 127.0.0.1 that nobody listened on a moment ago.
 *
 * @throws Error (as a rejection) if 100 ports tried at random are all taken.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1))
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
  throw new Error(`no free port found from ${LOWEST} to ${HIGHEST}`)
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
