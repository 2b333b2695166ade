import { expect } from 'vitest'
import { type Cache, createCache } from '../../src/cache.ts'
import { lru } from '../../src/lru/lru.ts'
import type { CacheSettings } from '../../src/options/options.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { until } from '../support/until.ts'
import type { ClientUnderTest } from './clients.ts'
import type { Deployment, Remote } from './deployments.ts'
import { OtherProcess } from './other-process.ts'
import type { Servers } from './servers.ts'

/** A cache and the client beneath it. */
export interface Opened {
  readonly cache: Cache
  /** Probes that the cache has made. */
  pings(): number
  /** Listeners on the client, to all its events. */
  listeners(): number
  /** Whether the client would send a command now. */
  isConnected(): boolean
}

interface OpenOptions {
  readonly tiers: 'remote' | 'both'
  /** Reaches the servers whatever happens to the network. */
  readonly pastNetwork?: boolean
  /** Milliseconds between two attempts to connect. */
  readonly reconnectEvery?: number
  readonly settings?: CacheSettings
}

/**
 * Where a row is not about time: an operation that a busy machine held up would be counted among
 * those that failed.
 */
export const PATIENT: CacheSettings = { remoteTimeout: '1s' }

/** What node has warned of: also listeners on what a client keeps to itself. */
const leaks: string[] = []
process.on('warning', ({ name, message }) => {
  if (name === 'MaxListenersExceededWarning') leaks.push(message)
})

/** One run of one row of the table: servers, and the caches that a test opens on them. */
export class Trial<S extends Servers = Servers> {
  readonly remote: Remote<S>
  readonly #closers: (() => Promise<void>)[] = []

  private constructor(remote: Remote<S>) {
    this.remote = remote
  }

  /** Runs a test on servers of its own, and leaves nothing of it behind. */
  static async on<S extends Servers>(
    deployment: Deployment<S>,
    test: (trial: Trial<S>) => Promise<void>,
  ): Promise<void> {
    const trial = new Trial(await deployment.start())
    try {
      await test(trial)
    } finally {
      for (const close of trial.#closers) await close()
      await trial.remote.stop()
    }
    expect(leaks.splice(0), 'listeners that become more, here or in a test beside it').toEqual([])
  }

  open({ tiers, pastNetwork = false, reconnectEvery, settings }: OpenOptions): Opened {
    const { remote } = this
    const client: ClientUnderTest = pastNetwork
      ? remote.clientPastNetwork()
      : remote.client(reconnectEvery)
    let pings = 0
    const store = watched(client.store, () => pings++)
    const local = tiers === 'both' ? { local: lru({ maxEntries: 1000 }) } : {}
    const cache = createCache({ ...local, remote: store, logger: false, ...settings })
    this.#closers.push(async () => {
      await cache.close({ timeout: '1s' })
      client.end()
    })
    return {
      cache,
      pings: () => pings,
      listeners: () => client.listeners(),
      isConnected: () => client.isConnected(),
    }
  }

  /** As `open`, when the remote answers. */
  async openReady(options: OpenOptions): Promise<Opened> {
    const opened = this.open(options)
    if (!(await opened.cache.ready())) throw new Error('the remote does not answer')
    return opened
  }

  /** Another process that reads what the servers hold. */
  async startOther(): Promise<OtherProcess> {
    const other = await OtherProcess.on(this.remote.servers)
    this.#closers.push(() => other.end())
    return other
  }

  /** Whether the servers hold something under the key. */
  async holds(key: string): Promise<boolean> {
    return (await this.remote.servers.ask(key, 'EXISTS', key)) === 1
  }

  /**
   * Waits until what `once` loads is written to the remote again.
   *
   * @throws Error (as a rejection) if that is not so `deadline` milliseconds from now.
   */
  async recovers(cache: Cache, deadline: number): Promise<void> {
    let tries = 0
    const written = async () => {
      const key = `recovered:${tries++}`
      await cache.once(key, async () => 'loaded')
      return this.holds(key)
    }
    await until('what once loads is written to the remote', written, deadline)
  }
}

/** The same store; tells of each question whether it is there. */
function watched(store: RemoteStore, onPing: () => void): RemoteStore {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return (...args: unknown[]): unknown => {
        if (name === 'ping') onPing()
        return Reflect.apply(member, target, args)
      }
    },
  })
}
