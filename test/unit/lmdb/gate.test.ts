import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { prepareDirectory } from '../../../src/lmdb/directory.ts'
import { Environment } from '../../../src/lmdb/environment.ts'
import { Gate } from '../../../src/lmdb/gate.ts'

let path: string

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'jetcache-lmdb-'))
})

afterEach(() => rm(path, { recursive: true, force: true }))

describe('the gate of a directory', () => {
  it('has one holder at a time', () => {
    const [one, other] = [new Gate(path), new Gate(path)]
    for (let round = 0; round < 100; round++) {
      const leave = one.take()
      expect(leave).toBeDefined()
      expect(other.take()).toBeUndefined()
      expect(one.take()).toBeUndefined()
      leave?.()
      const leaveOther = other.take()
      expect(leaveOther).toBeDefined()
      leaveOther?.()
    }
  })

  it.skipIf(process.platform === 'win32')('is the same by every path', async () => {
    await mkdir(join(path, 'real'))
    await symlink(join(path, 'real'), join(path, 'other'))
    const leave = new Gate(join(path, 'real')).take()
    expect(new Gate(join(path, 'other')).take()).toBeUndefined()
    leave?.()
  })

  it('is not that of another directory', () => {
    const leave = new Gate(path).take()
    const leaveOther = new Gate(tmpdir()).take()
    expect(leaveOther).toBeDefined()
    leave?.()
    leaveOther?.()
  })
})

describe('an environment', () => {
  it('is closed in its turn at the gate', async () => {
    const environment = Environment.acquire(path)
    const read = () => environment.read((get) => get(Buffer.of(1)))
    const leave = new Gate(prepareDirectory(path)).take()
    expect(leave).toBeDefined()
    const released = environment.release()
    for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve))
    expect(read()).toBeUndefined()
    leave?.()
    await released
    expect(read).toThrow('closed')
  })

  it('that nobody has closed is closed when the process ends, and until then the process is listened to once', async () => {
    const before = process.listeners('exit')
    const environment = Environment.acquire(path)
    const second = Environment.acquire(join(path, 'second'))
    const [closeAll, ...more] = process.listeners('exit').filter((each) => !before.includes(each))
    expect(more).toEqual([])
    const read = () => environment.read((get) => get(Buffer.of(1)))
    expect(read()).toBeUndefined()
    closeAll?.(0)
    expect(read).toThrow('closed')
    await environment.release()
    await second.release()
    expect(process.listeners('exit')).toEqual(before)
  })
})
