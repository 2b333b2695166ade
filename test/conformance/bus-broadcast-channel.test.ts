import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { broadcastChannel } from '../../src/broadcast-channel/broadcast-channel.ts'
import type { BusListener, InvalidationBus } from '../../src/bus/invalidation-bus.ts'
import { busConformance } from '../../src/testing/bus-conformance.ts'
import { until } from '../support/until.ts'

const exec = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const THREAD = new URL('./broadcast-channel-thread.mjs', import.meta.url)

let built: string
/** The compiled bus: threads and processes cannot import TypeScript. */
let module: string

beforeAll(async () => {
  built = await mkdtemp(join(ROOT, 'node_modules/.broadcast-channel-test-'))
  const options =
    '--target es2023 --module nodenext --rewriteRelativeImportExtensions --verbatimModuleSyntax ' +
    '--skipLibCheck --types node --ignoreConfig --rootDir src'
  await exec(
    process.execPath,
    [
      join(ROOT, 'node_modules/typescript/bin/tsc'),
      ...options.split(' '),
      ...['--outDir', built, 'src/broadcast-channel/index.ts'],
    ],
    { cwd: ROOT },
  )
  module = pathToFileURL(join(built, 'broadcast-channel/index.js')).href
}, 60_000)

afterAll(() => rm(built, { recursive: true, force: true }))

busConformance({
  name: 'broadcastChannel, in one thread',
  kind: 'messages',
  create: async () => ({ bus: () => broadcastChannel(), dispose: async () => undefined }),
  describe,
  it,
})

interface Told {
  readonly id?: number
  readonly answer?: number
  readonly what?: 'message' | 'changed' | 'up' | 'down' | 'blocked'
  readonly value?: unknown
}

/** A bus in a thread of its own. What it tells and answers comes by one port, so in order. */
class Thread implements InvalidationBus {
  readonly name = 'broadcastChannel'
  readonly kind = 'messages'
  readonly #worker: Worker
  readonly #listeners: BusListener[] = []
  readonly #answers = new Map<number, (value: unknown) => void>()
  #asked = 0
  blocked = false

  constructor(worker: Worker) {
    this.#worker = worker
    worker.on('message', (told: Told) => {
      if (told.answer !== undefined) return this.#answers.get(told.answer)?.(told.value)
      const listener = this.#listeners[told.id ?? 0]
      if (told.what === 'message') listener?.message(told.value as string)
      if (told.what === 'changed') listener?.changed(told.value as string[])
      if (told.what === 'up') listener?.up()
      if (told.what === 'down') listener?.down()
      if (told.what === 'blocked') this.blocked = true
    })
  }

  open(listener: BusListener, { name }: { readonly name: string }) {
    const id = this.#listeners.push(listener) - 1
    this.#worker.postMessage({ id, call: 'open', value: name })
    return {
      beat: async () => {
        if ((await this.#ask(id, 'beat')) === 'rejected') throw new Error('it rejected')
      },
      publish: async (text: string) => (await this.#ask(id, 'publish', text)) === true,
      close: async () => {
        const closed = this.#ask(id, 'close')
        // Its thread learns of it later than this one.
        const silent = () => undefined
        this.#listeners[id] = { message: silent, changed: silent, up: silent, down: silent }
        await closed
      },
    }
  }

  /** Until the flag is set and notified. */
  block(flag: Int32Array): void {
    this.#worker.postMessage({ call: 'block', value: flag })
  }

  #ask(id: number, call: string, value?: unknown): Promise<unknown> {
    const answer = this.#asked++
    return new Promise((resolve) => {
      this.#answers.set(answer, resolve)
      this.#worker.postMessage({ id, call, answer, value })
    })
  }
}

async function startThread(): Promise<Thread> {
  const worker = new Worker(THREAD, { workerData: { module } })
  running.push(worker)
  await once(worker, 'online')
  return new Thread(worker)
}

const running: Worker[] = []

async function endThreads(): Promise<void> {
  await Promise.all(running.splice(0).map((worker) => worker.terminate()))
}

busConformance({
  name: 'broadcastChannel, each bus in a thread of its own',
  kind: 'messages',
  create: async () => ({ bus: startThread, dispose: endThreads }),
  describe,
  it,
})

class Notes implements BusListener {
  readonly texts: string[] = []
  message(text: string): void {
    this.texts.push(text)
  }
  changed(): void {}
  up(): void {}
  down(): void {}
}

describe('a broadcast channel', () => {
  afterEach(endThreads)

  it('keeps no thread alive', async () => {
    const notes = new Notes()
    const session = broadcastChannel().open(notes, { name: 'alone' })
    const worker = new Worker(THREAD, { workerData: { module, alone: 'alone' } })
    running.push(worker)
    const [code] = await once(worker, 'exit')
    expect(code).toBe(0)
    await session.beat()
    expect(notes.texts).toEqual(['said by a thread that ends'])
    await session.close()
  })

  it('keeps no process alive', async () => {
    const source = `import { broadcastChannel } from '${module}'
      const listener = { message: console.log, changed() {}, up() {}, down() {} }
      const session = broadcastChannel().open(listener, { name: 'alone' })
      await session.publish('said by a process that ends')`
    const args = ['--input-type=module', '-e', source]
    const { stdout } = await exec(process.execPath, args, { timeout: 10_000 })
    expect(stdout).toBe('said by a process that ends\n')
  })

  it('tells a thread that was blocked what was said meanwhile, before it answers a beat', async () => {
    const thread = await startThread()
    const heard = new Notes()
    const other = thread.open(heard, { name: 'blocked' })
    await other.publish('before')
    const session = broadcastChannel().open(new Notes(), { name: 'blocked' })
    const flag = new Int32Array(new SharedArrayBuffer(4))
    thread.block(flag)
    await until('the thread is blocked', () => thread.blocked)
    const texts = Array.from({ length: 2500 }, (_, i) => `meanwhile ${i}`)
    for (const text of texts) await session.publish(text)
    const beat = other.beat()
    Atomics.store(flag, 0, 1)
    Atomics.notify(flag, 0)
    await beat
    expect(heard.texts).toEqual(['before', ...texts])
    await session.close()
  })

  it('is shared by name, whatever the caches are called', async () => {
    const notes = new Notes()
    const session = broadcastChannel({ name: 'shared' }).open(notes, { name: 'a' })
    const other = broadcastChannel({ name: 'shared' }).open(new Notes(), { name: 'b' })
    await other.publish('for all')
    await session.beat()
    expect(notes.texts).toEqual(['for all'])
    await session.close()
    await other.close()
  })

  it('tells nothing more to a listener that closes when it is told something', async () => {
    const notes = new Notes()
    const beside = new Notes()
    const session = broadcastChannel().open(notes, { name: 'closes' })
    const other = broadcastChannel().open(beside, { name: 'closes' })
    notes.message = (text) => {
      notes.texts.push(text)
      void session.close()
    }
    for (const text of ['1', '2', '3']) await other.publish(text)
    await until('the first is told', () => notes.texts.length > 0)
    await other.publish('4')
    const third = broadcastChannel().open(new Notes(), { name: 'closes' })
    await third.publish('5')
    await until('others are told', () => beside.texts.length === 5)
    expect(notes.texts).toEqual(['1'])
    await Promise.all([other.close(), third.close()])
  })

  it('leaves aside what is no text', async () => {
    const notes = new Notes()
    const session = broadcastChannel({ name: 'strange' }).open(notes, { name: 'a' })
    const strange = new BroadcastChannel('strange')
    for (const value of [undefined, 5, { Keys: ['k'] }, 'text']) strange.postMessage(value)
    await session.beat()
    expect(notes.texts).toEqual(['text'])
    strange.close()
    await session.close()
  })
})
