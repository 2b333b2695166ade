import { createHash } from 'node:crypto'
import { Agent, get } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'

/** With many more the generator and the services fight for the cores, and that is what one sees. */
export const CONNECTIONS = 4

/** Each connection starts a request at most this often, in milliseconds: 1,000 a second in all. */
const PACE = 4

/**
 * Sends the requests for `ids`, in order, over a few connections to the services in turn. After
 * `longest` milliseconds no further one is started.
 *
 * @returns what was measured, one latency (ms) and one digest of the answer per request.
 */
export async function sendAll({ ids, ports, query, longest, onProgress }) {
  const latencies = []
  const digests = []
  const startedAt = performance.now()
  let next = 0
  let done = 0
  const connection = async (_, index) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const port = ports[index % ports.length]
    while (next < ids.length && performance.now() - startedAt < longest) {
      const turn = next++
      const sentAt = performance.now()
      digests[turn] = await digestOf({ port, path: `/city/${ids[turn]}${query}`, agent })
      latencies[turn] = performance.now() - sentAt
      done += 1
      onProgress?.(done, performance.now() - startedAt)
      const early = PACE - (performance.now() - sentAt)
      if (early > 0) await pause(early)
    }
    agent.destroy()
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, connection))
  return { latencies, digests, duration: performance.now() - startedAt }
}

function digestOf(request) {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', ...request }, (response) => {
      const hash = createHash('sha256').update(String(response.statusCode))
      response.on('data', (chunk) => hash.update(chunk))
      response.on('end', () =>
        response.statusCode < 500
          ? resolve(hash.digest('base64'))
          : reject(new Error(`${request.path}: status ${response.statusCode}`)),
      )
      response.on('error', reject)
    }).on('error', reject)
  })
}
