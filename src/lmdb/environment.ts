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

// Taken at import, as `lmdb` takes its own, so that fake timers installed later stop neither.
const nextTurn = setImmediate

/**
 * The environments of this process by their path. Two on one path would deadlock: opening one needs
 * the write lock that the other may hold while it waits for this very thread.
 */
const environments = new Map<string, Environment>()

/** One LMDB environment, shared by all stores of this process on one path. */
export class Environment {
  readonly #path: string
  readonly #db: RootDatabase<Buffer, Buffer>
  #holders = 0
  #watched = false

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
    this.#db = openDatabase(path)
  }

  /** Sees what any process has committed by now. */
  read<T>(run: (get: (key: Buffer) => Buffer | undefined) => T): T {
    try {
      return run((key) => this.#db.getBinary(key))
    } finally {
      // At once, not in the timer that `lmdb` starts: the next read must not find an old snapshot,
      // and a snapshot that is held keeps pages from being used again.
      this.#db.resetReadTxn()
    }
  }

  soonestDue(): Buffer | undefined {
    return this.read(() => soonestDue(this.#db, 1)[0])
  }

  /** Resolves once what `run` did is committed, and so visible to all processes. */
  async write<T>(run: (space: Space) => T): Promise<T> {
    const committed = this.#db.transaction(() => {
      const space = new Space(this.#db)
      try {
        return run(space)
      } finally {
        space.save()
      }
    })
    this.#watchCommit()
    try {
      return await committed
    } catch (cause) {
      throw commitFailure(cause)
    }
  }

  /** The last one out closes; no operation may be under way. */
  async release(): Promise<void> {
    if (--this.#holders > 0) return
    environments.delete(this.#path)
    await this.#db.close()
  }

  /**
   * `lmdb` makes one more promise per batch, at the end of the turn, and hands it to nobody: if the
   * commit fails, that one would end the process as an unhandled rejection. Its own immediate is
   * queued before ours.
   */
  #watchCommit(): void {
    if (this.#watched) return
    this.#watched = true
    nextTurn(() => {
      this.#watched = false
      this.#db.committed.then(ignore, ignore)
    })
  }
}

function ignore(): void {}

function commitFailure(cause: unknown): unknown {
  const reason: unknown = cause instanceof Error ? Reflect.get(cause, 'commitError') : undefined
  if (!(reason instanceof Promise)) return cause
  reason.catch(ignore)
  return new Error('lmdb: the write was not committed; is the disk full?', { cause })
}

function openDatabase(path: string): RootDatabase<Buffer, Buffer> {
  const boot = bootId()
  const directory = join(path, boot === undefined ? 'data' : `${BOOT}${boot}`)
  let db: RootDatabase<Buffer, Buffer> | undefined
  try {
    if (boot !== undefined) removeOlder(path, boot)
    checkFile(join(directory, 'data.mdb'))
    db = open<Buffer, Buffer>({
      path: directory,
      noSubdir: false,
      encoding: 'binary',
      keyEncoding: 'binary',
      // One slot per process and worker thread; what the first process says is what counts.
      maxReaders: 1024,
      ...(boot === undefined ? {} : { noSync: true }),
    })
    checkFormat(db)
    return db
  } catch (cause) {
    void db?.close()
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`lmdb: cannot use ${directory}: ${reason}`, { cause })
  }
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
