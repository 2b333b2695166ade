import type { CodecFinder } from './codec/registry.ts'
import type { Cache, CacheStats, CacheType, OnceMeta, OnceResult } from './face.ts'
import { Flights } from './flight/flights.ts'
import { Waiters } from './flight/waiters.ts'
import type { LocalEngine, LocalEntry, LocalSurroundings } from './local/local-store.ts'
import { LocalTier } from './local/local-tier.ts'
import { tellRemovals } from './local/removals.ts'
import type { Clock } from './model/clock.ts'
import type { Duration } from './model/duration.ts'
import { NOT_FOUND } from './model/entry.ts'
import {
  CacheClosedError,
  CacheMissError,
  CacheNotFoundError,
  optionTypeError,
  shown,
} from './model/errors.ts'
import { checkKey } from './model/key.ts'
import type { Lookup } from './model/outcome.ts'
import {
  type CacheOptions,
  DEFAULTS,
  type GetOptions,
  type Loader,
  type OnceOptions,
  type RefreshCallOptions,
  type SetOptions,
} from './options/options.ts'
import { type ResolvedOptions, resolveOptions } from './options/resolve-cache.ts'
import {
  type CallLimits,
  checkLoader,
  resolveGet,
  resolveOnce,
  resolveRefreshCall,
  resolveSet,
  resolveTimeout,
} from './options/resolve-call.ts'
import { type AnyLoader, type OnceCall, PLAIN_CALL } from './read/call.ts'
import type { CacheFlights, JoinableRead } from './read/joinable.ts'
import type { LoadFlight } from './read/load-flight.ts'
import type { Loaded } from './read/loaded.ts'
import { ReadPath } from './read/read-path.ts'
import { Refreshing } from './read/refreshing.ts'
import { RemoteTier } from './remote/remote-tier.ts'
import { type Counters, newCounters } from './stats/counters.ts'
import { Coherence } from './sync/coherence.ts'
import { TierStack } from './tiers/tier-stack.ts'
import { ValueForms } from './tiers/value-forms.ts'
import { ApplyInvalidation } from './write/apply-invalidation.ts'
import { WritePath } from './write/write-path.ts'

export type { Cache } from './face.ts'

/** Nothing that a loader throws means "not found". */
type WithoutNotFoundError = {
  readonly notFound?: { readonly error?: undefined } | undefined
}

/**
 * Makes a cache of a local tier, a remote tier, or both.
 *
 * @throws TypeError | RangeError (`code: 'CACHE_OPTION'`) naming the option, what came and the remedy;
 * `cache: both remote and local are nil` without a tier.
 */
export function createCache(options: CacheOptions & WithoutNotFoundError): Cache
export function createCache(options: CacheOptions): Cache<null>
export function createCache(options: CacheOptions): Cache<null> | Cache {
  return new TieredCache(resolveOptions(options))
}

/** Wires the rooms together; each method checks its arguments and delegates. */
class TieredCache implements Cache<null> {
  readonly name: string
  readonly type: CacheType
  readonly #clock: Clock
  readonly #codecs: CodecFinder
  readonly #release: (() => void) | undefined
  readonly #counters: Counters = newCounters()
  readonly #flights: CacheFlights = new Flights<LoadFlight, JoinableRead>()
  readonly #waiters: Waiters
  readonly #stack: TierStack
  readonly #coherence: Coherence | undefined
  readonly #apply: ApplyInvalidation
  /** What hits are answered from; nothing after `close()`. */
  #local: LocalTier | undefined
  readonly #read: ReadPath
  readonly #write: WritePath
  readonly #limits: CallLimits
  readonly #refreshing: Refreshing | undefined
  #closing: Promise<void> | undefined

  constructor(options: ResolvedOptions) {
    const { policy, clock, isNotFound } = options
    this.name = options.name
    this.type =
      options.remote === undefined ? 'local' : options.local === undefined ? 'remote' : 'both'
    this.#clock = clock
    this.#codecs = options.codecs
    this.#waiters = new Waiters(clock)
    this.#coherence = this.#newCoherence(options)
    this.#stack = this.#newStack(options)
    this.#local = this.#stack.local
    this.#apply = new ApplyInvalidation(this.#flights, this.#waiters, this.#stack.local)
    const coherence = this.#coherence
    this.#read = new ReadPath({
      stack: this.#stack,
      flights: this.#flights,
      waiters: this.#waiters,
      hearsWakeUps: () => coherence?.hearsWakeUps ?? false,
      policy,
      clock,
      counters: this.#counters,
      isNotFound,
    })
    this.#write = new WritePath(this.#stack, this.#flights, this.#waiters, (key) =>
      coherence?.changed([key]),
    )
    const { refresh } = options
    this.#limits = { policy, interval: refresh?.interval }
    if (refresh !== undefined) {
      this.#refreshing = new Refreshing({
        policy: refresh,
        clock,
        counters: this.#counters,
        read: this.#read,
        remote: this.#stack.remote,
        hears: () => coherence?.armed ?? false,
      })
    }
    try {
      coherence?.start()
    } catch (error) {
      void this.#closeParts()
      throw error
    }
    this.#release = clock.hold?.()
  }

  get taskSize(): number {
    return this.#refreshing?.size ?? 0
  }

  once<T>(
    key: string,
    loader: Loader<T>,
    options: OnceOptions<T> & { readonly meta: true },
  ): Promise<OnceMeta<OnceResult<T> | null>>
  once<T>(key: string, loader: Loader<T>, options?: OnceOptions<T>): Promise<OnceResult<T> | null>
  once<T>(
    key: string,
    loader: Loader<T>,
    options?: OnceOptions<T>,
  ): Promise<OnceResult<T> | OnceMeta<OnceResult<T> | null> | null> {
    // What is in local went through all checks when it was stored, and nothing is after close().
    if (options === undefined && this.#local !== undefined && typeof loader === 'function') {
      try {
        const entry = this.#read.localHit(key)
        if (entry !== undefined) {
          if (entry.aheadAt !== Infinity) this.#hitLate(key, entry, loader, PLAIN_CALL)
          return this.#local.answer(entry) as Promise<OnceResult<T> | null>
        }
      } catch (error) {
        return Promise.reject(error)
      }
      return this.#once(key, loader, options, true)
    }
    return this.#once(key, loader, options, false)
  }

  async #once<T>(
    key: string,
    loader: Loader<T>,
    options: OnceOptions<T> | undefined,
    looked: boolean,
  ): Promise<OnceResult<T> | OnceMeta<OnceResult<T> | null> | null> {
    const loaded = await this.#loaded(key, loader, options, looked)
    const value = this.#stack.forms.give(loaded.kept) as OnceResult<T> | null
    return options?.meta === true ? this.#meta(loaded, value) : value
  }

  #meta<T>({ kept, from, tier, until }: Loaded, value: T): OnceMeta<T> {
    if (tier === undefined) return { value, status: 'miss', tier, ttlLeft: undefined }
    const status = kept === NOT_FOUND ? 'absent' : from === 'fresh' ? 'hit' : 'stale'
    return { value, status, tier, ttlLeft: Math.max(0, until - this.#clock.now()) }
  }

  async onceOrThrow<T>(
    key: string,
    loader: Loader<T>,
    options?: OnceOptions<T>,
  ): Promise<NonNullable<T>> {
    const { kept, cause } = await this.#loaded(key, loader, options, false)
    if (kept === NOT_FOUND) throw new CacheNotFoundError(key, cause)
    return this.#stack.forms.give(kept) as NonNullable<T>
  }

  /** @param looked Whether local was asked just now and had nothing. */
  async #loaded<T>(
    key: string,
    loader: Loader<T>,
    options: OnceOptions<T> | undefined,
    looked: boolean,
  ): Promise<Loaded> {
    this.#check(key)
    checkLoader(loader)
    const call = resolveOnce(options, this.#codecs, this.#limits)
    call.signal?.throwIfAborted()
    if (call.refresh) this.#refreshing?.touch(key, { loader, call })
    const entry = looked || call.skipLocal ? undefined : this.#read.localHit(key)
    if (entry !== undefined) {
      if (entry.aheadAt !== Infinity) this.#hitLate(key, entry, loader, call)
      const { kept, freshUntil } = entry
      const until = freshUntil
      return { kept, cause: undefined, from: 'fresh', stored: 'stored', tier: 'local', until }
    }
    const from = this.#clock.monotonic()
    let loaded = await this.#read.load(key, loader, call)
    // A load that has ended without a result, for want of callers, is asked for once more.
    for (const asked = { at: from, coalesced: true }; loaded.from === 'none'; ) {
      loaded = await this.#read.load(key, loader, call, asked)
    }
    return loaded
  }

  #hitLate(key: string, { aheadAt }: LocalEntry, loader: AnyLoader, call: OnceCall): void {
    if (aheadAt <= this.#clock.now()) this.#read.ahead(key, loader, call)
  }

  async get<T = unknown>(key: string, options?: GetOptions): Promise<T | undefined> {
    const found = await this.lookup<T>(key, options)
    return found.status === 'hit' ? found.value : undefined
  }

  async getOrThrow<T = unknown>(key: string, options?: GetOptions): Promise<T> {
    const found = await this.lookup<T>(key, options)
    switch (found.status) {
      case 'hit':
        return found.value
      case 'absent':
        throw new CacheNotFoundError(key)
      case 'stale':
      case 'miss':
        throw new CacheMissError(key)
      case 'error':
        throw found.error
    }
  }

  async lookup<T = unknown>(key: string, options?: GetOptions): Promise<Lookup<T>> {
    this.#check(key)
    return this.#read.find<T>(key, resolveGet(options, this.#codecs))
  }

  peek<T = unknown>(key: string): T | undefined {
    this.#check(key)
    const entry = this.#local?.peek(key)
    if (entry === undefined || entry.kept === NOT_FOUND) return undefined
    return this.#stack.forms.give(entry.kept) as T
  }

  async exists(key: string, options?: GetOptions): Promise<boolean> {
    const found = await this.lookup(key, options)
    return found.status === 'hit'
  }

  async set(key: string, value: unknown, options?: SetOptions): Promise<boolean> {
    this.#check(key)
    if (value === undefined) {
      throw optionTypeError(
        'set was given undefined',
        'Store null to say that there is no such record, or call delete(key).',
      )
    }
    this.#read.changed(key)
    const tiers = { local: this.#local !== undefined, remote: this.#stack.remote !== undefined }
    return this.#write.set(key, value, resolveSet(options, tiers, this.#codecs))
  }

  async delete(key: string): Promise<boolean> {
    this.#check(key)
    this.#refreshing?.drop(key)
    this.#read.changed(key)
    return this.#write.delete(key)
  }

  async expire(key: string): Promise<boolean> {
    this.#check(key)
    this.#read.changed(key)
    return this.#write.expire(key)
  }

  async refresh<T = unknown>(
    key: string,
    loader?: Loader<T>,
    options?: RefreshCallOptions<T>,
  ): Promise<OnceResult<T> | null> {
    this.#check(key)
    const { call, work } = this.#reloading(key, loader, options)
    call.signal?.throwIfAborted()
    const asked = { at: this.#clock.monotonic(), coalesced: false }
    let loaded: Loaded
    do {
      this.#checkOpen()
      loaded = await this.#read.reload(key, work, call, asked)
      // It may have joined a load that found a value, or that ended without a result.
    } while (loaded.from !== 'loader')
    return this.#stack.forms.give(loaded.kept) as OnceResult<T> | null
  }

  cancelRefresh(key: string): boolean {
    this.#check(key)
    return this.#refreshing?.drop(key) ?? false
  }

  #reloading<T>(
    key: string,
    loader: Loader<T> | undefined,
    options: RefreshCallOptions<T> | undefined,
  ): { readonly call: OnceCall; readonly work: AnyLoader } {
    const call = resolveRefreshCall(options, this.#codecs, this.#limits)
    if (loader !== undefined) {
      checkLoader(loader)
      return { call, work: loader }
    }
    const known = this.#refreshing?.workOf(key)
    if (known === undefined) {
      throw optionTypeError(
        `refresh has no loader for key ${shown(key)}: no once(key, loader, { refresh: true }) has asked for it`,
        'Pass one: refresh(key, () => load()).',
      )
    }
    // What the call says itself comes before what is known of the key.
    const said = Object.entries(call).filter(([, value]) => value !== undefined && value !== false)
    return { call: { ...known.call, ...Object.fromEntries(said) }, work: known.loader }
  }

  deleteLocal(key: string): boolean {
    this.#check(key)
    return this.#write.deleteLocal(key)
  }

  clearLocal(): void {
    this.#checkOpen()
    this.#write.clearLocal('deleted')
  }

  stats(): CacheStats {
    return Object.freeze({
      name: this.name,
      type: this.type,
      localEntries: this.#local?.size ?? 0,
      localRefused: this.#stack.local?.refused ?? 0,
      breaker: this.#stack.remote?.breaker,
      recoveryPending: this.#stack.remote?.repairsPending ?? 0,
      busArmed: this.#coherence?.armed,
      ...this.#counters,
    })
  }

  async ready(options?: { readonly timeout?: Duration | undefined }): Promise<boolean> {
    const timeout = resolveTimeout(options, 'ready', DEFAULTS.readyTimeout)
    const remote = this.#stack.remote
    if (this.#closing !== undefined) return false
    return remote === undefined || remote.ready(timeout)
  }

  async close(options?: { readonly timeout?: Duration | undefined }): Promise<void> {
    const timeout = resolveTimeout(options, 'close', DEFAULTS.closeTimeout)
    this.#closing ??= this.#shutDown(timeout)
    return this.#closing
  }

  async #shutDown(timeout: number): Promise<void> {
    this.#local = undefined
    this.#refreshing?.close()
    this.#read.close()
    await this.#within(timeout, this.#flights.idle())
    this.#flights.revokeAll()
    this.#stack.local?.clear('deleted')
    this.#release?.()
    await this.#within(timeout, this.#closeParts())
  }

  async #closeParts(): Promise<void> {
    // What the last changes had to tell goes out by the remote's client.
    await this.#coherence?.close()
    await this.#stack.remote?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Settles with the work, or resolves when the time is over. */
  #within(timeout: number, work: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(timeout, resolve)
      work.finally(() => timer.cancel()).then(resolve, reject)
    })
  }

  #check(key: unknown): asserts key is string {
    checkKey(key)
    this.#checkOpen()
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new CacheClosedError()
  }

  #newCoherence({ sync, remote, name, clock, warn }: ResolvedOptions): Coherence | undefined {
    if (sync === undefined) return undefined
    return new Coherence({
      bus: sync.bus,
      sourceId: sync.sourceId,
      policy: sync,
      cacheName: name,
      origin: remote?.origin,
      clock,
      counters: this.#counters,
      warn,
      effects: {
        changed: (key, foreign) => {
          this.#read.changed(key)
          this.#apply.changed(key, foreign)
        },
        dropped: (keys) => this.#apply.dropped(keys),
        flush: () => this.#apply.flush(),
        refreshed: (keys) => {
          for (const key of keys) this.#refreshing?.learned(key)
        },
        woken: (keys) => this.#apply.woken(keys),
        undo: async (key, isOurs) => (await this.#stack.remote?.undo(key, isOurs)) ?? false,
      },
    })
  }

  #surroundings(
    { onRemoval }: LocalEngine,
    forms: ValueForms,
    { clock, warn }: ResolvedOptions,
  ): LocalSurroundings {
    const give = (kept: unknown) => forms.give(kept)
    return {
      clock,
      removed: onRemoval === undefined ? undefined : tellRemovals(onRemoval, give, warn),
      warn,
    }
  }

  #newStack(options: ResolvedOptions): TierStack {
    const { local: engine, remote: store, codec, policy, clock, warn, sync, leasing } = options
    const counters = this.#counters
    const forms = new ValueForms(codec, engine)
    const local =
      engine === undefined
        ? undefined
        : new LocalTier(
            engine.create(this.#surroundings(engine, forms, options)),
            forms.keeper,
            clock,
          )
    const remote =
      store === undefined
        ? undefined
        : new RemoteTier({
            store,
            timeout: policy.remoteTimeout,
            replay: policy.replay,
            clock,
            counters,
            leasing,
            announcer: this.#coherence,
            onDown: () => this.#waiters.wakeAll(),
            onReplaced: () => this.#write.clearLocal('invalidated'),
            warn,
          })
    const coherence = this.#coherence
    const trust = {
      limit: () => coherence?.localLimit() ?? Infinity,
      provisional: sync?.unarmedTtl ?? Infinity,
    }
    return new TierStack({ local, remote, forms, policy, clock, counters, trust })
  }
}
