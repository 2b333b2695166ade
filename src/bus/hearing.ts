import type { Clock, Timer } from '../model/clock.ts'
import { FORGET_AFTER, GAP_AFTER, type Place } from './numbers.ts'

/** Missing numbers remembered of one source; more at once are lost without being told apart. */
const MOST_MISSING = 1000

/**
 * Sources remembered; beyond it the one silent for longest is forgotten, and met anew. Room for
 * 10,000 processes, each replaced once within FORGET_AFTER; some 200 bytes each.
 */
const MOST_SOURCES = 20_000

/** Stands in `missing` for all that was sent before the first number that is accounted for. */
const BEFORE = 0

/** Stands in `missing` for numbers that are too many to tell apart. */
const MANY = -1

interface Source {
  /** The highest number known to have been given out. */
  last: number
  /** When each number is lost if it has not come by then, on the monotonic clock. */
  readonly missing: Map<number, number>
  /** Until all that was sent before it was met has come, or is lost. */
  meeting: Meeting | undefined
  heardAt: number
}

interface Meeting {
  /** All numbers from this one to the one it was met by are accounted for. */
  first: number
  /** Numbers below it that are, each with when what was sent before it is lost. */
  readonly below: Map<number, number>
}

/**
 * Hears the messages of other sources and notices which are lost; `numbers.ts` says how.
 * Everything here is synchronous but for the one timer that waits for missing numbers.
 */
export class Hearing {
  readonly #clock: Clock
  readonly #onGap: (source: string) => void
  /** In the order in which they were last heard. */
  readonly #sources = new Map<string, Source>()
  #armedAt = Number.POSITIVE_INFINITY
  #timer: Timer | undefined
  #dueAt = Number.POSITIVE_INFINITY

  /** @param onGap Something has been lost; what it was nobody knows. Called while armed only. */
  constructor(clock: Clock, onGap: (source: string) => void) {
    this.#clock = clock
    this.#onGap = onGap
  }

  /** Sources that may be heard again. */
  get size(): number {
    return this.#sources.size
  }

  /**
   * From now on losses are told; the caller has dropped all that it held. What is missing at this
   * moment still counts: it may take effect later.
   */
  arm(): void {
    this.#armedAt = this.#clock.monotonic()
  }

  /** Messages may pass unheard: everybody is forgotten. No timer is left, nor set before `hear`. */
  disarm(): void {
    this.#armedAt = Number.POSITIVE_INFINITY
    this.#sources.clear()
    this.#stopTimer()
  }

  hear(id: string, place: Place): void {
    const now = this.#clock.monotonic()
    const known = this.#sources.get(id)
    // Last in the order, as the one heard last.
    this.#sources.delete(id)
    if (known === undefined) this.#meet(id, place, now)
    else {
      known.heardAt = now
      this.#sources.set(id, known)
      this.#hearAgain(id, known, place, now)
    }
    this.#forget(now)
  }

  #meet(id: string, place: Place, now: number): void {
    const { number, since, repeat } = place
    const meeting = { first: repeat ? number + 1 : number, below: new Map() }
    const source: Source = { last: number, missing: new Map(), meeting, heardAt: now }
    this.#sources.set(id, source)
    if (since > FORGET_AFTER) source.meeting = undefined
    else this.#lookBefore(id, source, meeting, place, now)
  }

  #hearAgain(id: string, source: Source, place: Place, now: number): void {
    const { missing, meeting, last } = source
    const { number, repeat } = place
    const voided = new Set(place.void)
    if (!repeat) missing.delete(number)
    for (const each of voided) missing.delete(each)
    if (meeting !== undefined) this.#lookBefore(id, source, meeting, place, now)
    if (number <= last) return
    source.last = number
    const end = repeat ? number : number - 1
    // Numbers come from elsewhere: no loop as long as they say.
    if (missing.size + end - last > MOST_MISSING) {
      this.#miss(source, MANY, now + GAP_AFTER)
      this.#lose(id, now + GAP_AFTER)
      return
    }
    for (let each = last + 1; each <= end; each++) {
      if (!voided.has(each)) this.#miss(source, each, now + GAP_AFTER)
    }
  }

  /** Whether anything that was sent before the first number may still be missing. */
  #lookBefore(id: string, source: Source, meeting: Meeting, place: Place, now: number): void {
    const { missing } = source
    const { below } = meeting
    const account = (number: number, lostAt: number): void => {
      if (number < meeting.first && below.size < MOST_MISSING) below.set(number, lostAt)
    }
    const ownLostAt = now - place.since + GAP_AFTER
    for (const number of place.void) account(number, Number.POSITIVE_INFINITY)
    if (!place.repeat) account(place.number, ownLostAt)
    let lostAt = missing.get(BEFORE) ?? ownLostAt
    for (;;) {
      const earlier = below.get(meeting.first - 1)
      if (earlier === undefined) break
      meeting.first--
      lostAt = Math.min(lostAt, earlier)
    }
    missing.delete(BEFORE)
    const dueAt = this.#together(lostAt)
    if (meeting.first > 1 && dueAt > now) {
      this.#miss(source, BEFORE, dueAt)
      return
    }
    source.meeting = undefined
    if (meeting.first > 1) this.#lose(id, lostAt)
  }

  /**
   * Of all sources that were busy while we were armed something may be missing: it falls due at one
   * moment, so that it is one loss and not one for each.
   */
  #together(lostAt: number): number {
    const together = this.#armedAt + GAP_AFTER
    return lostAt > this.#armedAt && lostAt < together ? together : lostAt
  }

  /** Told if it may have taken effect after we were armed. */
  #lose(id: string, lostAt: number): void {
    if (lostAt > this.#armedAt) this.#onGap(id)
  }

  #miss(source: Source, number: number, lostAt: number): void {
    source.missing.set(number, lostAt)
    this.#wait(lostAt)
  }

  #wait(dueAt: number): void {
    if (dueAt >= this.#dueAt) return
    this.#timer?.cancel()
    this.#dueAt = dueAt
    const left = Math.max(0, dueAt - this.#clock.monotonic())
    this.#timer = this.#clock.setTimer(left, () => this.#look())
  }

  #look(): void {
    this.#stopTimer()
    const now = this.#clock.monotonic()
    let lost: string | undefined
    for (const [id, source] of this.#sources) {
      let lostAt = 0
      for (const [number, dueAt] of source.missing) {
        if (dueAt > now) {
          this.#wait(dueAt)
          continue
        }
        source.missing.delete(number)
        if (number === BEFORE) source.meeting = undefined
        lostAt = Math.max(lostAt, dueAt)
      }
      if (lostAt > this.#armedAt) lost = id
    }
    // What is lost of several at once is one loss: everything is dropped.
    if (lost !== undefined) this.#onGap(lost)
  }

  #forget(now: number): void {
    for (const [id, { heardAt, missing }] of this.#sources) {
      const over = this.#sources.size > MOST_SOURCES
      if (!over && now - heardAt < FORGET_AFTER) return
      this.#sources.delete(id)
      for (const dueAt of missing.values()) this.#lose(id, dueAt)
    }
  }

  #stopTimer(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#dueAt = Number.POSITIVE_INFINITY
  }
}
