import type { GoEventType } from '../bus/go-event.ts'
import { type BusMessage, encodeMessage } from '../bus/message.ts'
import { Numbers, type Place, REPEAT_AFTER } from '../bus/numbers.ts'
import type { Clock, Timer } from '../model/clock.ts'
import type { Ride } from '../remote/announcer.ts'
import type { Counters } from '../stats/counters.ts'

/*
 * How news leave, and keep their numbers (`bus/numbers.ts`).
 *
 * A RIDE is a message that the store publishes in the same step as the change. All others wait here,
 * each key once, and go one message at a time: what changes while one is under way shares the next.
 *
 *                      number          keys                      receivers
 *   out for certain    told            done                      hear it
 *   certainly not out  void: the next  wait, under another       see that nothing is missing
 *                      message says so number
 *   nobody knows       stays given     wait, under another       may hear it twice, or miss a number
 *                                      number                    and flush
 *
 * A ride's keys never wait: what is known not to have happened needs no news, and what nobody knows of
 * is repaired by a deletion, which has news of its own.
 *
 * A number may become void after later ones were given out without naming it, or after a repeat told
 * of it. Their receivers count it as missing, and wait a second for it: a repeat that names it must come
 * before that.
 */

/** Keys that wait; more collapse into one message that says "everything". */
const MOST_KEYS = 10_000

/** Keys of one message. */
const AT_ONCE = 500

/**
 * Characters of the keys of one message: Redis ends the connection of a subscriber that is 32 MB
 * behind, and 500 of the longest keys are that much.
 */
const MOST_CHARACTERS = 256 * 1024

/** Milliseconds until what did not go out is tried again, if nothing tells earlier. */
const TRY_AGAIN = 1000

/** Milliseconds after which nobody knows whether a message went out. */
const SETTLED_BY = 5000

/**
 * Milliseconds in which the next message may name a void number, before a repeat does. With what it
 * takes until a number is known to be void, and the way of the repeat, less than GAP_AFTER.
 */
const NAME_VOIDS_AFTER = 250

// Taken at import: fake timers that a user's test installs later must not hold news back.
const nextTick = process.nextTick

interface OutboxParts {
  readonly cacheName: string
  readonly sourceId: string
  readonly clock: Clock
  readonly counters: Counters
  /** Resolves whether it went out; rejects if nobody knows; may stay silent. */
  readonly publish: (text: string) => Promise<boolean>
}

/** One message that does not ride. */
interface Parcel {
  readonly kind: 'keys' | 'flush' | 'repeat'
  readonly type: GoEventType | undefined
  readonly keys: readonly string[]
}

const FLUSH: Parcel = { kind: 'flush', type: undefined, keys: [] }
const REPEAT: Parcel = { kind: 'repeat', type: undefined, keys: [] }

/** What a process tells the others. */
export class Outbox {
  readonly #parts: OutboxParts
  readonly #clock: Clock
  readonly #numbers = new Numbers()
  #lastNumber = 0
  #lastSentAt = 0
  /** Others may know of the last number by a repeat, and be waiting for it. */
  #lastIsRepeated = false
  /** Keys that wait, and what happened to them; the newest last. */
  readonly #waiting = new Map<string, GoEventType>()
  #flushWaits = false
  #repeatWaits = false
  /** Repeats of the last message that have come due. */
  #repeats = 0
  #repeatTimer: Timer | undefined
  #repeatTimerAt = Number.POSITIVE_INFINITY
  #voidsTimer: Timer | undefined
  #retryTimer: Timer | undefined
  #scheduled = false
  /** What stands before the key of a wake-up, and what behind it. */
  #wakeText: string[] | undefined
  #sending: Promise<void> | undefined
  #closed = false

  constructor(parts: OutboxParts) {
    this.#parts = parts
    this.#clock = parts.clock
  }

  /** A message that goes out with a change of the key; asked for in the turn in which that is sent. */
  ride(key: string, channel: string, type: GoEventType = 'delete'): Ride {
    const place = this.#nextPlace()
    const text = this.#encode({ type, keys: [key], place })
    return {
      announcement: { channel, text },
      settle: (out) => this.#settle(place, out),
    }
  }

  /** A message that only wakes those who wait for the lease of a key: losing it costs a moment. */
  wake(key: string): string {
    // Made for each fill, and mostly not published: all but the key is encoded once.
    this.#wakeText ??= this.#encode({ wake: [''] }).split('""', 2)
    const [before, behind] = this.#wakeText
    return `${before}${JSON.stringify(key)}${behind}`
  }

  /** They go out at the end of this turn. */
  add(keys: readonly string[], type: GoEventType): void {
    if (this.#closed || this.#flushWaits) return
    for (const key of keys) this.#put(key, type)
    if (this.#waiting.size > MOST_KEYS) this.#collapse()
    this.#sendSoon()
  }

  /** The bus may be used again. */
  resume(): void {
    if (this.#retryTimer === undefined) return
    this.#stopRetry()
    this.#sendSoon()
  }

  /** Tries once more to send what waits, for so many milliseconds, and is silent after that. */
  async close(within: number): Promise<void> {
    this.#repeatTimer?.cancel()
    this.#voidsTimer?.cancel()
    let timer: Timer | undefined
    const late = new Promise<void>((resolve) => {
      timer = this.#clock.setTimer(within, resolve)
    })
    await Promise.race([this.#send(), late])
    timer?.cancel()
    this.#closed = true
    this.#repeatTimer?.cancel()
    this.#voidsTimer?.cancel()
    this.#stopRetry()
  }

  #put(key: string, type: GoEventType): void {
    // That it changed says more than that it was filled.
    const known = this.#waiting.get(key)
    this.#waiting.delete(key)
    this.#waiting.set(key, known === 'delete' ? known : type)
  }

  #collapse(): void {
    this.#waiting.clear()
    this.#flushWaits = true
  }

  #sendSoon(): void {
    // What did not go out is tried once a second, however many changes come: each try costs a number.
    if (this.#scheduled || this.#closed || this.#retryTimer !== undefined) return
    this.#scheduled = true
    nextTick(() => {
      this.#scheduled = false
      if (this.#retryTimer === undefined) void this.#send()
    })
  }

  /** Resolves when nothing waits any more, or something did not go out. */
  #send(): Promise<void> {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined
    })
    return this.#sending
  }

  async #sendAll(): Promise<void> {
    this.#stopRetry()
    while (!this.#closed) {
      const parcel = this.#take()
      if (parcel === undefined) return
      if (await this.#sendOne(parcel)) continue
      this.#putBack(parcel)
      if (!this.#closed) this.#retry()
      return
    }
  }

  #take(): Parcel | undefined {
    if (this.#flushWaits) {
      this.#flushWaits = false
      return FLUSH
    }
    if (this.#waiting.size > 0) return this.#takeKeys()
    return this.#repeatWaits ? REPEAT : undefined
  }

  #takeKeys(): Parcel {
    const keys: string[] = []
    let type: GoEventType | undefined
    let characters = 0
    for (const [key, its] of this.#waiting) {
      type ??= its
      characters += key.length
      const full = keys.length === AT_ONCE || (keys.length > 0 && characters > MOST_CHARACTERS)
      if (full || its !== type) break
      this.#waiting.delete(key)
      keys.push(key)
    }
    return { kind: 'keys', type, keys }
  }

  #putBack({ kind, type, keys }: Parcel): void {
    if (kind === 'repeat') this.#repeatWaits = true
    if (kind === 'flush') this.#collapse()
    if (kind === 'keys' && type !== undefined) this.add(keys, type)
  }

  async #sendOne({ kind, type, keys }: Parcel): Promise<boolean> {
    // Whatever goes out now says all that a repeat would have said.
    this.#repeatWaits = false
    const isRepeat = kind === 'repeat'
    const place = isRepeat ? this.#numbers.repeat(this.#clock.monotonic()) : this.#nextPlace()
    this.#lastIsRepeated ||= isRepeat
    const out = await this.#publish(this.#encode({ type, keys, place, flush: kind === 'flush' }))
    this.#settle(place, out, isRepeat)
    return out === true
  }

  #publish(text: string): Promise<boolean | undefined> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(SETTLED_BY, () => resolve(undefined))
      const settle = (out: boolean | undefined) => {
        timer.cancel()
        resolve(out)
      }
      this.#parts.publish(text).then(settle, () => settle(undefined))
    })
  }

  #settle(place: Place, out: boolean | undefined, isRepeat = false): void {
    if (out === true) {
      this.#parts.counters.busSent++
      this.#numbers.told(place.void)
    } else if (out === false && !isRepeat) {
      this.#numbers.withdrawn(place.number)
      if (place.number !== this.#lastNumber || this.#lastIsRepeated) this.#nameVoidsSoon()
    }
  }

  #nameVoidsSoon(): void {
    if (this.#closed) return
    this.#voidsTimer ??= this.#clock.setTimer(NAME_VOIDS_AFTER, () => {
      this.#voidsTimer = undefined
      if (this.#numbers.voidsUntold || this.#lastIsRepeated) this.#repeat()
    })
  }

  #nextPlace(): Place {
    this.#lastSentAt = this.#clock.monotonic()
    const place = this.#numbers.next(this.#lastSentAt)
    this.#lastNumber = place.number
    this.#lastIsRepeated = false
    this.#repeats = 0
    this.#planRepeat()
    return place
  }

  /** One timer that finds out itself how late it must be: messages may be many. */
  #planRepeat(): void {
    const after = REPEAT_AFTER[this.#repeats]
    if (after === undefined || this.#closed) return
    const at = this.#lastSentAt + after
    if (this.#repeatTimerAt <= at) return
    this.#repeatTimer?.cancel()
    this.#repeatTimerAt = at
    this.#repeatTimer = this.#clock.setTimer(at - this.#clock.monotonic(), () => {
      this.#repeatTimerAt = Number.POSITIVE_INFINITY
      if (this.#clock.monotonic() >= this.#lastSentAt + (REPEAT_AFTER[this.#repeats] ?? 0)) {
        this.#repeats++
        this.#repeat()
      }
      this.#planRepeat()
    })
  }

  #repeat(): void {
    this.#repeatWaits = true
    this.#sendSoon()
  }

  #retry(): void {
    this.#retryTimer = this.#clock.setTimer(TRY_AGAIN, () => {
      this.#stopRetry()
      void this.#send()
    })
  }

  #stopRetry(): void {
    this.#retryTimer?.cancel()
    this.#retryTimer = undefined
  }

  #encode(message: Partial<BusMessage>): string {
    const { cacheName, sourceId } = this.#parts
    return encodeMessage({
      cacheName,
      sourceId,
      type: undefined,
      keys: [],
      place: undefined,
      flush: false,
      wake: [],
      ...message,
    })
  }
}
