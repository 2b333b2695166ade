/*
 * How a lost message is noticed (promise P7).
 *
 * Every source numbers its messages from 1, and says in each how long ago its last one was sent. A
 * message arrives, and the change that it rides with takes effect, within GAP_AFTER of its being sent:
 * one that has not come by then is lost, and nobody can say what it held, so everything is dropped.
 * Dropped then and not before: messages of one source may come by several servers and overtake each
 * other, and a change that is still on its way outdates what is read until it takes effect.
 *
 *   heard 1, 2, 4            3 comes within GAP_AFTER      nothing lost
 *                            a later message says 3 is     nothing lost: its command certainly never ran
 *                            void
 *                            neither                       gap
 *   first heard from a       number 1                      nothing lost
 *   source                   the one before it comes       as above, from that one on
 *                            within GAP_AFTER
 *                            the one before it had taken   nothing lost: what we hold is younger than that
 *                            effect before we were armed
 *                            the one before it is older    nothing lost, but a message and its repeats all
 *                            than FORGET_AFTER             three: whom we have forgotten is met like this
 *                            else                          gap
 *   heard 1, then silence    2 was lost, and was the last  its repeats after 1 s and 5 s show it
 *
 * A repeat says that its number was given out, and counts as hearing of it, not as hearing it.
 *
 * One sequence for a source, whichever server it publishes on: a server that is slow by more than a
 * second costs a flush, never a stale value. To let the server count would be simpler where there is one
 * server, but in a cluster no script reaches both the key and a common counter.
 */

/** What a message says of its place in the sequence of its source. */
export interface Place {
  /** From 1. A repeat has the number of the message that it repeats. */
  readonly number: number
  /** Milliseconds since the message before it (of a repeat: since the one it repeats) was sent. */
  readonly since: number
  /** Numbers that were given to messages that certainly never went out. */
  readonly void: readonly number[]
  /** It is not the message of that number, only a reminder that there was one. */
  readonly repeat: boolean
}

/** Milliseconds within which a message has taken effect and arrived. */
export const GAP_AFTER = 1000

/** Milliseconds after the last message at which it is repeated, so that a lost tail shows. */
export const REPEAT_AFTER: readonly number[] = [1000, 5000]

/** Milliseconds of silence after which a source is forgotten. */
export const FORGET_AFTER = 3_600_000

/** Numbers that never went out are named in this many at the most; the oldest stay a gap. */
const MOST_VOID = 1000

/** Gives the messages of one source their numbers. */
export class Numbers {
  #last = 0
  #lastSentAt = 0
  /** The highest number that others may know to have been given out without having heard it. */
  #shown = 0
  /** In the order in which they became void. */
  readonly #void = new Set<number>()

  /** Whether anything has been sent. */
  get begun(): boolean {
    return this.#last > 0
  }

  /**
   * Whether others may be waiting for a number that is void: a later one has been given out, or it was
   * repeated, and no message that names it has gone out for certain. One must arrive within GAP_AFTER
   * of that, or they flush: a repeat within 500 ms will do.
   */
  get voidsUntold(): boolean {
    for (const number of this.#void) if (number <= this.#shown) return true
    return false
  }

  /** The place of a message that is sent now. @param now On the monotonic clock. */
  next(now: number): Place {
    const since = this.#last === 0 ? 0 : this.#sinceLast(now)
    this.#lastSentAt = now
    this.#shown = this.#last
    return { number: ++this.#last, since, void: [...this.#void], repeat: false }
  }

  /** The last place once more. Only once something has been sent. */
  repeat(now: number): Place {
    const since = this.#sinceLast(now)
    this.#shown = this.#last
    return { number: this.#last, since, void: [...this.#void], repeat: true }
  }

  /** That message certainly never went out. */
  withdrawn(number: number): void {
    this.#void.add(number)
    if (this.#void.size <= MOST_VOID) return
    for (const oldest of this.#void) {
      this.#void.delete(oldest)
      return
    }
  }

  /** A message that named these as void has gone out for certain. */
  told(numbers: readonly number[]): void {
    for (const number of numbers) this.#void.delete(number)
  }

  /** Rounded down: too young a predecessor costs a flush, one too old may hide a loss. */
  #sinceLast(now: number): number {
    return Math.floor(now - this.#lastSentAt)
  }
}
