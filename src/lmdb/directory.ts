import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs'
import { join } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import { FORMAT } from './records.ts'
import { readMeta } from './space.ts'

export type Database = RootDatabase<Buffer, Buffer>

/** @returns The directory of the data in the one that the user has named; both exist now. */
export function prepareDirectory(path: string): string {
  const boot = bootId()
  const directory = join(path, boot === undefined ? 'data' : `${BOOT}${boot}`)
  try {
    if (boot !== undefined) removeOlder(path, boot)
    mkdirSync(directory, { recursive: true })
  } catch (cause) {
    throw cannotUse(directory, cause)
  }
  return directory
}

/** Nobody else may open, close or commit meanwhile. */
export function openData(directory: string): Database {
  try {
    checkFile(join(directory, 'data.mdb'))
    const data = open<Buffer, Buffer>({
      path: directory,
      noSubdir: false,
      encoding: 'binary',
      keyEncoding: 'binary',
      // One slot per process and worker thread; what the first process says is what counts.
      maxReaders: 1024,
      ...(bootId() === undefined ? {} : { noSync: true }),
    })
    try {
      // Reads, and so has its slot among the readers from here on: to get one, LMDB waits for a lock.
      checkFormat(data)
    } catch (error) {
      void data.close()
      throw error
    }
    return data
  } catch (cause) {
    throw cannotUse(directory, cause)
  }
}

function cannotUse(directory: string, cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new Error(`lmdb: cannot use ${directory}: ${reason}`, { cause })
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
