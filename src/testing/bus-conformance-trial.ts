import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { BusListener, BusSession, InvalidationBus } from '../bus/invalidation-bus.ts'

/** A transport under test, with what the suite needs around it. */
export interface InvalidationBusTarget {
  /** Makes a bus on the transport as a process of its own would. Called up to three times. */
  bus(): InvalidationBus | Promise<InvalidationBus>
  /**
   * Cuts the connections that listen for this bus, in a way that it can notice. They come back by
   * themselves, or with `mend`.
   */
  readonly cut?: ((bus: InvalidationBus) => void | Promise<void>) | undefined
  readonly mend?: ((bus: InvalidationBus) => void | Promise<void>) | undefined
  /** Publishes as strangers do, so that caches of this name hear it. Of `messages` only. */
  readonly publish?: ((cacheName: string, text: string) => void | Promise<void>) | undefined
  /** Changes the store as strangers do. Of `notices` only, which need it. */
  readonly store?: NoticedStore | undefined
  /**
   * News take several ways, by several servers, on which they overtake each other and beats. Default
   * `false`: what one says arrives in order, and before the answer to a later beat.
   */
  readonly overtakes?: boolean | undefined
  /**
   * Caches hear each other whatever they are called, as where the transport was given one name for
   * all. Default `false`.
   */
  readonly namesIgnored?: boolean | undefined
  /** Milliseconds within which whatever must come has come, on a busy machine. Default 10,000. */
  readonly patience?: number | undefined
  /** Called after the last session was closed. */
  dispose(): Promise<void>
}

/** A store that notices are told of. Resolves when the store has acknowledged the change. */
export interface NoticedStore {
  /** Begins the keys that the check changes; the bus is told of all that begin with it. */
  readonly prefix: string
  set(key: string, value: string): Promise<void>
  delete(key: string): Promise<void>
  /** A life so short that the value expires, and the store notices, within some seconds. */
  setBriefly(key: string, value: string): Promise<void>
  /** Empties the store at once, without naming keys; left out if that cannot be. */
  readonly flush?: (() => Promise<void>) | undefined
}

/** What a listener has been told, in order. */
type Told =
  | { readonly what: 'up' | 'down' }
  | { readonly what: 'message'; readonly text: string }
  | { readonly what: 'changed'; readonly keys: readonly string[] | undefined }

/** A session with a listener that writes down what it is told. */
export class Ear implements BusListener {
  readonly told: Told[] = []
  readonly #onUp: (() => void) | undefined
  #session: BusSession | undefined

  constructor(onUp?: () => void) {
    this.#onUp = onUp
  }

  /** The session; only once it has been opened. */
  get session(): BusSession {
    assert.ok(this.#session !== undefined)
    return this.#session
  }

  get texts(): string[] {
    return this.told.flatMap((told) => (told.what === 'message' ? [told.text] : []))
  }

  openOn(bus: InvalidationBus, name: string): void {
    this.#session = bus.open(this, { name })
  }

  message(text: string): void {
    this.told.push({ what: 'message', text })
  }

  changed(keys: readonly string[] | undefined): void {
    this.told.push({ what: 'changed', keys: keys === undefined ? undefined : [...keys] })
  }

  up(): void {
    this.told.push({ what: 'up' })
    this.#onUp?.()
  }

  down(): void {
    this.told.push({ what: 'down' })
  }

  count(what: Told['what']): number {
    return this.told.filter((told) => told.what === what).length
  }

  /** Whether a change of this key, or of any, has been told since that many things were told. */
  toldOf(key: string | undefined, since = 0): boolean {
    return this.told
      .slice(since)
      .some((told) =>
        told.what !== 'changed'
          ? false
          : key === undefined
            ? told.keys === undefined
            : (told.keys?.includes(key) ?? false),
      )
  }
}

interface EarOptions {
  /** Default: another one. */
  readonly bus?: InvalidationBus | undefined
  /** Default: the one of the check. */
  readonly cacheName?: string | undefined
  readonly onUp?: (() => void) | undefined
}

/** What a check works with. */
export interface BusTrial {
  readonly kind: 'messages' | 'notices'
  readonly target: InvalidationBusTarget
  /** A name that no other check uses. */
  readonly cacheName: string
  bus(): Promise<InvalidationBus>
  /** A session that listens; closed after the check. */
  listen(options?: EarOptions): Promise<Ear>
  /** The same, perhaps not listening yet. */
  open(options?: EarOptions): Promise<Ear>
  /** Waits until it is so. */
  until(state: string, holds: () => boolean): Promise<void>
  /** Publishes, or changes a key: something that every ear is told. */
  news(from: Ear): Promise<string>
  /** Whether those news were told, since that many things were told. */
  toldNews(ear: Ear, news: string, since?: number): boolean
  /** Rejects if the promise does not settle. */
  within<T>(state: string, promise: Promise<T>): Promise<T>
  /** Waits until all that was said so far has been handed to the ear. */
  settle(ear: Ear): Promise<void>
}

/** A promise of the bus, as a sentence, and what puts it to the test. */
export type BusCheck = readonly [sentence: string, body: (trial: BusTrial) => Promise<void>]

export async function runBusCheck(
  kind: 'messages' | 'notices',
  create: () => Promise<InvalidationBusTarget>,
  [, body]: BusCheck,
): Promise<void> {
  const target = await create()
  const ears: Ear[] = []
  try {
    await body(makeTrial(kind, target, ears))
  } finally {
    await Promise.all(ears.map((ear) => ear.session.close()))
    await target.dispose()
  }
}

function makeTrial(
  kind: 'messages' | 'notices',
  target: InvalidationBusTarget,
  ears: Ear[],
): BusTrial {
  const cacheName = `conformance-${randomUUID()}`
  const bus = async () => target.bus()
  const patience = target.patience ?? 10_000
  const open: BusTrial['open'] = async (options = {}) => {
    const ear = new Ear(options.onUp)
    ear.openOn(options.bus ?? (await bus()), options.cacheName ?? cacheName)
    ears.push(ear)
    return ear
  }
  return {
    kind,
    target,
    cacheName,
    bus,
    open,
    listen: async (options) => {
      const ear = await open(options)
      await until(patience, 'it listens', () => ear.count('up') > 0)
      return ear
    },
    until: (state, holds) => until(patience, state, holds),
    within: (state, promise) => within(patience, state, promise),
    news: (from) => sayNews(kind, target, from),
    toldNews: (ear, news, since = 0) =>
      kind === 'messages'
        ? ear.told.slice(since).some((told) => told.what === 'message' && told.text === news)
        : ear.toldOf(news, since),
    settle: (ear) => within(patience, 'a beat answers', ear.session.beat()),
  }
}

async function sayNews(
  kind: 'messages' | 'notices',
  target: InvalidationBusTarget,
  from: Ear,
): Promise<string> {
  if (kind === 'messages') {
    const text = `news ${randomUUID()}`
    assert.equal(await from.session.publish(text), true)
    return text
  }
  const store = storeOf(target)
  const key = `${store.prefix}${randomUUID()}`
  await store.set(key, 'news')
  return key
}

export function storeOf(target: InvalidationBusTarget): NoticedStore {
  assert.ok(target.store !== undefined, 'create() gives no store')
  return target.store
}

async function until(patience: number, state: string, holds: () => boolean): Promise<void> {
  const endsAt = performance.now() + patience
  while (!holds()) {
    assert.ok(performance.now() < endsAt, `not within ${patience} ms: ${state}`)
    await pause(2)
  }
}

async function within<T>(patience: number, state: string, promise: Promise<T>): Promise<T> {
  const stop = new AbortController()
  const late = pause(patience, undefined, { signal: stop.signal }).then(() =>
    assert.fail(`not within ${patience} ms: ${state}`),
  )
  // Rejected when it is stopped, and nobody waits for it then.
  late.catch(() => undefined)
  try {
    return await Promise.race([promise, late])
  } finally {
    stop.abort()
  }
}
