import type { Clock, Timer } from '../model/clock.ts'

/*
 * When what a bus tells may be relied on.
 *
 *   down ---up---> listening ---a beat answers---> ARMED ---down------------------> down
 *                      ^                             |
 *                      '---- no proof for TRUSTED ---'
 *
 * A BEAT is one round on the way that news take. Its answer proves that everything said before it was
 * SENT has been handed over, and nothing later: that is the moment it counts from. A message proves
 * less than a beat, since nobody knows how long it lay in a buffer: a listener that is a minute behind
 * hears one after the other. So only beats count.
 *
 * Last proof at 0, beats lost from then on:
 *
 *   0        1000                              6000
 *   proof    beat, unanswered                  disarmed; this beat is given up, the next is sent
 *
 * A stall of the event loop needs no clock of its own: the proof is older by its length. What arrived
 * during it is handed over before the verdict (`Clock.setTimer` gives it one turn), and counts from
 * when its beat was sent as always: after a stall longer than TRUSTED no proof is young enough.
 *
 * An unanswered beat holds the next one back, so that no server that is slow or frozen is sent more
 * than one in SILENCE; and one that is lost by itself disarms, as what was said beside it may be too.
 * Nor is a bus relied on whose rounds take 3 s: the proof before is 6 s old when the next one comes.
 */

/** Milliseconds between beats: one small command a second is what an idle process may cost. */
const BEAT_EVERY = 1000

/** Milliseconds after which an unanswered beat is not waited for any more. */
const SILENCE = 5000

/** Milliseconds for which a proof is good. */
const TRUSTED = SILENCE + BEAT_EVERY

interface ArmingParts {
  readonly clock: Clock
  /** One round; may reject or stay silent. */
  readonly beat: () => Promise<void>
  /** Called before it counts as armed; returns whether it may. */
  readonly onArm: () => boolean
  readonly onDisarm: () => void
}

/** Tells whether nothing is said that is not heard. */
export class Arming {
  readonly #clock: Clock
  readonly #parts: ArmingParts
  /** Another object each time that it begins to listen: an answer from before proves nothing. */
  #listening: object | undefined
  #armed = false
  #beatSentAt = 0
  #beatWaits = false
  #nextBeat: Timer | undefined
  #deadline: Timer | undefined

  constructor(parts: ArmingParts) {
    this.#clock = parts.clock
    this.#parts = parts
  }

  get armed(): boolean {
    return this.#armed
  }

  /** It listens from now on; what was said before is lost, even if nobody has told `down`. */
  up(): void {
    this.down()
    this.#listening = {}
    this.#beat(this.#listening)
  }

  down(): void {
    this.#listening = undefined
    this.#nextBeat?.cancel()
    this.disarm()
  }

  /** Something was lost that nobody will hear of: nothing is relied on until the next beat answers. */
  disarm(): void {
    this.#deadline?.cancel()
    if (!this.#armed) return
    this.#armed = false
    this.#parts.onDisarm()
  }

  #beat(listening: object): void {
    const sentAt = this.#clock.monotonic()
    this.#beatSentAt = sentAt
    this.#beatWaits = true
    this.#plan(listening)
    // Not in this very turn: a bus may tell `up` while it is being opened, and cannot beat before.
    Promise.resolve()
      .then(this.#parts.beat)
      .then(
        () => this.#answered(listening, sentAt),
        () => this.#settled(listening, sentAt),
      )
  }

  #plan(listening: object): void {
    this.#nextBeat?.cancel()
    this.#nextBeat = this.#clock.setTimer(BEAT_EVERY, () => {
      const waits = this.#beatWaits && this.#clock.monotonic() - this.#beatSentAt < SILENCE
      if (waits) this.#plan(listening)
      else this.#beat(listening)
    })
  }

  #settled(listening: object, sentAt: number): boolean {
    if (listening !== this.#listening) return false
    if (sentAt === this.#beatSentAt) this.#beatWaits = false
    return true
  }

  #answered(listening: object, sentAt: number): void {
    if (!this.#settled(listening, sentAt)) return
    const age = this.#clock.monotonic() - sentAt
    if (age < TRUSTED) this.#prove(TRUSTED - age)
  }

  #prove(left: number): void {
    this.#deadline?.cancel()
    this.#deadline = this.#clock.setTimer(left, () => this.disarm())
    this.#armed ||= this.#parts.onArm()
  }
}
