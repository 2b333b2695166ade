import { randomBytes } from 'node:crypto'
import type { GoEventType } from '../bus/go-event.ts'
import { Hearing } from '../bus/hearing.ts'
import type { BusSession, InvalidationBus } from '../bus/invalidation-bus.ts'
import { type BusMessage, decodeMessage } from '../bus/message.ts'
import type { Clock, Timer } from '../model/clock.ts'
import type { Announcer, Filling, Ride } from '../remote/announcer.ts'
import type { Announcement } from '../remote/remote-store.ts'
import type { Counters } from '../stats/counters.ts'
import { Arming } from './arming.ts'
import { Outbox } from './outbox.ts'
import { OwnFills } from './own-fills.ts'

/*
 * How the local tiers of several processes stay coherent (promise P7).
 *
 * The claim: a copy of what another process has changed is dropped when the news come; and if they do
 * not come, that is noticed, and everything is dropped. In the pictures W changes a key, R has a local
 * tier, `x` is the moment at which the change takes effect in the remote; it is news from then on,
 * with or after `x` and never before it.
 *
 * 1. R reads while W changes. R's answer and W's news come by two connections, in any order.
 *
 *      W         x--news------.          .------ after the put: they drop the copy
 *      R   read(old)----------|--put?----'
 *                             '- before it: they end the epoch, so that R's ticket stores nothing
 *
 *    What R reads after the news is read after x, and is new.
 *
 * 2. News are lost. W's numbers show it: the next message, or the repeats after 1 s and 5 s
 *    (`bus/numbers.ts`). R waits a second for what is missing, since W's messages may come by several
 *    servers, and then flushes: local writes under way are fenced, copies are dropped.
 *
 * 3. R is cut off, and so hears nothing that could show a gap. Its beats are not answered: after 6 s
 *    it is DISARMED (`arming.ts`). Also when its bus tells `down`, which is sooner. From then on copies
 *    are PROVISIONAL, they live for `unarmedTtl` (a second: so an outage of the bus does not send every
 *    read to the database); older ones live on for `unarmedServe`.
 *
 * 4. R listens again, and is ARMED by the first beat. Whatever was said before is lost, so it flushes
 *    at that moment, provisional copies included.
 *
 *      R       up --beat-----------armed, flush-------------
 *      W1  x--news                                            lost; what R reads after the flush is new
 *      W2           x--news                                   heard, or shown by its number
 *      R   read(old)---------------------x put                fenced by the flush
 *
 *    A read that is sent after the flush cannot bring what was changed before `up`; what is changed
 *    after `up` has news, which R hears, or misses as in 2.
 *
 * 5. W's news have no number (jetcache-go) and W knows of no leases: W's change may come between R's
 *    load and R's fill, and be gone at the fill's compare (a deletion leaves nothing to compare with).
 *
 *      R   load(old)-----------fill(old)-------- news within `foreignWindow`: the fill is undone, by
 *      W                 x---------------news'   comparing with what was filled, and that is news too
 *
 *    News before the fill have ended the epoch, as in 1; news while it is on its way undo it once it has
 *    landed. While a fill is being undone somebody here may read it: the key counts as changed once more
 *    when it is over.
 *
 *    News of what W has loaded undo nothing: it lies over our fill, or our fill was refused. To compare
 *    would take the same bytes of W's for ours, and both would load again, and again.
 *
 * 6. News without an author (tracking) may be the echo of our own write, or an expiry: they drop the
 *    copy and fence local writes, and end no load: whether that may fill is decided by its lease.
 *
 * 7. W does not know whether its change took effect: nor whether its message went out. Its number stays
 *    given, R may find it missing and flush; W repairs the key by a deletion, which has news of its own.
 *
 * Only best effort: W dies between x and its news where they do not ride with the change (its number
 * was never given, so nobody misses it), or before the repeats when its last news were lost. The ttl is
 * the bound. The same holds for what a peer without numbers says while R does not hear it in full.
 */

/** Milliseconds after which somebody should know that the bus is not heard. */
const UNHEARD_FOR = 10_000

/** Milliseconds for which a close waits for what is still to be sent. */
const CLOSE_WITHIN = 1000

/** What jetcache-go tells when its loader has run: nothing but the remote has changed. */
const LOADS: ReadonlySet<GoEventType | undefined> = new Set<GoEventType>([
  'setByOnce',
  'setByRefresh',
  'setByMGet',
])

const UNTOLD: Filling = { settle: () => false }

/** What is done about news. None of these throws or rejects. */
interface Effects {
  /**
   * Another process has changed the key: its copy is dropped, its epoch ends, who waits looks again.
   *
   * @param foreign Its author voids no leases.
   */
  changed(key: string, foreign: boolean): void
  /** Nobody knows who has changed them: copies are dropped, local writes fenced, who waits looks again. */
  dropped(keys: readonly string[]): void
  /** The same for all keys. */
  flush(): void
  /** Another process has refreshed these. */
  refreshed(keys: readonly string[]): void
  /** Who waits for the leases of these looks again; `undefined`: of any. */
  woken(keys: readonly string[] | undefined): void
  /** Deletes what the key holds if that is ours. Resolves whether it did. */
  undo(key: string, isOurs: (bytes: Uint8Array) => boolean): Promise<boolean>
}

/** In milliseconds. */
interface CoherencePolicy {
  /** Most that a new local copy may live while the bus is not heard. */
  readonly unarmedTtl: number
  /** Most that older ones are served then; `Infinity`: as long as they live. */
  readonly unarmedServe: number
  /** How long a fill may be undone by foreign news; 0: never. */
  readonly foreignWindow: number
  /** Whether fills of keys that held nothing are news. */
  readonly publishFills: boolean
}

interface CoherenceParts {
  readonly bus: InvalidationBus
  readonly cacheName: string
  /** Begins the name of this source. */
  readonly sourceId: string
  /** The remote store's, so that messages may ride. */
  readonly origin: object | undefined
  readonly policy: CoherencePolicy
  readonly clock: Clock
  readonly counters: Counters
  readonly warn: (message: string) => void
  readonly effects: Effects
}

/** Keeps the local tier of one cache coherent with those of others. */
export class Coherence implements Announcer {
  readonly #parts: CoherenceParts
  readonly #sourceId: string
  readonly #publishes: boolean
  readonly #arming: Arming
  readonly #hearing: Hearing
  readonly #outbox: Outbox
  readonly #fills: OwnFills
  #session: BusSession | undefined
  #serveTimer: Timer | undefined
  #unheardTimer: Timer | undefined
  #closing: Promise<void> | undefined
  #malformed = false
  #failed = false

  constructor(parts: CoherenceParts) {
    const { bus, cacheName, clock, counters, policy } = parts
    this.#parts = parts
    // A name that two processes share would make each take the other's messages for its own.
    this.#sourceId = `${parts.sourceId}#${randomBytes(8).toString('hex')}`
    this.#publishes = bus.kind === 'messages'
    this.#arming = new Arming({
      clock,
      beat: () => this.#opened().beat(),
      onArm: () => this.#safely(() => this.#armed()),
      onDisarm: () => this.#disarmed(),
    })
    this.#hearing = new Hearing(clock, () => this.#safely(() => this.#missed()))
    this.#outbox = new Outbox({
      cacheName,
      sourceId: this.#sourceId,
      clock,
      counters,
      publish: async (text) => this.#opened().publish(text),
    })
    this.#fills = new OwnFills(clock, this.#publishes ? policy.foreignWindow : 0, () => {
      counters.foreignFillsForgotten++
    })
  }

  /** Whether nothing is said that is not heard. */
  get armed(): boolean {
    return this.#arming.armed
  }

  /** Whether a lease that ends is told here, so that nobody needs to ask for it meanwhile. */
  get hearsWakeUps(): boolean {
    return this.armed && this.#channel() !== undefined
  }

  /** Milliseconds that a copy stored now may live at the most. */
  localLimit(): number {
    return this.armed ? Number.POSITIVE_INFINITY : this.#parts.policy.unarmedTtl
  }

  /** Begins to listen. Throws what the bus throws. */
  start(): void {
    const { bus, cacheName } = this.#parts
    this.#watchForSilence()
    this.#session = bus.open(
      {
        message: (text) => this.#hear(() => this.#receive(text)),
        changed: (keys) => this.#hear(() => this.#noticed(keys)),
        up: () => this.#hear(() => this.#listens()),
        down: () => this.#hear(() => this.#arming.down()),
      },
      { name: cacheName },
    )
  }

  /** Stops listening, and tries for a moment to send what waits. Safe to call again. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  ride(key: string, event: GoEventType = 'delete'): Ride | undefined {
    const channel = this.#channel()
    return channel === undefined ? undefined : this.#outbox.ride(key, channel, event)
  }

  changed(keys: readonly string[], event: GoEventType = 'delete'): void {
    if (this.#publishes) this.#outbox.add(keys, event)
  }

  wake(key: string): Announcement | undefined {
    const channel = this.#channel()
    return channel === undefined ? undefined : { channel, text: this.#outbox.wake(key) }
  }

  filling(key: string, bytes: Uint8Array, leased: boolean): Filling {
    if (!this.#publishes) return UNTOLD
    const settle = this.#fills.add(key, bytes, leased)
    return {
      settle: (landed) => {
        const isOurs = settle(landed)
        if (isOurs !== undefined && landed) void this.#undo(key, isOurs)
        else if (landed && this.#parts.policy.publishFills) this.#outbox.add([key], 'setByOnce')
        return isOurs !== undefined
      },
    }
  }

  async #close(): Promise<void> {
    this.#arming.down()
    this.#serveTimer?.cancel()
    this.#unheardTimer?.cancel()
    await this.#outbox.close(CLOSE_WITHIN)
    await this.#session?.close()
  }

  /** On which messages ride, if they do; some clients know it only while they are connected. */
  #channel(): string | undefined {
    const { origin } = this.#parts
    if (!this.#publishes || origin === undefined) return undefined
    return this.#session?.channelOn?.(origin)
  }

  #hear(work: () => void): void {
    if (this.#closing === undefined) this.#safely(work)
  }

  #listens(): void {
    this.#arming.up()
    this.#outbox.resume()
  }

  #receive(text: string): void {
    const { counters } = this.#parts
    const result = decodeMessage(text)
    if (!result.ok) {
      counters.busMalformed++
      this.#warnOfMalformed(result.reason)
      return
    }
    const { message } = result
    if (message.sourceId === this.#sourceId) return
    counters.busReceived++
    if (message.place !== undefined) this.#hearing.hear(message.sourceId, message.place)
    this.#apply(message)
  }

  #apply({ place, type, flush, keys, wake }: BusMessage): void {
    const { effects } = this.#parts
    if (flush) this.#flush()
    if (type === 'setByRefresh') {
      if (place === undefined) this.#parts.counters.foreignRefreshes++
      effects.refreshed(keys)
    }
    for (const key of keys) {
      const foreign = place === undefined
      effects.changed(key, foreign)
      // A load leaves what lies there right.
      if (!LOADS.has(type)) this.#undoFill(key, foreign)
    }
    if (wake.length > 0) effects.woken(wake)
  }

  #undoFill(key: string, foreign: boolean): void {
    const isOurs = this.#fills.take(key, foreign)
    if (isOurs !== undefined) void this.#undo(key, isOurs)
  }

  async #undo(key: string, isOurs: (bytes: Uint8Array) => boolean): Promise<void> {
    const { counters, effects } = this.#parts
    const undone = await effects.undo(key, isOurs)
    // Also if it did not: nobody may know, and what was read meanwhile may be what was to be undone.
    this.#safely(() => effects.changed(key, !undone))
    if (undone) counters.foreignUndone++
    // Also if it was gone, or evicted: others may have read it before that, and after the news.
    this.changed([key])
  }

  #noticed(keys: readonly string[] | undefined): void {
    this.#parts.counters.busReceived++
    if (keys === undefined) this.#flush()
    else this.#parts.effects.dropped(keys)
  }

  #missed(): void {
    this.#parts.counters.busGaps++
    this.#flush()
  }

  #armed(): void {
    this.#flush()
    this.#serveTimer?.cancel()
    this.#unheardTimer?.cancel()
    this.#hearing.arm()
  }

  #disarmed(): void {
    const { clock, counters, effects, policy } = this.#parts
    counters.busDisarmed++
    this.#hearing.disarm()
    if (policy.unarmedServe !== Number.POSITIVE_INFINITY) {
      this.#serveTimer = clock.setTimer(policy.unarmedServe, () =>
        this.#safely(() => this.#flush()),
      )
    }
    this.#watchForSilence()
    // They counted on being woken.
    this.#safely(() => effects.woken(undefined))
  }

  #watchForSilence(): void {
    const { bus, clock, policy, warn } = this.#parts
    this.#unheardTimer?.cancel()
    this.#unheardTimer = clock.setTimer(UNHEARD_FOR, () =>
      warn(
        `the bus (${bus.name}) has not been heard for ${UNHEARD_FOR / 1000} s: what is stored locally lives for ${policy.unarmedTtl} ms at the most. Is its server there, and may its user listen? See docs/coherence.md`,
      ),
    )
  }

  #flush(): void {
    this.#parts.counters.busFlushes++
    this.#parts.effects.flush()
  }

  /**
   * A local tier may be somebody's own, and throw. What it could not drop is as if it had not been
   * heard of: nothing is relied on until all could be dropped. Returns whether it was done.
   */
  #safely(work: () => void): boolean {
    try {
      work()
      return true
    } catch (error) {
      this.#arming.disarm()
      if (!this.#failed) {
        this.#failed = true
        this.#parts.warn(`what the bus (${this.#parts.bus.name}) told could not be done: ${error}`)
      }
      return false
    }
  }

  #warnOfMalformed(reason: string): void {
    if (this.#malformed) return
    this.#malformed = true
    this.#parts.warn(
      `something on the bus (${this.#parts.bus.name}) is no message of a cache: ${reason}. Others are only counted`,
    )
  }

  #opened(): BusSession {
    if (this.#session === undefined) throw new Error('the bus has not been opened')
    return this.#session
  }
}
