import { closeSync, constants, openSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

/**
 * A lock that one process at a time holds, and that nobody ever waits for in the system: whoever
 * waits there for a process that has been stopped (SIGSTOP, a debugger, a frozen container) has a
 * thread less, in the worst case its event loop, and cannot even exit. The system frees the lock
 * when its holder ends, whatever way it ends.
 *
 * Node.js has no call for such a lock, but some of what it has is exclusive:
 * - Linux: a name in the abstract namespace of Unix sockets. It belongs to a network namespace.
 * - Windows: a named pipe.
 * - macOS and the BSDs: a file opened with O_EXLOCK.
 */
export class Gate {
  readonly #take: () => (() => void) | undefined

  /** @param directory What the gate belongs to; whatever path leads to it, it is the same gate. */
  constructor(directory: string) {
    if (!HAS_PIPE_NAMES) {
      this.#take = () => lockFile(join(directory, 'gate'))
      return
    }
    const { dev, ino } = statSync(directory, { bigint: true })
    const name = `${process.platform === 'win32' ? '\\\\.\\pipe\\' : '\0'}jetcache-ts-${dev}-${ino}`
    this.#take = () => lockName(name)
  }

  /** @returns What opens the gate again; `undefined` if somebody holds it. */
  take(): (() => void) | undefined {
    return this.#take()
  }
}

const HAS_PIPE_NAMES = process.platform === 'linux' || process.platform === 'win32'

/** About 40 µs. Without `exclusive` the workers of a `cluster` would all hold the one name. */
function lockName(path: string): (() => void) | undefined {
  const server = createServer((stranger) => stranger.destroy())
  // That the name is taken is told once more, later, in an event.
  server.on('error', () => undefined)
  server.listen({ path, exclusive: true })
  return server.listening ? () => void server.close() : undefined
}

/** Of the BSDs: lock while opening; `fs.constants` does not have it. */
const O_EXLOCK = 0x20
const LOCK_NOW = constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK | O_EXLOCK

function lockFile(path: string): (() => void) | undefined {
  try {
    const file = openSync(path, LOCK_NOW)
    return () => closeSync(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined
    throw error
  }
}
