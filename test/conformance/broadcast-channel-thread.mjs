// A thread with a bus of its own; does what its parent sends, and tells it what it hears. Data: the
// compiled module, and whether to say and hear something alone, without a parent that waits.
import { parentPort, workerData } from 'node:worker_threads'

const { broadcastChannel } = await import(workerData.module)
const bus = broadcastChannel()
const sessions = new Map()

function listenerOf(id) {
  const tell = (what, value) => parentPort.postMessage({ id, what, value })
  return {
    message: (text) => tell('message', text),
    changed: (keys) => tell('changed', keys),
    up: () => tell('up'),
    down: () => tell('down'),
  }
}

if (workerData.alone) {
  const session = bus.open(listenerOf(0), { name: workerData.alone })
  await session.publish('said by a thread that ends')
} else {
  parentPort.on('message', async ({ id, call, answer, value }) => {
    if (call === 'open') return sessions.set(id, bus.open(listenerOf(id), { name: value }))
    if (call === 'block') {
      parentPort.postMessage({ id, what: 'blocked' })
      Atomics.wait(value, 0, 0)
      return undefined
    }
    const result = await sessions
      .get(id)
      [call](value)
      .catch(() => 'rejected')
    return parentPort.postMessage({ answer, value: result })
  })
}
