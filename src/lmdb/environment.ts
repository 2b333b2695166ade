import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import { FORMAT } from './records.ts'
import { readMeta, Space, soonestDue } from './space.ts'

/**
 * How processes keep out of each other's way.
 *
 * LMDB 0.9.90, the version inside `lmdb` 3.5, has a race: whoever opens an environment sets the
 * number of the last transaction, shared by all, to what it read a moment before. If another process
 * commits in between, that number goes back, and the next commits destroy the list of free pages,
 * for good. So nobody may commit while somebody opens. The lock for that is the write lock of a
 * second environment, the gate, in which nothing is ever written, so that opening it is safe: it is
 * held while the data is opened and while a batch is committed. It is robust: the system frees it
 * when its holder dies.
 *
 * The gate is waited for in a thread of `lmdb`. The batch itself, all writes that have come by then,
 * is one synchronous transaction: nobody else is writing, and nothing waits for the disk (on Linux).
 */

/**
 * The environments of this process by their path. Two on one path would deadlock: opening one needs
 * the gate that the other may hold while it waits for this very thread.
 */
const environments = new Map<string, Environment>()

/** Writes committed together at most; a batch of usual values takes a few milliseconds. */
const BATCH = 256

interface Write {
  /** Returns what tells its caller, once it is committed. */
  readonly run: (space: Space) => () => void
  readonly failed: (error: unknown) => void
}

/** One LMDB environment, shared by all stores of this process on one path. */
export class Environment {
  readonly #path: string
  readonly #gate: RootDatabase<Buffer, Buffer>
  readonly #data: RootDatabase<Buffer, Buffer>
  readonly #queue: Write[] = []
  #draining = false
  #holders = 0

  /** @throws Error if the directory cannot be used, or is of another format. */
  static acquire(path: string): Environment {
    const absolute = resolve(path)
    const environment = environments.get(absolute) ?? new Environment(absolute)
    environments.set(absolute, environment)
    environment.#holders++
    return environment
  }

  private constructor(path: string) {
    this.#path = path
    const { gate, data } = openBoth(path)
    this.#gate = gate
    this.#data = data
  }

  /** Sees what any process has committed by now. */
  read<T>(run: (get: (key: Buffer) => Buffer | undefined) => T): T {
    try {
      return run((key) => this.#data.getBinary(key))
    } finally {
      // At once, not in the timer that `lmdb` starts: the next read must not find an old snapshot,
      // and a snapshot that is held keeps pages from being used again.
      this.#data.resetReadTxn()
    }
  }

  soonestDue(): Buffer | undefined {
    return this.read(() => soonestDue(this.#data, 1)[0])
  }

  /** Resolves once what `run` did is committed, and so visible to all processes. */
  write<T>(run: (space: Space) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#queue.push({
        run: (space) => {
          const value = run(space)
          return () => resolve(value)
        },
        failed: reject,
      })
      if (!this.#draining) void this.#drain()
    })
  }

  /** The last one out closes; no operation may be under way. */
  async release(): Promise<void> {
    if (--this.#holders > 0) return
    environments.delete(this.#path)
    await this.#data.close()
    await this.#gate.close()
  }

  /** Never rejects: each write tells its own caller. */
  async #drain(): Promise<void> {
    this.#draining = true
    while (this.#queue.length > 0) {
      try {
        await this.#gate.transaction(() => this.#commit(this.#queue.splice(0, BATCH)))
      } catch (error) {
        for (const write of this.#queue.splice(0)) write.failed(error)
      }
    }
    this.#draining = false
  }

  /** All or nothing. */
  #commit(batch: readonly Write[]): void {
    try {
      const committed = this.#data.transactionSync(() => {
        const space = new Space(this.#data)
        const tellers = batch.map((write) => write.run(space))
        space.save()
        return tellers
      })
      for (const tell of committed) tell()
    } catch (cause) {
      const error = new Error('lmdb: the write was not committed; is the disk full?', { cause })
      for (const write of batch) write.failed(error)
    }
  }
}

interface Both {
  readonly gate: RootDatabase<Buffer, Buffer>
  readonly data: RootDatabase<Buffer, Buffer>
}

function openBoth(path: string): Both {
  const boot = bootId()
  const directory = join(path, boot === undefined ? 'data' : `${BOOT}${boot}`)
  let gate: RootDatabase<Buffer, Buffer> | undefined
  try {
    if (boot !== undefined) removeOlder(path, boot)
    const noSync = boot !== undefined
    const opened = openOne(join(directory, 'gate'), noSync)
    gate = opened
    return opened.transactionSync(() => {
      const data = openOne(directory, noSync)
      try {
        checkFormat(data)
      } catch (error) {
        void data.close()
        throw error
      }
      return { gate: opened, data }
    })
  } catch (cause) {
    void gate?.close()
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`lmdb: cannot use ${directory}: ${reason}`, { cause })
  }
}

function openOne(directory: string, noSync: boolean): RootDatabase<Buffer, Buffer> {
  checkFile(join(directory, 'data.mdb'))
  return open<Buffer, Buffer>({
    path: directory,
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    // One slot per process and worker thread; what the first process says is what counts.
    maxReaders: 1024,
    ...(noSync ? { noSync } : {}),
  })
}

const MAGIC = 0xbeefc0de
const MAGIC_AT = 24

/** LMDB ends the process when it opens a file that is not of its making. */
function checkFile(path: string): void {
  if (!existsSync(path)) return
  const head = Buffer.alloc(MAGIC_AT + 4)
  const file = openSync(path, 'r')
  const length = readSync(file, head)
  closeSync(file)
  // Empty: another process is about to write the first pages.
  if (length === 0 || head.readUInt32LE(MAGIC_AT) === MAGIC) return
  throw new Error('data.mdb is damaged or of another kind. Delete the directory: it is a cache')
}

function checkFormat(db: RootDatabase<Buffer, Buffer>): void {
  const format = readMeta(db)?.format
  const strange = format === undefined && db.getKeysCount({ limit: 1 }) > 0
  db.resetReadTxn()
  if (!strange && (format === undefined || format === FORMAT)) return
  throw new Error(
    `it is of ${strange ? 'another program' : `format ${format}`}, and this version reads format ` +
      `${FORMAT}. Use another path, or delete the directory: it is a cache`,
  )
}

const BOOT = 'boot-'
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id'
const UUID = /^[0-9a-f-]{36}$/

/**
 * The name of this run of the machine, where it has one (Linux). Nothing is flushed to disk there:
 * what a process wrote is safe in the system's memory when the process dies. A machine that stops
 * can leave a damaged file, which kills the process that reads it, so each run begins a new one.
 * Elsewhere LMDB flushes each commit.
 */
function bootId(): string | undefined {
  if (!existsSync(BOOT_ID_FILE)) return undefined
  const id = readFileSync(BOOT_ID_FILE, 'latin1').trim()
  return UUID.test(id) ? id : undefined
}

/** Of earlier runs of the machine; nothing else that may be in the directory. */
function removeOlder(path: string, boot: string): void {
  if (!existsSync(path)) return
  for (const name of readdirSync(path)) {
    if (!name.startsWith(BOOT) || !UUID.test(name.slice(BOOT.length))) continue
    if (name !== `${BOOT}${boot}`) rmSync(join(path, name), { recursive: true, force: true })
  }
}
